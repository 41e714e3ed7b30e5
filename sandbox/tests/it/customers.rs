//! Customers, and payment methods and setups that are kept for them.

use crate::caller::{Answer, Caller, bank, caller, charge};
use serde_json::{Value, json};

fn customer(caller: &Caller<'_>) -> String {
    caller.post("/v1/customers", "name=Ann&email=ann%40example.com").id()
}

fn attached(caller: &Caller<'_>, token: &str, customer: &str) -> Answer {
    caller.post(&format!("/v1/payment_methods/{token}/attach"), &format!("customer={customer}"))
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.body["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[test]
fn a_customer_is_created_changed_and_deleted() {
    let bank = bank();
    let caller = caller(&bank);
    let id = caller.post("/v1/customers", "name=Ann&email=a%40example.com&metadata[a]=1&metadata[b]=2").id();
    let path = format!("/v1/customers/{id}");

    let changed = caller.post(&path, "name=Bea&email=&metadata[a]=").body;
    let listed = caller.get("/v1/customers");
    let deleted = caller.delete(&path).body;

    assert_eq!((&changed["name"], &changed["email"]), (&"Bea".into(), &Value::Null));
    assert_eq!(changed["metadata"], json!({ "b": "2" }));
    assert_eq!(ids(&listed), [&id]);
    assert_eq!(deleted, json!({ "id": id, "object": "customer", "deleted": true }));
    assert_eq!(caller.get(&path).body["deleted"], true);
    assert!(ids(&caller.get("/v1/customers")).is_empty());
    assert_eq!(caller.post(&path, "name=X").status, 404);
    assert_eq!(caller.create(&format!("{}&customer={id}", charge("pm_card_visa"))).status, 400);
}

#[test]
fn an_attached_method_behaves_as_the_token_it_came_from() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = customer(&caller);
    let good = attached(&caller, "pm_card_visa", &customer).id();
    let bad = attached(&caller, "pm_card_chargeCustomerFail", &customer).id();
    let counted = attached(&caller, "pm_sandbox_insufficient_funds_1", &customer).id();
    let pay = |method: &str| caller.create(&format!("{}&customer={customer}", charge(method)));

    let (paid, declined, first) = (pay(&good), pay(&bad), pay(&counted));
    let id = first.body["error"]["payment_intent"]["id"].as_str().unwrap().to_owned();
    let second = caller.confirm(&id, &format!("payment_method={counted}"));

    assert!(good.starts_with("pm_") && good != "pm_card_visa");
    assert_eq!((&paid.body["status"], &paid.body["payment_method"]), (&"succeeded".into(), &json!(good)));
    assert_eq!(declined.body["error"]["decline_code"], "generic_decline");
    assert_eq!((first.status, &second.body["status"]), (402, &"succeeded".into()));
}

#[test]
fn a_method_is_charged_for_its_own_customer_alone() {
    let bank = bank();
    let caller = caller(&bank);
    let (owner, other) = (customer(&caller), customer(&caller));
    let method = attached(&caller, "pm_card_visa", &owner).id();

    for whose in [String::new(), format!("&customer={other}")] {
        let refused = caller.create(&format!("{}{whose}", charge(&method)));
        assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &"payment_method".into()));
    }
    assert_eq!(attached(&caller, &method, &other).status, 400);
    assert_eq!(caller.captures(), 0);
}

#[test]
fn a_detached_method_is_gone_for_good() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = customer(&caller);
    let method = attached(&caller, "pm_card_visa", &customer).id();
    let path = format!("/v1/payment_methods/{method}/detach");

    let detached = caller.post(&path, "");
    let again = caller.post(&path, "");

    assert_eq!((detached.status, &detached.body["customer"], again.status), (200, &Value::Null, 400));
    assert_eq!(caller.create(&format!("{}&customer={customer}", charge(&method))).status, 400);
    assert_eq!(attached(&caller, &method, &customer).status, 400);
}

#[test]
fn methods_are_listed_by_their_customer_and_type() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = customer(&caller);
    let card = attached(&caller, "pm_card_visa", &customer).id();
    let account = attached(&caller, "pm_usBankAccount_success", &customer).id();

    let all = caller.get(&format!("/v1/customers/{customer}/payment_methods"));
    let cards = caller.get(&format!("/v1/payment_methods?customer={customer}&type=card"));

    assert_eq!((ids(&all), ids(&cards)), (vec![&*account, &*card], vec![&*card]));
    assert_eq!(caller.get(&format!("/v1/customers/{customer}/payment_methods/{card}")).status, 200);
    assert_eq!(caller.get(&format!("/v1/customers/cus_other/payment_methods/{card}")).status, 404);
    assert!(ids(&caller.get("/v1/payment_methods")).is_empty());
}

