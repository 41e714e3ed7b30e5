//! `dunlin charge FILE.csv`: a billing run that may be mended, run again, and cut off anywhere.

use super::{Ended, run};
use crate::support::{
    database::Database,
    process::{Caller, Serve, captures, dunlin, folder},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const HEADER: &str = "reference,amount,currency,customer,method,description\n";

fn charge(serve: &Serve, folder: &Path, file: &[u8]) -> Ended {
    std::fs::write(folder.join("rows.csv"), file).unwrap();
    run(folder, &["charge", "rows.csv", "--json", "--url", &serve.url], &[])
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(ended.out.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {}{}", ended.out, ended.err))
}

/// The rows of a report: read, accepted, known from before, refused.
fn counts(ended: &Ended) -> [u64; 4] {
    let report = report(ended);
    ["rows", "accepted", "replayed", "refused"].map(|name| report[name].as_u64().unwrap())
}

/// Every payment there is, by its reference.
async fn payments(serve: &Serve) -> BTreeMap<String, Value> {
    let caller = serve.client();
    let mut payments = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = caller.get(&format!("/v1/payments?limit=200{cursor}")).await.body;
        for payment in page["data"].as_array().unwrap() {
            let reference = payment["reference"].as_str().unwrap().to_owned();
            assert!(payments.insert(reference, payment.clone()).is_none(), "twice: {payment}");
        }
        let Some(next) = page["next_cursor"].as_str() else { return payments };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn refused_rows_are_told_by_line_and_a_mended_file_charges_only_the_new_ones() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let mut file = HEADER.as_bytes().to_vec();
    file.extend_from_slice(b"A,12.50,EUR,cus_1,pm_card_visa,fine\n"); // 2
    file.extend_from_slice(b",12.50,EUR,cus_1,pm_card_visa,\n"); // 3
    file.extend_from_slice(b"A,12.50,EUR,cus_1,pm_card_visa,\n"); // 4
    file.extend_from_slice(b"B,12.50,EURO,cus_1,pm_card_visa,\n"); // 5
    file.extend_from_slice(b"\n"); // 6
    file.extend_from_slice(b"C,1200.50,JPY,cus_1,pm_card_visa,\n"); // 7
    file.extend_from_slice(b"D,12.50,EUR,cus_1\n"); // 8
    file.extend_from_slice(b"E,12.50,EUR,cus_1,pm_card_visa,one,too,many\n"); // 9
    file.extend_from_slice(b"F,12.50,EUR,cus_\xff,pm_card_visa,\n"); // 10
    file.extend_from_slice(b"G,0,EUR,cus_1,pm_card_visa,\n"); // 11
    file.extend_from_slice(b"H,1e3,EUR,cus_1,pm_card_visa,\n"); // 12
    file.extend_from_slice(b"I,12.50,EUR,cus_1,4929939187355598,\n"); // 13
    file.extend_from_slice("Rechnung Ü,12.50,EUR,cus_1,pm_card_visa,\n".as_bytes()); // 14
    file.extend_from_slice(b"J,12.50,EUR,cus_1,pm_card_visa,\"oops\nK,12.50,EUR,cus_1,pm_card_visa,\n"); // 15

    let first = charge(&serve, &path, &file);

    assert_eq!(first.code, Some(3), "{}", first.err);
    assert_eq!(counts(&first), [13, 2, 0, 11], "{}", first.err);
    for told in [
        "line 3: reference: it is empty",
        "line 4 (A): reference: it stands in an earlier row",
        "line 5 (B): currency: unknown currency \"EURO\"",
        "line 7 (C): amount: \"1200.50\" has more decimals than JPY",
        "line 8: it has 4 fields where the header has 6",
        "line 9: it has 8 fields where the header has 6",
        "line 10: customer: it is not valid UTF-8",
        "line 11 (G): amount: ",
        "line 12 (H): amount: \"1e3\" is not an amount",
        "line 13 (I): method.payment_method: this looks like a card number",
        "line 15 (J): it goes over several lines, down to line 16: perhaps a quote is not closed",
    ] {
        assert!(first.err.contains(told), "{told:?} is missing: {}", first.err);
    }
    assert!(!first.err.contains("4929939187355598"), "{}", first.err);

    let mended = format!(
        "{HEADER}A,12.50,EUR,cus_1,pm_card_visa,fine\nRechnung Ü,12.50,EUR,cus_1,pm_card_visa,\n\
         B,12.50,EUR,cus_1,pm_card_visa,\n"
    );
    let second = charge(&serve, &path, mended.as_bytes());
    let third = charge(&serve, &path, mended.replace("12.50", "12.51").as_bytes());

    assert_eq!(second.code, Some(0), "{}", second.err);
    assert_eq!(counts(&second), [3, 3, 2, 0]);
    assert_eq!(third.code, Some(3), "another amount under a reference is no mended row");
    assert_eq!(report(&third)["accepted"], 0);
    assert_eq!(payments(&serve).await.into_keys().collect::<Vec<_>>(), ["A", "B", "Rechnung Ü"]);
}

#[tokio::test]
async fn rows_without_a_method_are_charged_by_their_customers_own() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let caller = serve.client();
    let customer = caller.post("/v1/customers", None, &json!({ "external_id": "u-1" })).await.body;
    let methods = format!("/v1/customers/{}/payment_methods", customer["id"].as_str().unwrap());
    let card = json!({ "type": "card", "payment_method": "pm_card_visa" });
    let method = caller.post(&methods, None, &card).await.body;
    let file = format!(
        "reference,amount,currency,customer,method\nA,12.50,EUR,u-1,\nB,12.50,EUR,u-2,\nC,12.50,EUR,,{}\n",
        method["id"].as_str().unwrap()
    );

    let ended = charge(&serve, &path, file.as_bytes());

    assert_eq!(counts(&ended), [3, 2, 0, 1], "{}", ended.err);
    assert!(ended.err.contains("line 3 (B): method: no customer has this id"), "{}", ended.err);
    let payments = payments(&serve).await;
    for (reference, named) in [("A", json!("u-1")), ("C", customer["id"].clone())] {
        let payment = &payments[reference];
        assert_eq!((&payment["customer"], &payment["method"]["id"]), (&named, &method["id"]));
    }
    let again = charge(&serve, &path, file.as_bytes());
    assert_eq!(counts(&again), [3, 2, 2, 1], "{}", again.err);
}

#[tokio::test]
async fn a_file_charges_what_is_attached_to_a_customer_of_the_gateways() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let sandbox = Caller::new(&serve.sandbox, "sk_test_sandbox");
    let form = async |path: &str, body: String| {
        let made = sandbox.raw(|http, url| {
            let request = http.post(format!("{url}{path}")).bearer_auth(sandbox.key());
            request.header("content-type", "application/x-www-form-urlencoded").body(body)
        });
        made.await.body["id"].as_str().unwrap().to_owned()
    };
    let owner = form("/v1/customers", "name=Ada".to_owned()).await;
    let token = form("/v1/payment_methods/pm_card_visa/attach", format!("customer={owner}")).await;
    let header = "reference,amount,currency,method,gateway_customer\n";
    let csv = format!("{header}A,12.50,EUR,{token},{owner}\nB,12.50,EUR,{token},\n");

    let ended = charge(&serve, &path, csv.as_bytes());

    assert_eq!(counts(&ended), [2, 2, 0, 0], "{}", ended.err);
    let made = payments(&serve).await;
    let id = |reference: &str| made[reference]["id"].as_str().unwrap().to_owned();
    serve.client().wait_for(&id("A"), "succeeded").await;
    assert_eq!(captures(&serve.sandbox).await.get(&id("B")), None, "its customer is not named");
}

