//! Customers over HTTP: made once, shown, found, changed, and refused with the field and the remedy.

use super::{Api, assert_problem, id};
use crate::support::{both, database::Database};
use serde_json::{Value, json};

both! { two_customers_of_one_external_id_are_one customers_are_found_by_what_is_known_of_them }

fn ada() -> Value {
    json!({
        "external_id": "u-1", "name": "Ada Lovelace", "email": "ada@example.com", "country": "gb",
        "time_zone": "Europe/London", "currency": "gbp", "metadata": { "plan": "gold" },
    })
}

#[tokio::test]
async fn a_customer_is_made_shown_and_changed() {
    let api = Api::sqlite();

    let made = api.caller.post("/v1/customers", None, &ada()).await;
    let path = format!("/v1/customers/{}", id(&made.body));
    let shown = api.caller.get(&path).await;

    assert_eq!((made.status, shown.status), (201, 200), "{}", made.body);
    assert_eq!(made.body, shown.body);
    for (field, value) in [
        ("object", json!("customer")),
        ("external_id", json!("u-1")),
        ("name", json!("Ada Lovelace")),
        ("email", json!("ada@example.com")),
        ("country", json!("GB")),
        ("time_zone", json!("Europe/London")),
        ("currency", json!("GBP")),
        ("default_payment_method", Value::Null),
        ("metadata", json!({ "plan": "gold" })),
        ("livemode", json!(false)),
        ("version", json!(1)),
    ] {
        assert_eq!(shown.body[field], value, "{field}: {}", shown.body);
    }
    let change =
        json!({ "name": "Ada King", "country": null, "metadata": { "plan": null, "since": "1843" } });

    let changed = api.caller.patch(&path, &change).await;
    let again = api.caller.patch(&path, &change).await;

    let mut expected = shown.body.clone();
    for (field, value) in [
        ("name", json!("Ada King")),
        ("country", Value::Null),
        ("metadata", json!({ "since": "1843" })),
        ("version", json!(2)),
        ("updated_at", changed.body["updated_at"].clone()),
    ] {
        expected[field] = value;
    }
    assert_eq!((changed.status, &changed.body), (200, &expected));
    assert_eq!(again.body, changed.body, "what changes nothing is no new version");
    assert_eq!(api.caller.get(&path).await.body, changed.body);
    let empty =
        json!({ "external_id": null, "name": null, "email": null, "time_zone": null, "currency": null });
    let emptied = api.caller.patch(&path, &empty).await.body;
    for field in ["external_id", "name", "email", "time_zone", "currency"] {
        assert_eq!(emptied[field], Value::Null, "{field}");
    }
    assert_eq!(emptied["metadata"], json!({ "since": "1843" }));
}

async fn two_customers_of_one_external_id_are_one(database: Database) {
    let api = Api::start(database, &[]);
    let body = json!({ "external_id": "u-1" });
    let asks = (0..20).map(|_| api.caller.post("/v1/customers", None, &body));

    let answers = futures_util::future::join_all(asks).await;

    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_problem(refused, 409, "customer_exists", None);
        assert_eq!(refused.body["customer"], made[0].body["id"]);
        assert!(refused.body["detail"].as_str().unwrap().contains(&id(&made[0].body)));
    }
    let other = api.customer(&json!({ "external_id": "u-2" })).await;
    let taken = api.caller.patch(&format!("/v1/customers/{other}"), &body).await;
    assert_problem(&taken, 409, "customer_exists", None);
    assert_eq!(taken.body["customer"], made[0].body["id"]);
    assert_eq!(api.caller.get(&format!("/v1/customers/{other}")).await.body["external_id"], "u-2");
}

// S2.2
#[tokio::test]
async fn a_key_makes_one_customer_however_often_it_is_sent() {
    let api = Api::sqlite();
    let post = async |key: &str, body: &Value| api.caller.post("/v1/customers", Some(key), body).await;

    let made = post("k", &ada()).await;
    let changed =
        api.caller.patch(&format!("/v1/customers/{}", id(&made.body)), &json!({ "name": "Ada King" })).await;
    let again = post("k", &ada()).await;
    let reused = post("k", &json!({ "name": "Charles" })).await;
    let nothing = json!({});
    let together = futures_util::future::join_all((0..10).map(|_| post("many", &nothing))).await;

    assert_eq!((made.status, again.status), (201, 201));
    assert!(!made.headers.contains_key("idempotent-replayed"));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.body, changed.body, "as they are now");
    assert_problem(&reused, 422, "idempotency_key_reused", Some("Idempotency-Key"));
    assert_eq!(reused.body["customer"], made.body["id"]);
    assert!(together.iter().all(|answer| answer.status == 201 && id(&answer.body) == id(&together[0].body)));
    let list = api.caller.get("/v1/customers").await.body;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    for (key, code) in [("", "idempotency_key_invalid"), ("4242 4242 4242 4242", "idempotency_key_invalid")] {
        assert_problem(&post(key, &ada()).await, 400, code, Some("Idempotency-Key"));
    }
}

