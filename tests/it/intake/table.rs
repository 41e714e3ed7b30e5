//! The table: what lies there is taken once, by whichever reader, however often it is left or read.

use super::{MAX_BYTES, envelope, why, with, world};
use crate::support::{
    both,
    database::Database,
    process::{Serve, captures, folder},
    world::World,
};
use dunlin::{
    flow::intake::{Delivery, Fate},
    store::Store,
    worker::intake::read_table,
};
use serde_json::json;

both! {
    what_is_left_twice_is_charged_once
    one_id_with_another_order_is_a_dead_letter
    what_a_dead_reader_had_in_hand_is_charged_once
    a_reader_that_is_killed_after_its_commit_leaves_nothing_to_charge_twice
    alike_payments_are_refused_as_over_http
}

async fn what_is_left_twice_is_charged_once(database: Database) {
    let world = world(database).await;
    world.leave(&envelope("a").to_json()).await;
    world.leave(&with("a", &[("traceparent", json!("of another try"))])).await;
    world.leave(&envelope("b").to_json()).await;

    world.read().await;
    world.leave(&envelope("a").to_json()).await;
    world.read().await;

    assert_eq!(world.charged().await, [1, 1]);
    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
    let history = world.flows.store.list_history(world.payments().await[0]).await.unwrap();
    assert_eq!(history[0].actor, "intake");
}

async fn one_id_with_another_order_is_a_dead_letter(database: Database) {
    let world = world(database).await;
    let other = with("a", &[("payment.amount", json!(1251))]);
    world.leave(&envelope("a").to_json()).await;
    world.leave(&other).await;

    world.read().await;

    let [letter] = &world.letters().await[..] else { panic!("one letter") };
    assert_eq!(why(letter), ("idempotency_key_reused", Some("id")));
    assert!(letter.reason.contains(&world.payments().await[0].to_string()), "{}", letter.reason);
    assert_eq!(letter.envelope, other);
    assert_eq!(world.charged().await, [1]);
}

async fn what_a_dead_reader_had_in_hand_is_charged_once(database: Database) {
    let world = world(database).await;
    let store: &Store = &world.flows.store;
    world.leave(&envelope("a").to_json()).await;
    world.leave("no envelope").await;

    let bag = store.take_mail(0, 10).await.unwrap();
    let mail: Vec<_> = bag
        .waiting
        .iter()
        .map(|waiting| Delivery { bytes: waiting.envelope.as_bytes(), restored_at: None })
        .collect();
    let fates = world.flows.take_in_mail(&mail, MAX_BYTES).await;
    drop(bag);
    // What was in hand is rolled back by the connection, a moment after.
    while world.waiting().await > 0 {
        world.read().await;
    }

    assert!(matches!(fates[..], [Fate::Taken(_), Fate::Dead(_)]), "{fates:?}");
    assert_eq!(world.charged().await, [1]);
    assert_eq!((world.waiting().await, world.letters().await.len()), (0, 1));
}

async fn a_reader_that_is_killed_after_its_commit_leaves_nothing_to_charge_twice(database: Database) {
    let (_folder, path) = folder();
    // It only reads: a charge in its hands would wait for its lease.
    let hold = [
        ("DUNLIN_FAILPOINT__POINT", "http.accepted"),
        ("DUNLIN_FAILPOINT__DEED", "hold"),
        ("DUNLIN_WORKER__LANES__PAYMENTS", "0"),
    ];
    let text = with("a", &[("tenant", json!("development"))]);
    {
        let world = World::new(Database::at(database.url.clone())).await;
        world.leave(&text).await;
        world.flows.store.clone().abandon().await;
    }

    let mut serve = Serve::start(&database, &path, &hold);
    serve.wait_for_failpoint();
    serve.kill();
    let serve = Serve::start(&database, &path, &[]);
    let listed = serve.client().get("/v1/payments").await.body;
    let id = listed["data"][0]["id"].as_str().expect("it was committed").to_owned();
    serve.client().wait_for(&id, "succeeded").await;

    let sandbox = serve.sandbox.clone();
    let charged = captures(&sandbox).await;
    assert_eq!(charged.into_iter().collect::<Vec<_>>(), [(id, 1)]);
    assert!(serve.terminate());
    let world = World::new(database).await;
    world.read().await;
    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
}

async fn alike_payments_are_refused_as_over_http(database: Database) {
    let world = World::with_settings(database, |settings| settings.duplicate_window_s = 600).await;
    world.leave(&envelope("a").to_json()).await;
    world.read().await;
    world.leave(&envelope("b").to_json()).await;

    world.read().await;

    let [letter] = &world.letters().await[..] else { panic!("one letter") };
    assert_eq!(why(letter), ("duplicate_payment", None));
    assert!(letter.reason.contains(&world.payments().await[0].to_string()), "{}", letter.reason);
    assert_eq!(world.charged().await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_readers_at_once_share_what_there_is() {
    let world = world(Database::postgres().await).await;
    for n in 0..60 {
        world.leave(&envelope(&format!("order-{n}")).to_json()).await;
    }

    let first = world.flows.store.take_mail(0, 20).await.unwrap();
    let second = world.flows.store.take_mail(0, 20).await.unwrap();
    let seqs = |bag: &dunlin::store::Bag| bag.waiting.iter().map(|waiting| waiting.seq).collect::<Vec<_>>();
    assert!(seqs(&first).iter().all(|seq| !seqs(&second).contains(seq)));
    assert_eq!((seqs(&first).len(), seqs(&second).len()), (20, 20));
    drop((first, second));
    let mut reading = super::reading(&world);
    reading.settings.batch = 7;
    let (one, two) = tokio::join!(read_table(&reading), read_table(&reading));

    one.unwrap();
    two.unwrap();
    world.read().await;
    assert_eq!(world.charged().await, vec![1; 60]);
    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
}
