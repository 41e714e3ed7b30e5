//! A worker whose clock is not the database's claims nothing, for by it a request's age would be misjudged (S1.9).

use crate::support::{both, database::Database, world::World};
use dunlin::{domain::payment::Status, flow::readiness::Unready};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing::instrument::WithSubscriber;

both! {
    a_worker_whose_clock_is_off_claims_nothing_and_says_so
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

// S1.9
async fn a_worker_whose_clock_is_off_claims_nothing_and_says_so(database: Database) {
    if database.is_sqlite() {
        // It has no clock but ours.
        return;
    }
    let log = Log::default();
    let writer = log.clone();
    let logged = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let logged = tracing::Dispatch::new(logged);
    // Its clock is the test's, and the database's is real.
    let world = World::new(database).await;
    let early = world.pay("pm_card_visa").await;
    let check = async || world.flows.check_clock().with_subscriber(logged.clone()).await;

    check().await;
    world.run_due_jobs().await;
    let said = log.take();
    check().await;
    let again = log.take();

    assert_eq!(world.payment(early.id).await, early);
    assert!(said.contains("ERROR") && said.contains("no job is claimed") && said.contains("NTP"), "{said}");
    assert_eq!(again, "", "once is enough");
    let unready: Vec<_> = world.flows.unready().await.iter().map(Unready::code).collect();
    assert_eq!(unready, ["clock_skewed"]);

    let real = world.flows.store.vitals().await.unwrap().now.unwrap();
    world.flows.clock().travel(real - world.flows.clock().now(true));
    check().await;
    assert!(log.take().contains("the clocks agree again"));
    assert_eq!(world.flows.unready().await, []);
    let paid = world.pay("pm_card_visa").await;
    world.run_due_jobs().await;
    assert_eq!((world.payment(paid.id).await.status, world.captures(paid.id)), (Status::Succeeded, 1));
}
