//! API keys over HTTP: what each one may do, how one is made and shown once, and how it ends.

use super::{Api, assert_problem, everything, id};
use crate::support::{
    database::Database,
    process::{Answer, Caller},
};
use dunlin::{
    domain::{
        api_key::NewKey,
        clock::Clock,
        scope::{Scope, Scopes},
    },
    failpoint::Failpoints,
    store::Owner,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// What each route needs; nothing for those that let everybody in.
const NEEDS: [(&str, &str, Option<Scope>); 44] = [
    ("GET", "/livez", None),
    ("GET", "/readyz", None),
    ("GET", "/openapi.json", None),
    ("GET", "/docs", None),
    ("GET", "/v1/gateways", Some(Scope::PaymentsRead)),
    ("POST", "/v1/gateways/{account}/hold", Some(Scope::Admin)),
    ("POST", "/v1/gateways/{account}/release", Some(Scope::Admin)),
    ("POST", "/v1/gateways/{account}/webhooks", None),
    ("GET", "/v1/payments", Some(Scope::PaymentsRead)),
    ("POST", "/v1/payments", Some(Scope::PaymentsWrite)),
    ("POST", "/v1/payments/batch", Some(Scope::PaymentsWrite)),
    ("GET", "/v1/payments/{id}", Some(Scope::PaymentsRead)),
    ("PATCH", "/v1/payments/{id}", Some(Scope::PaymentsWrite)),
    ("POST", "/v1/payments/{id}/process", Some(Scope::PaymentsWrite)),
    ("GET", "/v1/payments/{id}/attempts", Some(Scope::PaymentsRead)),
    ("GET", "/v1/payments/{id}/timeline", Some(Scope::PaymentsRead)),
    ("POST", "/v1/payments/{id}/cancel", Some(Scope::PaymentsWrite)),
    ("POST", "/v1/payments/{id}/retry", Some(Scope::PaymentsWrite)),
    ("POST", "/v1/payments/{id}/resolve", Some(Scope::ApproveUnknown)),
    ("GET", "/v1/jobs", Some(Scope::JobsRead)),
    ("GET", "/v1/jobs/{id}", Some(Scope::JobsRead)),
    ("POST", "/v1/jobs/{id}/retry", Some(Scope::JobsOperate)),
    ("POST", "/v1/jobs/{id}/release", Some(Scope::JobsOperate)),
    ("GET", "/v1/payments/{id}/refunds", Some(Scope::PaymentsRead)),
    ("POST", "/v1/payments/{id}/refunds", Some(Scope::RefundsWrite)),
    ("GET", "/v1/refunds", Some(Scope::PaymentsRead)),
    ("GET", "/v1/refunds/{id}", Some(Scope::PaymentsRead)),
    ("POST", "/v1/refunds/{id}/retry", Some(Scope::RefundsWrite)),
    ("GET", "/v1/customers", Some(Scope::CustomersRead)),
    ("POST", "/v1/customers", Some(Scope::CustomersWrite)),
    ("GET", "/v1/customers/{id}", Some(Scope::CustomersRead)),
    ("PATCH", "/v1/customers/{id}", Some(Scope::CustomersWrite)),
    ("GET", "/v1/customers/{id}/payment_methods", Some(Scope::CustomersRead)),
    ("POST", "/v1/customers/{id}/payment_methods", Some(Scope::CustomersWrite)),
    ("GET", "/v1/payment_methods/{id}", Some(Scope::CustomersRead)),
    ("PATCH", "/v1/payment_methods/{id}", Some(Scope::CustomersWrite)),
    ("POST", "/v1/payment_methods/{id}/detach", Some(Scope::CustomersWrite)),
    ("GET", "/v1/test_clock", Some(Scope::JobsRead)),
    ("POST", "/v1/test_clock/advance", Some(Scope::JobsOperate)),
    ("GET", "/v1/audit", Some(Scope::Admin)),
    ("GET", "/v1/api_keys", Some(Scope::Admin)),
    ("POST", "/v1/api_keys", Some(Scope::Admin)),
    ("GET", "/v1/api_keys/{id}", Some(Scope::Admin)),
    ("POST", "/v1/api_keys/{id}/revoke", Some(Scope::Admin)),
];

impl Api {
    async fn call(&self, key: &str, method: &str, path: &str) -> Answer {
        let path = path.replace("{id}", "x").replace("{account}", "nobody");
        let method = method.parse().unwrap();
        self.caller.raw(|http, url| http.request(method, format!("{url}{path}")).bearer_auth(key)).await
    }

    async fn make_key(&self, body: &Value) -> Answer {
        self.caller.post("/v1/api_keys", None, body).await
    }

    /// The secret of a key with these scopes.
    async fn key(&self, scopes: &[&str]) -> String {
        let made = self.make_key(&json!({ "name": "some", "scopes": scopes })).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["secret"].as_str().unwrap().to_owned()
    }

    fn by(&self, secret: &str) -> Caller {
        Caller::new(&self.serve.url, secret)
    }
}

#[tokio::test]
async fn every_route_is_described_with_what_it_needs() {
    let api = Api::sqlite();
    let text = |scope: Option<&str>| scope.unwrap_or("nothing").to_owned();
    let known: BTreeSet<_> = NEEDS
        .iter()
        .map(|(method, path, need)| ((*method).to_owned(), (*path).to_owned(), text(need.map(Scope::name))))
        .collect();

    let described: BTreeSet<_> = api
        .described()
        .await
        .into_iter()
        .map(|call| {
            let scope = text(call.told["security"][0]["bearer"][0].as_str());
            (call.method, call.path, scope)
        })
        .collect();

    assert_eq!(described, known);
}

#[test]
fn every_scope_is_explained() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api-keys.md")).unwrap();

    for scope in Scope::ALL {
        assert!(text.contains(&format!("\n| `{scope}` |")), "{scope}");
    }
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_scopes_reaches_nothing_that_needs_one() {
    let api = Api::start(Database::postgres().await, &[]);
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let tenant = store.ensure_tenant("development").await.unwrap().id;
    let none = NewKey { scopes: Scopes::default(), ..everything() };
    let key = store.create_key(Owner { tenant, livemode: false }, none).await.unwrap();

    for (method, path, need) in NEEDS {
        let answer = api.call(key.secret.expose_secret(), method, path).await;

        let Some(scope) = need else {
            assert!(!matches!(answer.status, 401 | 403), "{method} {path}: {}", answer.body);
            continue;
        };
        assert_problem(&answer, 403, "insufficient_scope", Some("Authorization"));
        assert_eq!(answer.body["scope"], scope.name(), "{method} {path}");
        assert!(answer.body["detail"].as_str().unwrap().contains(scope.name()), "{}", answer.body);
        let asked = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        assert_eq!(answer.headers["www-authenticate"], asked.as_str());
    }
}

// S7
#[tokio::test]
async fn a_key_reaches_what_its_scope_is_for_and_nothing_else() {
    let api = Api::sqlite();

    for scope in Scope::ALL {
        let key = api.key(&[scope.name()]).await;
        for (method, path, need) in NEEDS {
            let is_of_admin = |need| scope == Scope::Admin && need != Scope::ApproveUnknown;
            let may = need.is_none_or(|need| need == scope || is_of_admin(need));

            let answer = api.call(&key, method, path).await;

            assert_eq!(answer.status == 403, !may, "{scope}: {method} {path}: {}", answer.body);
            assert_ne!(answer.status, 401);
        }
    }
}

#[tokio::test]
async fn a_key_is_made_shown_once_and_revoked() {
    let api = Api::sqlite();
    let body = json!({ "name": "reporting Ü", "scopes": ["payments:read", "jobs:read", "payments:read"],
        "expires_at": "2100-01-01T01:00:00.1234567+01:00" });

    let made = api.make_key(&body).await;
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    let mut told = made.body.clone();
    told.as_object_mut().unwrap().remove("secret");
    let path = format!("/v1/api_keys/{}", id(&made.body));
    let shown = api.caller.get(&path).await;
    let listed = api.caller.get("/v1/api_keys").await;

    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.headers["cache-control"], "no-store");
    assert!(secret.starts_with("dk_test_") && secret.len() == 72, "{secret}");
    for (field, value) in [
        ("object", json!("api_key")),
        ("name", json!("reporting Ü")),
        ("status", json!("active")),
        ("prefix", json!(&secret[..12])),
        ("livemode", json!(false)),
        ("scopes", json!(["payments:read", "jobs:read"])),
        ("expires_at", json!("2100-01-01T00:00:00.123456Z")),
        ("revoked_at", Value::Null),
    ] {
        assert_eq!(told[field], value, "{field}: {told}");
    }
    assert_eq!(shown.body, told);
    let data = listed.body["data"].as_array().unwrap();
    assert_eq!((data.len(), &data[0], &data[1]["name"]), (2, &told, &json!("development")));
    assert_eq!(data[1]["scopes"], json!(["admin", "approve_unknown"]), "serve's own key");
    let caller = api.by(&secret);
    assert_eq!(caller.get("/v1/payments").await.status, 200);

    let revoked = api.caller.post(&format!("{path}/revoke"), None, &json!({})).await;
    let again = api.caller.post(&format!("{path}/revoke"), None, &json!({})).await;

    assert_eq!((revoked.status, &revoked.body["status"]), (200, &json!("revoked")), "{}", revoked.body);
    assert!(revoked.body["revoked_at"].is_string());
    assert_eq!((again.status, &again.body), (200, &revoked.body));
    assert_problem(&caller.get("/v1/payments").await, 401, "unauthorized", Some("Authorization"));
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&secret));
    for answer in [shown, listed, revoked, again] {
        let text = answer.body.to_string();
        assert!(!text.contains(&secret) && !text.contains(&digest), "{text}");
    }
}

