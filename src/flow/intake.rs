//! Intake: what producers leave without HTTP, made into payments. Each envelope has its own fate, and what it lies in is
//! acknowledged by whoever read it, after the commit only (S5.11).

mod doubts;

use super::{ErrorKind, FlowError, Flows, key, payments::Request};
use crate::{
    domain::{
        card,
        clock::Time,
        json::{self, Misread},
        letter::{Letter, Source, kept},
        trace::is_traceparent,
    },
    store::{Owner, StoreError},
};
use dunlin_jobs::{Envelope, LetterId, Order, PaymentId, TenantId, read_identifier};
use futures_util::FutureExt;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
};

/// Who takes them in, for the history.
const BY: &str = "intake";

/// What a producer has left, as a reader finds it.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    pub bytes: &'a [u8],
    /// The restore before which it may have been taken in, without being on record here.
    pub restored_at: Option<Time>,
}

/// What becomes of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its payment is committed, now or by an earlier delivery.
    Taken(PaymentId),
    /// It cannot be taken as it is, however often it is tried.
    Dead(Refusal),
    /// Nothing is wrong with it: it stays where it is and is tried again.
    Late,
}

/// Why an envelope cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    /// The field that is wrong, by its path in the envelope.
    pub field: Option<String>,
    pub reason: String,
}

/// An envelope that says what it has to.
struct Opened {
    tenant: String,
    livemode: bool,
    request: Request,
}

/// What is asked for, by its place among what is read with it.
struct Wanted {
    place: usize,
    restored_at: Option<Time>,
    request: Request,
}

