//! The intake after a restore. Producers write into it while no server runs, so what waits in the database that is set
//! aside is read on. What waits in the backup alone was read since, and is not taken in again unasked (S2.15, S5.11).

use super::{Line, identity};
use crate::{
    domain::{clock::Time, letter::why_restored},
    store::{
        Db, StoreError, Tx,
        letters::{self, insert_rows},
        row::At,
        text::on,
    },
};
use dunlin_jobs::read_identifier;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::Path;

/// What waits may have been taken in since it was backed up.
const DOUBT_MAIL: &str = "UPDATE intake SET restored_at = $1 WHERE restored_at IS NULL";

/// A letter may have been tried again since, or dropped.
const DOUBT_LETTERS: &str = "UPDATE dead_letters SET code = 'restored', \
     reason = CAST($1 AS TEXT) || ' (before the restore: ' || code || ', ' || reason || ')' \
     WHERE code <> 'restored'";

/// Doubts all that waits, and all letters.
pub(super) async fn doubt(line: &mut Line<'_>, at: Time) -> Result<(), StoreError> {
    on!(line, |line, _pick| {
        sqlx::query(DOUBT_MAIL).bind(At(at)).execute(&mut **line).await?;
        sqlx::query(DOUBT_LETTERS).bind(why_restored(at)).execute(&mut **line).await?.rows_affected()
    });
    Ok(())
}

/// What waits in a database of SQLite's that is about to be set aside.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) identity: identity::Before,
    mail: Vec<Mail>,
    letters: Vec<letters::Row>,
}

#[derive(Debug)]
struct Mail {
    row: MailRow,
    /// Its key is known there, so that it was taken in, or is the same order once more.
    is_taken: bool,
}

#[derive(Debug, sqlx::FromRow)]
struct MailRow {
    seq: i64,
    envelope: String,
    enqueued_at: At,
    restored_at: Option<At>,
}

/// Reads it without a change to the file.
pub(super) async fn read(database: &Path) -> Result<Former, sqlx::Error> {
    const HAS_MARK: &str = "SELECT count(*) FROM pragma_table_info('intake') WHERE name = 'restored_at'";
    const MAIL: &str = "SELECT seq, envelope, enqueued_at, restored_at FROM intake ORDER BY seq";
    const OLDER: &str = "SELECT seq, envelope, enqueued_at, NULL AS restored_at FROM intake ORDER BY seq";
    let connect = SqliteConnectOptions::new().filename(database).create_if_missing(false).read_only(true);
    let mut connection = connect.connect().await?;
    let marks: i64 = sqlx::query_scalar(HAS_MARK).fetch_one(&mut connection).await?;
    let text = if marks > 0 { MAIL } else { OLDER };
    let rows: Vec<MailRow> = sqlx::query_as(text).fetch_all(&mut connection).await?;
    let mut mail = Vec::with_capacity(rows.len());
    for row in rows {
        let is_taken = is_taken(&mut connection, &row.envelope).await?;
        mail.push(Mail { row, is_taken });
    }
    let letters = sqlx::query_as(letters::ALL).fetch_all(&mut connection).await?;
    let identity = identity::read(&mut connection).await?;
    connection.close().await?;
    Ok(Former { identity, mail, letters })
}

async fn is_taken(connection: &mut SqliteConnection, envelope: &str) -> Result<bool, sqlx::Error> {
    const TEXT: &str = "SELECT count(*) FROM tenants t JOIN idempotency_keys k ON k.tenant_id = t.id \
         WHERE t.name = $1 AND k.livemode = $2 AND k.idempotency_key = $3 \
         AND k.scope IN ('payment.create', 'intake', 'POST /v1/payments', 'POST /v1/payments/batch')";
    let Some((tenant, livemode, key)) = key_of(envelope) else { return Ok(false) };
    let found: i64 =
        sqlx::query_scalar(TEXT).bind(tenant).bind(livemode).bind(key).fetch_one(connection).await?;
    Ok(found > 0)
}

/// Under which key an envelope is taken in. Of one that cannot be, its reader will say why.
fn key_of(envelope: &str) -> Option<(String, bool, String)> {
    let value: Value = serde_json::from_str(envelope).ok()?;
    let text = |name: &str| Some(read_identifier(value.get(name)?.as_str()?).ok()?.into_owned());
    Some((text("tenant")?, value.get("livemode")?.as_bool()?, text("id")?))
}

impl Former {
    /// Lets what waits there, and its letters, take the place of the backup's.
    pub(super) async fn carry_over(&self, tx: &mut Tx, at: Time) -> Result<(), StoreError> {
        const MARK: &str = "UPDATE intake SET restored_at = $1 WHERE seq = (SELECT max(seq) FROM intake)";
        self.remove_same(tx).await?;
        doubt(&mut tx.line(), at).await?;
        for Mail { row, is_taken } in &self.mail {
            tx.leave(&row.envelope, row.enqueued_at).await?;
            if let Some(mark) = row.restored_at.or_else(|| is_taken.then_some(At(at))) {
                on!(&mut *tx, |tx, _pick| {
                    sqlx::query(MARK).bind(mark).execute(&mut **tx).await?.rows_affected()
                });
            }
        }
        insert_rows(tx, &self.letters).await
    }