#[test]
fn a_card_comes_as_a_token_and_never_as_its_number() {
    let bank = bank();
    let caller = caller(&bank);

    let made = caller.post("/v1/payment_methods", "type=card&card[token]=tok_mastercard");
    let number = caller.post("/v1/payment_methods", "type=card&card[number]=4242&card[cvc]=123");

    assert_eq!(made.body["card"]["brand"], "mastercard");
    assert_eq!(caller.create(&charge(&made.id())).body["status"], "succeeded");
    assert_eq!((number.status, &number.body["error"]["type"]), (402, &"invalid_request_error".into()));
    for body in ["", "type=card", "type=us_bank_account", "type=card&card[token]=tok_none"] {
        assert_eq!(caller.post("/v1/payment_methods", body).status, 400, "{body}");
    }
}

#[test]
fn paying_with_future_usage_keeps_the_method_for_the_customer() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = customer(&caller);
    let future = format!("&customer={customer}&setup_future_usage=off_session");

    let paid = caller.create(&format!("{}{future}", charge("pm_card_visa"))).body;
    let declined = caller.create(&format!("{}{future}", charge("pm_card_chargeDeclined")));
    let later = caller.create(&format!(
        "{}&customer={customer}&off_session=true",
        charge(paid["payment_method"].as_str().unwrap())
    ));

    assert_eq!((&paid["setup_future_usage"], declined.status), (&"off_session".into(), 402));
    assert_eq!(
        ids(&caller.get(&format!("/v1/customers/{customer}/payment_methods"))),
        [&paid["payment_method"]]
    );
    assert_eq!(later.body["status"], "succeeded");
}

#[test]
fn a_setup_keeps_a_method_without_taking_money() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = customer(&caller);
    let setup = caller.post("/v1/setup_intents", &format!("customer={customer}")).id();

    let confirmed =
        caller.post(&format!("/v1/setup_intents/{setup}/confirm"), "payment_method=pm_card_visa").body;
    let canceled = caller.post(&format!("/v1/setup_intents/{setup}/cancel"), "");

    assert_eq!(confirmed["status"], "succeeded");
    let kept = caller.get(&format!("/v1/customers/{customer}/payment_methods"));
    assert_eq!(ids(&kept), [&confirmed["payment_method"]]);
    assert_eq!(canceled.body["error"]["code"], "setup_intent_unexpected_state");
    assert_eq!((caller.captures(), &caller.get("/_sandbox/ledger").body["intents"]), (0.into(), &0.into()));
}

#[test]
fn a_setup_can_be_declined_challenged_and_canceled() {
    let bank = bank();
    let caller = caller(&bank);
    let set_up =
        |card: &str| caller.post("/v1/setup_intents", &format!("confirm=true&payment_method={card}"));

    let declined = set_up("pm_card_chargeDeclined");
    let asked = set_up("pm_card_authenticationRequired").body;
    let canceled = caller.post(
        &format!("/v1/setup_intents/{}/cancel", asked["id"].as_str().unwrap()),
        "cancellation_reason=abandoned",
    );

    assert_eq!((declined.status, &declined.body["error"]["type"]), (402, &"card_error".into()));
    assert_eq!(declined.body["error"]["setup_intent"]["status"], "requires_payment_method");
    assert_eq!(asked["status"], "requires_action");
    assert!(asked["next_action"]["redirect_to_url"]["url"].as_str().unwrap().contains("/challenge/seti_"));
    assert_eq!(canceled.body["status"], "canceled");
}

#[test]
fn an_answer_shows_what_is_expanded_and_replays_it_as_it_was() {
    let bank = bank();
    let caller = caller(&bank);
    let customer = customer(&caller);
    let body =
        format!("{}&customer={customer}&expand[]=latest_charge&expand[]=customer", charge("pm_card_visa"));

    let first = crate::caller::answer(caller.create_under("k1", &body));
    let charge = first.body["latest_charge"]["id"].as_str().unwrap().to_owned();
    caller.post("/v1/refunds", &format!("charge={charge}"));
    let again = crate::caller::answer(caller.create_under("k1", &body));
    let listed = caller.list("expand[]=data.latest_charge.payment_intent").body;

    assert_eq!(first.body["customer"]["name"], "Ann");
    assert_eq!(first.reply.body, again.reply.body);
    assert_eq!(listed["data"][0]["latest_charge"]["amount_refunded"], 1000);
    assert_eq!(listed["data"][0]["latest_charge"]["payment_intent"]["id"], first.body["id"]);
    assert_eq!(caller.list("expand[]=data.amount_of_fun").status, 400);
}
