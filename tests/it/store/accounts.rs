//! Accounts whose secrets are kept: who changes them does not write over whoever was faster.

use super::*;
use crate::support::both;
use dunlin::store::{StoreError, accounts::KeptAccount};

both! { a_changed_secret_is_not_written_over }

async fn a_changed_secret_is_not_written_over(database: Database) {
    let bench = Bench::new(database).await;
    let kept = |sealed: &str| KeptAccount {
        name: "main".to_owned(),
        gateway: "stripe".to_owned(),
        livemode: false,
        base_url: "https://api.stripe.com".to_owned(),
        sealed: sealed.to_owned(),
        sealed_at: moment(0),
        sealed_by: "the test".to_owned(),
    };
    let (first, second, stale) = (kept("first"), kept("second"), kept("stale"));
    let keep = async |account: &KeptAccount, before: Option<&KeptAccount>| {
        bench.store.keep_account(account, before).await
    };

    keep(&first, None).await.unwrap();
    let made_twice = keep(&stale, None).await;
    keep(&second, Some(&first)).await.unwrap();
    let late = keep(&stale, Some(&first)).await;
    let stands = bench.store.find_kept_account("main").await.unwrap();
    bench.store.forget_account("main").await.unwrap();
    let removed = keep(&stale, Some(&second)).await;

    for refused in [made_twice, late, removed] {
        assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    }
    assert_eq!(stands, Some(second));
    assert_eq!(
        bench.store.find_kept_account("main").await.unwrap(),
        None,
        "what was removed does not come back"
    );
}
