//! Card numbers: refused wherever they stand, and never repeated, stored or logged (S7).

use super::{Api, assert_problem, payment};
use crate::support::{
    database::Database,
    process::{Answer, Serve, folder},
};
use serde_json::{Value, json};
use std::{fs::File, path::Path, process::Stdio};

/// A number that stands nowhere else, in the ways that people write it.
const CANARY: &str = "4929939187355598";
const WRITTEN: [&str; 15] = [
    "4929939187355598",
    "4929 9391 8735 5598",
    "4929-9391-8735-5598",
    "card 4929939187355598 12/27 123",
    "07 4929939187355598",
    "4929,9391,8735,5598",
    "4929:9391:8735:5598",
    "4929+9391+8735+5598",
    "4929\u{2009}9391\u{2009}8735\u{2009}5598",
    "4929\u{200b}9391\u{200b}8735\u{200b}5598",
    "4929\u{2013}9391\u{2013}8735\u{2013}5598",
    "4929\n9391\n8735\n5598",
    "\u{ff14}\u{ff19}\u{ff12}\u{ff19}9391 8735 5598",
    "\u{664}\u{669}\u{662}\u{669}\u{669}\u{663}\u{669}\u{661}\u{668}\u{667}\u{663}\u{665}\u{665}\u{665}\u{669}\u{668}",
    "49299391873555981227",
];

/// Where a caller may put a text, and which field is then named.
fn places(text: &str) -> Vec<(Value, Option<&'static str>)> {
    let with = |field: &str, value: Value| {
        let mut body = payment("pm_card_visa");
        body[field] = value;
        body
    };
    let method = |field: &str| json!({ "type": "card", "payment_method": "pm_card_visa", field: text });
    vec![
        (with("customer", json!(text)), Some("customer")),
        (with("reference", json!(text)), Some("reference")),
        (with("description", json!(text)), Some("description")),
        (with("gateway", json!(text)), Some("gateway")),
        (with("metadata", json!({ "note": text })), Some("metadata.note")),
        (with("metadata", json!({ text: "note" })), Some("metadata")),
        (with("metadata", json!({ text: 5 })), None),
        (with("method", method("payment_method")), Some("method.payment_method")),
        (with("method", method("gateway_customer")), Some("method.gateway_customer")),
        (with("method", method("type")), Some("method.type")),
        (with("method", method("number")), Some("method.number")),
        (with("currency", json!(text)), Some("currency")),
        (with("amount", json!(text)), Some("amount")),
        (with(text, json!("x")), None),
    ]
}

#[tokio::test]
async fn a_card_number_is_refused_in_every_place_and_left_nowhere() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let log = path.join("log");
    let errors = Stdio::from(File::create(&log).unwrap());
    let serve = Serve::start_saying(&database, &path, &[("DUNLIN_LOG__LEVEL", "debug")], errors);
    let caller = serve.client();
    let mut answers: Vec<(Answer, Option<&str>)> = Vec::new();

    for text in WRITTEN {
        for (body, param) in places(text) {
            answers.push((caller.post("/v1/payments", Some("key"), &body).await, param));
        }
    }
    let number: Value = CANARY.parse::<u64>().unwrap().into();
    for field in ["customer", "amount", "currency", "method", "metadata"] {
        let mut body = payment("pm_card_visa");
        body[field] = number.clone();
        answers.push((caller.post("/v1/payments", Some("key"), &body).await, Some(field)));
    }

    for (answer, param) in &answers {
        assert!(answer.status == 422, "{}", answer.body);
        assert_problem(answer, 422, answer.body["code"].as_str().unwrap(), *param);
        assert_silent(&answer.body.to_string());
    }
    assert_elsewhere_too(&serve).await;
    assert_of_customers_too(&serve).await;
    let list = caller.get("/v1/payments").await.body;
    assert_eq!(list["data"], json!([]));
    drop(caller);
    assert!(serve.terminate());
    assert!(std::fs::read_to_string(&log).unwrap().contains("DEBUG"), "the log is as talkative as it can be");
    assert_folder_silent(&path);
    assert_folder_silent(Path::new(database.url.strip_prefix("sqlite:").unwrap()).parent().unwrap());
}

