//! API keys: whom they let in, to what, and until when.

use super::*;
use crate::support::both;
use dunlin::{
    domain::{
        api_key::NewKey,
        scope::{Scope, Scopes},
    },
    store::{KeyHolder, StoreError},
};
use dunlin_jobs::KeyId;
use secrecy::{ExposeSecret, SecretString};

both! {
    keys_let_in_their_owner_until_they_are_revoked_or_expire
    a_key_from_before_scopes_may_do_everything
    a_scope_that_is_none_is_told_and_lets_nobody_in
    keys_are_shown_to_their_owner_only
    revoking_again_changes_nothing
}

pub(super) fn named(name: &str) -> NewKey {
    NewKey { name: name.to_owned(), scopes: Scopes::from_iter([Scope::PaymentsRead]), expires_at: None }
}

async fn keys_let_in_their_owner_until_they_are_revoked_or_expire(database: Database) {
    let bench = Bench::new(database).await;
    let live = Owner { livemode: true, ..bench.owner };
    let until = Some(moment(60));
    let first = bench.store.create_key(bench.owner, named("one")).await.unwrap();
    let second = bench.store.create_key(live, NewKey { expires_at: until, ..named("two") }).await.unwrap();
    let find = async |secret: &SecretString| bench.store.find_key(secret).await.unwrap();
    let holder =
        |id: KeyId, owner: Owner| KeyHolder { key: id, owner, scopes: named("").scopes, request: None };

    assert!(first.secret.expose_secret().starts_with("dk_test_"));
    assert!(second.secret.expose_secret().starts_with("dk_live_"));
    assert_eq!(find(&first.secret).await, Some(holder(first.key.id, bench.owner)));
    assert_eq!(find(&second.secret).await, Some(holder(second.key.id, live)));
    assert_eq!(find(&"dk_test_0000".to_owned().into()).await, None);
    let secrets = format!("api_keys WHERE digest LIKE 'dk_%' OR prefix = '{}'", first.secret.expose_secret());
    assert_eq!(raw::count(&bench.database, &secrets).await, 0);

    let revoked = bench.store.revoke_key(&"test".into(), bench.owner, first.key.id).await.unwrap().unwrap();
    assert_eq!(revoked.status(bench.now()), "revoked");
    assert_eq!(find(&first.secret).await, None);
    bench.store.clock().travel(TimeDelta::seconds(59));
    assert!(find(&second.secret).await.is_some());
    bench.store.clock().travel(TimeDelta::seconds(1));
    assert_eq!(find(&second.secret).await, None);
}

async fn a_key_from_before_scopes_may_do_everything(database: Database) {
    let bench = Bench::new(database).await;
    let made = bench.store.create_key(bench.owner, named("one")).await.unwrap();
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("dk_test_old"));
    let old = KeyId::mint(moment(0), [9; 10]);
    let copy = format!(
        "INSERT INTO api_keys (id, tenant_id, livemode, name, prefix, digest, created_at) \
         SELECT '{old}', tenant_id, livemode, name, prefix, '{digest}', created_at FROM api_keys \
         WHERE id = '{}'",
        made.key.id
    );
    assert_eq!(raw::execute(&bench.database, &copy).await.unwrap(), 1);

    let holder = bench.store.find_key(&"dk_test_old".to_owned().into()).await.unwrap().unwrap();

    assert_eq!((holder.key, holder.scopes), (old, Scopes::everything()));
}

async fn a_scope_that_is_none_is_told_and_lets_nobody_in(database: Database) {
    let bench = Bench::new(database).await;
    let made = bench.store.create_key(bench.owner, named("one")).await.unwrap();
    raw::execute(&bench.database, "UPDATE api_keys SET scopes = 'payments:read,root'").await.unwrap();

    let found = bench.store.find_key(&made.secret).await;
    let shown = bench.store.find_owned_key(bench.owner, made.key.id).await;

    for error in [found.unwrap_err(), shown.unwrap_err()] {
        assert!(
            matches!(&error, StoreError::Corrupt { table: "api_keys", column: "scopes", id } if *id == made.key.id.to_string()),
            "{error}"
        );
    }
}

async fn keys_are_shown_to_their_owner_only(database: Database) {
    let bench = Bench::new(database).await;
    let live = Owner { livemode: true, ..bench.owner };
    let foreign = bench.store.ensure_tenant("another").await.unwrap().id;
    let foreign = Owner { tenant: foreign, ..bench.owner };
    let mut made = Vec::new();
    for name in ["one", "two", "three"] {
        bench.store.clock().travel(TimeDelta::seconds(1));
        made.push(bench.store.create_key(bench.owner, named(name)).await.unwrap().key);
    }
    let theirs = bench.store.create_key(foreign, named("theirs")).await.unwrap().key;
    made.reverse();

    let list = async |owner, after| bench.store.list_keys(owner, after, 2).await.unwrap();
    assert_eq!(list(bench.owner, None).await, made[..2]);
    assert_eq!(list(bench.owner, Some(made[1].id)).await, made[2..]);
    assert_eq!(list(foreign, None).await, [theirs]);
    assert_eq!(list(live, None).await, []);
    let id = made[0].id;
    assert_eq!(bench.store.find_owned_key(bench.owner, id).await.unwrap().as_ref(), Some(&made[0]));
    for other in [live, foreign] {
        assert_eq!(bench.store.find_owned_key(other, id).await.unwrap(), None);
        assert_eq!(bench.store.revoke_key(&"test".into(), other, id).await.unwrap(), None);
    }
    assert_eq!(list(bench.owner, None).await[0].revoked_at, None);
}

async fn revoking_again_changes_nothing(database: Database) {
    let bench = Bench::new(database).await;
    let id = bench.store.create_key(bench.owner, named("one")).await.unwrap().key.id;
    let first = bench.store.revoke_key(&"test".into(), bench.owner, id).await.unwrap().unwrap();
    bench.store.clock().travel(TimeDelta::seconds(60));

    let again = bench.store.revoke_key(&"test".into(), bench.owner, id).await.unwrap().unwrap();

    assert_eq!(first.revoked_at, Some(moment(0)));
    assert_eq!(again, first);
}
