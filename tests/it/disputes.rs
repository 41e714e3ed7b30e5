//! Disputes, warnings of fraud and renewed cards (S1.20): a disputed charge shows itself, and nothing goes back while a
//! bank decides about it.

use crate::support::{
    both,
    database::Database,
    world::{self, World},
};
use chrono::TimeDelta;
use dunlin::{
    domain::{
        dispute::{Dispute, DisputeStatus},
        event::View,
        payment::Status,
        refund::RefundStatus,
    },
    flow::FlowError,
    store::{
        Filter,
        change::{Change, Fact, Subject},
    },
};
use dunlin_jobs::{ChangeId, PaymentId};
use serde_json::{Value, json};

both! {
    a_disputed_charge_shows_itself_and_stays_paid
    an_open_dispute_stops_refunds_until_it_is_closed
    a_lost_dispute_leaves_less_to_give_back
    an_inquiry_lets_all_of_it_go_back_and_no_part
    a_refund_that_waits_is_not_sent_once_its_charge_is_disputed
    a_dispute_is_told_as_it_begins_moves_and_ends
    the_sweep_finds_disputes_whose_events_were_lost
    a_dispute_names_a_charge_whose_answer_was_lost
    nothing_is_charged_while_a_bank_holds_what_was
    a_warning_of_fraud_is_noted_once
    a_renewed_card_is_kept
}

async fn paid(database: Database, method: &str) -> (World, PaymentId, String) {
    let world = World::new(database).await;
    let payment = world.pay(method).await.id;
    world.run_due_jobs().await;
    let charge = world.charge_of(payment).await;
    (world, payment, charge)
}

async fn shown(world: &World, payment: PaymentId) -> Value {
    serde_json::to_value(View::from(&world.payment(payment).await)).unwrap()
}

