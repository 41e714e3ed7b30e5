//! Idempotency keys: whoever inserts a key first makes the payment or the refund, and everybody else gets that one.

use super::{
    Owner as Caller, Store, StoreError, Tx,
    change::{Change, Key, Subject},
    row::{At, json},
    text::{Text, bulk, insert, on},
};
use crate::domain::clock::Time;
use dunlin_jobs::{PaymentId, RefundId};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What became of a change's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The key is new, and this change makes what it is for.
    Won,
    /// The same was asked before.
    Replayed(Made),
    /// Something else was asked under the key.
    Reused(Made),
}

/// What was made under a key: a payment, or a refund of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub payment: PaymentId,
    pub refund: Option<RefundId>,
}

impl Claim {
    /// What an earlier change made.
    pub(super) fn existing(&self) -> Option<Made> {
        match self {
            Self::Won => None,
            Self::Replayed(first) | Self::Reused(first) => Some(*first),
        }
    }
}

#[derive(Serialize)]
struct KeyRow<'a> {
    tenant_id: String,
    livemode: bool,
    scope: &'a str,
    idempotency_key: &'a str,
    fingerprint: &'a str,
    payment_id: String,
    refund_id: Option<String>,
    created_at: At,
}

type Owner = (String, bool, String, String);

const INSERT: Text = insert!(
    "idempotency_keys"
    (tenant_id text, livemode boolean, scope text, idempotency_key text, fingerprint text, payment_id text,
        refund_id text, created_at timestamptz)
    "ON CONFLICT DO NOTHING RETURNING tenant_id, livemode, scope, idempotency_key"
);

const FIND: Text = bulk!(
    "SELECT k.tenant_id, k.livemode, k.scope, k.idempotency_key, k.fingerprint, k.payment_id, k.refund_id \
     FROM idempotency_keys k JOIN "
    rows(tenant_id text, livemode boolean, scope text, idempotency_key text)
    " ON k.tenant_id = r.tenant_id AND k.livemode = r.livemode AND k.scope = r.scope \
      AND k.idempotency_key = r.idempotency_key"
);

const RELEASE: Text = bulk!(
    "DELETE FROM idempotency_keys WHERE (tenant_id, livemode, scope, idempotency_key) IN \
     (SELECT r.tenant_id, r.livemode, r.scope, r.idempotency_key FROM "
    rows(tenant_id text, livemode boolean, scope text, idempotency_key text)
    ")"
);

/// One who asks for something under a key.
#[derive(Clone, Copy)]
struct Asking<'a> {
    key: &'a Key,
    made: Made,
    at: Time,
}

/// Claims the keys of all changes that are made under one, by the index of the change.
pub(super) async fn claim(tx: &mut Tx, changes: &[Change]) -> Result<HashMap<usize, Claim>, StoreError> {
    // Sorted, since two batches that insert the same keys in different orders would deadlock.
    let mut groups: BTreeMap<Owner, Vec<(usize, Asking<'_>)>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let Some((owner, asking)) = keyed(change) else { continue };
        groups.entry(owner).or_default().push((index, asking));
    }
    if groups.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> = groups
        .iter()
        .filter_map(|(owner, members)| members.first().map(|first| row(owner, first.1)))
        .collect();
    let won = insert_rows(tx, &rows).await?;
    let lost: Vec<_> = rows.iter().filter(|row| !won.contains(&row.owner())).collect();
    let existing = find_rows(tx, &lost).await?;

    let mut claims = HashMap::new();
    for (owner, members) in &groups {
        let mut first = existing.get(owner).cloned();
        for (index, Asking { key, made, .. }) in members {
            let claim = match &first {
                None => Claim::Won,
                Some((fingerprint, first)) if *fingerprint == key.fingerprint => Claim::Replayed(*first),
                Some((_, first)) => Claim::Reused(*first),
            };
            first.get_or_insert_with(|| (key.fingerprint.clone(), *made));
            claims.insert(*index, claim);
        }
    }
    Ok(claims)
}

/// Whether two changes are made under one key.
pub(super) fn is_one_key(a: &Change, b: &Change) -> bool {
    let owner = |change| keyed(change).map(|(owner, _)| owner);
    owner(a).is_some_and(|a| Some(a) == owner(b))
}

/// Gives back the keys of refused changes: only what was created is remembered (S2.4).
pub(super) async fn release(tx: &mut Tx, refused: &[&Change]) -> Result<(), StoreError> {
    let owners: Vec<_> = refused.iter().filter_map(|change| keyed(change)).collect();
    let rows: Vec<_> = owners.iter().map(|(owner, asking)| row(owner, *asking)).collect();
    tx.write(RELEASE, &rows).await.map(drop)
}

