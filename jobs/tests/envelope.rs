//! The wire of envelopes: what producers in any language write. These lines are for ever.
#![expect(clippy::unwrap_used, reason = "in a test, what is not there fails it")]

use chrono::DateTime;
use dunlin_jobs::{Capture, Envelope, Method, Money, NewPayment, Order};
use std::collections::BTreeMap;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// One with everything said, as a program of this crate writes it.
const FULL: &str = r#"{"v":1,"id":"order-7","tenant":"default","livemode":true,"type":"charge","payment":{"amount":1250,"currency":"EUR","method":{"type":"card","payment_method":"pm_1","gateway_customer":"cus_g"},"off_session":false,"return_url":"https://shop.example/back","capture":"deferred","process_at":"2027-01-01T00:00:00Z","gateway":"main","customer":"cus_1","reference":"r-7","description":"seven","metadata":{"a":"b"}},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;

/// The least that a person writes.
const LEAST: &str = r#"{"v":1,"id":"7","tenant":"default","livemode":false,"type":"charge","payment":{"amount":5,"customer":"c"}}"#;

fn full() -> Envelope {
    let payment = NewPayment {
        method: Some(Method { gateway_customer: Some("cus_g".to_owned()), ..Method::card("pm_1") }),
        off_session: false,
        return_url: Some("https://shop.example/back".to_owned()),
        capture: Capture::Deferred,
        process_at: DateTime::from_timestamp(1_798_761_600, 0),
        gateway: Some("main".to_owned()),
        customer: Some("cus_1".to_owned()),
        reference: Some("r-7".to_owned()),
        description: Some("seven".to_owned()),
        metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ..NewPayment::of(Money::new(1250, "EUR".parse().unwrap()).unwrap())
    };
    let envelope = Envelope::new("order-7", "default", true, Order::Charge(payment));
    Envelope { traceparent: Some(TRACE.to_owned()), ..envelope }
}

#[test]
fn an_envelope_keeps_its_text() {
    assert_eq!(full().to_json(), FULL);
    assert_eq!(serde_json::from_str::<Envelope>(FULL).unwrap(), full());
}

#[test]
fn what_is_left_out_has_its_meaning() {
    let envelope: Envelope = serde_json::from_str(LEAST).unwrap();

    let Order::Charge(payment) = envelope.order else { panic!("a charge") };
    assert_eq!((payment.amount, payment.currency, payment.off_session), (5, None, true));
    assert_eq!((payment.capture, payment.method, envelope.traceparent), (Capture::Now, None, None));
}

#[test]
fn what_no_reader_knows_is_refused_by_name() {
    let change = |from: &str, to: &str| {
        assert!(LEAST.contains(from), "{from}");
        serde_json::from_str::<Envelope>(&LEAST.replace(from, to)).unwrap_err().to_string()
    };

    assert!(change(r#""v":1"#, r#""v":2"#).contains("version 2"));
    assert!(change(r#""v":1,"#, "").contains("missing field `v`"));
    assert!(change(r#""livemode":false,"#, "").contains("missing field `livemode`"));
    assert!(change(r#""type":"charge""#, r#""type":"retry""#).contains("unknown variant `retry`"));
    assert!(change(r#""id":"7""#, r#""id":"7","key":"7""#).contains("unknown field `key`"));
    assert!(change(r#""amount":5"#, r#""amount":5,"tip":1"#).contains("unknown field `tip`"));
    assert!(change(r#""amount":5"#, r#""amount":5.0"#).contains("whole number of minor units"));
}
