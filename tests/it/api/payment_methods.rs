//! Payment methods over HTTP: attached, ordered and detached, one default at all times.

use super::{Api, assert_problem, id};
use crate::support::{both, database::Database};
use serde_json::{Value, json};

both! {
    the_first_method_is_the_default_and_the_next_follows_it
    methods_that_come_at_once_have_one_order
    one_token_is_one_method_of_a_customer
}

fn card(token: &str) -> Value {
    json!({ "type": "card", "payment_method": token })
}

impl Api {
    /// The tokens of a customer's methods in their order, once it is certain that all that is told of it agrees.
    async fn order(&self, customer: &str) -> Vec<String> {
        let list = self.caller.get(&format!("/v1/customers/{customer}/payment_methods")).await;
        assert_eq!((list.status, &list.body["has_more"]), (200, &json!(false)), "{}", list.body);
        let methods = list.body["data"].as_array().unwrap();
        for (position, method) in (1..).zip(methods) {
            assert_eq!((&method["position"], &method["default"]), (&json!(position), &json!(position == 1)));
            let alone = self.caller.get(&format!("/v1/payment_methods/{}", id(method))).await.body;
            assert_eq!(&alone, method);
        }
        let default = methods.first().map_or(Value::Null, |first| first["id"].clone());
        let told = self.caller.get(&format!("/v1/customers/{customer}")).await.body;
        assert_eq!(told["default_payment_method"], default);
        methods.iter().map(|method| method["payment_method"].as_str().unwrap().to_owned()).collect()
    }

    async fn place(&self, method: &str, position: &Value) -> super::Answer {
        self.caller.patch(&format!("/v1/payment_methods/{method}"), &json!({ "position": position })).await
    }

    async fn detach(&self, method: &str) -> super::Answer {
        self.caller.post(&format!("/v1/payment_methods/{method}/detach"), None, &json!({})).await
    }
}

#[tokio::test]
async fn a_method_is_attached_and_shown() {
    let api = Api::sqlite();
    let customer = api.customer(&json!({})).await;
    let body = json!({ "type": "card", "payment_method": "pm_card_visa", "gateway_customer": "cus_Nffr",
        "gateway": "sandbox", "label": "Visa 4242, 12/27" });

    let kept = api.attach(&customer, &body).await;

    assert_eq!(kept.status, 201, "{}", kept.body);
    for (field, value) in [
        ("object", json!("payment_method")),
        ("customer", json!(customer)),
        ("type", json!("card")),
        ("payment_method", json!("pm_card_visa")),
        ("gateway_customer", json!("cus_Nffr")),
        ("gateway", json!("sandbox")),
        ("label", json!("Visa 4242, 12/27")),
        ("position", json!(1)),
        ("default", json!(true)),
        ("livemode", json!(false)),
        ("detached_at", Value::Null),
    ] {
        assert_eq!(kept.body[field], value, "{field}: {}", kept.body);
    }
    assert!(id(&kept.body).starts_with("met_"));
    assert_eq!(api.order(&customer).await, ["pm_card_visa"]);
    let told = api.caller.get(&format!("/v1/customers/{customer}")).await.body;
    assert_eq!(told["version"], 2, "a customer's methods are part of them");
}

