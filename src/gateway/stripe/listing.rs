//! What Stripe lists of refunds, disputes and warnings of fraud, whoever made them.

use super::{
    super::{
        Call, Reply,
        listing::{Listed, Listings, Page, Span, Topic},
        text,
    },
    REFERENCE, Stripe, form, get, money, origin,
    read::plain,
    refund, webhook,
};
use crate::domain::{
    clock::Time,
    dispute::{Dispute, DisputeStatus, FraudWarning},
    refund::{Outcome, Seen},
};
use chrono::DateTime;
use dunlin_jobs::PaymentId;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// docs.stripe.com/api/refunds/object
#[derive(Debug, Deserialize)]
struct Refund {
    id: String,
    charge: String,
    created: i64,
    amount: i64,
    currency: String,
    status: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// docs.stripe.com/api/disputes/object
#[derive(Debug, Deserialize)]
struct Disputed {
    id: String,
    charge: String,
    created: i64,
    amount: i64,
    currency: String,
    status: String,
    reason: String,
    #[serde(default)]
    evidence_details: Details,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    due_by: Option<i64>,
}

/// <https://docs.stripe.com/api/radar/early_fraud_warnings/object>
#[derive(Debug, Deserialize)]
struct Warned {
    id: String,
    charge: String,
    created: i64,
    fraud_type: String,
    actionable: bool,
}

#[derive(Debug, Deserialize)]
struct Charge {
    object: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl Listings for Stripe {
    fn list(&self, topic: Topic, span: Span<'_>) -> Call {
        let path = match topic {
            Topic::Refunds => "/v1/refunds",
            Topic::Disputes => "/v1/disputes",
            Topic::Warnings => "/v1/radar/early_fraud_warnings",
        };
        let mut query = vec![("limit", "100".to_owned())];
        query.extend(span.charge.map(|charge| ("charge", charge.to_owned())));
        query.extend(span.from.map(|from| ("created[gte]", from.timestamp().to_string())));
        query.extend(span.after.map(|after| ("starting_after", after.to_owned())));
        get(format!("{path}?{}", form(&query)))
    }

    fn read_refunds(&self, reply: &Reply) -> Listed<Seen> {
        read(reply, |refund: Refund| {
            Some(Seen {
                charge: id(&refund.charge)?,
                money: money::from_stripe(refund.amount, &refund.currency),
                outcome: outcome(refund.status.as_deref(), refund.failure_reason.as_deref()),
                reference: refund.metadata.get(refund::REFERENCE).and_then(|id| id.parse().ok()),
                payment: refund.metadata.get(REFERENCE).and_then(|id| id.parse().ok()),
                made_at: moment(refund.created)?,
                operation: id(&refund.id)?,
            })
        })
    }

    fn read_disputes(&self, reply: &Reply) -> Listed<Dispute> {
        read(reply, |dispute: Disputed| {
            let money = money::from_stripe(dispute.amount, &dispute.currency)?;
            Some(Dispute {
                id: id(&dispute.id)?,
                charge: id(&dispute.charge)?,
                status: status(&dispute.status),
                amount: money.minor(),
                currency: money.currency(),
                reason: plain(&dispute.reason),
                due_by: dispute.evidence_details.due_by.and_then(moment),
                opened_at: moment(dispute.created)?,
            })
        })
    }

    fn read_warnings(&self, reply: &Reply) -> Listed<FraudWarning> {
        read(reply, |warning: Warned| {
            Some(FraudWarning {
                id: id(&warning.id)?,
                charge: id(&warning.charge)?,
                kind: plain(&warning.fraud_type),
                actionable: warning.actionable,
                made_at: moment(warning.created)?,
            })
        })
    }

    fn find_charge(&self, charge: &str) -> Call {
        get(format!("/v1/charges/{charge}"))
    }

