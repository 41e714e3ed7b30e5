//! `dunlin dead-letters`: seen, mended, put back, thrown away.

use super::{Ended, run};
use crate::support::{
    both,
    database::Database,
    process::{Serve, folder},
    world::World,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

both! { a_person_sees_mends_and_drops_dead_letters }

fn letters(folder: &Path, arguments: &[&str], database: &Database) -> Ended {
    run(folder, &[&["dead-letters"], arguments].concat(), &[("DUNLIN_STORE__URL", &database.url)])
}

fn read(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.out))
}

fn envelope(id: &str, amount: i64) -> String {
    let method = json!({ "type": "card", "payment_method": "pm_card_visa" });
    let payment = json!({ "amount": amount, "currency": "EUR", "method": method });
    json!({ "v": 1, "id": id, "tenant": "development", "livemode": false, "type": "charge", "payment": payment })
        .to_string()
}

/// Leaves envelopes, and lets a server read them.
async fn read_all(database: &Database, folder: &Path, texts: &[String]) {
    let world = World::new(Database::at(database.url.clone())).await;
    for text in texts {
        world.flows.store.leave_mail(text).await.unwrap();
    }
    world.flows.store.abandon().await;
    let serve = Serve::start(database, folder, &[]);
    // The table is read in its order, so what comes last is read last.
    loop {
        let listed = serve.client().get("/v1/payments").await.body;
        if listed["data"].as_array().unwrap().iter().any(|payment| payment["amount"] == 999) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(serve.terminate());
}

async fn a_person_sees_mends_and_drops_dead_letters(database: Database) {
    let (_folder, path) = folder();
    let texts =
        [envelope("a", 0), "no JSON".to_owned(), "card 4242424242424242".to_owned(), envelope("last", 999)];
    read_all(&database, &path, &texts).await;

    let listed = read(&letters(&path, &["list", "--json"], &database));
    let table = letters(&path, &["list"], &database);
    let first = letters(&path, &["list", "--limit", "1"], &database);
    let id = |code: &str, form: &str| {
        let found = listed["data"].as_array().unwrap().iter();
        let mut found = found.filter(|letter| letter["code"] == code && letter["form"] == form);
        found.next().expect(code)["id"].as_str().unwrap().to_owned()
    };
    let (zero, unread, card) =
        (id("invalid_field", "text"), id("invalid_json", "text"), id("invalid_json", "redacted"));
    let shown = letters(&path, &["show", &zero], &database);
    let as_json = read(&letters(&path, &["show", &zero, "--json"], &database));
    let unmended = letters(&path, &["retry", &card], &database);
    fs::write(path.join("mended.json"), envelope("a", 999)).unwrap();
    fs::write(path.join("card.json"), "4242424242424242").unwrap();
    let refused = letters(&path, &["retry", &card, "--file", "card.json"], &database);
    let two = letters(&path, &["retry", &zero, &card, "--file", "mended.json"], &database);
    let retried = letters(&path, &["retry", &zero, "--file", "mended.json"], &database);
    let again = letters(&path, &["retry", &zero], &database);
    let dropped = read(&letters(&path, &["drop", &unread, "--json"], &database));
    read_all(&database, &path, &[]).await;
    let left = read(&letters(&path, &["list", "--json"], &database));

    assert!(table.out.starts_with("ID ") && table.out.contains("payment.amount"), "{}", table.out);
    assert!(first.err.contains("--limit") && first.out.lines().count() == 2, "{}{}", first.out, first.err);
    for words in ["invalid_field (payment.amount): ", "as it came:", &texts[0]] {
        assert!(shown.out.contains(words), "{words}: {}", shown.out);
    }
    assert_eq!(
        (as_json["object"].clone(), as_json["envelope"].clone()),
        (json!("dead_letter"), json!(texts[0]))
    );
    unmended.assert_failed(&["is not kept as it came", "--file"]);
    refused.assert_failed(&["card number"]);
    two.assert_failed(&["--file is for one letter"]);
    assert_eq!(retried.code, Some(0), "{}", retried.err);
    again.assert_failed(&["there is no dead letter", &zero]);
    assert_eq!(dropped["done"], "dropped");
    assert_eq!(left["data"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["data"][0]["id"], card);
}

#[tokio::test]
async fn beside_a_server_on_sqlite_they_say_that_it_has_to_stop() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);

    letters(&path, &["list"], &database).assert_failed(&["stop it first", "in use by another dunlin"]);

    assert!(serve.terminate());
}