#[tokio::test]
async fn a_file_that_is_none_is_refused_whole() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let row = "A,12.50,EUR,cus_1,pm_card_visa,\n";

    charge(&serve, &path, b"").assert_failed(&["the file is empty", "reference"]);
    let missing = format!("{}{row}", HEADER.replace("method", "customer2"));
    charge(&serve, &path, missing.as_bytes()).assert_failed(&["line 1", "field 5", "method"]);
    charge(&serve, &path, b"reference,amount,currency\nA,1,EUR\n")
        .assert_failed(&["line 1", "\"method\" is missing"]);
    charge(&serve, &path, b"reference;amount\n").assert_failed(&["line 1", "commas"]);
    charge(&serve, &path, b"\xff\xfe,amount\n").assert_failed(&["line 1"]);
    run(&path, &["charge", "none.csv", "--url", &serve.url], &[]).assert_failed(&["none.csv"]);
    run(&path, &["charge", "rows.csv", "--url", "nowhere"], &[]).assert_failed(&["line 1"]);
    let only = charge(&serve, &path, HEADER.as_bytes());
    assert_eq!((only.code, report(&only)["rows"].as_u64()), (Some(0), Some(0)));
    let key = [("DUNLIN_API_KEY", "dk_test_wrong")];
    std::fs::write(path.join("rows.csv"), format!("{HEADER}{row}")).unwrap();
    run(&path, &["charge", "rows.csv", "--url", &serve.url], &key).assert_failed(&["401", "API key"]);
    assert!(payments(&serve).await.is_empty());
}

