//! A producer's own transaction: what is committed is charged once, what is rolled back was never there, and the
//! producer needs no right but to call the function.

use super::{envelope, with, world};
use crate::support::{
    database::{Database, server},
    world::World,
};
use dunlin::store::scratch;
use dunlin_jobs::postgres::{enqueue_all_in, enqueue_in};
use serde_json::json;
use sqlx::{Connection, PgConnection};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), String> {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(connection).await.map(drop).map_err(|error| error.to_string())
}

async fn shop() -> (World, PgConnection) {
    let database = Database::postgres().await;
    let mut connection = connect(&database.url).await;
    let world = world(database).await;
    run(&mut connection, "CREATE TABLE invoices (number bigint PRIMARY KEY)").await.unwrap();
    (world, connection)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_with_the_producers_own_rows_is_charged() {
    let (world, mut connection) = shop().await;

    let mut tx = connection.begin().await.unwrap();
    sqlx::query("INSERT INTO invoices VALUES (1)").execute(&mut *tx).await.unwrap();
    enqueue_in(&mut tx, &envelope("invoice-1")).await.unwrap();
    world.read().await;
    assert_eq!(world.payments().await.len(), 0, "nothing is committed yet");
    tx.commit().await.unwrap();
    world.read().await;

    assert_eq!(world.charged().await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rolled_back_was_never_there() {
    let (world, mut connection) = shop().await;

    let mut tx = connection.begin().await.unwrap();
    enqueue_in(&mut tx, &envelope("invoice-1")).await.unwrap();
    tx.rollback().await.unwrap();
    world.read().await;

    assert_eq!((world.waiting().await, world.payments().await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_left_by_one_statement() {
    let (world, mut connection) = shop().await;
    let envelopes: Vec<_> = (0..500).map(|n| envelope(&format!("invoice-{n}"))).collect();

    let mut tx = connection.begin().await.unwrap();
    enqueue_all_in(&mut tx, &envelopes).await.unwrap();
    enqueue_all_in(&mut tx, &[]).await.unwrap();
    enqueue_in(&mut tx, &envelope("invoice-7")).await.unwrap();
    tx.commit().await.unwrap();
    world.read().await;

    assert_eq!(world.charged().await, vec![1; 500]);
    assert_eq!((world.waiting().await, world.letters().await), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_envelope_is_told_at_once_or_kept() {
    let (world, mut connection) = shop().await;

    for refused in [
        "SELECT dunlin_enqueue(NULL)",
        "SELECT dunlin_enqueue('{')",
        "SELECT dunlin_enqueue_all(NULL)",
        "SELECT dunlin_enqueue_all('{}')",
    ] {
        run(&mut connection, refused).await.expect_err(refused);
    }
    run(&mut connection, "SELECT dunlin_enqueue('7'), dunlin_enqueue_all('[{}, \"x\"]')").await.unwrap();
    world.read().await;

    let letters = world.letters().await;
    let mut kept: Vec<_> = letters.iter().map(|letter| letter.envelope.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["\"x\"", "7", "{}"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_may_call_the_function_and_nothing_else() {
    let (world, mut owner) = shop().await;
    let role = format!("shop_{}", hex::encode(rand::random::<[u8; 6]>()));
    run(
        &mut owner,
        &format!("CREATE ROLE {role}; CREATE SCHEMA elsewhere; GRANT ALL ON SCHEMA elsewhere TO {role}"),
    )
    .await
    .unwrap();
    let text = with("invoice-1", &[]);
    let call = format!("SELECT public.dunlin_enqueue('{text}')");
    let as_role = format!("SET ROLE {role}; SET search_path = elsewhere, pg_temp");

    run(&mut owner, &format!("{as_role}; CREATE TEMP TABLE intake (envelope text, enqueued_at timestamptz)"))
        .await
        .unwrap();
    let ungranted = run(&mut owner, &call).await.unwrap_err();
    run(&mut owner, "RESET ROLE").await.unwrap();
    let grant = format!("GRANT EXECUTE ON FUNCTION public.dunlin_enqueue(json) TO {role}");
    run(&mut owner, &grant).await.unwrap();
    run(&mut owner, &as_role).await.unwrap();
    run(&mut owner, &call).await.unwrap();
    let reading = run(&mut owner, "SELECT * FROM public.intake").await.unwrap_err();
    let writing = run(&mut owner, "INSERT INTO public.dead_letters DEFAULT VALUES").await.unwrap_err();
    let many = run(&mut owner, "SELECT public.dunlin_enqueue_all('[]')").await.unwrap_err();
    world.read().await;

    for error in [ungranted, reading, writing, many] {
        assert!(error.contains("permission denied"), "{error}");
    }
    assert_eq!(world.charged().await, [1], "it went to dunlin's table, not to one of the same name");
    run(&mut owner, "RESET ROLE; RESET search_path").await.unwrap();
    run(&mut owner, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_writes_into_the_schema_that_has_it() {
    let name = format!("s_{}", hex::encode(rand::random::<[u8; 6]>()));
    let url = scratch::make(&server(), &name).await.unwrap();
    let world = World::new(Database::at(url)).await;
    let mut connection = connect(&server()).await;

    let text = with("invoice-1", &[("payment.reference", json!("in a schema of its own"))]);
    run(&mut connection, &format!("SELECT \"{name}\".dunlin_enqueue('{text}')")).await.unwrap();
    world.read().await;

    assert_eq!(world.charged().await, [1]);
    world.flows.store.close().await;
    scratch::clear(&server(), &name).await.unwrap();
}
