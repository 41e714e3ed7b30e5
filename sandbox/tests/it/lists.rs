//! Pages of intents, as a reconciler reads them.

use crate::caller::{Answer, Caller, START, bank, caller, other_caller};

const PLAIN: &str = "amount=500&currency=eur&customer=";

/// Five intents, one a minute, of two customers in turn.
fn five(caller: &Caller<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    for (minute, customer) in (0_i64..).zip(["cus_b", "cus_a", "cus_b", "cus_a", "cus_b"]) {
        caller.travel(60 * minute);
        ids.push(caller.create(&format!("{PLAIN}{customer}")).id());
    }
    ids
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.body["data"].as_array().unwrap().iter().map(|intent| intent["id"].as_str().unwrap()).collect()
}

#[test]
fn a_list_is_newest_first_and_ends() {
    let bank = bank();
    let caller = caller(&bank);
    let five = five(&caller);

    let all = caller.list("");
    let first = caller.list("limit=2");
    let second = caller.list(&format!("limit=2&starting_after={}", five[3]));
    let third = caller.list(&format!("limit=2&starting_after={}", five[1]));

    assert_eq!(ids(&all), [&five[4], &five[3], &five[2], &five[1], &five[0]]);
    assert_eq!((&all.body["object"], &all.body["url"]), (&"list".into(), &"/v1/payment_intents".into()));
    assert_eq!((ids(&first), &first.body["has_more"]), (vec![&*five[4], &*five[3]], &true.into()));
    assert_eq!((ids(&second), &second.body["has_more"]), (vec![&*five[2], &*five[1]], &true.into()));
    assert_eq!((ids(&third), &third.body["has_more"]), (vec![&*five[0]], &false.into()));
}

#[test]
fn a_page_before_a_cursor_is_the_one_next_to_it() {
    let bank = bank();
    let caller = caller(&bank);
    let five = five(&caller);

    let page = caller.list(&format!("limit=2&ending_before={}", five[0]));

    assert_eq!(ids(&page), [&five[2], &five[1]]);
    assert_eq!(page.body["has_more"], true);
}

#[test]
fn a_list_can_be_of_one_customer() {
    let bank = bank();
    let caller = caller(&bank);
    let five = five(&caller);

    let page = caller.list("customer=cus_a&limit=1");
    let next = caller.list(&format!("customer=cus_a&limit=1&starting_after={}", five[3]));
    let nobody = caller.list("customer=cus_c");

    assert_eq!((ids(&page), &page.body["has_more"]), (vec![&*five[3]], &true.into()));
    assert_eq!((ids(&next), &next.body["has_more"]), (vec![&*five[1]], &false.into()));
    assert!(ids(&nobody).is_empty());
}

#[test]
fn a_list_can_be_of_a_span_of_time() {
    let bank = bank();
    let caller = caller(&bank);
    let five = five(&caller);
    let minute = |number: i64| START + 60 * number;

    let closed = caller.list(&format!("created[gte]={}&created[lte]={}", minute(1), minute(3)));
    let open = caller.list(&format!("created[gt]={}&created[lt]={}", minute(1), minute(3)));
    let none = caller.list(&format!("created[gt]={}&created[lt]={}", minute(3), minute(1)));

    assert_eq!(ids(&closed), [&five[3], &five[2], &five[1]]);
    assert_eq!(ids(&open), [&five[2]]);
    assert!(ids(&none).is_empty());
}

#[test]
fn an_account_sees_its_own_intents_alone() {
    let bank = bank();
    five(&caller(&bank));

    let page = other_caller(&bank).list("");

    assert!(ids(&page).is_empty());
}

#[test]
fn a_list_that_is_asked_for_wrongly_is_refused() {
    let bank = bank();
    let caller = caller(&bank);
    let cases = [
        ("limit=0", 400),
        ("limit=101", 400),
        ("limit=x", 400),
        ("created[gte]=x", 400),
        ("created[near]=1", 400),
        ("status=succeeded", 400),
        ("starting_after=pi_1&ending_before=pi_2", 400),
        ("starting_after=pi_1", 404),
    ];

    for (query, status) in cases {
        assert_eq!(caller.list(query).status, status, "{query}");
    }
}
