//! Dead letters in the database: kept, shown, put back where a reader finds them, or dropped.

use super::{
    Store, StoreError, Tx,
    row::At,
    text::{Text, insert, on},
};
use crate::domain::letter::{Form, Letter, Source};
use dunlin_jobs::LetterId;
use serde::Serialize;

#[derive(Debug, Serialize, sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    source: String,
    entry: Option<String>,
    form: String,
    envelope: String,
    code: String,
    field: Option<String>,
    reason: String,
    refused_at: At,
}

/// One that is delivered again before it was acknowledged is kept already.
const INSERT: Text = insert!(
    "dead_letters"
    (id text, source text, entry text, form text, envelope text, code text, field text, reason text,
        refused_at timestamptz)
    "ON CONFLICT DO NOTHING"
);

macro_rules! letters {
    ($rest:literal) => {
        concat!(
            "SELECT id, source, entry, form, envelope, code, field, reason, refused_at FROM dead_letters ",
            $rest
        )
    };
}

/// All of them.
pub(super) const ALL: &str = letters!("ORDER BY id");

/// Why a letter could not be put back.
#[derive(Debug, thiserror::Error)]
pub enum NotPutBack {
    #[error("there is no such dead letter")]
    Missing,
    /// It is not kept as it came.
    #[error("it is not kept as it came")]
    NotWhole,
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) async fn insert_letters(tx: &mut Tx, letters: &[Letter]) -> Result<(), StoreError> {
    let rows: Vec<_> = letters.iter().map(Row::from).collect();
    insert_rows(tx, &rows).await
}

pub(super) async fn insert_rows(tx: &mut Tx, rows: &[Row]) -> Result<(), StoreError> {
    tx.write(INSERT, rows).await?;
    Ok(())
}

impl Row {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Store {
    /// Keeps letters; what is kept already stays as it is.
    pub async fn keep_letters(&self, letters: &[Letter]) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        insert_letters(&mut tx, letters).await?;
        tx.commit().await
    }

    /// Letters, the newest first, before one of them.
    pub async fn list_letters(
        &self,
        before: Option<LetterId>,
        limit: u16,
    ) -> Result<Vec<Letter>, StoreError> {
        const TEXT: &str = letters!("WHERE id < $1 ORDER BY id DESC LIMIT $2");
        // No id is behind this one.
        let before = before.map_or_else(|| "dlt_~".to_owned(), |id| id.to_string());
        let rows: Vec<Row> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(before).bind(i64::from(limit)).fetch_all(db).await?
        });
        rows.into_iter().map(Letter::try_from).collect()
    }

    pub async fn find_letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        const TEXT: &str = letters!("WHERE id = $1");
        let row: Option<Row> = on!(&self.db, |db, _pick| {
            sqlx::query_as(TEXT).bind(id.to_string()).fetch_optional(db).await?
        });
        row.map(Letter::try_from).transpose()
    }

    /// Puts a letter back into the table where a reader finds it, mended or as it came, and removes it here, in one
    /// commit.
    pub async fn put_back(&self, id: LetterId, mended: Option<&str>) -> Result<(), NotPutBack> {
        const TEXT: &str = "DELETE FROM dead_letters WHERE id = $1 RETURNING form, envelope";
        let mut tx = self.begin().await?;
        let found: Option<(String, String)> = on!(&mut tx, |tx, _pick| {
            let removed = sqlx::query_as(TEXT).bind(id.to_string()).fetch_optional(&mut **tx).await;
            removed.map_err(StoreError::from)?
        });
        let (form, envelope) = found.ok_or(NotPutBack::Missing)?;
        let text = match mended {
            Some(text) => text,
            None if form == Form::Text.name() => &envelope,
            None => {
                tx.roll_back().await?;
                return Err(NotPutBack::NotWhole);
            }
        };
        tx.leave(text, At(self.clock.now(true))).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a letter; false if there was none.
    pub async fn drop_letter(&self, id: LetterId) -> Result<bool, StoreError> {
        const TEXT: &str = "DELETE FROM dead_letters WHERE id = $1";
        let removed = on!(&self.writer, |db, _pick| {
            sqlx::query(TEXT).bind(id.to_string()).execute(db).await?.rows_affected()
        });
        Ok(removed > 0)
    }
}

impl From<&Letter> for Row {
    fn from(letter: &Letter) -> Self {
        Self {
            id: letter.id.to_string(),
            source: letter.source.name().to_owned(),
            entry: letter.entry.clone(),
            form: letter.form.name().to_owned(),
            envelope: letter.envelope.clone(),
            code: letter.code.clone(),
            field: letter.field.clone(),
            reason: letter.reason.clone(),
            refused_at: At(letter.refused_at),
        }
    }
}

impl TryFrom<Row> for Letter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt("dead_letters", column, &row.id);
        Ok(Self {
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            source: Source::from_name(&row.source).ok_or_else(|| corrupt("source"))?,
            form: Form::from_name(&row.form).ok_or_else(|| corrupt("form"))?,
            entry: row.entry,
            envelope: row.envelope,
            code: row.code,
            field: row.field,
            reason: row.reason,
            refused_at: row.refused_at.0,
        })
    }
}
