//! `dunlin refunds`, against a running server.

use super::payments::Room;
use crate::support::process::Caller;
use serde_json::{Value, json};

#[tokio::test]
async fn refunds_are_listed_and_a_failed_one_is_tried_again() {
    let room = Room::new();
    let payment = room.pay("INV-1", "pm_card_visa").await;
    room.caller.wait_for(&payment, "succeeded").await;
    let attempts = room.caller.get(&format!("/v1/payments/{payment}/attempts")).await.body;
    let gateway = Caller::new(&room.serve.sandbox, "");
    let charge = &attempts["data"][0]["gateway_charge"];
    let taken = json!({ "charge": charge, "amount": 400 });
    assert_eq!(gateway.post("/_sandbox/refunds", None, &taken).await.status, 200);
    let all = format!("/v1/payments/{payment}/refunds");
    let made = room.caller.post(&all, Some("all"), &json!({})).await.body;
    let failed = async || {
        let refund = room.caller.get(&format!("/v1/refunds/{}", made["id"].as_str().unwrap())).await.body;
        refund["status"] == "failed"
    };
    while !failed().await {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    let listed = room.done(&["refunds", "list"]);
    let of_others = room.read(&["refunds", "list", "--status", "succeeded"]);
    let none = room.read(&["refunds", "list", "--needs-review"]);
    let again = room.ask(&["refunds", "retry", made["id"].as_str().unwrap()]);
    let unknown = room.read(&["unknown", "list"]);

    assert!(listed.contains("850 of it can still be refunded"), "{listed}");
    let [seen] = of_others["data"].as_array().unwrap().as_slice() else { panic!("{of_others}") };
    assert_eq!((&seen["origin"], &seen["amount"]), (&json!("gateway"), &json!(400)));
    assert_eq!((&none["data"], &unknown["data"]), (&json!([]), &Value::Array(Vec::new())));
    assert_eq!(again.code, Some(1), "{}{}", again.out, again.err);
    assert!(again.err.contains("850 of it can still be refunded"), "{}", again.err);
    let story = room.done(&["payments", "show", &payment]);
    assert!(story.contains("a refund of 4.00 EUR was made at the gateway"), "{story}");
}