/// The key of a creating change, and whose it is.
fn keyed(change: &Change) -> Option<(Owner, Asking<'_>)> {
    let (tenant, livemode, asking) = match &change.subject {
        Subject::Create(create) => {
            let payment = &create.payment;
            let made = Made { payment: payment.id, refund: None };
            let asking = Asking { key: create.key.as_ref()?, made, at: payment.created_at };
            (payment.tenant, payment.livemode, asking)
        }
        Subject::Refund(create) => {
            let made = Made { payment: create.payment, refund: Some(create.order.id) };
            (create.tenant, create.livemode, Asking { key: &create.key, made, at: create.asked_at })
        }
        Subject::Wish(wish) => {
            let made = Made { payment: wish.payment, refund: None };
            (wish.tenant, wish.livemode, Asking { key: &wish.key, made, at: wish.asked_at })
        }
        Subject::Event(..)
        | Subject::Job(_)
        | Subject::RefundEvent(..)
        | Subject::Fact(..)
        | Subject::Note => return None,
    };
    let owner = (tenant.to_string(), livemode, asking.key.scope.clone(), asking.key.key.clone());
    Some((owner, asking))
}

fn row<'a>(owner: &'a Owner, asking: Asking<'a>) -> KeyRow<'a> {
    KeyRow {
        tenant_id: owner.0.clone(),
        livemode: owner.1,
        scope: &owner.2,
        idempotency_key: &owner.3,
        fingerprint: &asking.key.fingerprint,
        payment_id: asking.made.payment.to_string(),
        refund_id: asking.made.refund.map(|id| id.to_string()),
        created_at: At(asking.at),
    }
}

impl KeyRow<'_> {
    fn owner(&self) -> Owner {
        (self.tenant_id.clone(), self.livemode, self.scope.to_owned(), self.idempotency_key.to_owned())
    }
}

async fn insert_rows(tx: &mut Tx, rows: &[KeyRow<'_>]) -> Result<HashSet<Owner>, StoreError> {
    let rows = json(&rows);
    let won: Vec<Owner> =
        on!(tx, |tx, pick| sqlx::query_as(pick(INSERT)).bind(rows).fetch_all(&mut **tx).await?);
    Ok(HashSet::from_iter(won))
}

async fn find_rows(tx: &mut Tx, rows: &[&KeyRow<'_>]) -> Result<HashMap<Owner, (String, Made)>, StoreError> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = json(&rows);
    let found: Vec<Row> =
        on!(tx, |tx, pick| sqlx::query_as(pick(FIND)).bind(rows).fetch_all(&mut **tx).await?);
    found.into_iter().map(read).collect()
}

type Row = (String, bool, String, String, String, String, Option<String>);

fn read(
    (tenant, livemode, scope, key, fingerprint, payment, refund): Row,
) -> Result<(Owner, (String, Made)), StoreError> {
    let corrupt = |column, id: &str| StoreError::corrupt("idempotency_keys", column, id);
    let made = Made {
        payment: payment.parse().map_err(|_| corrupt("payment_id", &payment))?,
        refund: match refund {
            Some(refund) => Some(refund.parse().map_err(|_| corrupt("refund_id", &refund))?),
            None => None,
        },
    };
    Ok(((tenant, livemode, scope, key), (fingerprint, made)))
}

impl Store {
    /// What was made under keys of one operation, and what was asked for then, by the key.
    pub async fn find_made(
        &self,
        owner: Caller,
        keys: &[Key],
    ) -> Result<HashMap<String, (Made, String)>, StoreError> {
        #[derive(Serialize)]
        struct Asked<'a> {
            tenant_id: String,
            livemode: bool,
            scope: &'a str,
            idempotency_key: &'a str,
        }
        let asked = keys.iter().map(|key| Asked {
            tenant_id: owner.tenant.to_string(),
            livemode: owner.livemode,
            scope: &key.scope,
            idempotency_key: &key.key,
        });
        let rows = json(&asked.collect::<Vec<_>>());
        let found: Vec<Row> =
            on!(&self.db, |db, pick| sqlx::query_as(pick(FIND)).bind(rows).fetch_all(db).await?);
        let made = found.into_iter().map(read).map(|made| {
            let ((_, _, _, key), (fingerprint, made)) = made?;
            Ok((key, (made, fingerprint)))
        });
        made.collect()
    }
}
