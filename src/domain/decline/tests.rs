mod rows;

use super::*;
use crate::domain::clock::{Time, truncate};
use chrono::{DateTime, TimeDelta};
use dunlin_jobs::PaymentId;

const POLICY: &str = include_str!("../../../config/declines.toml");
const DAY: u64 = 86_400;

fn policy() -> Policy {
    toml::from_str(POLICY).unwrap()
}

fn now() -> Time {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn payment(n: u8) -> PaymentId {
    PaymentId::mint(DateTime::UNIX_EPOCH, [n; 10])
}

fn tried(declines: u32) -> Tried {
    Tried { payment: payment(3), attempt: declines, declines, on_session: false }
}

fn decide(decline: &Decline, declines: u32) -> Decided {
    policy().decide(decline, tried(declines), now())
}

fn first(decline: &Decline) -> Decided {
    decide(decline, 1)
}

fn advised(code: &str, advice: &str) -> Decline {
    Decline { advice: Some(advice.to_owned()), ..Decline::of(code) }
}

fn network_advised(code: &str, advice: &str) -> Decline {
    Decline { network_advice: Some(advice.into()), ..Decline::of(code) }
}

fn at_network(code: &str, network: &str, network_code: &str) -> Decline {
    let card = CardFacts { network: Some(network.to_owned()), ..CardFacts::default() };
    Decline { network_code: Some(network_code.to_owned()), card: Some(card.into()), ..Decline::of(code) }
}

fn delay(decided: &Decided) -> TimeDelta {
    let Decision::RetryAt(at) = decided.decision else { panic!("{decided:?}") };
    at - now()
}

#[test]
fn the_shipped_policy_is_whole() {
    assert_eq!(policy().mistakes(), Vec::<String>::new());
}

#[test]
fn delays_double_up_to_the_longest() {
    let days: Vec<_> = (1..=5).map(|nth| exponential(DAY, 2, 7 * DAY, nth).num_days()).collect();

    assert_eq!(days, [1, 2, 4, 7, 7]);
}

#[test]
fn transport_tries_follow_quickly_and_never_wait_more_than_a_minute() {
    let millis: Vec<_> = [1, 2, 3, 9, 1000].map(|nth| transport(nth).num_milliseconds()).into();

    assert_eq!(millis, [250, 500, 1000, 60_000, 60_000]);
}

#[test]
fn a_soft_decline_is_tried_again_until_its_retries_are_used() {
    let code = Decline::of("insufficient_funds");

    let wait = delay(&first(&code));

    assert!(wait >= TimeDelta::days(1) && wait <= TimeDelta::days(1) + TimeDelta::minutes(30), "{wait}");
    assert_eq!(decide(&code, 7).decision, Decision::Stop);
}

// S3.3
#[test]
fn a_payment_has_no_more_than_its_attempts_however_few_of_them_its_schedule_made() {
    let last = Tried { attempt: MOST_ATTEMPTS, ..tried(1) };
    let decided = policy().decide(&Decline::of("insufficient_funds"), last, now());

    assert_eq!(decided.decision, Decision::Stop);
    assert!(
        decided.reason.ends_with("it had 15 attempts, which is all that there may be"),
        "{}",
        decided.reason
    );
}

// S3.5
#[test]
fn jitter_is_at_most_a_fifth_of_the_delay_and_at_most_half_an_hour() {
    let (mut short, mut long) = (TimeDelta::zero(), TimeDelta::zero());
    for n in 0..=255 {
        let tried = Tried { payment: payment(n), ..tried(1) };
        let wait = |code: &str| delay(&policy().decide(&Decline::of(code), tried, now()));
        short = short.max(wait("processing_error") - TimeDelta::minutes(10));
        long = long.max(wait("insufficient_funds") - TimeDelta::days(1));
    }

    assert!(short > TimeDelta::minutes(1) && short <= TimeDelta::minutes(2), "{short}");
    assert!(long > TimeDelta::minutes(20) && long <= TimeDelta::minutes(30), "{long}");
}

#[test]
fn a_retry_is_due_at_a_moment_that_a_row_can_hold() {
    for declines in 1..=4 {
        let at = now() + delay(&decide(&Decline::of("card_velocity_exceeded"), declines));
        assert_eq!(at, truncate(at));
    }
}

#[test]
fn a_decision_can_be_replayed() {
    assert_eq!(decide(&Decline::of("do_not_honor"), 2), decide(&Decline::of("do_not_honor"), 2));
}

#[test]
fn a_hard_decline_stops_and_an_authentication_waits_for_the_customer() {
    assert_eq!(first(&Decline::of("fraudulent")).decision, Decision::Stop);
    let challenged = first(&Decline::of("authentication_required")).decision;
    assert_eq!(challenged, Decision::NeedCustomer(Need::Authenticate));
}

#[test]
fn what_may_have_been_paid_already_is_looked_at_by_a_person() {
    assert_eq!(first(&Decline::of("duplicate_transaction")).decision, Decision::Review);
}

#[test]
fn do_not_try_again_means_not_with_this_card_and_hardens_only_what_would_be_tried_again() {
    let soft = first(&advised("insufficient_funds", "do_not_try_again"));

    assert_eq!(soft.decision, Decision::NeedCustomer(Need::NewMethod));
    assert_eq!((soft.by.table, soft.by.row.as_str()), (Table::Advice, "do_not_try_again"));
    for code in
        ["lost_card", "fraudulent", "expired_card", "authentication_required", "duplicate_transaction"]
    {
        let alone = first(&Decline::of(code));
        assert_eq!(first(&advised(code, "do_not_try_again")), alone, "{code}");
    }
    let unmapped = first(&advised("brand_new", "do_not_try_again"));
    assert_eq!(unmapped.decision, Decision::NeedCustomer(Need::NewMethod));
}

#[test]
fn try_again_later_changes_nothing() {
    for code in policy().gateways.values().flat_map(|rows| rows.keys()) {
        assert_eq!(first(&advised(code, "try_again_later")), first(&Decline::of(code)), "{code}");
    }
}

#[test]
fn a_network_s_advice_makes_a_decline_harder_and_never_softer() {
    let class = |decline: &Decline| first(decline).by.class;

    assert_eq!(class(&network_advised("do_not_honor", "03")), "dead_method");
    assert_eq!(class(&network_advised("do_not_honor", "04")), "technical");
    assert_eq!(class(&network_advised("expired_card", "03")), "dead_method");
    assert_eq!(class(&network_advised("lost_card", "21")), "hard_mandate");
    for (code, advice) in
        [("fraudulent", "04"), ("lost_card", "01"), ("fraudulent", "03"), ("lost_card", "24")]
    {
        assert_eq!(class(&network_advised(code, advice)), class(&Decline::of(code)), "{code} {advice}");
    }
}

// S3.4
#[test]
fn what_a_network_advises_about_time_is_not_undercut() {
    let waits =
        [("02", 72), ("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240)];
    for (advice, hours) in waits {
        let decided = first(&network_advised("processing_error", advice));
        let advised = TimeDelta::hours(hours);

        assert_eq!(decided.by.not_before, Some(now() + advised), "{advice}");
        assert!(
            delay(&decided) >= advised && delay(&decided) <= advised + TimeDelta::minutes(30),
            "{advice}"
        );
        assert_eq!(decided.by.class, "technical", "{advice}");
    }
    let longer = first(&network_advised("insufficient_funds", "24"));
    assert!(delay(&longer) >= TimeDelta::days(1), "the schedule's own delay is longer");
}

#[test]
fn a_network_s_code_counts_at_that_network_alone() {
    let soft = |network| first(&at_network("do_not_honor", network, "14")).by;

    assert_eq!((soft("visa").class.as_str(), soft("visa").table), ("dead_method", Table::NetworkCode));
    assert_eq!(
        (soft("mastercard").class.as_str(), soft("mastercard").table),
        ("soft_opaque", Table::GatewayCode)
    );
    let brand = CardFacts { brand: Some("visa".to_owned()), ..CardFacts::default() };
    let known_by_brand = Decline { card: Some(brand.into()), ..at_network("do_not_honor", "", "R1") };
    assert_eq!(first(&known_by_brand).by.class, "hard_mandate");
    assert_eq!(first(&at_network("fraudulent", "visa", "14")).by.class, "hard_risk", "a harder code stays");
}

#[test]
fn what_never_came_to_a_network_is_the_gateway_s_own_block() {
    let outcome =
        Assessment { network_status: Some(NOT_SENT_TO_NETWORK.to_owned()), ..Assessment::default() };
    let blocked = Decline { outcome: Some(outcome.into()), ..Decline::of("generic_decline") };
    let sent = Decline { outcome: None, ..blocked.clone() };
    let other = Decline { code: "expired_card".to_owned(), ..blocked.clone() };

    assert_eq!((first(&blocked).by.class.as_str(), blocked.counts_at_the_network()), ("hard_risk", false));
    assert_eq!((first(&sent).by.class.as_str(), sent.counts_at_the_network()), ("soft_opaque", true));
    assert_eq!(first(&other).by.class, "stale_method");
    assert!(policy().asks_for_network_status(&sent) && !policy().asks_for_network_status(&blocked));
}

#[test]
fn a_decision_names_what_decided() {
    let reason = |decline: &Decline| first(decline).reason;

    let own = "insufficient_funds is soft_funds (policy 3): retry 1 of 6 after 24 h";
    assert_eq!(reason(&Decline::of("insufficient_funds")), own);
    assert_eq!(
        reason(&advised("insufficient_funds", "do_not_try_again")),
        "insufficient_funds is dead_method by the gateway's advice do_not_try_again (policy 3): only the customer can \
         mend it"
    );
    assert_eq!(
        reason(&network_advised("processing_error", "02")),
        "processing_error is technical (policy 3): retry 1 of 5 after 72 h, as was advised"
    );
    assert_eq!(
        reason(&at_network("generic_decline", "visa", "R0")),
        "generic_decline is hard_mandate by the network's code visa R0 (policy 3): not to be tried again"
    );
    assert!(reason(&Decline::of("processing_error")).ends_with("after 10 min"));
}

#[test]
fn an_unmapped_code_is_tried_once_more_and_no_further() {
    let unknown = Decline::of("brand_new");

    assert!(matches!(first(&unknown).decision, Decision::RetryAt(_)));
    assert_eq!(first(&unknown).by.table, Table::Unmapped);
    assert_eq!(decide(&unknown, 2).decision, Decision::Stop);
}

// S3.2
#[test]
fn nothing_is_tried_again_by_itself_while_the_customer_is_there() {
    let policy = policy();
    let present = Tried { on_session: true, ..tried(1) };
    let codes = policy.gateways.values().flat_map(|rows| rows.keys()).map(String::as_str);

    for code in codes.chain(["brand_new"]) {
        let away = policy.decide(&Decline::of(code), tried(1), now()).decision;
        let there = policy.decide(&Decline::of(code), present, now()).decision;
        match away {
            Decision::RetryAt(_) => assert_eq!(there, Decision::NeedCustomer(Need::NewMethod), "{code}"),
            Decision::NeedCustomer(_) | Decision::Review | Decision::Stop => {
                assert_eq!(there, away, "{code}");
            }
        }
    }
}

#[test]
fn a_row_counts_from_its_first_day_to_its_last() {
    let day = |days: i64| (now() + TimeDelta::days(days)).date_naive();
    let mut policy = policy();
    let rows = policy.gateways.values_mut().next().unwrap();
    let row = rows.get_mut("lost_card").unwrap();
    (row.from, row.until) = (Some(day(1)), Some(day(2)));

    let class = |days: i64| {
        policy.decide(&Decline::of("lost_card"), tried(1), now() + TimeDelta::days(days)).by.class
    };

    assert_eq!([class(0), class(1), class(2)], ["unmapped", "dead_method", "unmapped"]);
}

#[test]
fn a_policy_that_would_come_back_for_a_customer_who_was_there_is_refused() {
    let mut policy = policy();
    policy.on_session.remove("soft_funds");
    policy.on_session.insert("technical".to_owned(), "soft_limit".to_owned());
    policy.on_session.insert("unmapped".to_owned(), "nowhere".to_owned());

    let mistakes = policy.mistakes().join("; ");

    for named in ["on_session.soft_funds is missing", "on_session.technical is missing", "\"nowhere\""] {
        assert!(mistakes.contains(named), "{mistakes}");
    }
}

#[test]
fn a_row_without_its_source_or_its_class_is_refused() {
    let mut policy = policy();
    let source = Row { source: "hearsay".to_owned(), since: 1, ..Row::default() };
    policy.advice.insert("odd".to_owned(), source);
    let class = Row {
        class: Some("nowhere".to_owned()),
        source: "visa_category_1".to_owned(),
        since: 99,
        ..Row::default()
    };
    policy.network_advice.insert("99".to_owned(), class);

    let mistakes = policy.mistakes().join("; ");

    for named in
        ["advice odd names the source \"hearsay\"", "network_advice 99 names the class", "yet to come"]
    {
        assert!(mistakes.contains(named), "{mistakes}");
    }
}
