//! Idempotency keys: whoever inserts a key first makes the payment, and everybody else gets that one.

use super::{
    StoreError, Tx,
    change::{Change, Create, Key, Subject},
    row::{At, json},
    text::{Text, bulk, insert, on},
};
use dunlin_jobs::PaymentId;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// What became of a change's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The key is new, and this change makes its payment.
    Won,
    /// The same was asked before.
    Replayed(PaymentId),
    /// Something else was asked under the key.
    Reused(PaymentId),
}

impl Claim {
    /// The payment that an earlier transaction made.
    pub(super) fn existing(&self) -> Option<PaymentId> {
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
    created_at: At,
}

type Owner = (String, bool, String, String);

const INSERT: Text = insert!(
    "idempotency_keys"
    (tenant_id text, livemode boolean, scope text, idempotency_key text, fingerprint text, payment_id text,
        created_at timestamptz)
    "ON CONFLICT DO NOTHING RETURNING payment_id"
);

const FIND: Text = bulk!(
    "SELECT k.tenant_id, k.livemode, k.scope, k.idempotency_key, k.fingerprint, k.payment_id \
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

/// Claims the keys of all creating changes, by the index of the change.
pub(super) async fn claim(tx: &mut Tx, changes: &[Change]) -> Result<HashMap<usize, Claim>, StoreError> {
    // Sorted, since two batches that insert the same keys in different orders would deadlock.
    let mut groups: BTreeMap<Owner, Vec<(usize, &Create, &Key)>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        let Some((owner, create, key)) = keyed(change) else { continue };
        groups.entry(owner).or_default().push((index, create, key));
    }
    if groups.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> = groups
        .iter()
        .filter_map(|(owner, members)| members.first().map(|first| row(owner, first.1, first.2)))
        .collect();
    let won = insert_rows(tx, &rows).await?;
    let lost: Vec<_> = rows.iter().filter(|row| !won.contains(&row.payment_id)).collect();
    let existing = find_rows(tx, &lost).await?;

    let mut claims = HashMap::new();
    for (owner, members) in &groups {
        let mut first = existing.get(owner).cloned();
        for (index, create, key) in members {
            let claim = match &first {
                None => Claim::Won,
                Some((fingerprint, payment)) if *fingerprint == key.fingerprint => Claim::Replayed(*payment),
                Some((_, payment)) => Claim::Reused(*payment),
            };
            first.get_or_insert_with(|| (key.fingerprint.clone(), create.payment.id));
            claims.insert(*index, claim);
        }
    }
    Ok(claims)
}

/// Gives back the keys of refused changes: only what was created is remembered (S2.4).
pub(super) async fn release(tx: &mut Tx, refused: &[&Change]) -> Result<(), StoreError> {
    let owners: Vec<_> = refused.iter().filter_map(|change| keyed(change)).collect();
    let rows: Vec<_> = owners.iter().map(|(owner, create, key)| row(owner, create, key)).collect();
    tx.write(RELEASE, &rows).await.map(drop)
}

/// The key of a creating change, and whose it is.
fn keyed(change: &Change) -> Option<(Owner, &Create, &Key)> {
    let Subject::Create(create) = &change.subject else { return None };
    let key = create.key.as_ref()?;
    let tenant = create.payment.tenant.to_string();
    Some(((tenant, create.payment.livemode, key.scope.clone(), key.key.clone()), create, key))
}

fn row<'a>(owner: &'a Owner, create: &'a Create, key: &'a Key) -> KeyRow<'a> {
    KeyRow {
        tenant_id: owner.0.clone(),
        livemode: owner.1,
        scope: &owner.2,
        idempotency_key: &owner.3,
        fingerprint: &key.fingerprint,
        payment_id: create.payment.id.to_string(),
        created_at: At(create.payment.created_at),
    }
}

async fn insert_rows(tx: &mut Tx, rows: &[KeyRow<'_>]) -> Result<Vec<String>, StoreError> {
    let rows = json(&rows);
    on!(tx, |tx, pick| Ok(sqlx::query_scalar(pick(INSERT)).bind(rows).fetch_all(&mut **tx).await?))
}

async fn find_rows(
    tx: &mut Tx,
    rows: &[&KeyRow<'_>],
) -> Result<HashMap<Owner, (String, PaymentId)>, StoreError> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = json(&rows);
    let found: Vec<(String, bool, String, String, String, String)> =
        on!(tx, |tx, pick| sqlx::query_as(pick(FIND)).bind(rows).fetch_all(&mut **tx).await?);
    found
        .into_iter()
        .map(|(tenant, livemode, scope, key, fingerprint, payment)| {
            let id = payment
                .parse()
                .map_err(|_| StoreError::corrupt("idempotency_keys", "payment_id", &payment))?;
            Ok(((tenant, livemode, scope, key), (fingerprint, id)))
        })
        .collect()
}
