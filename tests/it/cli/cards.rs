//! Card numbers on the command line and in files: no command repeats one, wherever it stands.

use super::{Ended, run};
use crate::support::{
    database::Database,
    process::{Serve, folder},
};
use serde_json::json;

/// A number that stands nowhere else, in the ways that people write it.
const WRITTEN: [&str; 5] = [
    "4929939187355598",
    "4929 9391 8735 5598",
    "4929\u{2013}9391\u{2013}8735\u{2013}5598",
    "\u{ff14}\u{ff19}\u{ff12}\u{ff19}939187355598",
    "49299391873555981227",
];

#[track_caller]
fn assert_silent(ended: &Ended) {
    let said = format!("{}{}", ended.out, ended.err);
    let digits: String = said.chars().filter(char::is_ascii_digit).collect();
    assert!(!digits.contains("9391873555") && !said.contains('\u{ff14}'), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_ne!(ended.code, Some(0), "{said}");
}

#[tokio::test]
async fn a_billing_run_repeats_no_card_number_wherever_it_stands() {
    let (database, (_folder, path)) = (Database::sqlite(), folder());
    let serve = Serve::start(&database, &path, &[]);
    let good = ["A", "12.50", "EUR", "u-1", "pm_card_visa", "", "fine"];
    let header = "reference,amount,currency,customer,method,gateway_customer,description";
    let charge = |name: &str, text: &str| {
        std::fs::write(path.join(name), text).unwrap();
        run(&path, &["charge", name, "--url", &serve.url], &[])
    };

    for text in WRITTEN {
        let with = |place: usize| {
            let mut row = good;
            row[place] = text;
            row.join(",")
        };
        let rows: Vec<_> = (0..good.len()).map(with).collect();
        let all = charge("all.csv", &format!("{header}\n{}\n", rows.join("\n")));
        assert_silent(&all);
        assert!(all.out.contains("7 rows: 0 accepted"), "{}{}", all.out, all.err);
        for row in &rows {
            assert_silent(&charge("headerless.csv", &format!("{row}\n")));
        }
        assert_silent(&charge("header.csv", &format!("{header},{text}\n")));
        let line = |field: &str| {
            let mut line = json!({ "reference": "A", "amount": 1250, "currency": "EUR",
                "method": { "type": "card", "payment_method": "pm_card_visa" } });
            line[field] = json!(text);
            line.to_string()
        };
        let fields =
            ["reference", "amount", "currency", "customer", "method", "description", "gateway", text];
        let lines = fields.map(line).join("\n");
        let all = charge("all.jsonl", &format!("{lines}\n{{\"{text}\"\n{text}\n"));
        assert_silent(&all);
        assert!(all.out.contains("10 rows: 0 accepted"), "{}{}", all.out, all.err);
    }
    assert_eq!(serve.client().get("/v1/payments").await.body["data"], json!([]));
}

#[tokio::test]
async fn no_command_repeats_a_card_number_of_its_arguments() {
    let (database, (_folder, path)) = (Database::sqlite(), folder());
    let serve = Serve::start(&database, &path, &[]);

    for text in WRITTEN {
        for arguments in [
            &["payments", "show", text][..],
            &["payments", "list", "--status", text],
            &["payments", "list", "--created-from", text],
            &["payments", "retry", text, "--reason", "again"],
            &["payments", "list", "--limit", text],
            &["jobs", "show", text],
            &["jobs", "list", "--kind", text],
            &["keys", "create", text, "--scope", "payments:read"],
            &["keys", "revoke", text],
            &["clock", "advance", text],
            &["clock", "advance", "--to", text],
            &["dead-letters", "show", text],
            &["charge", text],
            &["charge", "none.csv", "--format", text],
            &["charge", &format!("{text}.csv")],
            &["--config", text, "check-config"],
            &[text],
        ] {
            let settings = [("DUNLIN_URL", serve.url.as_str())];
            assert_silent(&run(&path, arguments, &settings));
        }
    }
}
