//! The wire: how jobs are stored and sent. These lines are for ever; a change here breaks what is already queued.
#![expect(clippy::unwrap_used, reason = "in a test, what is not there fails it")]

use dunlin_jobs::{
    Charge, GatewayEvent, GatewaySweep, Job, PaymentId, Reconcile, Refund, Retry, Sweep, SweepName, Withdraw,
};

const PAYMENT: &str = "pay_0190000000007000800000000000000a";
const REFUND: &str = "rfd_0190000000007000800000000000000c";

fn payment() -> PaymentId {
    PAYMENT.parse().unwrap()
}

fn golden() -> [(Job, String, String); 8] {
    let text = |kind: &str, rest: &str| format!(r#"{{"type":"{kind}",{rest}}}"#);
    [
        (
            Job::Charge(Charge { payment: payment() }),
            text("charge", &format!(r#""payment":"{PAYMENT}""#)),
            format!("{PAYMENT}:charge"),
        ),
        (
            Job::Retry(Retry { payment: payment(), attempt: 2 }),
            text("retry", &format!(r#""payment":"{PAYMENT}","attempt":2"#)),
            format!("{PAYMENT}:retry:2"),
        ),
        (
            Job::Reconcile(Reconcile { payment: payment(), attempt: 3 }),
            text("reconcile", &format!(r#""payment":"{PAYMENT}","attempt":3"#)),
            format!("{PAYMENT}:reconcile:3"),
        ),
        (
            Job::Withdraw(Withdraw::own(payment(), 3)),
            text("withdraw", &format!(r#""payment":"{PAYMENT}","attempt":3"#)),
            format!("{PAYMENT}:withdraw:3"),
        ),
        (
            Job::Refund(Refund { payment: payment(), refund: REFUND.parse().unwrap() }),
            text("refund", &format!(r#""payment":"{PAYMENT}","refund":"{REFUND}""#)),
            format!("{PAYMENT}:refund:{REFUND}"),
        ),
        (
            Job::Sweep(Sweep { name: SweepName::Orphans }),
            text("sweep", r#""name":"orphans""#),
            "sweep:orphans".to_owned(),
        ),
        (
            Job::GatewayEvent(GatewayEvent { account: "main".to_owned(), event: "evt_1".to_owned() }),
            text("gateway_event", r#""account":"main","event":"evt_1""#),
            "gateway_event:main:evt_1".to_owned(),
        ),
        (
            Job::GatewaySweep(GatewaySweep { account: "main".to_owned() }),
            text("gateway_sweep", r#""account":"main""#),
            "gateway_sweep:main".to_owned(),
        ),
    ]
}

#[test]
fn every_job_keeps_its_text_and_its_identity() {
    for (job, text, dedupe) in golden() {
        assert_eq!(serde_json::to_string(&job).unwrap(), text);
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
        assert_eq!(job.dedupe(), dedupe);
    }
}

#[test]
fn a_withdrawal_may_name_the_operation() {
    let job = Job::Withdraw(Withdraw::other(payment(), 3, "pi_1".to_owned()));
    let text = format!(r#"{{"type":"withdraw","payment":"{PAYMENT}","attempt":3,"operation":"pi_1"}}"#);

    assert_eq!(serde_json::to_string(&job).unwrap(), text);
    assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    assert_eq!(job.dedupe(), format!("{PAYMENT}:withdraw:3:pi_1"));
}

#[test]
fn every_kind_is_listed() {
    let kinds: Vec<_> = golden().iter().map(|(job, ..)| job.kind()).collect();

    assert_eq!(kinds, Job::KINDS);
}
