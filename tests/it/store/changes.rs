//! Changes: each is one atomic step, fails alone, and needs the lease where S1.1 says so.

use super::*;
use crate::support::both;
use dunlin::domain::attempt::AttemptStatus;

both! {
    a_creation_leaves_its_payment_job_history_and_event
    a_refused_change_fails_alone_in_its_batch
    a_statement_that_fails_takes_down_its_own_change_only
    changes_of_one_payment_in_one_batch_apply_in_order
    what_starts_or_denies_a_call_needs_the_lease
    a_gateways_answer_counts_whoever_brings_it
    what_cannot_be_is_refused_and_counted
    a_second_success_is_recorded_once_beside_the_first
    a_full_line_tells_callers_to_come_back
    listeners_hear_of_changes_and_of_new_jobs
}

// S2.3
async fn a_creation_leaves_its_payment_job_history_and_event(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.payment();

    let committed = bench.store.commit(bench.create(payment.clone(), None)).await.unwrap();

    assert_eq!(committed.payment.as_ref(), Some(&payment));
    assert_eq!(bench.read(payment.id).await, payment);
    assert_eq!(bench.job(payment.id).await.kind, "charge");
    assert_eq!(bench.store.list_event_types(payment.id).await.unwrap(), ["payment.created"]);
    let history = bench.store.list_history(payment.id).await.unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(
        (history[0].version, history[0].cause.as_str(), history[0].from.as_deref()),
        (1, "created", None)
    );
    assert_eq!(
        (history[0].to.as_str(), history[0].actor.as_str(), history[0].at),
        ("pending", "test", moment(0))
    );
}

// S5.12
async fn a_refused_change_fails_alone_in_its_batch(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let one = gate.pass(bench.paid_in()).await;
    let two = gate.pass(bench.paid_in()).await;
    let nobody = PaymentId::mint(moment(0), [0; 10]);
    let changes = vec![
        bench.event(one.id, bench.due()),
        bench.event(one.id, bench.due()),
        bench.event(nobody, Event::Cancel),
        bench.event(two.id, Event::Cancel),
    ];

    let (answers, transactions) = gate.together(&bench.store, changes).await;

    assert_eq!(transactions, 1);
    assert!(answers[0].is_ok() && answers[3].is_ok(), "{answers:?}");
    assert!(matches!(answers[1], Err(CommitError::Refused(_))), "{answers:?}");
    assert!(matches!(answers[2], Err(CommitError::NotFound)), "{answers:?}");
    assert_eq!(bench.read(one.id).await.version, 2);
    assert_eq!(bench.read(two.id).await.status, Status::Canceled);
    assert_eq!(bench.store.list_attempts(one.id).await.unwrap().len(), 1);
}

// S5.12
async fn a_statement_that_fails_takes_down_its_own_change_only(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let mut sending = Vec::new();
    for _ in 0..7 {
        sending.push(gate.pass(bench.sending()).await);
    }
    let first = gate.pass(bench.sending()).await;
    gate.pass(bench.store.commit(bench.event(first.id, answered("ch_0", Outcome::Succeeded)))).await.unwrap();
    let culprit = 4;
    let changes = sending.iter().enumerate().map(|(n, payment)| {
        // No two attempts can own one charge of the gateway.
        let charge = if n == culprit { 0 } else { n + 1 };
        bench.event(payment.id, answered(&format!("ch_{charge}"), Outcome::Succeeded))
    });

    let (answers, _) = gate.together(&bench.store, changes.collect()).await;

    for (n, (answer, payment)) in answers.iter().zip(&sending).enumerate() {
        let read = bench.read(payment.id).await;
        if n == culprit {
            assert!(matches!(answer, Err(CommitError::Store(_) | CommitError::Unavailable)), "{answer:?}");
            assert_eq!(read, *payment);
        } else {
            assert!(answer.is_ok(), "{n}: {answer:?}");
            assert_eq!(read.status, Status::Succeeded);
            assert_eq!(bench.store.list_history(payment.id).await.unwrap().len(), 3);
        }
    }
}

async fn changes_of_one_payment_in_one_batch_apply_in_order(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = gate.pass(bench.paid_in()).await;
    let changes = vec![
        bench.event(payment.id, bench.due()),
        bench.event(payment.id, lost()),
        bench.event(payment.id, answered("ch_1", Outcome::Succeeded)),
    ];

    let (answers, transactions) = gate.together(&bench.store, changes).await;

    let versions: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().payment.unwrap().version).collect();
    assert_eq!((versions, transactions), (vec![2, 3, 4], 1));
    let history = bench.store.list_history(payment.id).await.unwrap();
    let causes: Vec<_> = history.iter().map(|row| row.cause.as_str()).collect();
    assert_eq!(causes, ["created", "due", "lost", "answered"]);
    assert_eq!(history[3].attempt_from.as_deref(), Some("unknown"));
    assert_eq!(bench.read(payment.id).await.status, Status::Succeeded);
    let told = bench.store.list_event_types(payment.id).await.unwrap();
    assert_eq!(told, ["payment.created", "payment.succeeded"]);
}