    fn read_charge_payment(&self, reply: &Reply) -> Result<Option<PaymentId>, String> {
        if origin::is_missing(reply) {
            return Ok(None);
        }
        let shown: Option<Charge> = text::read(&reply.body).filter(|_| reply.status == 200);
        let Some(charge) = shown.filter(|charge| charge.object == "charge") else {
            return Err(format!("HTTP {}: the gateway did not show the charge", reply.status));
        };
        Ok(charge.metadata.get(REFERENCE).and_then(|id| id.parse().ok()))
    }
}

/// A page; one thing on it that makes no sense must not hide the others.
fn read<O: DeserializeOwned, T>(reply: &Reply, item: impl Fn(O) -> Option<T>) -> Listed<T> {
    let say = |why: &str| format!("HTTP {}: {why}", reply.status);
    match reply.status {
        200 => {}
        _ if origin::refuses_credentials(reply) => return Listed::Refused(say("the key was refused")),
        _ if origin::is_missing(reply) => return Listed::Gone(say("there is no such place in the list")),
        _ => return Listed::Nothing(say("the question was not answered")),
    }
    let Some(listed) = origin::page::<Value>(reply) else {
        return Listed::Nothing(say("the answer cannot be read"));
    };
    let made = |raw: &Value| raw.get("created").and_then(Value::as_i64).and_then(moment);
    let last = listed.data.last().and_then(|raw| raw.get("id")).and_then(Value::as_str).and_then(id);
    if listed.has_more && last.is_none() {
        return Listed::Nothing(say("a page that names nothing claims that there is more"));
    }
    let (count, newest) = (listed.data.len(), listed.data.first().and_then(made));
    let items: Vec<T> =
        listed.data.into_iter().filter_map(|raw| item(serde_json::from_value(raw).ok()?)).collect();
    let unreadable = count - items.len();
    Listed::Page(Page { items, unreadable, newest, next_after: last.filter(|_| listed.has_more) })
}

fn id(text: &str) -> Option<String> {
    webhook::is_id(text).then(|| text.to_owned())
}

fn moment(seconds: i64) -> Option<Time> {
    DateTime::from_timestamp(seconds, 0)
}

pub(super) fn outcome(status: Option<&str>, failure: Option<&str>) -> Outcome {
    let failed = |otherwise: &str| Outcome::Failed(plain(failure.unwrap_or(otherwise)));
    match status {
        Some("succeeded") => Outcome::Succeeded,
        Some("failed") => failed("the gateway says that it failed"),
        Some("canceled") => failed("the gateway canceled it"),
        // `pending`, and `requires_action`, where the payer has to say where the money should go.
        Some(_) | None => Outcome::Processing,
    }
}

fn status(name: &str) -> DisputeStatus {
    match name {
        "warning_needs_response" => DisputeStatus::InquiryNeedsResponse,
        "warning_under_review" => DisputeStatus::InquiryUnderReview,
        "warning_closed" => DisputeStatus::InquiryClosed,
        "needs_response" => DisputeStatus::NeedsResponse,
        "won" => DisputeStatus::Won,
        "lost" => DisputeStatus::Lost,
        "prevented" => DisputeStatus::Prevented,
        // `under_review`; and what is not known is not over.
        _ => DisputeStatus::UnderReview,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reply(status: u16, body: &Value) -> Reply {
        Reply { status, headers: BTreeMap::new(), body: body.to_string().into_bytes() }
    }

    fn refund(id: &str) -> Value {
        json!({ "id": id, "charge": "ch_1", "created": 1_800_000_000, "amount": 400, "currency": "eur",
            "status": "succeeded", "metadata": {} })
    }

    fn refunds(reply: &Reply) -> Listed<Seen> {
        read(reply, |refund: Refund| {
            let money = money::from_stripe(refund.amount, &refund.currency);
            let outcome = outcome(refund.status.as_deref(), None);
            let made_at = moment(refund.created)?;
            Some(Seen {
                operation: id(&refund.id)?,
                charge: id(&refund.charge)?,
                money,
                outcome,
                reference: None,
                payment: None,
                made_at,
            })
        })
    }

    #[test]
    fn one_thing_that_makes_no_sense_does_not_hide_the_others() {
        let mut odd = refund("re_2");
        odd["charge"] = Value::Null;
        let page =
            json!({ "object": "list", "data": [refund("re_1"), odd, refund("re_3")], "has_more": true });

        let Listed::Page(page) = refunds(&reply(200, &page)) else { panic!("it is a page") };

        let ids: Vec<_> = page.items.iter().map(|seen| seen.operation.as_str()).collect();
        assert_eq!((ids, page.unreadable), (vec!["re_1", "re_3"], 1));
        assert_eq!(page.next_after.as_deref(), Some("re_3"));
        assert_eq!(page.newest, moment(1_800_000_000));
    }

    #[test]
    fn what_is_no_page_says_why() {
        let empty = json!({ "object": "list", "data": [], "has_more": true });
        let error = |code: &str| json!({ "error": { "type": "invalid_request_error", "code": code } });

        assert!(matches!(refunds(&reply(200, &empty)), Listed::Nothing(_)));
        assert!(matches!(refunds(&reply(200, &json!("x"))), Listed::Nothing(_)));
        assert!(matches!(refunds(&reply(500, &json!({}))), Listed::Nothing(_)));
        assert!(matches!(refunds(&reply(401, &error("api_key_expired"))), Listed::Refused(_)));
        assert!(matches!(refunds(&reply(404, &error("resource_missing"))), Listed::Gone(_)));
        assert!(matches!(refunds(&reply(400, &error("parameter_unknown"))), Listed::Nothing(_)));
    }

    #[test]
    fn a_status_that_is_not_known_is_not_over() {
        assert_eq!(status("under_review"), DisputeStatus::UnderReview);
        assert_eq!(status("brand_new"), DisputeStatus::UnderReview);
        assert_eq!(status("lost"), DisputeStatus::Lost);
    }
}