async fn the_first_method_is_the_default_and_the_next_follows_it(database: Database) {
    let api = Api::start(database, &[]);
    let customer = api.customer(&json!({})).await;
    let one = api.keep(&customer, "pm_1").await;
    let two = api.keep(&customer, "pm_2").await;
    assert_eq!(api.order(&customer).await, ["pm_1", "pm_2"]);
    let first = json!({ "type": "card", "payment_method": "pm_3", "default": true });
    let three = id(&api.attach(&customer, &first).await.body);
    assert_eq!(api.order(&customer).await, ["pm_3", "pm_1", "pm_2"]);

    let placed = api.place(&two, &json!(1)).await;
    assert_eq!((placed.status, &placed.body["default"]), (200, &json!(true)), "{}", placed.body);
    assert_eq!(api.order(&customer).await, ["pm_2", "pm_3", "pm_1"]);
    assert_eq!(api.place(&three, &json!(3)).await.status, 200);
    assert_eq!(api.order(&customer).await, ["pm_2", "pm_1", "pm_3"]);

    let detached = api.detach(&two).await;
    assert_eq!((detached.status, &detached.body["position"]), (200, &Value::Null), "{}", detached.body);
    assert_eq!(detached.body["default"], false);
    assert!(detached.body["detached_at"].is_string());
    assert_eq!(api.detach(&two).await.body, detached.body, "once more is as good as once");
    assert_eq!(api.caller.get(&format!("/v1/payment_methods/{two}")).await.body, detached.body);
    assert_eq!(api.order(&customer).await, ["pm_1", "pm_3"]);
    assert_problem(&api.place(&two, &json!(1)).await, 409, "payment_method_detached", None);
    for method in [one, three] {
        assert_eq!(api.detach(&method).await.status, 200);
    }
    assert!(api.order(&customer).await.is_empty());
}

async fn methods_that_come_at_once_have_one_order(database: Database) {
    let api = Api::start(database, &[]);
    let customer = api.customer(&json!({})).await;
    let bodies: Vec<_> = (0..12)
        .map(|n| json!({ "type": "card", "payment_method": format!("pm_{n}"), "default": n % 2 == 0 }))
        .collect();

    let answers = futures_util::future::join_all(bodies.iter().map(|body| api.attach(&customer, body))).await;
    let methods: Vec<_> = answers.iter().map(|answer| id(&answer.body)).collect();
    let detached = methods[..3].iter().map(|method| api.detach(method));
    let position = json!(1);
    let placed = methods[3..6].iter().map(|method| api.place(method, &position));
    let (detached, placed) =
        tokio::join!(futures_util::future::join_all(detached), futures_util::future::join_all(placed));

    for answer in answers.iter().chain(&detached).chain(&placed) {
        assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
    }
    let mut order = api.order(&customer).await;
    order.sort();
    let mut expected: Vec<_> = (3..12).map(|n| format!("pm_{n}")).collect();
    expected.sort();
    assert_eq!(order, expected);
}

async fn one_token_is_one_method_of_a_customer(database: Database) {
    let api = Api::start(database, &[]);
    let customer = api.customer(&json!({})).await;
    let body = card("pm_card_visa");

    let answers = futures_util::future::join_all((0..10).map(|_| api.attach(&customer, &body))).await;

    let kept: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(kept.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_problem(refused, 409, "payment_method_attached", None);
        assert_eq!(refused.body["payment_method"], kept[0].body["id"]);
    }
    let other = api.customer(&json!({})).await;
    assert_eq!(api.attach(&other, &body).await.status, 201, "another customer's card may be the same one");
    // What was detached is gone; the token can come back, as another method.
    assert_eq!(api.detach(&id(&kept[0].body)).await.status, 200);
    assert_ne!(api.keep(&customer, "pm_card_visa").await, id(&kept[0].body));
}