impl Flows {
    /// Takes in envelopes of at most so many bytes; one fate each, in their order.
    pub async fn take_in_mail(&self, mail: &[Delivery<'_>], max_bytes: usize) -> Vec<Fate> {
        let mut fates: Vec<_> = mail.iter().map(|_| Fate::Late).collect();
        let mut tenants = HashMap::new();
        let mut groups: BTreeMap<(TenantId, bool), Vec<Wanted>> = BTreeMap::new();
        for (place, delivery) in mail.iter().enumerate() {
            let opened = match open(delivery.bytes, max_bytes) {
                Ok(opened) => opened,
                Err(refusal) => {
                    fates[place] = Fate::Dead(refusal);
                    continue;
                }
            };
            match self.tenant(&opened.tenant, &mut tenants).await {
                Ok(Some(tenant)) => {
                    let Opened { livemode, request, .. } = opened;
                    let wanted = Wanted { place, restored_at: delivery.restored_at, request };
                    groups.entry((tenant, livemode)).or_default().push(wanted);
                }
                Ok(None) => fates[place] = Fate::Dead(unknown_tenant(&opened.tenant)),
                Err(error) => fates[place] = fate_of(&error.into()),
            }
        }
        for ((tenant, livemode), group) in groups {
            let owner = Owner { tenant, livemode };
            let group = self.set_doubted_apart(owner, group, &mut fates).await;
            let (places, requests): (Vec<_>, Vec<_>) =
                group.into_iter().map(|wanted| (wanted.place, wanted.request)).unzip();
            let taken = self.take_in_group(owner, requests).await;
            for (place, fate) in places.into_iter().zip(taken) {
                fates[place] = fate;
            }
        }
        fates
    }

    /// A tenant by name, looked up once for all of a batch.
    async fn tenant(
        &self,
        name: &str,
        known: &mut HashMap<String, Option<TenantId>>,
    ) -> Result<Option<TenantId>, StoreError> {
        if let Some(found) = known.get(name) {
            return Ok(*found);
        }
        let Ok(read) = read_identifier(name) else { return Ok(None) };
        let found = self.store.find_tenant(&read).await?.map(|tenant| tenant.id);
        known.insert(name.to_owned(), found);
        Ok(found)
    }

    /// Takes in what is one owner's. If that panics, each is tried by itself, so that one alone is at fault.
    async fn take_in_group(&self, owner: Owner, requests: Vec<Request>) -> Vec<Fate> {
        if let Some(fates) = self.try_group(owner, requests.clone()).await {
            return fates;
        }
        tracing::error!(envelopes = requests.len(), "taking in envelopes panicked; each is tried by itself");
        let mut fates = Vec::with_capacity(requests.len());
        for request in requests {
            let alone = self.try_group(owner, vec![request]).await;
            fates.push(
                alone.and_then(|fates| fates.into_iter().next()).unwrap_or_else(|| Fate::Dead(broken())),
            );
        }
        fates
    }

    /// None if it panicked.
    async fn try_group(&self, owner: Owner, requests: Vec<Request>) -> Option<Vec<Fate>> {
        let count = requests.len();
        let created = AssertUnwindSafe(self.create_payments(owner, requests)).catch_unwind().await.ok()?;
        Some(match created {
            Ok(results) => results
                .into_iter()
                .map(|result| match result.map(|committed| committed.payment) {
                    Ok(Some(payment)) => Fate::Taken(payment.id),
                    Ok(None) => Fate::Late,
                    Err(error) => fate_of(&error),
                })
                .collect(),
            Err(error) => {
                let fate = fate_of(&error);
                vec![fate; count]
            }
        })
    }

    /// The letter of an envelope that died.
    pub fn letter(&self, source: Source, entry: Option<String>, bytes: &[u8], refusal: &Refusal) -> Letter {
        let now = self.clock().now(true);
        let (form, envelope) = kept(bytes);
        let letter = Letter {
            id: LetterId::mint(now, self.clock().random()),
            source,
            entry,
            form,
            envelope,
            code: refusal.code.to_owned(),
            field: refusal.field.clone(),
            reason: refusal.reason.clone(),
            refused_at: now,
        };
        tracing::warn!(letter.id = %letter.id, letter.code = letter.code, letter.field = letter.field,
            "an envelope could not be taken: see `dunlin dead-letters show {}`", letter.id);
        letter
    }
}

/// Reads an envelope, as strictly as the API reads a body.
fn open(bytes: &[u8], max_bytes: usize) -> Result<Opened, Refusal> {
    if bytes.len() > max_bytes {
        let reason = format!("the envelope is larger than {max_bytes} bytes (http.max_body_bytes)");
        return Err(refusal("envelope_too_large", None, &reason));
    }
    let value = json::read(bytes)?;
    check_version(&value)?;
    let Envelope { id, tenant, livemode, order, traceparent } = json::part(value)?;
    let key = key::read(&id);
    let key = key.map_err(|mistake| refusal("idempotency_key_invalid", Some("id"), &mistake))?;
    let request = match order {
        Order::Charge(payment) => Request::under(key, payment),
        _ => return Err(refusal("invalid_field", Some("type"), "this kind is not known here")),
    };
    let traceparent = traceparent.filter(|text| is_traceparent(text));
    Ok(Opened { tenant, livemode, request: Request { traceparent, by: BY, ..request } })
}

/// Says that a version is another before any field of it is called unknown.
fn check_version(value: &Value) -> Result<(), Refusal> {
    match value.get("v").and_then(Value::as_u64) {
        Some(version) if version != Envelope::VERSION => {
            let reason =
                format!("version {version} of the envelope is not known here: send {}", Envelope::VERSION);
            Err(refusal("unsupported_version", Some("v"), &reason))
        }
        Some(_) | None => Ok(()),
    }
}

fn fate_of(error: &FlowError) -> Fate {
    match error.kind() {
        ErrorKind::Later => Fate::Late,
        ErrorKind::Caller | ErrorKind::Conflict => Fate::Dead(refused(error)),
        ErrorKind::Broken => {
            tracing::error!(%error, "an envelope could not be taken in");
            // A row that it names makes no sense; anything else is the database's own trouble.
            let is_corrupt = matches!(error, FlowError::Store(StoreError::Corrupt { .. }));
            if is_corrupt { Fate::Dead(broken()) } else { Fate::Late }
        }
    }
}

/// The refusal that the API would tell, about the envelope's fields.
fn refused(error: &FlowError) -> Refusal {
    match error {
        FlowError::Invalid { field, detail } => {
            refusal("invalid_field", Some(&format!("payment.{field}")), detail)
        }
        FlowError::KeyReused { made } => {
            let reason = format!(
                "the id was used before for another order, which made {made}: send that one unchanged, or give this \
                 one an id of its own"
            );
            refusal("idempotency_key_reused", Some("id"), &reason)
        }
        FlowError::Conflict { code: "duplicate_payment", payment: Some(first), .. } => {
            let reason = format!(
                "{first} was made a moment ago for the same customer, amount, currency and reference: drop this \
                 letter, or try it again after payments.duplicate_window_s if a second one is meant"
            );
            refusal("duplicate_payment", None, &reason)
        }
        FlowError::Conflict { code, detail, .. } | FlowError::Exists { code, detail, .. } => {
            refusal(code, None, detail)
        }
        FlowError::NotFound(_)
        | FlowError::Ungivable(_)
        | FlowError::Unproven(_)
        | FlowError::Later(_)
        | FlowError::Store(_) => refusal("refused", None, &error.to_string()),
    }
}

fn unknown_tenant(name: &str) -> Refusal {
    // The whole name is looked at before it is cut.
    let name: String = card::shown(name.to_owned()).chars().take(100).collect();
    let reason =
        format!("there is no tenant {name:?}: `dunlin keys create --tenant` makes one with its first key");
    refusal("unknown_tenant", Some("tenant"), &reason)
}

fn broken() -> Refusal {
    let reason =
        "something is wrong on dunlin's side: its log has the details; once it is mended, try this again";
    refusal("internal", None, reason)
}

/// What is told is kept: it never repeats a card number, nor what no database keeps in a text.
fn refusal(code: &'static str, field: Option<&str>, reason: &str) -> Refusal {
    let plain = |text: &str| card::shown(text.replace(char::is_control, "\u{fffd}"));
    let field = field.filter(|field| !card::looks_like_card_number(field)).map(plain);
    Refusal { code, field, reason: plain(reason) }
}

impl From<Misread> for Refusal {
    fn from(misread: Misread) -> Self {
        refusal(misread.code, misread.param.as_deref(), &misread.detail)
    }
}
