//! Stripe's webhooks: the signature over the raw bytes, and the few facts that say where to look
//! (docs.stripe.com/webhooks/signature).

use super::{
    super::{
        listing::Topic,
        text,
        webhook::{Notification, WebhookError},
    },
    REFERENCE, refund,
};
use crate::domain::clock::Time;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use std::collections::BTreeMap;

/// How old, or how far ahead, a signature may be.
const TOLERANCE_S: i64 = 300;
/// The longest id that is asked after.
const MAX_NAME: usize = 255;

/// The types that are looked into (docs.stripe.com/api/events/types); any other is kept and left alone.
const FOLLOWED: [&str; 17] = [
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.processing",
    "payment_intent.requires_action",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "radar.early_fraud_warning.created",
    RENEWED,
];

/// A card's network has renewed what is kept (docs.stripe.com/payments/cards/overview#automatic-card-updates).
const RENEWED: &str = "payment_method.automatically_updated";

/// The one type about refunds whose object is the charge itself.
const CHARGE_REFUNDED: &str = "charge.refunded";

/// What the types begin with whose object is an intent.
const ABOUT_AN_INTENT: &str = "payment_intent.";

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Object {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    charge: Option<String>,
}

/// Reads an event whose signature is good.
pub(super) fn read(
    secret: Option<&SecretString>,
    livemode: bool,
    (headers, body): (&BTreeMap<String, String>, &[u8]),
    now: Time,
) -> Result<Notification, WebhookError> {
    let secret = secret.ok_or(WebhookError::NotConfigured)?;
    let header = headers.get("stripe-signature").ok_or(WebhookError::Forged("there is no signature"))?;
    check(secret, header, body, now)?;
    let event: Event = text::read(body).ok_or(WebhookError::Unreadable)?;
    if event.id.is_empty() || event.kind.is_empty() {
        return Err(WebhookError::Unreadable);
    }
    let followed = event.livemode == livemode && FOLLOWED.contains(&event.kind.as_str());
    let Object { id, metadata, charge } = event.data.object;
    let metadata = metadata.filter(|_| followed).unwrap_or_default();
    let id = id.filter(|id| followed && is_id(id));
    let topic = topic(&event.kind).filter(|_| followed);
    let charge = if event.kind == CHARGE_REFUNDED { id.clone() } else { charge.filter(|id| is_id(id)) };
    let charge = charge.filter(|_| topic.is_some());
    let renewed_method = id.clone().filter(|_| event.kind == RENEWED);
    let is_operation = event.kind.starts_with(ABOUT_AN_INTENT)
        || (topic == Some(Topic::Refunds) && event.kind != CHARGE_REFUNDED);
    let operation = id.filter(|_| is_operation);
    let payment = metadata.get(REFERENCE).and_then(|reference| reference.parse().ok());
    let refund = metadata.get(refund::REFERENCE).and_then(|reference| reference.parse().ok());
    let (id, kind) = (text::id(&event.id), text::id(&event.kind));
    Ok(Notification { id, kind, payment, operation, refund, charge, topic, renewed_method })
}

/// What of the charge is to be looked at.
fn topic(kind: &str) -> Option<Topic> {
    let begins = |start: &str| kind.starts_with(start);
    if begins("refund.") || begins("charge.refund") {
        return Some(Topic::Refunds);
    }
    if begins("charge.dispute.") {
        return Some(Topic::Disputes);
    }
    begins("radar.early_fraud_warning.").then_some(Topic::Warnings)
}

/// Whether it can stand in the path of a call.
pub(super) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(plain)
}