// S2.2
#[tokio::test]
async fn a_key_attaches_once_even_after_it_was_undone() {
    let api = Api::sqlite();
    let customer = api.customer(&json!({})).await;
    let other = api.customer(&json!({})).await;
    let attach = async |customer: &str, token: &str| {
        let path = format!("/v1/customers/{customer}/payment_methods");
        api.caller.post(&path, Some("k"), &card(token)).await
    };

    let kept = attach(&customer, "pm_1").await;
    let again = attach(&customer, "pm_1").await;
    api.detach(&id(&kept.body)).await;
    let undone = attach(&customer, "pm_1").await;

    assert_eq!((kept.status, again.status, undone.status), (201, 201, 201));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.body, kept.body);
    assert_eq!(id(&undone.body), id(&kept.body));
    assert!(undone.body["detached_at"].is_string(), "{}", undone.body);
    for reused in [attach(&customer, "pm_2").await, attach(&other, "pm_1").await] {
        assert_problem(&reused, 422, "idempotency_key_reused", Some("Idempotency-Key"));
        assert_eq!(reused.body["payment_method"], kept.body["id"]);
    }
    assert!(api.order(&customer).await.is_empty());
    assert!(api.order(&other).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_attached_or_placed_is_refused_by_field() {
    let api = Api::sqlite();
    let customer = api.customer(&json!({})).await;
    let kept = api.keep(&customer, "pm_1").await;

    for (field, value, code, remedy) in [
        ("type", json!("cash"), "invalid_field", "expected `card`"),
        ("type", Value::Null, "invalid_field", ""),
        ("payment_method", json!(""), "invalid_field", "empty"),
        ("payment_method", json!(5), "invalid_field", "string"),
        ("payment_method", json!("a\nb"), "invalid_field", "control"),
        ("payment_method", json!("x".repeat(256)), "invalid_field", "255"),
        ("payment_method", json!("4242424242424242"), "invalid_field", "card number"),
        ("payment_method", json!(kept), "invalid_field", "gateway's token"),
        ("gateway_customer", json!("4242 4242 4242 4242"), "invalid_field", "card number"),
        ("gateway", json!("nowhere"), "invalid_field", "no gateway account"),
        ("gateway", json!("4242 4242 4242 4242"), "invalid_field", "card number"),
        ("label", json!("4242 4242 4242 4242"), "invalid_field", "card number"),
        ("label", json!(""), "invalid_field", "empty"),
        ("default", json!("yes"), "invalid_field", "boolean"),
        ("number", json!("4242"), "unknown_field", "expected one of"),
    ] {
        let mut body = card("pm_2");
        body[field] = value;
        let refused = api.attach(&customer, &body).await;
        assert_problem(&refused, 422, code, Some(field));
        assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{body}: {}", refused.body);
    }
    for missing in ["type", "payment_method"] {
        let mut body = card("pm_2");
        body.as_object_mut().unwrap().remove(missing);
        assert_problem(&api.attach(&customer, &body).await, 422, "invalid_field", Some(missing));
    }
    for position in [json!(0), json!(2), json!(-1), json!("1"), json!(1.5), Value::Null] {
        let refused = api.place(&kept, &position).await;
        assert_problem(&refused, 422, "invalid_field", Some("position"));
    }
    assert_eq!(api.order(&customer).await, ["pm_1"]);
    let nobody = "cus_0190000000007000800000000000000a";
    assert_problem(&api.attach(nobody, &card("pm_2")).await, 404, "not_found", None);
    for n in 2..=50 {
        api.keep(&customer, &format!("pm_{n}")).await;
    }
    let too_many = api.attach(&customer, &card("pm_51")).await;
    assert_problem(&too_many, 409, "too_many_payment_methods", None);
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_stay_with_their_tenant_and_environment() {
    let api = Api::start(Database::postgres().await, &[]);
    let customer = api.customer(&json!({})).await;
    let method = api.keep(&customer, "pm_1").await;
    let (list, path) =
        (format!("/v1/customers/{customer}/payment_methods"), format!("/v1/payment_methods/{method}"));

    for (tenant, livemode) in [("another", false), ("development", true)] {
        let other = api.stranger(tenant, livemode).await;

        let answers = [
            other.get(&list).await,
            other.get(&path).await,
            other.post(&format!("{path}/detach"), None, &json!({})).await,
            other.patch(&path, &json!({ "position": 1 })).await,
        ];
        for refused in answers {
            assert_problem(&refused, 404, "not_found", None);
        }
        if !livemode {
            assert_problem(&other.post(&list, None, &card("pm_2")).await, 404, "not_found", None);
        }
    }

    assert_eq!(api.order(&customer).await, ["pm_1"]);
}
