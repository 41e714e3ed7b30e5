//! The search: what a query finds, and when.

use crate::caller::{Caller, START, bank, caller, charge};

fn found(caller: &Caller<'_>, query: &str) -> usize {
    let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let answer = caller.get(&format!("/v1/payment_intents/search?query={encoded}&limit=100"));
    assert_eq!(answer.status, 200, "{query}: {:?}", answer.body);
    answer.body["data"].as_array().unwrap().len()
}

#[test]
fn the_search_is_a_minute_behind_unless_it_is_told_otherwise() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create(&charge("pm_card_visa"));

    let at_once = found(&caller, "amount:1000");
    caller.travel(60);
    let later = found(&caller, "amount:1000");
    caller.post("/_sandbox/lag", r#"{"search_seconds": 900}"#);
    let lagging = found(&caller, "amount:1000");

    assert_eq!((at_once, later, lagging), (0, 1, 0));
}

#[test]
fn a_query_finds_what_it_says() {
    let bank = bank();
    let caller = caller(&bank);
    caller.create(&format!("{}&customer=cus_1&metadata[order]=o-17", charge("pm_card_visa")));
    caller.create("amount=2000&currency=eur&metadata[order]=it's");
    caller.travel(60);

    let cases = [
        ("metadata['order']:'o-17'", 1),
        ("metadata[\"order\"]:\"o-17\"", 1),
        (r"metadata['order']:'it\'s'", 1),
        ("metadata['order']~'-17'", 1),
        ("metadata['other']:null", 2),
        ("-metadata['order']:null", 2),
        ("-status:'succeeded'", 1),
        ("currency:'EUR'", 1),
        ("customer:'cus_1'", 1),
        ("customer:null", 1),
        ("amount>1000", 1),
        ("amount>=1000 amount<=1000", 1),
        ("amount<1000", 0),
        ("amount:1000 OR amount:2000", 2),
        ("amount:1000 AND currency:'eur'", 0),
    ];

    for (query, count) in cases {
        assert_eq!(found(&caller, query), count, "{query}");
    }
    assert_eq!(found(&caller, &format!("created>{}", START - 1)), 2);
    assert_eq!(found(&caller, &format!("created>{START}")), 0);
}

#[test]
fn a_search_is_read_in_pages() {
    let bank = bank();
    let caller = caller(&bank);
    let ids: Vec<String> = (0..3).map(|_| caller.create(&charge("pm_card_visa")).id()).collect();
    caller.travel(60);
    let page =
        |more: &str| caller.get(&format!("/v1/payment_intents/search?query=amount:1000&limit=2{more}")).body;

    let first = page("");
    let second = page(&format!("&page={}", first["next_page"].as_str().unwrap()));

    assert_eq!((&first["object"], &first["has_more"]), (&"search_result".into(), &true.into()));
    assert_eq!(
        (&first["data"][0]["id"], &first["data"][1]["id"]),
        (&ids[2].clone().into(), &ids[1].clone().into())
    );
    assert_eq!((&second["data"][0]["id"], &second["has_more"]), (&ids[0].clone().into(), &false.into()));
    assert!(second["next_page"].is_null());
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let bank = bank();
    let queries = [
        "",
        "amount",
        "amount:",
        "amount:x",
        "amount~10",
        "colour:'red'",
        "status>'succeeded'",
        "metadata['order':'x'",
        "metadata['order']:'x",
        "metadata['order']~'x'",
        "amount:1 AND amount:2 OR amount:3",
        "amount:1 AND",
    ];

    for query in queries {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let answer = caller(&bank).get(&format!("/v1/payment_intents/search?query={encoded}"));
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(caller(&bank).get("/v1/payment_intents/search").status, 400);
}
