//! What a proxy or a firewall on the way answers: it may have passed the request on, so that nothing is proven by it.

use super::*;
use crate::{
    domain::refund::{Cause, Origin, RefundStatus},
    gateway::listing::{Listed, Listings},
};
use dunlin_jobs::RefundId;

/// Pages, and JSON that is not Stripe's.
fn bodies() -> Vec<Vec<u8>> {
    let page = b"<html><head><title>403 Forbidden</title></head><body>nginx</body></html>".to_vec();
    let others = [
        json!({}),
        json!([]),
        json!("Forbidden"),
        json!({ "message": "Forbidden" }),
        json!({ "error": "Forbidden" }),
        json!({ "error": {} }),
        json!({ "error": { "message": "Forbidden", "code": "resource_missing" } }),
        json!({ "error": { "type": null } }),
        json!({ "error": { "type": "Forbidden", "code": "resource_missing" } }),
        json!({ "error": { "type": "permission_error", "message": "Forbidden" } }),
        json!({ "data": [], "has_more": false }),
        json!({ "object": "page", "data": [], "has_more": false }),
        json!({ "id": "req_1" }),
    ];
    let others = others.iter().map(|body| body.to_string().into_bytes());
    std::iter::once(page).chain([Vec::new()]).chain(others).collect()
}

fn replies() -> Vec<Reply> {
    let statuses = [200, 201, 204, 301, 302, 400, 401, 402, 403, 404, 405, 407, 409, 413, 422, 429, 451];
    let of = |status| {
        let reply = move |body| Reply { status, headers: BTreeMap::new(), body };
        bodies().into_iter().map(reply)
    };
    statuses.into_iter().flat_map(of).collect()
}

fn refund() -> Refund {
    let payment = payment();
    Refund {
        id: RefundId::mint(at(0), [5; 10]),
        payment: payment.id,
        tenant: payment.tenant,
        livemode: payment.livemode,
        money: payment.money,
        cause: Cause::Requested,
        origin: Origin::Api,
        retry_of: None,
        charge: "ch_1".to_owned(),
        account: payment.account,
        reason: None,
        metadata: BTreeMap::new(),
        status: RefundStatus::Unknown,
        operation: None,
        failure: None,
        review_reason: None,
        first_sent_at: Some(at(0)),
        version: 3,
        created_at: at(0),
        updated_at: at(0),
    }
}

// S1.8
#[test]
fn an_answer_that_is_not_stripes_own_proves_nothing_of_what_was_sent() {
    let stripe = stripe();
    for reply in replies() {
        for send in [Send::First, Send::Again] {
            for payment in [payment(), second()] {
                let reading = stripe.read_charge(&payment, send, &reply);
                assert!(matches!(reading, Reading::Unknown(_)), "{send:?} {reply:?}: {reading:?}");
            }
            let reading = stripe.read_refund(send, &reply);
            assert!(matches!(reading, Reading::Unknown(_)), "{send:?} {reply:?}: {reading:?}");
        }
        let cancellation = stripe.read_cancel(&second(), &reply);
        assert!(matches!(cancellation, Cancellation::Unknown(_)), "{reply:?}: {cancellation:?}");
    }
}

// S1.9
#[test]
fn an_answer_that_is_not_stripes_own_proves_nothing_of_what_is_there() {
    let stripe = stripe();
    for reply in replies() {
        for payment in [payment(), second()] {
            let tried = Tried::of(&payment, 1, at(0));
            let finding = stripe.read_query(tried, &stripe.query(tried), &reply);
            assert!(matches!(finding, Finding::Nothing(_)), "{reply:?}: {finding:?}");
        }
        for refund in [refund(), Refund { operation: Some("re_1".to_owned()), ..refund() }] {
            let finding = stripe.read_refund_query(&refund, &stripe.query_refund(&refund), &reply);
            assert!(matches!(finding, Finding::Nothing(_)), "{reply:?}: {finding:?}");
        }
        let lookup = stripe.read_charge_lookup("ch_1", &reply);
        assert!(matches!(lookup, Lookup::Nothing(_)), "{reply:?}: {lookup:?}");
        assert!(matches!(stripe.read_refunds(&reply), Listed::Nothing(_)), "{reply:?}");
        assert!(matches!(stripe.read_disputes(&reply), Listed::Nothing(_)), "{reply:?}");
        assert!(matches!(stripe.read_warnings(&reply), Listed::Nothing(_)), "{reply:?}");
        assert!(stripe.read_charge_payment(&reply).is_err(), "{reply:?}");
        assert_eq!(stripe.read_identity(&reply), None, "{reply:?}");
    }
}

// S1.9
#[test]
fn an_answer_about_another_object_proves_nothing() {
    let payment = second();
    let tried = Tried::of(&payment, 2, at(0));
    let mut other = intent("succeeded", Some("ch_9"));
    other["id"] = json!("pi_9");
    let given_back = json!({ "id": "re_9", "status": "succeeded", "amount": 1250, "currency": "eur" });
    let refund = Refund { operation: Some("re_1".to_owned()), ..refund() };

    let finding = stripe().read_query(tried, &stripe().query(tried), &reply(200, &other));
    let refunded =
        stripe().read_refund_query(&refund, &stripe().query_refund(&refund), &reply(200, &given_back));

    assert!(matches!(finding, Finding::Nothing(_)), "{finding:?}");
    assert!(matches!(refunded, Finding::Nothing(_)), "{refunded:?}");
}