#[tokio::test]
async fn an_expired_key_lets_in_no_more_and_says_so_in_the_list() {
    let api = Api::sqlite();
    let soon = Clock::system().now(true) + chrono::TimeDelta::seconds(3);
    let key = |until| json!({ "name": "brief", "scopes": ["payments:read"], "expires_at": until });
    let made = api.make_key(&key(soon)).await;
    let later = api.make_key(&key(soon + chrono::TimeDelta::hours(1))).await;
    let caller = api.by(made.body["secret"].as_str().unwrap());
    // The test clock expires nothing.
    assert_eq!(api.advance(2 * 3600).await.status, 200);
    assert_eq!(api.by(later.body["secret"].as_str().unwrap()).get("/v1/payments").await.status, 200);

    let deadline = Instant::now() + Duration::from_secs(20);
    let mut refused = caller.get("/v1/payments").await;
    while refused.status == 200 {
        assert!(Instant::now() < deadline, "it goes on letting in");
        refused = caller.get("/v1/payments").await;
    }

    assert_problem(&refused, 401, "unauthorized", Some("Authorization"));
    let shown = api.caller.get(&format!("/v1/api_keys/{}", id(&made.body))).await.body;
    assert_eq!(shown["status"], "expired", "{shown}");
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_refused_by_field() {
    let api = Api::sqlite();
    let good = json!({ "name": "good", "scopes": ["payments:read"] });
    let scopes = "payments:read, payments:write";

    for (field, value, code, param, remedy) in [
        ("name", json!(""), "invalid_field", "name", "empty"),
        ("name", json!(" "), "invalid_field", "name", "empty"),
        ("name", json!("x".repeat(256)), "invalid_field", "name", "255"),
        ("name", json!("a\u{0}"), "invalid_field", "name", "control"),
        ("name", json!("a\nb"), "invalid_field", "name", "control"),
        ("name", json!(5), "invalid_field", "name", "string"),
        ("name", Value::Null, "invalid_field", "name", "string"),
        ("name", json!("4242 4242 4242 4242"), "invalid_field", "name", "card number"),
        ("scopes", json!([]), "invalid_field", "scopes", "at least one"),
        ("scopes", json!("admin"), "invalid_field", "scopes", "sequence"),
        ("scopes", Value::Null, "invalid_field", "scopes", "sequence"),
        ("scopes", json!(["payments:read", "all"]), "invalid_field", "scopes[1]", scopes),
        ("scopes", json!(["Admin"]), "invalid_field", "scopes[0]", scopes),
        ("scopes", json!([{ "admin": null }]), "invalid_field", "scopes[0]", "string"),
        ("expires_at", json!("2020-01-01T00:00:00Z"), "invalid_field", "expires_at", "to come"),
        ("expires_at", json!("+10000-01-01T00:00:00Z"), "invalid_field", "expires_at", "9999"),
        ("expires_at", json!("tomorrow"), "invalid_field", "expires_at", ""),
        ("expires_at", json!("2100-02-30T00:00:00Z"), "invalid_field", "expires_at", ""),
        ("expires_at", json!(4_102_444_800_i64), "invalid_field", "expires_at", ""),
        ("livemode", json!(true), "unknown_field", "livemode", "expected"),
        ("secret", json!("dk_test_mine"), "unknown_field", "secret", "expected"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let refused = api.make_key(&body).await;
        assert_problem(&refused, 422, code, Some(param));
        assert!(refused.body["detail"].as_str().unwrap().contains(remedy), "{body}: {}", refused.body);
    }
    for field in ["name", "scopes"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        assert_problem(&api.make_key(&body).await, 422, "invalid_field", Some(field));
    }
    let listed = api.caller.get("/v1/api_keys").await.body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "nothing was made: {listed}");
}

// S7
#[tokio::test]
async fn a_key_gives_no_scope_that_it_lacks() {
    let api = Api::sqlite();
    let admin = api.by(&api.key(&["admin"]).await);
    let make = async |scopes: &[&str]| {
        admin.post("/v1/api_keys", None, &json!({ "name": "given", "scopes": scopes })).await
    };

    let refused = make(&["payments:read", "approve_unknown"]).await;
    let given = make(&["payments:read", "admin"]).await;

    assert_problem(&refused, 403, "insufficient_scope", Some("scopes"));
    assert_eq!(refused.body["scope"], "approve_unknown");
    assert_eq!(given.status, 201, "{}", given.body);
}

// S7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_stay_with_their_tenant_and_environment() {
    let api = Api::start(Database::postgres().await, &[]);
    let mine = api.make_key(&json!({ "name": "mine", "scopes": ["payments:read"] })).await.body;
    let store = api.database.open(Clock::system(), Failpoints::default()).await;
    let foreign = store.ensure_tenant("another").await.unwrap().id;
    let own = store.ensure_tenant("development").await.unwrap().id;

    for owner in [Owner { tenant: foreign, livemode: false }, Owner { tenant: own, livemode: true }] {
        let key = store.create_key(owner, everything()).await.unwrap();
        let other = api.by(key.secret.expose_secret());

        let path = format!("/v1/api_keys/{}", id(&mine));
        assert_problem(&other.get(&path).await, 404, "not_found", None);
        let revoke = other.post(&format!("{path}/revoke"), None, &json!({})).await;
        assert_problem(&revoke, 404, "not_found", None);
        let made =
            other.post("/v1/api_keys", None, &json!({ "name": "theirs", "scopes": ["admin"] })).await.body;
        let approver = json!({ "name": "approver", "scopes": ["approve_unknown"] });
        let approver = other.post("/v1/api_keys", None, &approver).await;
        // S1.12
        if owner.livemode {
            assert_problem(&approver, 422, "invalid_field", Some("scopes"));
        } else {
            assert_eq!(approver.status, 201, "{}", approver.body);
            let revoke = format!("/v1/api_keys/{}/revoke", id(&approver.body));
            assert_eq!(other.post(&revoke, None, &json!({})).await.status, 200);
        }
        let prefix = if owner.livemode { "dk_live_" } else { "dk_test_" };
        assert_eq!(made["livemode"], owner.livemode);
        assert!(made["secret"].as_str().unwrap().starts_with(prefix), "{}", made["prefix"]);
        let theirs = other.get("/v1/api_keys").await.body;
        let names: Vec<_> =
            theirs["data"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
        let made_last = if owner.livemode { &[][..] } else { &["approver"] };
        assert_eq!(names, [made_last, &["theirs", "other"]].concat());
        assert_problem(&api.caller.get(&format!("/v1/api_keys/{}", id(&made))).await, 404, "not_found", None);
    }
    let shown = api.caller.get(&format!("/v1/api_keys/{}", id(&mine))).await.body;
    assert_eq!(shown["status"], "active", "{shown}");
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let api = Api::sqlite();
    for n in 0..4 {
        let made = api.make_key(&json!({ "name": n.to_string(), "scopes": ["payments:read"] })).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }

    let first = api.caller.get("/v1/api_keys?limit=3").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api.caller.get(&format!("/v1/api_keys?limit=3&cursor={cursor}")).await.body;

    let names = |page: &Value| {
        page["data"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!([names(&first), names(&second)].concat(), ["3", "2", "1", "0", "development"]);
    assert_eq!((first["has_more"].as_bool(), second["has_more"].as_bool()), (Some(true), Some(false)));
    for (query, param) in [("limit=0", "limit"), ("cursor=pay_1", "cursor"), ("status=active", "status")] {
        let refused = api.caller.get(&format!("/v1/api_keys?{query}")).await;
        assert_problem(&refused, 400, "invalid_parameter", Some(param));
    }
    for path in ["/v1/api_keys/abc", "/v1/api_keys/key_0190000000007000800000000000000a"] {
        assert_problem(&api.caller.get(path).await, 404, "not_found", None);
    }
}