#[tokio::test]
async fn a_billing_run_whose_server_is_killed_is_finished_by_running_it_again() {
    const ROWS: usize = 600;
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let mut serve = Serve::start(&database, &path, &[("DUNLIN_SANDBOX__LATENCY_MS", "20")]);
    let rows: Vec<_> = (0..ROWS).map(|n| format!("R{n},12.50,EUR,cus_{n},pm_card_visa,\n")).collect();
    let rows = rows.concat();
    std::fs::write(path.join("rows.csv"), format!("{HEADER}{rows}")).unwrap();
    let mut cut_off = dunlin()
        .args(["charge", "rows.csv", "--url", &serve.url])
        .current_dir(&path)
        .env("DUNLIN_DATA_DIR", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while captures(&serve.sandbox).await.len() < 10 {
        assert!(Instant::now() < deadline, "nothing is charged");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    serve.kill();
    cut_off.kill().unwrap();
    cut_off.wait().unwrap();
    let serve = Serve::start(&database, &path, &[]);
    let again = run(&path, &["charge", "rows.csv", "--json", "--url", &serve.url], &[]);
    // What was on its way when the server died is asked after now.
    let clock = serve.client().post("/v1/test_clock/advance", None, &json!({ "by_s": 3600 })).await;

    assert_eq!((again.code, clock.status), (Some(0), 200), "{}{}", again.err, clock.body);
    let told = report(&again);
    assert_eq!((&told["rows"], &told["accepted"]), (&json!(ROWS), &json!(ROWS)));
    assert!(told["replayed"].as_u64().unwrap() >= 10, "{told}");
    let payments = payments(&serve).await;
    assert_eq!(payments.len(), ROWS);
    let open: Vec<_> = payments.values().filter(|payment| payment["status"] != "succeeded").collect();
    assert!(open.is_empty(), "{open:?}");
    let captured = captures(&serve.sandbox).await;
    assert!(captured.values().all(|count| *count == 1));
    let ids: BTreeSet<_> = payments.values().map(|payment| payment["id"].as_str().unwrap()).collect();
    assert_eq!(captured.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids);
}

#[tokio::test]
async fn json_lines_are_waited_for_and_summed_up_by_status_currency_and_reason() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[("DUNLIN_SANDBOX__LATENCY_MS", "100")]);
    let row = |reference: &str, amount: u32, currency: &str, card: &str| {
        let method = json!({ "type": "card", "payment_method": card });
        let row = json!({ "reference": reference, "amount": amount, "currency": currency, "method": method,
            "metadata": { "cohort": "march" } });
        format!("{row}\n")
    };
    let rows = [
        row("A", 1250, "EUR", "pm_card_visa"),
        row("B", 50, "EUR", "pm_card_visa"),
        row("C", 700, "JPY", "pm_card_chargeDeclinedInsufficientFunds"),
        row("D", 900, "EUR", "pm_card_chargeDeclinedFraudulent"),
        "{\"reference\":\"E\",\"amount\":12.5}\n".to_owned(),
        "{\"reference\":\"F\",\"colour\":1}\n".to_owned(),
    ];
    std::fs::write(path.join("rows.jsonl"), rows.concat()).unwrap();
    std::fs::write(path.join("paid.ndjson"), rows[..2].concat()).unwrap();

    let all = run(&path, &["charge", "rows.jsonl", "--wait", "--json", "--url", &serve.url], &[]);
    let declined = run(&path, &["charge", "paid.ndjson", "--wait", "--url", &serve.url], &[]);
    std::fs::write(path.join("rows.jsonl"), rows[..4].concat()).unwrap();
    let unpaid = run(&path, &["charge", "rows.jsonl", "--wait", "--url", &serve.url], &[]);
    let nameless = run(&path, &["charge", "rows.txt", "--url", &serve.url], &[]);

    assert_eq!((all.code, counts(&all)), (Some(3), [6, 4, 0, 2]), "{}", all.err);
    assert!(all.err.contains("line 5 (E): amount: "), "{}", all.err);
    assert!(all.err.contains("line 6 (F): "), "{}", all.err);
    let told = report(&all);
    let expected = json!([
        { "status": "failed", "currency": "EUR", "count": 1, "amount": 900 },
        { "status": "retrying", "currency": "JPY", "count": 1, "amount": 700 },
        { "status": "succeeded", "currency": "EUR", "count": 2, "amount": 1300 },
    ]);
    assert_eq!(told["payments"], expected);
    assert_eq!(told["reasons"], json!({ "insufficient_funds": 1, "fraudulent": 1 }));
    assert_eq!(told["stopped"], false);
    assert_eq!(declined.code, Some(0), "{}{}", declined.out, declined.err);
    assert_eq!(unpaid.code, Some(4), "all are taken in, not all are paid: {}{}", unpaid.out, unpaid.err);
    assert!(unpaid.out.contains("13.00 EUR") && unpaid.out.contains("700 JPY"), "{}", unpaid.out);
    nameless.assert_failed(&["rows.txt", "--format"]);
}

