//! The audit trail's table: entries are added, and never changed or taken away.

use super::{Bench, api_keys, raw};
use crate::support::{both, database::Database};
use dunlin::store::Owner;
use dunlin_jobs::TenantId;

both! { nothing_of_the_trail_is_changed_or_taken_away a_key_that_is_not_made_leaves_no_entry }

async fn nothing_of_the_trail_is_changed_or_taken_away(database: Database) {
    let bench = Bench::new(database).await;
    bench.store.create_key(bench.owner, api_keys::named("one")).await.unwrap();
    let before = bench.store.list_trail(bench.owner, None, 10).await.unwrap();

    let mut statements = vec!["UPDATE audit_trail SET reason = 'x'", "DELETE FROM audit_trail"];
    if !bench.database.is_sqlite() {
        statements.push("TRUNCATE audit_trail");
    }
    for sql in statements {
        let refused = raw::execute(&bench.database, sql).await.unwrap_err().to_string();
        assert!(refused.contains("the audit trail is append-only"), "{refused}");
    }

    assert_eq!(before.len(), 1);
    assert_eq!(bench.store.list_trail(bench.owner, None, 10).await.unwrap(), before);
}

async fn a_key_that_is_not_made_leaves_no_entry(database: Database) {
    let bench = Bench::new(database).await;
    let unknown = Owner { tenant: TenantId::mint(bench.now(), [9; 10]), ..bench.owner };

    let refused = bench.store.create_key(unknown, api_keys::named("one")).await;

    assert!(refused.is_err());
    assert!(bench.store.list_trail(unknown, None, 10).await.unwrap().is_empty());
}
