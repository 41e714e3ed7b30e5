//! Leaving envelopes in PostgreSQL, inside the caller's own transaction: what is committed is carried out once, and
//! what is rolled back was never there.
//!
//! The role needs `EXECUTE` on `dunlin_enqueue(json)` or `dunlin_enqueue_all(json)`, and nothing else of dunlin's. They
//! are found by the connection's `search_path`, which has to contain dunlin's schema.

use crate::Envelope;
use sqlx::PgConnection;

/// Leaves an envelope: `enqueue_in(&mut transaction, &envelope)`.
///
/// # Errors
/// What the database says; the transaction is then to be rolled back.
pub async fn enqueue_in(connection: &mut PgConnection, envelope: &Envelope) -> Result<(), sqlx::Error> {
    call("SELECT dunlin_enqueue($1::json)", connection, envelope.to_json()).await
}

/// Leaves many envelopes by one statement, in their order.
///
/// # Errors
/// What the database says; the transaction is then to be rolled back.
pub async fn enqueue_all_in(
    connection: &mut PgConnection,
    envelopes: &[Envelope],
) -> Result<(), sqlx::Error> {
    let texts: Vec<_> = envelopes.iter().map(Envelope::to_json).collect();
    call("SELECT dunlin_enqueue_all($1::json)", connection, format!("[{}]", texts.join(","))).await
}

async fn call(text: &'static str, connection: &mut PgConnection, json: String) -> Result<(), sqlx::Error> {
    sqlx::query(text).bind(json).execute(connection).await.map(drop)
}
