//! Replays: whoever sends a request again gets what its key has made, whatever else has changed since; and one key is one
//! payment by whichever way it comes (S2.2, S2.4).

use super::{Api, assert_problem, id, payment};
use crate::support::{
    both,
    database::Database,
    process::{Answer, Caller, Serve, folder},
};
use dunlin::{domain::clock::Clock, failpoint::Failpoints};
use dunlin_sandbox::Options;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

both! {
    a_replay_is_answered_also_when_its_gateway_account_is_gone
    one_key_is_one_payment_by_every_way
    what_looks_the_same_is_the_same_payment_and_customer
}

/// A request under a key, and what it was answered.
struct Asked {
    path: String,
    /// As the document has it.
    route: &'static str,
    key: String,
    body: Value,
    answer: Answer,
}

async fn ask(caller: &Caller, asked: &mut Vec<Asked>, route: &'static str, id: &str, body: Value) -> Value {
    let (path, key) = (route.replace("{id}", id), format!("key-{}", asked.len()));
    let answer = caller.post(&path, Some(&key), &body).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
    let told = answer.body.clone();
    asked.push(Asked { path, route, key, body, answer });
    told
}

fn of_other(token: &str) -> Value {
    let mut body = payment(token);
    body["gateway"] = json!("other");
    body
}