/// The code of the refusal of a refund.
async fn refusal(world: &World, payment: PaymentId, amount: Option<i64>, key: &str) -> &'static str {
    match world.try_refund(payment, amount, key).await {
        Err(FlowError::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

async fn a_disputed_charge_shows_itself_and_stays_paid(database: Database) {
    let (world, payment, _) = paid(database, "pm_card_createDispute").await;

    world.deliver().await;

    let shown = shown(&world, payment).await;
    let dispute = &shown["dispute"];
    assert_eq!((&shown["status"], &dispute["status"]), (&json!("succeeded"), &json!("needs_response")));
    assert_eq!((&dispute["amount"], &dispute["currency"]), (&json!(1250), &json!("EUR")));
    assert_eq!(dispute["reason"], "fraudulent");
    assert!(dispute["id"].is_string() && dispute["due_by"].is_string(), "{dispute}");
    let filter = Filter { limit: 1, ..Filter::default() };
    let listed = world.flows.store.list_payments(world.owner, &filter).await.unwrap();
    assert_eq!(listed[0].dispute().unwrap().status, DisputeStatus::NeedsResponse);
}

async fn an_open_dispute_stops_refunds_until_it_is_closed(database: Database) {
    let (world, payment, charge) = paid(database, "pm_card_visa").await;
    let dispute = world.dispute(&charge);
    world.deliver().await;

    assert_eq!(refusal(&world, payment, None, "all").await, "payment_disputed");
    assert_eq!(refusal(&world, payment, Some(1), "part").await, "payment_disputed");
    world.decide(&dispute, "won");
    world.deliver().await;
    let (refund, _) = world.try_refund(payment, None, "won").await.unwrap();
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
    assert_eq!(shown(&world, payment).await["dispute"]["status"], "won");
}

async fn a_lost_dispute_leaves_less_to_give_back(database: Database) {
    let (world, payment, charge) = paid(database, "pm_card_visa").await;
    let dispute = world.elsewhere("disputes", &json!({ "charge": charge, "amount": 1000 }));
    world.decide(dispute["id"].as_str().unwrap(), "lost");
    world.deliver().await;

    let told = shown(&world, payment).await;
    assert_eq!((&told["dispute"]["status"], &told["amount_refunded"]), (&json!("lost"), &json!(0)));
    assert_eq!(world.payment(payment).await.refundable(), 250);
}

async fn an_inquiry_lets_all_of_it_go_back_and_no_part(database: Database) {
    let (world, payment, _) = paid(database, "pm_card_createDisputeInquiry").await;
    world.deliver().await;

    assert_eq!(refusal(&world, payment, Some(100), "part").await, "payment_disputed");
    let (refund, _) = world.try_refund(payment, None, "all").await.unwrap();
    world.run_due_jobs().await;

    assert_eq!(world.refund(refund.id).await.status, RefundStatus::Succeeded);
}

async fn a_refund_that_waits_is_not_sent_once_its_charge_is_disputed(database: Database) {
    let (world, payment, charge) = paid(database, "pm_card_visa").await;
    let (refund, _) = world.try_refund(payment, Some(500), "key").await.unwrap();
    world.dispute(&charge);

    world.run_due_jobs().await;

    let refund = world.refund(refund.id).await;
    assert_eq!((refund.status, refund.first_sent_at), (RefundStatus::Failed, None));
    assert!(refund.failure.as_ref().is_some_and(|why| why.contains("disputes the charge")), "{refund:?}");
    assert_eq!(shown(&world, payment).await["dispute"]["status"], "needs_response");
    assert_eq!(world.returned(), []);
}

async fn a_dispute_is_told_as_it_begins_moves_and_ends(database: Database) {
    let (world, payment, charge) = paid(database, "pm_card_visa").await;
    let dispute = world.dispute(&charge);
    world.deliver().await;
    world.deliver().await;
    world.decide(&dispute, "under_review");
    world.deliver().await;
    world.decide(&dispute, "lost");
    world.deliver().await;
    world.read_lists().await;

    for kind in ["payment.disputed", "dispute.created", "dispute.updated", "dispute.closed"] {
        assert_eq!(world.was_told(payment, kind).await, 1, "{kind}");
    }
    let history = world.flows.store.list_history(payment).await.unwrap();
    assert_eq!(history.iter().filter(|line| line.cause == "dispute_seen").count(), 3);
}

async fn the_sweep_finds_disputes_whose_events_were_lost(database: Database) {
    let (world, payment, charge) = paid(database, "pm_card_visa").await;
    world.read_lists().await;
    let dispute = world.dispute(&charge);
    world.read_lists().await;
    assert_eq!(shown(&world, payment).await["dispute"]["status"], "needs_response");

    world.decide(&dispute, "won");
    world.read_lists().await;

    assert_eq!(shown(&world, payment).await["dispute"]["status"], "won");
}

async fn a_dispute_names_a_charge_whose_answer_was_lost(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_lost_after").await.id;
    world.run_due_jobs().await;
    let page = world::admin(&world.bank, "GET", "captures", "after=0&limit=1", "");
    world.dispute(page["captures"][0]["charge"].as_str().unwrap());

    world.deliver().await;

    assert_eq!(world.payment(payment).await.status, Status::Succeeded);
    assert_eq!(shown(&world, payment).await["dispute"]["status"], "needs_response");
}

async fn nothing_is_charged_while_a_bank_holds_what_was(database: Database) {
    let world = World::new(database).await;
    let payment = world.pay("pm_sandbox_insufficient_funds_1").await.id;
    world.run_due_jobs().await;
    let Status::Retrying { .. } = world.payment(payment).await.status else { panic!("it waits") };
    let dispute = |status| Dispute {
        id: "du_1".to_owned(),
        charge: "ch_1".to_owned(),
        status,
        amount: 1250,
        currency: "EUR".parse().unwrap(),
        reason: "fraudulent".to_owned(),
        due_by: None,
        opened_at: world.flows.clock().now(false),
    };
    let learn = async |status| {
        let clock = world.flows.clock();
        let id = ChangeId::mint(clock.now(true), clock.random());
        let subject = Subject::Fact(payment, Fact::Dispute(Box::new(dispute(status))));
        let change = Change { id, actor: "test".into(), subject, exchanges: Vec::new(), job: None };
        world.flows.store.commit(change).await.unwrap();
    };

    learn(DisputeStatus::NeedsResponse).await;
    let wish = world.flows.retry_payment(&world.person(1), payment, None, world::key("retry", "retry")).await;
    world.travel(TimeDelta::days(20)).await;
    assert_eq!((world.captures(payment), world.payment(payment).await.status.name()), (0, "retrying"));
    learn(DisputeStatus::Won).await;
    world.travel(TimeDelta::days(1)).await;

    assert!(matches!(wish, Err(FlowError::Conflict { code: "payment_not_retriable", .. })), "{wish:?}");
    assert_eq!((world.captures(payment), world.payment(payment).await.status.name()), (1, "succeeded"));
}

async fn a_warning_of_fraud_is_noted_once(database: Database) {
    let (world, payment, charge) = paid(database, "pm_card_visa").await;
    world.elsewhere("warnings", &json!({ "charge": charge }));

    world.deliver().await;
    world.read_lists().await;

    assert_eq!(world.was_told(payment, "payment.fraud_warning").await, 1);
    let history = world.flows.store.list_history(payment).await.unwrap();
    assert_eq!(history.iter().filter(|line| line.cause == "fraud_warning").count(), 1);
    assert_eq!(world.payment(payment).await.status, Status::Succeeded);
}

async fn a_renewed_card_is_kept(database: Database) {
    let world = World::new(database).await;
    let object = json!({ "object": "payment_method", "id": "pm_1", "customer": "cus_1" });
    let event = json!({ "id": "evt_1", "type": "payment_method.automatically_updated", "livemode": false,
        "data": { "object": object } });
    let (body, at) = (event.to_string(), world.flows.clock().now(false).timestamp());
    let headers = crate::support::webhooks::headers(at, &body);

    assert!(world.flows.take_gateway_event("sandbox", &headers, body.as_bytes()).await.unwrap());

    let kept = world.flows.store.find_gateway_event("sandbox", "evt_1").await.unwrap().unwrap();
    assert!(kept.body.contains("pm_1"));
    assert_eq!(world.run_due_jobs().await, 0);
}