/// The header is `t=SECONDS,v1=HEX`, with a `v1` for each secret while one is replaced by another.
fn check(secret: &SecretString, header: &str, body: &[u8], now: Time) -> Result<(), WebhookError> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let signed_at = parts().find(|(name, _)| *name == "t").map(|(_, value)| value);
    let signed_at = signed_at.ok_or(WebhookError::Forged("the signature has no time"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .map_err(|_| WebhookError::NotConfigured)?;
    mac.update(signed_at.as_bytes());
    mac.update(b".");
    mac.update(body);
    // `verify_slice` takes the same time for each wrong signature.
    let is_good =
        |value: &str| hex::decode(value).is_ok_and(|signature| mac.clone().verify_slice(&signature).is_ok());
    if !parts().any(|(name, value)| name == "v1" && is_good(value)) {
        return Err(WebhookError::Forged("the signature is not of this body and secret"));
    }
    let signed_at: i64 =
        signed_at.parse().map_err(|_| WebhookError::Forged("the signature's time is no number"))?;
    if signed_at.abs_diff(now.timestamp()) > TOLERANCE_S.unsigned_abs() {
        return Err(WebhookError::Forged("the signature is too old, or a clock is wrong"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use serde_json::{Value, json};

    const PAYMENT: &str = "pay_0190000000007000800000000000000a";
    const NOW: i64 = 1_800_000_000;

    fn secret() -> SecretString {
        "whsec_1".to_owned().into()
    }

    fn sign(secret: &str, at: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{at}.{body}").as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    fn event(kind: &str) -> Value {
        let object = json!({ "object": "payment_intent", "metadata": { REFERENCE: PAYMENT } });
        json!({ "id": "evt_1", "type": kind, "livemode": false, "data": { "object": object } })
    }

    fn read_signed(header: &str, body: &str) -> Result<Notification, WebhookError> {
        let headers = BTreeMap::from([("stripe-signature".to_owned(), header.to_owned())]);
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        read(Some(&secret()), false, (&headers, body.as_bytes()), now)
    }

    fn read_good(event: &Value) -> Result<Notification, WebhookError> {
        let body = event.to_string();
        read_signed(&format!("t={NOW},v1={}", sign("whsec_1", NOW, &body)), &body)
    }

    #[test]
    fn a_signed_event_names_the_payment_to_look_at() {
        let read = read_good(&event("payment_intent.succeeded")).unwrap();

        assert_eq!((read.id.as_str(), read.kind.as_str()), ("evt_1", "payment_intent.succeeded"));
        assert_eq!(read.payment, PAYMENT.parse().ok());
    }

    #[test]
    fn an_intents_event_names_the_intent() {
        let mut told = event("payment_intent.succeeded");
        told["data"]["object"]["id"] = json!("pi_2");
        let mut odd = event("payment_intent.succeeded");
        odd["data"]["object"]["id"] = json!("../charges/ch_1");
        let mut refund = event("refund.failed");
        refund["data"]["object"]["id"] = json!("re_1");
        refund["data"]["object"]["charge"] = json!("ch_1");
        let mut charge = event("charge.refunded");
        charge["data"]["object"]["id"] = json!("ch_1");

        assert_eq!(read_good(&told).unwrap().operation.as_deref(), Some("pi_2"));
        assert_eq!(read_good(&odd).unwrap().operation, None);
        let told = |event: &Value| {
            let read = read_good(event).unwrap();
            (read.operation, read.charge, read.topic)
        };
        let (id, refunds) = (|id: &str| Some(id.to_owned()), Some(Topic::Refunds));
        assert_eq!(told(&refund), (id("re_1"), id("ch_1"), refunds));
        assert_eq!(told(&charge), (None, id("ch_1"), refunds));
    }

    #[test]
    fn a_refunds_event_names_the_refund_too() {
        let id = "rfd_0190000000007000800000000000000b";
        let mut event = event("refund.failed");
        event["data"]["object"] = json!({ "object": "refund",
            "metadata": { REFERENCE: PAYMENT, refund::REFERENCE: id } });

        let read = read_good(&event).unwrap();

        assert_eq!((read.payment, read.refund), (PAYMENT.parse().ok(), id.parse().ok()));
    }

    // Another implementation of HMAC, Python's, gives this signature for these bytes.
    #[test]
    fn the_signature_is_over_the_time_a_dot_and_the_bytes() {
        assert_eq!(
            sign("whsec_test_secret", 12_345, "{\"id\":\"evt_1\"}"),
            "b99ec5f59dd69a44f5bcfd252ab7bc3d1bd191bd61c9b9ea85139b856a73bc6f"
        );
    }

    #[test]
    fn any_one_of_several_signatures_will_do() {
        let body = event("payment_intent.succeeded").to_string();
        let (old, new) = (sign("whsec_0", NOW, &body), sign("whsec_1", NOW, &body));

        for header in [
            format!("t={NOW},v1={old},v1={new}"),
            format!("t={NOW},v1={new},v1={old}"),
            format!("t={NOW}, v1=zz, v0=00, v1={new}"),
        ] {
            assert!(read_signed(&header, &body).is_ok(), "{header}");
        }
    }

    #[test]
    fn what_is_not_signed_by_the_secret_is_refused() {
        let body = event("payment_intent.succeeded").to_string();
        let good = sign("whsec_1", NOW, &body);

        for header in [
            String::new(),
            format!("t={NOW}"),
            format!("v1={good}"),
            format!("t={NOW},v1="),
            format!("t={NOW},v0={good}"),
            format!("t={NOW},v1={}", sign("whsec_0", NOW, &body)),
            format!("t={NOW},v1={}", &good[..62]),
            format!("t={},v1={good}", NOW + 1),
        ] {
            assert!(matches!(read_signed(&header, &body), Err(WebhookError::Forged(_))), "{header}");
        }
        let header = format!("t={NOW},v1={good}");
        assert!(matches!(read_signed(&header, &format!("{body} ")), Err(WebhookError::Forged(_))));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let body = event("payment_intent.succeeded").to_string();
        for (at, good) in [(-301, false), (-300, true), (300, true), (301, false)] {
            let at = NOW + at;
            let header = format!("t={at},v1={}", sign("whsec_1", at, &body));
            assert_eq!(read_signed(&header, &body).is_ok(), good, "{at}");
        }
    }

    #[test]
    fn a_signed_event_is_kept_whatever_it_is_called() {
        let mut odd = event("payment_intent.succeeded\u{0}");
        odd["id"] = json!("evt_\u{0}");
        let mut other = odd.clone();
        other["id"] = json!("evt_\u{1}");

        let (odd, other) = (read_good(&odd).unwrap(), read_good(&other).unwrap());

        assert_ne!(odd.id, other.id);
        for name in [odd.id, odd.kind, other.id] {
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_taken() {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();

        let read = read(None, false, (&BTreeMap::new(), b"{}"), now);

        assert_eq!(read, Err(WebhookError::NotConfigured));
    }

    #[test]
    fn what_is_not_followed_points_at_nothing() {
        let mut other_environment = event("payment_intent.succeeded");
        other_environment["livemode"] = json!(true);
        let mut stranger = event("payment_intent.succeeded");
        stranger["data"]["object"]["metadata"] = json!({});
        let mut bare = event("payment_intent.succeeded");
        bare["data"]["object"] = json!({ "object": "balance" });

        for event in [event("brand.new"), other_environment, stranger, bare] {
            assert_eq!(read_good(&event).map(|read| read.payment), Ok(None), "{event}");
        }
        for unreadable in [json!({}), json!([]), json!({ "id": 1 })] {
            assert_eq!(read_good(&unreadable), Err(WebhookError::Unreadable), "{unreadable}");
        }
    }
}