/// Keys, headers, paths, queries and batches.
async fn assert_elsewhere_too(serve: &Serve) {
    let caller = serve.client();
    let body = payment("pm_card_visa");
    let key = caller.post("/v1/payments", Some(CANARY), &body).await;
    assert_problem(&key, 400, "idempotency_key_invalid", Some("Idempotency-Key"));
    let mut item = body;
    item["idempotency_key"] = json!(CANARY);
    let batch = caller.post("/v1/payments/batch", None, &json!({ "payments": [item] })).await;
    assert_eq!(batch.body["refused"], 1, "{}", batch.body);
    assert_silent(&batch.body.to_string());
    for path in [
        format!("/v1/payments/{CANARY}"),
        format!("/v1/{CANARY}"),
        format!("/v1/payments?status={CANARY}"),
        format!("/v1/payments?limit={CANARY}"),
        format!("/v1/payments?{CANARY}=1"),
        format!("/v1/payments?cursor={CANARY}"),
        format!("/v1/payments?customer={CANARY}"),
        format!("/v1/customers/{CANARY}"),
        format!("/v1/customers?external_id={CANARY}"),
        format!("/v1/customers?email={CANARY}"),
        format!("/v1/payment_methods/{CANARY}"),
    ] {
        let answer = caller.get(&path).await;
        assert!(answer.status < 500, "{}", answer.body);
        assert_silent(&answer.body.to_string());
    }
    for header in ["traceparent", "prefer", "x-allow-duplicate", "x-api-key", "content-type"] {
        let request = |http: &reqwest::Client, url: &str| {
            http.post(format!("{url}/v1/payments")).header(header, CANARY).body("{}")
        };
        assert_silent(&caller.raw(request).await.body.to_string());
    }
}

/// Customers and their payment methods.
async fn assert_of_customers_too(serve: &Serve) {
    let caller = serve.client();
    let customer = caller.post("/v1/customers", None, &json!({})).await.body;
    let path = format!("/v1/customers/{}", super::id(&customer));
    let methods = format!("{path}/payment_methods");
    let number: Value = CANARY.parse::<u64>().unwrap().into();
    let texts = WRITTEN.iter().map(|text| json!(text)).chain([number]);
    for text in texts {
        for field in ["external_id", "name", "email", "country", "time_zone", "currency", "metadata"] {
            let body = json!({ field: text });
            for answer in [caller.post("/v1/customers", None, &body).await, caller.patch(&path, &body).await]
            {
                assert_problem(&answer, 422, "invalid_field", Some(field));
                assert_silent(&answer.body.to_string());
            }
        }
        let noted = caller.patch(&path, &json!({ "metadata": { "note": text } })).await;
        assert_problem(&noted, 422, "invalid_field", Some("metadata.note"));
        assert_silent(&noted.body.to_string());
        for field in ["type", "payment_method", "gateway_customer", "gateway", "label", "default"] {
            let mut body = json!({ "type": "card", "payment_method": "pm_card_visa" });
            body[field] = text.clone();
            let answer = caller.post(&methods, None, &body).await;
            assert_problem(&answer, 422, "invalid_field", Some(field));
            assert_silent(&answer.body.to_string());
        }
    }
    let key = caller.post("/v1/customers", Some(CANARY), &json!({})).await;
    assert_problem(&key, 400, "idempotency_key_invalid", Some("Idempotency-Key"));
    assert_eq!(caller.get(&path).await.body, customer);
}

/// Neither the number nor most of it, however it is written.
#[track_caller]
fn assert_silent(text: &str) {
    let plain = |character: char| match character {
        '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(character) - 0xff10, 10),
        '\u{660}'..='\u{669}' => char::from_digit(u32::from(character) - 0x660, 10),
        _ => Some(character).filter(|character| character.is_alphanumeric()),
    };
    let digits: String = text.replace("\\n", "").chars().filter_map(plain).collect();
    assert!(!digits.contains("49299391873"), "{text}");
    assert!(!digits.contains("9391873555"), "{text}");
}

fn assert_folder_silent(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for written in ["4929939187", "9391873555", "4929 9391", "4929-9391"] {
            assert!(!text.contains(written), "{written} in {}", path.display());
        }
    }
}

#[tokio::test]
async fn numbers_that_are_no_cards_are_taken() {
    let api = Api::sqlite();
    let mut body = payment("pm_card_visa");
    body["reference"] = json!("4929939187355599");
    body["customer"] = json!("00000000000000000000");
    body["description"] = json!("2026-11-21 20:21:51, DE89 3704 0044 0532 0130 00");

    assert_eq!(api.create("a", &body).await.status, 201);
    assert!(api.path.exists());
}