async fn customers_are_found_by_what_is_known_of_them(database: Database) {
    let api = Api::start(database, &[]);
    for n in 0..5 {
        let email = if n % 2 == 0 { "even@example.com" } else { "odd@example.com" };
        api.customer(&json!({ "external_id": format!("u {n}+ü"), "email": email })).await;
    }
    let find = async |query: &str| {
        let page = api.caller.get(&format!("/v1/customers?{query}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let data = page.body["data"].as_array().unwrap();
        let names: Vec<_> = data.iter().map(|one| one["external_id"].as_str().unwrap().to_owned()).collect();
        (names, page.body["next_cursor"].as_str().map(str::to_owned))
    };

    let (first, cursor) = find("limit=3").await;
    let (second, end) = find(&format!("limit=3&cursor={}", cursor.unwrap())).await;

    assert_eq!([first, second].concat(), ["u 4+ü", "u 3+ü", "u 2+ü", "u 1+ü", "u 0+ü"]);
    assert_eq!(end, None);
    assert_eq!(find("external_id=u%203%2B%C3%BC").await.0, ["u 3+ü"]);
    assert_eq!(find("email=even@example.com&limit=2").await.0, ["u 4+ü", "u 2+ü"]);
    assert_eq!(find("email=odd@example.com&external_id=u%203%2B%C3%BC").await.0, ["u 3+ü"]);
    assert!(find("email=EVEN@example.com").await.0.is_empty());
    for (query, param) in [
        ("limit=0", "limit"),
        ("cursor=met_1", "cursor"),
        ("external_id=%00", "external_id"),
        ("email=%0a", "email"),
        ("name=Ada", "name"),
    ] {
        let refused = api.caller.get(&format!("/v1/customers?{query}")).await;
        assert_problem(&refused, 400, "invalid_parameter", Some(param));
    }
}

/// A field that is wrong, and a word of the remedy.
fn wrong() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!("v"))).collect();
    let long = json!("x".repeat(256));
    vec![
        ("external_id", json!(""), "external_id", "empty"),
        ("external_id", json!("a\u{0}"), "external_id", "control"),
        ("external_id", long.clone(), "external_id", "255"),
        ("external_id", json!(5), "external_id", "string"),
        ("external_id", json!(format!("cus_{}", "0".repeat(32))), "external_id", "send your own"),
        ("external_id", json!("4242 4242 4242 4242"), "external_id", "card number"),
        ("name", json!(" "), "name", "empty"),
        ("name", long, "name", "255"),
        ("name", json!("4242-4242-4242-4242"), "name", "card number"),
        ("email", json!("ada"), "email", "ada@example.com"),
        ("email", json!("ada@example"), "email", "ada@example.com"),
        ("email", json!("4242424242424242@example.com"), "email", "card number"),
        ("country", json!("Germany"), "country", "ISO 3166-1"),
        ("country", json!("UK"), "country", "ISO 3166-1"),
        ("country", json!(49), "country", "string"),
        ("time_zone", json!("Berlin"), "time_zone", "Europe/Berlin"),
        ("time_zone", json!("+02:00"), "time_zone", "IANA"),
        ("currency", json!("EURO"), "currency", "ISO 4217"),
        ("currency", json!("XAU"), "currency", "ISO 4217"),
        ("metadata", json!({ "": "x" }), "metadata", "1 to 40"),
        ("metadata", json!({ "a": 5 }), "metadata.a", "string"),
        ("metadata", json!({ "a": "4242424242424242" }), "metadata.a", "card number"),
        ("metadata", Value::Object(many), "metadata", "at most 50"),
    ]
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_and_nothing_is_made_or_changed() {
    let api = Api::sqlite();
    let kept = api.customer(&ada()).await;
    let path = format!("/v1/customers/{kept}");
    let before = api.caller.get(&path).await.body;

    for (field, value, param, remedy) in wrong() {
        let body = json!({ field: value });
        for refused in
            [api.caller.post("/v1/customers", None, &body).await, api.caller.patch(&path, &body).await]
        {
            assert_problem(&refused, 422, "invalid_field", Some(param));
            assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{body}: {}", refused.body);
        }
    }
    for (field, value) in
        [("id", json!("x")), ("livemode", json!(true)), ("default_payment_method", json!("x"))]
    {
        let body = json!({ field: value });
        let refused = api.caller.post("/v1/customers", None, &body).await;
        assert_problem(&refused, 422, "unknown_field", Some(field));
        assert_problem(&api.caller.patch(&path, &body).await, 422, "unknown_field", Some(field));
    }

    let most: serde_json::Map<_, _> = (0..50).map(|n| (format!("k{n}"), json!("v"))).collect();
    assert_problem(
        &api.caller.patch(&path, &json!({ "metadata": most })).await,
        422,
        "invalid_field",
        Some("metadata"),
    );
    assert_eq!(api.caller.get(&path).await.body, before);
    let list = api.caller.get("/v1/customers").await.body;
    assert_eq!(list["data"], json!([before]));
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_stay_with_their_tenant_and_environment() {
    let api = Api::start(Database::postgres().await, &[]);
    let mine = api.customer(&ada()).await;
    let path = format!("/v1/customers/{mine}");

    for (tenant, livemode) in [("another", false), ("development", true)] {
        let other = api.stranger(tenant, livemode).await;

        assert_problem(&other.get(&path).await, 404, "not_found", None);
        assert_problem(&other.patch(&path, &json!({ "name": "Eve" })).await, 404, "not_found", None);
        assert_eq!(other.get("/v1/customers?external_id=u-1").await.body["data"], json!([]));
        let theirs = other.post("/v1/customers", None, &ada()).await;
        assert_eq!((theirs.status, &theirs.body["livemode"]), (201, &json!(livemode)), "{}", theirs.body);
        let path = format!("/v1/customers/{}", id(&theirs.body));
        assert_problem(&api.caller.get(&path).await, 404, "not_found", None);
    }

    assert_eq!(api.caller.get(&path).await.body["name"], "Ada Lovelace");
    for nothing in ["cus_0190000000007000800000000000000a", "cus_NffrFeUfNV2Hib", "u-1", "nonsense"] {
        assert_problem(&api.caller.get(&format!("/v1/customers/{nothing}")).await, 404, "not_found", None);
    }
}