/// The refund once it has come to that.
async fn refund_that_is(caller: &Caller, refund: &str, status: &str) -> Value {
    loop {
        let found = caller.get(&format!("/v1/refunds/{refund}")).await.body;
        if found["status"] == status {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each call that takes a key, made once.
async fn ask_all(caller: &Caller, sandbox: &str) -> Vec<Asked> {
    let mut asked = Vec::new();
    let all = &mut asked;
    let paid = id(&ask(caller, all, "/v1/payments", "", of_other("pm_card_visa")).await);
    caller.wait_for(&paid, "succeeded").await;
    let failed = ask(caller, all, "/v1/payments/{id}/refunds", &paid, json!({ "amount": 100 })).await;
    let given_back = refund_that_is(caller, &id(&failed), "succeeded").await;
    let at_the_gateway = given_back["gateway_refund"].as_str().unwrap();
    let gateway = Caller::new(sandbox, "");
    let path = format!("/_sandbox/refunds/{at_the_gateway}");
    assert_eq!(gateway.post(&path, None, &json!({ "status": "failed" })).await.status, 200);
    // The next refund reads the charge, and so learns that this one has failed late.
    ask(caller, all, "/v1/payments/{id}/refunds", &paid, json!({ "amount": 250, "reason": "broken" })).await;
    refund_that_is(caller, &id(&failed), "failed").await;
    ask(caller, all, "/v1/refunds/{id}/retry", &id(&failed), json!({ "reason": "once more" })).await;
    ask(caller, all, "/v1/payments/{id}/refunds", &paid, json!({})).await;
    let declined = of_other("pm_sandbox_insufficient_funds_1");
    let retrying = id(&ask(caller, all, "/v1/payments", "", declined).await);
    caller.wait_for(&retrying, "retrying").await;
    ask(caller, all, "/v1/payments/{id}/retry", &retrying, json!({ "reason": "topped up" })).await;
    let mut deferred = of_other("pm_card_visa");
    deferred["capture"] = json!("deferred");
    let deferred = id(&ask(caller, all, "/v1/payments", "", deferred).await);
    ask(caller, all, "/v1/payments/{id}/process", &deferred, json!({})).await;
    let customer = json!({ "external_id": "u-1", "currency": "EUR" });
    let customer = id(&ask(caller, all, "/v1/customers", "", customer).await);
    let method = json!({ "type": "card", "payment_method": "pm_card_visa", "gateway": "other" });
    ask(caller, all, "/v1/customers/{id}/payment_methods", &customer, method).await;
    ask(caller, all, "/v1/payments", "", json!({ "amount": 7000, "customer": "u-1" })).await;
    let trouble = Caller::new(sandbox, "");
    trouble.post("/_sandbox/faults", None, &json!({ "fault": "cut_before", "times": 1 })).await;
    trouble.post("/_sandbox/faults", None, &json!({ "fault": "unavailable_before", "method": "any" })).await;
    let doubtful = id(&ask(caller, all, "/v1/payments", "", of_other("pm_card_visa")).await);
    let advanced = caller.post("/v1/test_clock/advance", None, &json!({ "by_s": 40 * 3600 })).await;
    assert_eq!(advanced.status, 200, "{}", advanced.body);
    caller.wait_for(&doubtful, "needs_review").await;
    let word = json!({ "outcome": "canceled", "reason": "they found nothing", "evidence": "ticket 4711" });
    ask(caller, all, "/v1/payments/{id}/resolve", &doubtful, word).await;
    asked
}

// S2.4
async fn a_replay_is_answered_also_when_its_gateway_account_is_gone(database: Database) {
    let listen = "127.0.0.1:0".parse().unwrap();
    let sandbox =
        dunlin_sandbox::serve(Options { listen, journal: None, latency: Duration::ZERO }).await.unwrap();
    let url = format!("http://{}", sandbox.address);
    let without = [("DUNLIN_SANDBOX__START", "false"), ("DUNLIN_GATEWAYS__SANDBOX__BASE_URL", url.as_str())];
    let other = [
        ("DUNLIN_GATEWAYS__OTHER__GATEWAY", "stripe"),
        ("DUNLIN_GATEWAYS__OTHER__LIVEMODE", "false"),
        ("DUNLIN_GATEWAYS__OTHER__BASE_URL", url.as_str()),
        ("DUNLIN_GATEWAYS__OTHER__SECRET_KEY", "sk_test_sandbox"),
        ("DUNLIN_GATEWAYS__OTHER__FOLLOWS_TEST_CLOCK", "true"),
    ];
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[&without[..], &other].concat());
    let asked = ask_all(&serve.client(), &url).await;
    let mut item = of_other("pm_card_visa");
    item["idempotency_key"] = json!("batch-1");
    let batch = json!({ "payments": [item] });
    let taken = serve.client().post("/v1/payments/batch", None, &batch).await.body;
    assert!(serve.terminate());

    let serve = Serve::start(&database, &path, &without);
    let caller = serve.client();
    let routes: BTreeSet<_> = asked.iter().map(|asked| asked.route.to_owned()).collect();
    assert_eq!(routes, keyed(&caller).await, "each call that takes a key is asked");
    for Asked { path, key, body, answer, .. } in &asked {
        let again = caller.post(path, Some(key), body).await;
        assert_eq!(
            (again.status, &again.body["id"]),
            (answer.status, &answer.body["id"]),
            "{path}: {}",
            again.body
        );
        assert_eq!(again.headers["idempotent-replayed"], "true", "{path}");
        let mut another = body.clone();
        another[if path.contains("customers") { "name" } else { "reason" }] = json!("another");
        let reused = caller.post(path, Some(key), &another).await;
        assert_eq!(reused.status, 422, "{path}: {}", reused.body);
    }
    let again = caller.post("/v1/payments/batch", None, &batch).await.body;
    assert_eq!(again["data"][0]["payment"]["id"], taken["data"][0]["payment"]["id"], "{again}");
    assert_eq!(again["data"][0]["idempotent_replayed"], true);
    let method = json!({ "type": "card", "payment_method": "pm_card_mastercard", "gateway": "other" });
    for Asked { path, route, .. } in &asked {
        let bodies = match *route {
            "/v1/payments" => vec![of_other("pm_card_visa")],
            "/v1/payments/{id}/refunds" => vec![json!({}), json!({ "amount": 1 })],
            "/v1/payments/{id}/retry" | "/v1/payments/{id}/process" => vec![json!({})],
            "/v1/customers/{id}/payment_methods" => vec![method.clone()],
            _ => continue,
        };
        for body in bodies {
            let new = caller.post(path, Some("new"), &body).await;
            assert_problem(&new, 422, "invalid_field", Some("gateway"));
        }
    }
}

/// The routes that take a key in a header, by the document.
async fn keyed(caller: &Caller) -> BTreeSet<String> {
    let document = caller.get("/openapi.json").await.body;
    let mut keyed = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parameters = methods["post"]["parameters"].as_array();
        let mut parameters = parameters.into_iter().flatten();
        if parameters.any(|parameter| parameter["name"] == "Idempotency-Key") {
            keyed.insert(path.clone());
        }
    }
    keyed
}

// S2.2
async fn one_key_is_one_payment_by_every_way(database: Database) {
    let api = Api::start(database, &[]);
    let mut body = payment("pm_card_visa");
    body["reference"] = json!("INV-77");
    let key = "file:INV-77";
    let first = api.create(key, &body).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let first = id(&first.body);
    let mut item = body.clone();
    item["idempotency_key"] = json!(key);
    let mut dearer = item.clone();
    dearer["amount"] = json!(1251);

    let batch =
        api.caller.post("/v1/payments/batch", None, &json!({ "payments": [item, dearer] })).await.body;
    let file = api.path.join("november.csv");
    std::fs::write(&file, "reference,amount,currency,customer,method\nINV-77,12.50,EUR,cus_1,pm_card_visa\n")
        .unwrap();
    let run = crate::support::process::dunlin()
        .args(["charge", "--json", "--url", &api.serve.url, "--api-key", &api.serve.key])
        .arg(&file)
        .output()
        .unwrap();
    let run: Value = serde_json::from_slice(&run.stdout).unwrap();
    let by_table = leave_by_table(&api, key, &body).await;

    assert_eq!(batch["data"][0]["payment"]["id"], json!(first), "{batch}");
    assert_eq!(batch["data"][0]["idempotent_replayed"], true);
    assert_eq!(batch["data"][1]["error"]["code"], "idempotency_key_reused");
    assert_eq!((&run["accepted"], &run["replayed"]), (&json!(1), &json!(1)), "{run}");
    api.caller.wait_for(&first, "succeeded").await;
    assert_eq!(api.list("").await.len(), 1 + by_table);
    assert_eq!(api.list("reference=INV-77").await.len(), 1);
    assert_eq!(api.captures(&first).await, 1);
}

/// Leaves the payment in the table under the key, and another one after it, which tells that both are read; says how many
/// were left beside. SQLite is the server's alone.
async fn leave_by_table(api: &Api, key: &str, body: &Value) -> usize {
    if !api.database.url.starts_with("postgres") {
        return 0;
    }
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let envelope = |id: &str, payment: &Value| json!({ "v": 1, "id": id, "tenant": "development", "livemode": false, "type": "charge", "payment": payment });
    let mut other = body.clone();
    other["reference"] = json!("after");
    store.leave_mail(&envelope(key, body).to_string()).await.unwrap();
    store.leave_mail(&envelope("after", &other).to_string()).await.unwrap();
    while api.list("reference=after").await.is_empty() {
        tokio::task::yield_now().await;
    }
    1
}

// S2.14
async fn what_looks_the_same_is_the_same_payment_and_customer(database: Database) {
    let api = Api::start(database, &[]);
    let with = |field: &str, text: &str| {
        let mut body = payment("pm_card_visa");
        body[field] = json!(text);
        body
    };
    let first = id(&api.create("a", &with("reference", "Mu\u{308}ller")).await.body);
    let again = api.create("a", &with("reference", "M\u{fc}ller\u{a0}")).await;
    assert_eq!((again.status, id(&again.body)), (201, first.clone()), "{}", again.body);
    for filter in ["M%C3%BCller", "Mu%CC%88ller", "%20Mu%CC%88ller%C2%A0"] {
        assert_eq!(api.list(&format!("reference={filter}")).await.len(), 1, "{filter}");
    }

    for (text, told) in [
        ("INV-77\u{200b}", "U+200B (zero width space) as its character 7"),
        ("INV\u{a0}77", "U+00A0 (no-break space) as its character 4"),
        ("\u{feff}INV-77", "byte order mark"),
        ("2.4952E+19", "a spreadsheet shortens it"),
        ("#REF!", "#REF! is what a spreadsheet shows"),
    ] {
        for field in ["reference", "customer", "gateway"] {
            let refused = api.create("b", &with(field, text)).await;
            assert_problem(&refused, 422, "invalid_field", Some(field));
            assert!(refused.body["detail"].as_str().unwrap().contains(told), "{}", refused.body);
        }
        let mut item = payment("pm_card_visa");
        item["idempotency_key"] = json!(text);
        let refused = api.caller.post("/v1/payments/batch", None, &json!({ "payments": [item] })).await.body;
        assert_eq!(refused["data"][0]["error"]["code"], "idempotency_key_invalid", "{refused}");
        assert!(refused["data"][0]["error"]["detail"].as_str().unwrap().contains(told), "{refused}");
        let customer = api.caller.post("/v1/customers", None, &json!({ "external_id": text })).await;
        assert_problem(&customer, 422, "invalid_field", Some("external_id"));
        let token = payment(text);
        assert_problem(&api.create("b", &token).await, 422, "invalid_field", Some("method.payment_method"));
    }
    let customer = api.customer(&json!({ "external_id": "Mu\u{308}ller" })).await;
    let same = api.caller.post("/v1/customers", None, &json!({ "external_id": " M\u{fc}ller" })).await;
    assert_problem(&same, 409, "customer_exists", None);
    assert_eq!(same.body["customer"], json!(customer));
    let refused =
        api.caller.patch(&format!("/v1/customers/{customer}"), &json!({ "external_id": "#N/A" })).await;
    assert_problem(&refused, 422, "invalid_field", Some("external_id"));
    assert_eq!(api.list("").await.len(), 1);
}
