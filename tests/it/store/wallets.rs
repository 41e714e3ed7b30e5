//! Wallets: customers' methods beside the attempts that are made by them (S1.16).

use super::*;
use crate::support::both;
use dunlin::{
    domain::{
        customer::{Customer, Profile},
        payment_method::{PaymentMethod, Place},
        wallet::{NotPossible, Wallet},
    },
    store::StoreError,
};
use dunlin_jobs::{CustomerId, MethodId};

both! { the_last_look_refuses_a_detached_method_alone_in_its_batch a_customer_is_kept_as_it_was_told }

impl Bench {
    async fn customer(&self) -> Customer {
        let now = self.now();
        let customer = Customer {
            id: CustomerId::mint(now, self.store.clock().random()),
            tenant: self.owner.tenant,
            livemode: self.owner.livemode,
            profile: Profile {
                external_id: Some("u-1".to_owned()),
                name: Some("Ada".to_owned()),
                email: Some("ada@example.com".parse().unwrap()),
                country: Some("GB".parse().unwrap()),
                time_zone: Some("Europe/London".parse().unwrap()),
                currency: Some("GBP".parse().unwrap()),
                metadata: BTreeMap::from([("plan".to_owned(), "gold".to_owned())]),
            },
            default_method: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.store.create_customer(&customer, None).await.unwrap();
        customer
    }

    async fn keep(&self, customer: CustomerId, token: &str) -> PaymentMethod {
        let mut method = PaymentMethod {
            id: MethodId::mint(self.now(), self.store.clock().random()),
            customer,
            tenant: self.owner.tenant,
            livemode: self.owner.livemode,
            method: Method {
                kind: MethodKind::Card,
                payment_method: token.to_owned(),
                gateway_customer: Some("cus_Nffr".to_owned()),
            },
            account: "main".to_owned(),
            label: Some("Visa".to_owned()),
            place: Place::At(1),
            created_at: self.now(),
        };
        let attach = |wallet: &mut Wallet| -> Result<(), StoreError> {
            wallet.attach(method.clone(), false).unwrap();
            Ok(())
        };
        let wallet = self.store.change_wallet(self.owner, customer, None, attach).await.unwrap().unwrap();
        method.place = wallet.methods.last().unwrap().place;
        method
    }

    async fn detach(&self, method: &PaymentMethod) -> Result<Option<Wallet>, StoreError> {
        let now = self.now();
        let detach = |wallet: &mut Wallet| {
            wallet.detach(method.id, now);
            Ok(())
        };
        self.store.change_wallet(self.owner, method.customer, None, detach).await
    }

    /// A payment that is to be charged by the method.
    async fn naming(&self, method: &PaymentMethod) -> Payment {
        let payment = Payment { method_id: Some(method.id), ..self.payment() };
        self.store.commit(self.create(payment, None)).await.unwrap().payment.unwrap()
    }
}

async fn a_customer_is_kept_as_it_was_told(database: Database) {
    let bench = Bench::new(database).await;
    let made = bench.customer().await;
    let (one, two) = (bench.keep(made.id, "pm_1").await, bench.keep(made.id, "pm_2").await);

    let found = bench.store.find_owned_customer(bench.owner, made.id).await.unwrap().unwrap();

    let expected = Customer { default_method: Some(one.id), version: 3, ..made.clone() };
    assert_eq!(found, expected);
    assert_eq!(bench.store.list_methods(made.id).await.unwrap(), [one.clone(), two]);
    let refuse = |wallet: &mut Wallet| -> Result<(), StoreError> {
        assert_eq!(wallet.attach(one.clone(), true), Err(NotPossible::Attached(one.id)));
        wallet.customer.profile = Profile::default();
        Err(StoreError::Unavailable)
    };
    assert!(bench.store.change_wallet(bench.owner, made.id, None, refuse).await.is_err());
    assert_eq!(bench.store.find_owned_customer(bench.owner, made.id).await.unwrap(), Some(expected));
    let paid = bench.naming(&one).await;
    assert_eq!(bench.read(paid.id).await, paid);
}

async fn the_last_look_refuses_a_detached_method_alone_in_its_batch(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let customer = bench.customer().await;
    let (gone, kept) = (bench.keep(customer.id, "pm_1").await, bench.keep(customer.id, "pm_2").await);
    let one = gate.pass(bench.naming(&gone)).await;
    let two = gate.pass(bench.naming(&kept)).await;
    let three = gate.pass(bench.paid_in()).await;
    bench.detach(&gone).await.unwrap();
    let due = [&one, &two, &three].map(|payment| bench.event(payment.id, bench.due()));

    let (answers, transactions) = gate.together(&bench.store, due.into()).await;
    let failed = gate.pass(bench.store.commit(bench.event(one.id, Event::Detached))).await.unwrap();

    assert_eq!(transactions, 1);
    assert!(matches!(answers[0], Err(CommitError::MethodDetached)), "{answers:?}");
    assert!(answers[1].is_ok() && answers[2].is_ok(), "{answers:?}");
    let failed = failed.payment.unwrap();
    assert_eq!((&failed.status, failed.attempt.as_ref()), (&Status::Failed, None));
    assert_eq!(bench.read(one.id).await, failed);
}

// SQLite has one writer, which is busy until the attempt is born.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detach_waits_for_an_attempt_that_is_being_born() {
    let (bench, mut gate) = Bench::gated(Database::postgres().await).await;
    let customer = bench.customer().await;
    let method = bench.keep(customer.id, "pm_1").await;
    let payment = gate.pass(bench.naming(&method)).await;
    let (mut early, due) = (None, bench.event(payment.id, bench.due()));
    let born = bench.store.commit(due);
    let mut born = std::pin::pin!(born);

    // The committer stands behind its look, before its COMMIT; the detach waits as long as a lock may be waited for.
    let born = loop {
        tokio::select! {
            biased;
            born = &mut born => break born,
            visit = gate.visits.recv() => {
                let visit = visit.unwrap();
                if visit.point == Point::BatchWritten {
                    early = Some(bench.detach(&method).await);
                }
                visit.go.send(CommitFault::None).unwrap();
            }
        }
    };

    assert!(matches!(early, Some(Err(StoreError::Conflict))), "{early:?}");
    assert_eq!(born.unwrap().payment.unwrap().attempt.map(|attempt| attempt.n), Some(1));
    assert!(bench.detach(&method).await.is_ok());
}