#[tokio::test]
async fn ctrl_c_ends_a_run_between_two_batches_and_the_next_one_goes_on() {
    const ROWS: usize = 20_000;
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[]);
    let rows: Vec<_> = (0..ROWS).map(|n| format!("R{n},12.50,EUR,cus_{n},pm_card_visa,\n")).collect();
    std::fs::write(path.join("rows.csv"), format!("{HEADER}{}", rows.concat())).unwrap();
    let mut first = dunlin();
    first.args(["charge", "rows.csv", "--json", "--url", &serve.url]).current_dir(&path);
    let first =
        first.env("DUNLIN_DATA_DIR", &path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while captures(&serve.sandbox).await.is_empty() {
        assert!(Instant::now() < deadline, "nothing is charged");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    interrupt(&first);
    let first = Ended::from(first.wait_with_output().unwrap());
    let [read, accepted, _, refused] = counts(&first);
    let more = usize::try_from(accepted).unwrap() + 100;
    std::fs::write(path.join("rows.csv"), format!("{HEADER}{}", rows[..more].concat())).unwrap();
    let second = run(&path, &["charge", "rows.csv", "--json", "--url", &serve.url], &[]);

    assert_eq!(first.code, Some(130), "{}{}", first.out, first.err);
    assert!(first.err.contains("press Ctrl-C again"), "{}", first.err);
    assert_eq!(report(&first)["stopped"], true);
    assert!(accepted > 0, "{}", first.out);
    assert_eq!((read, refused), (accepted, 0), "what was read was sent and answered");
    assert_eq!(second.code, Some(0), "{}", second.err);
    assert_eq!(counts(&second), [accepted + 100, accepted + 100, accepted, 0]);
}

#[tokio::test]
async fn ctrl_c_ends_the_wait_and_says_that_it_did() {
    let database = Database::sqlite();
    let (_folder, path) = folder();
    let serve = Serve::start(&database, &path, &[("DUNLIN_SANDBOX__LATENCY_MS", "10000")]);
    std::fs::write(path.join("rows.csv"), format!("{HEADER}A,12.50,EUR,cus_1,pm_card_visa,\n")).unwrap();
    let mut waiting = dunlin();
    waiting.args(["charge", "rows.csv", "--wait", "--json", "--url", &serve.url]).current_dir(&path);
    let waiting = waiting.env("DUNLIN_DATA_DIR", &path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waiting = waiting.spawn().unwrap();
    let caller = serve.client();
    let deadline = Instant::now() + Duration::from_secs(30);
    while caller.get("/v1/payments?status=processing").await.body["data"] == json!([]) {
        assert!(Instant::now() < deadline, "nothing is taken in");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    interrupt(&waiting);
    let ended = Ended::from(waiting.wait_with_output().unwrap());

    assert_eq!(ended.code, Some(130), "{}{}", ended.out, ended.err);
    let told = report(&ended);
    assert_eq!((&told["stopped"], counts(&ended)), (&json!(true), [1, 1, 0, 0]));
    assert_eq!(told["payments"][0]["status"], "processing");
}

fn interrupt(process: &Child) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}