// S1.1
async fn what_starts_or_denies_a_call_needs_the_lease(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let stale = bench.claim_one().await.lease;
    bench.store.expire_leases().await.unwrap();
    let fresh = bench.claim_one().await.lease;
    let with = |lease: &Lease, event| Change {
        job: Some((lease.clone(), JobEnd::Keep)),
        ..bench.event(payment.id, event)
    };

    let begun = bench.store.commit(with(&stale, bench.due())).await;
    assert!(matches!(begun, Err(CommitError::LeaseLost)), "{begun:?}");
    assert_eq!(bench.read(payment.id).await, payment);
    bench.store.commit(with(&fresh, bench.due())).await.unwrap();
    for event in [not_sent(), lost(), rejected(), Event::Review { reason: "look".to_owned() }] {
        let denied = bench.store.commit(with(&stale, event)).await;
        assert!(matches!(denied, Err(CommitError::LeaseLost)), "{denied:?}");
    }
    let noted = bench.store.commit(bench.note(&stale, JobEnd::Done)).await;

    assert!(matches!(noted, Err(CommitError::LeaseLost)), "{noted:?}");
    assert_eq!(bench.read(payment.id).await.version, 2);
    assert!(bench.job(payment.id).await.leased);
}

// S1.23
async fn what_cannot_be_is_refused_and_counted(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.sending().await;
    let late = bench.change(Subject::Event(payment.id, Event::Cancel));
    let absurd = bench.change(Subject::Event(payment.id, Event::Absent { attempt: 1 }));

    let refused = bench.store.commit(late).await;
    let before = bench.store.count_alarms();
    let impossible = bench.store.commit(absurd).await;

    assert!(matches!(refused, Err(CommitError::Refused(it)) if !it.is_impossible));
    assert!(matches!(impossible, Err(CommitError::Refused(it)) if it.is_impossible));
    assert_eq!((before, bench.store.count_alarms()), (0, 1));
}

// S1.1
async fn a_gateways_answer_counts_whoever_brings_it(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.sending().await;
    let stale = bench.claim_one().await.lease;
    bench.store.expire_leases().await.unwrap();
    let fresh = bench.claim_one().await.lease;
    let fact = Change {
        job: Some((stale, JobEnd::Done)),
        ..bench.event(payment.id, answered("ch_1", Outcome::Succeeded))
    };

    let first = bench.store.commit(fact.clone()).await.unwrap();
    let again = bench.event(payment.id, answered("ch_1", Outcome::Succeeded));
    let again = bench.store.commit(again).await.unwrap();

    assert!(first.fresh && !again.fresh);
    assert_eq!(bench.read(payment.id).await.status, Status::Succeeded);
    assert!(bench.job(payment.id).await.leased, "the job is its new holder's to end");
    bench.store.commit(bench.note(&fresh, JobEnd::Done)).await.unwrap();
    assert_eq!(bench.store.list_jobs(payment.id).await.unwrap(), []);
}

// S1.4
async fn a_second_success_is_recorded_once_beside_the_first(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let payment = gate.pass(bench.sending()).await;
    let success = |charge| bench.event(payment.id, answered(charge, Outcome::Succeeded));
    gate.pass(bench.store.commit(success("ch_1"))).await.unwrap();

    let second = gate.pass(bench.store.commit(success("ch_2"))).await.unwrap();
    let (more, _) = gate
        .together(&bench.store, vec![success("ch_2"), success("ch_3"), success("ch_3"), success("ch_1")])
        .await;

    let fresh: Vec<_> = more.into_iter().map(|answer| answer.unwrap().fresh).collect();
    assert!(second.fresh);
    assert_eq!(fresh, [false, true, false, false]);
    let attempts = bench.store.list_attempts(payment.id).await.unwrap();
    let kept: Vec<_> =
        attempts.iter().map(|one| (one.n, one.status, one.charge.as_deref().unwrap())).collect();
    assert_eq!(
        kept,
        [
            (1, AttemptStatus::Succeeded, "ch_1"),
            (2, AttemptStatus::Duplicate, "ch_2"),
            (3, AttemptStatus::Duplicate, "ch_3"),
        ]
    );
    let told = bench.store.list_event_types(payment.id).await.unwrap();
    let alerts = told.iter().filter(|kind| *kind == "payment.duplicate_capture").count();
    assert_eq!(alerts, 2);
    assert_eq!(bench.read(payment.id).await.status, Status::Succeeded);
}

async fn a_full_line_tells_callers_to_come_back(database: Database) {
    let (bench, mut gate) = Bench::gated(database).await;
    let mut waiting = Vec::new();
    let refused = loop {
        assert!(waiting.len() < 10_000, "the line has no end");
        let mut offer = Box::pin(bench.store.offer(bench.change(Subject::Note)));
        assert!(futures_util::poll!(&mut offer).is_pending());
        gate.let_in().await;
        // A task that never yields is told that nothing is ready, at last even by what is.
        tokio::task::yield_now().await;
        match futures_util::poll!(&mut offer) {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => waiting.push(offer),
        }
    };

    let answers = gate.pass(join_all(waiting)).await;

    assert!(matches!(refused, Err(CommitError::Busy)), "{refused:?}");
    assert!(answers.iter().all(Result::is_ok));
}

async fn listeners_hear_of_changes_and_of_new_jobs(database: Database) {
    let bench = Bench::new(database).await;
    let mut changes = bench.store.subscribe();
    let enqueued = bench.store.enqueued();
    let rung = enqueued.notified();

    let payment = bench.paid_in().await;

    rung.await;
    assert_eq!(changes.recv().await.unwrap(), payment.id);
}