    /// Removes from the backup what is still there.
    async fn remove_same(&self, tx: &mut Tx) -> Result<(), StoreError> {
        const MAIL: &str = "DELETE FROM intake WHERE seq = $1 AND enqueued_at = $2 AND envelope = $3";
        const LETTER: &str = "DELETE FROM dead_letters WHERE id = $1";
        on!(tx, |tx, _pick| {
            for Mail { row, .. } in &self.mail {
                let same = sqlx::query(MAIL).bind(row.seq).bind(row.enqueued_at).bind(&row.envelope);
                same.execute(&mut **tx).await?;
            }
            for letter in &self.letters {
                sqlx::query(LETTER).bind(letter.id()).execute(&mut **tx).await?;
            }
        });
        Ok(())
    }
}

impl Tx {
    pub(super) fn line(&mut self) -> Line<'_> {
        match self {
            Self::Sqlite(tx) => Db::Sqlite(&mut **tx),
            Self::Postgres(tx) => Db::Postgres(&mut **tx),
        }
    }
}

/// The same around a dump of PostgreSQL's, in the transaction in which it is put in the schema's place. `at` is a literal.
pub(super) fn carry_over(aside: Option<&str>, at: &str, why: &str) -> String {
    let doubt = DOUBT_MAIL.replace("$1", at) + ";\n" + &DOUBT_LETTERS.replace("$1", why) + ";\n";
    let Some(aside) = aside else { return format!("{ADD_MARK}{doubt}") };
    let with_names = |text: &str| text.replace("{aside}", aside).replace("{at}", at);
    format!("{ADD_MARK}{}{doubt}{}", with_names(BEFORE), with_names(AFTER))
}

const ADD_MARK: &str = "ALTER TABLE intake ADD COLUMN IF NOT EXISTS restored_at TIMESTAMPTZ;\n";

/// A producer may have a transaction open that writes into the table of before: it is waited for, and whoever comes later
/// writes into the restored one.
const BEFORE: &str = "\
SET LOCAL lock_timeout = '60s';
LOCK TABLE {aside}.intake IN SHARE MODE;
DELETE FROM intake b USING {aside}.intake a
    WHERE b.seq = a.seq AND b.enqueued_at = a.enqueued_at AND b.envelope = a.envelope;
DELETE FROM dead_letters b USING {aside}.dead_letters a WHERE b.id = a.id;
";

/// An envelope whose key is known in the database of before was taken in there, or is the same order once more.
const AFTER: &str = r"
CREATE FUNCTION dunlin_key_of(envelope text) RETURNS text[] LANGUAGE plpgsql AS $key$
DECLARE
    read jsonb;
    spaces text := E' \t\n\x0b\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';
BEGIN
    read := envelope::jsonb;
    RETURN ARRAY[normalize(btrim(read ->> 'tenant', spaces)), read ->> 'livemode',
        normalize(btrim(read ->> 'id', spaces))];
EXCEPTION WHEN OTHERS THEN
    -- Its reader will say why it cannot be taken in.
    RETURN NULL;
END
$key$;
WITH waiting AS MATERIALIZED (
    SELECT a.seq, a.envelope, a.enqueued_at, (to_jsonb(a) ->> 'restored_at')::timestamptz AS restored_at,
        dunlin_key_of(a.envelope) AS key
    FROM {aside}.intake a
), taken AS (
    SELECT DISTINCT w.seq FROM waiting w
    JOIN {aside}.tenants t ON t.name = w.key[1]
    JOIN {aside}.idempotency_keys k ON k.tenant_id = t.id AND k.livemode = (w.key[2] = 'true')
        AND k.scope IN ('payment.create', 'intake', 'POST /v1/payments', 'POST /v1/payments/batch')
        AND k.idempotency_key = w.key[3]
)
INSERT INTO intake (envelope, enqueued_at, restored_at)
    SELECT w.envelope, w.enqueued_at,
        coalesce(w.restored_at, CASE WHEN t.seq IS NOT NULL THEN {at}::timestamptz END)
    FROM waiting w LEFT JOIN taken t ON t.seq = w.seq ORDER BY w.seq;
DROP FUNCTION dunlin_key_of(text);
INSERT INTO dead_letters (id, source, entry, form, envelope, code, field, reason, refused_at)
    SELECT id, source, entry, form, envelope, code, field, reason, refused_at FROM {aside}.dead_letters
    ON CONFLICT DO NOTHING;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_known_by_its_key_as_it_is_compared() {
        let key = ("t".to_owned(), true, "\u{e9}".to_owned());

        assert_eq!(key_of(r#"{"tenant":"t","livemode":true,"id":" e\u0301\u00a0"}"#), Some(key));
        for nothing in ["", "7", "{}", r#"{"tenant":"t","livemode":"true","id":"1"}"#] {
            assert_eq!(key_of(nothing), None, "{nothing}");
        }
    }
}
