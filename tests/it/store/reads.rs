//! Reads: what is stored comes back as it was, narrowed to its owner, or is called corrupt.

use super::*;
use crate::support::both;
use dunlin::{
    domain::exchange_result::ExchangeResult,
    store::{Filter, StoreError, change::Closing},
};
use dunlin_jobs::TenantId;

both! {
    a_payment_comes_back_as_it_was_to_the_microsecond
    a_payment_is_its_owners_only
    a_page_is_narrowed_and_goes_on_where_the_last_one_ended
    orphans_are_what_nothing_holds
    counts_tell_how_many_stand_where
    exchanges_come_back_byte_for_byte
    test_time_only_grows_and_replicas_agree_on_it
    tenants_and_accounts_are_made_once
    a_row_that_makes_no_sense_is_named
    the_database_answers_until_it_is_closed
}

async fn a_payment_comes_back_as_it_was_to_the_microsecond(database: Database) {
    let bench = Bench::new(database).await;
    let payment = Payment {
        session: Session::On("https://shop.example/back?x=%20#end".parse().unwrap()),
        customer: Some("cus_ß".to_owned()),
        reference: Some("R-1".to_owned()),
        description: Some("Größe \"XL\" \u{1f600} '; --".to_owned()),
        metadata: BTreeMap::from([("schlüssel".to_owned(), "wert\\".to_owned())]),
        method: Method { gateway_customer: Some("cus_9".to_owned()), ..bench.payment().method },
        ..bench.payment()
    };
    bench.store.commit(bench.create(payment.clone(), None)).await.unwrap();
    assert_eq!(bench.read(payment.id).await, payment);

    bench.store.clock().travel(TimeDelta::microseconds(1));
    let sending = bench.store.commit(bench.event(payment.id, bench.due())).await.unwrap().payment.unwrap();
    assert_eq!(bench.read(payment.id).await, sending);
    assert_eq!(sending.updated_at.timestamp_subsec_micros(), 123_457);
    let url = Some("https://bank.example/approve".to_owned());
    let event = bench.event(payment.id, answered("ch_1", Outcome::RequiresAction { url }));
    let acting = bench.store.commit(event).await.unwrap().payment.unwrap();
    assert!(acting.attempt.as_ref().is_some_and(|attempt| attempt.action_url.is_some()));
    assert_eq!(bench.read(payment.id).await, acting);
    let decline = Decline {
        code: "insufficient_funds".to_owned(),
        network_code: Some("51".to_owned()),
        advice: Some("try_again_later".to_owned()),
        message: Some("keine Deckung".to_owned()),
        network_advice: Some("24".into()),
        card: Some(CardFacts { brand: Some("visa".to_owned()), ..CardFacts::default() }.into()),
        ..Decline::default()
    };
    let event = bench.event(payment.id, answered("ch_1", Outcome::Declined(decline)));
    let declined = bench.store.commit(event).await.unwrap().payment.unwrap();
    assert_eq!(bench.read(payment.id).await, declined);
    assert_eq!(bench.store.list_attempts(payment.id).await.unwrap(), [declined.attempt.clone().unwrap()]);
}

async fn a_payment_is_its_owners_only(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let stranger = bench.store.ensure_tenant("stranger").await.unwrap().id;
    let find = async |owner| bench.store.find_owned_payment(owner, payment.id).await.unwrap();

    assert_eq!(find(bench.owner).await, Some(payment.clone()));
    assert_eq!(find(Owner { tenant: stranger, ..bench.owner }).await, None);
    assert_eq!(find(Owner { livemode: true, ..bench.owner }).await, None);
    let nobody = PaymentId::mint(moment(0), [0; 10]);
    assert_eq!(bench.store.find_payment(nobody).await.unwrap(), None);
}

async fn a_page_is_narrowed_and_goes_on_where_the_last_one_ended(database: Database) {
    let bench = Bench::new(database).await;
    let mut made = Vec::new();
    for n in 0..5 {
        bench.store.clock().travel(TimeDelta::seconds(1));
        let customer = Some(if n % 2 == 0 { "even" } else { "odd" }.to_owned());
        let payment = Payment { customer, reference: Some(format!("r{n}")), ..bench.payment() };
        made.push(bench.store.commit(bench.create(payment, None)).await.unwrap().payment.unwrap());
    }
    bench.store.commit(bench.event(made[4].id, Event::Cancel)).await.unwrap();
    let stranger = bench.store.ensure_tenant("stranger").await.unwrap().id;
    for payment in
        [Payment { tenant: stranger, ..bench.payment() }, Payment { livemode: true, ..bench.payment() }]
    {
        bench.store.commit(bench.create(payment, None)).await.unwrap();
    }
    let list = async |filter: Filter| {
        let page = bench.store.list_payments(bench.owner, &filter).await.unwrap();
        let place = |payment: &Payment| made.iter().position(|made| made.id == payment.id).unwrap();
        page.iter().map(place).collect::<Vec<_>>()
    };
    let all = Filter { limit: 10, ..Filter::default() };

    assert_eq!(list(all.clone()).await, [4, 3, 2, 1, 0]);
    assert_eq!(list(Filter { limit: 2, ..all.clone() }).await, [4, 3]);
    assert_eq!(list(Filter { limit: 2, after: Some(made[3].id), ..all.clone() }).await, [2, 1]);
    assert_eq!(list(Filter { after: Some(made[0].id), ..all.clone() }).await, Vec::<usize>::new());
    assert_eq!(list(Filter { customer: Some("odd".to_owned()), ..all.clone() }).await, [3, 1]);
    assert_eq!(list(Filter { reference: Some("r2".to_owned()), ..all.clone() }).await, [2]);
    assert_eq!(list(Filter { status: Some("canceled".to_owned()), ..all.clone() }).await, [4]);
    let middle = Filter { created_from: Some(moment(2)), created_before: Some(moment(4)), ..all.clone() };
    assert_eq!(list(middle).await, [2, 1]);
    let everybody = bench.store.list_all_payments(None, 100).await.unwrap();
    assert_eq!(everybody.len(), 7);
    let rest = bench.store.list_all_payments(Some(everybody[4].id), 100).await.unwrap();
    assert_eq!(rest, everybody[5..]);
}

// S5.8
async fn orphans_are_what_nothing_holds(database: Database) {
    let bench = Bench::new(database).await;
    let orphan = bench.paid_in().await;
    let held = bench.paid_in().await;
    let over = bench.paid_in().await;
    bench.store.commit(bench.event(over.id, Event::Cancel)).await.unwrap();
    for payment in [&orphan, &over] {
        let delete = format!("DELETE FROM jobs WHERE payment_id = '{}'", payment.id);
        raw::execute(&bench.database, &delete).await.unwrap();
    }
    let orphans = async |livemode, before| {
        let found = bench.store.list_orphans(livemode, before).await.unwrap();
        found.iter().map(|payment| payment.id).collect::<Vec<_>>()
    };

    assert_eq!(bench.job(held.id).await.kind, "charge");
    assert_eq!(orphans(false, moment(1)).await, [orphan.id]);
    assert_eq!(orphans(false, moment(0)).await, []);
    assert_eq!(orphans(true, moment(1)).await, []);
}

async fn counts_tell_how_many_stand_where(database: Database) {
    let bench = Bench::new(database).await;
    bench.paid_in().await;
    let payment = bench.sending().await;
    bench.store.commit(bench.event(payment.id, lost())).await.unwrap();

    let counts = bench.store.count_by_status(false).await.unwrap();
    let unknown = bench.store.count_once_unknown().await.unwrap();
    bench.store.commit(bench.event(payment.id, answered("ch_1", Outcome::Succeeded))).await.unwrap();

    assert_eq!(counts, [("pending".to_owned(), 1), ("processing".to_owned(), 1)]);
    assert_eq!((unknown, bench.store.count_once_unknown().await.unwrap()), (0, 1));
    assert_eq!(bench.store.count_by_status(true).await.unwrap(), []);
}

// S1.5
async fn exchanges_come_back_byte_for_byte(database: Database) {
    let bench = Bench::new(database).await;
    let payment = bench.paid_in().await;
    let body = "description=Größe%20\"XL\"\r\n\t'\\ \u{1f600}&x=\u{7f}\u{200b}";
    let (mut exchange, change) = bench.opening(payment.id, body);
    bench.store.commit(change.clone()).await.unwrap();
    // The same exchange opened again is the same one.
    bench.store.commit(Change { id: ChangeId::mint(moment(1), [9; 10]), ..change }).await.unwrap();
    let exchanges = async || bench.store.list_exchanges(payment.id).await.unwrap();
    assert_eq!(exchanges().await, [exchange.clone()]);

    let closing = Closing {
        id: exchange.id,
        payment: payment.id,
        at: moment(3),
        http_status: Some(402),
        result: Some(ExchangeResult::Declined),
        verdict: "declined: ✗".to_owned(),
        answer: Some("{\"code\":\"ä\"}".to_owned()),
    };
    let mut change = bench.change(Subject::Note);
    change.exchanges.push(ExchangeWrite::Close(closing.clone()));
    bench.store.commit(change).await.unwrap();

    exchange.closed = Some(closing);
    assert_eq!(exchanges().await, [exchange]);
}

async fn test_time_only_grows_and_replicas_agree_on_it(database: Database) {
    let bench = Bench::new(database).await;
    for days in [3, 1] {
        bench.store.advance_clock(TimeDelta::days(days)).await.unwrap();
    }

    assert_eq!(bench.store.clock().offset(), TimeDelta::days(3));
    let stored: Vec<(i64,)> = raw::rows(&bench.database, "SELECT offset_us FROM clocks").await;
    assert_eq!(stored, [(3 * 86_400_000_000,)]);
    raw::execute(&bench.database, "UPDATE clocks SET offset_us = 432000000000").await.unwrap();
    bench.store.refresh_clock().await.unwrap();
    assert_eq!(bench.store.clock().offset(), TimeDelta::days(5));
    assert_eq!(bench.store.clock().now(true), moment(0));
}

async fn tenants_and_accounts_are_made_once(database: Database) {
    let bench = Bench::new(database).await;

    let again = bench.store.ensure_tenant("test").await.unwrap();
    for _ in 0..2 {
        bench.store.ensure_account("main", "acme", false).await.unwrap();
    }

    assert_eq!((again.id, again.name.as_str()), (bench.owner.tenant, "test"));
    assert_eq!(raw::count(&bench.database, "gateway_accounts").await, 1);
}

async fn a_row_that_makes_no_sense_is_named(database: Database) {
    let bench = Bench::new(database).await;
    for (column, value) in [
        ("currency", "'XXX'"),
        ("metadata", "'['"),
        ("method", "'{}'"),
        ("amount_minor", "9007199254740992"),
        ("version", "4294967296"),
    ] {
        let payment = bench.paid_in().await;
        let id = payment.id.to_string();
        let sql = format!("UPDATE payments SET {column} = {value} WHERE id = '{id}'");
        raw::execute(&bench.database, &sql).await.unwrap();
        corrupt(&bench.store.find_payment(payment.id).await, "payments", column, &id);
        bench.store.forget_recent();
        let change = bench.store.commit(bench.event(payment.id, Event::Cancel)).await;
        let Err(CommitError::Store(error)) = change else { panic!("{change:?}") };
        corrupt::<()>(&Err(error), "payments", column, &id);
    }
    let payment = bench.sending().await;
    let (id, attempt) = (payment.id.to_string(), payment.attempt.unwrap().id.to_string());
    raw::execute(&bench.database, "UPDATE attempts SET decline = '{'").await.unwrap();
    corrupt(&bench.store.find_payment(payment.id).await, "attempts", "decline", &attempt);
    corrupt(&bench.store.list_attempts(payment.id).await, "attempts", "decline", &attempt);
    raw::execute(&bench.database, "UPDATE attempts SET decline = NULL, status = 'declined'").await.unwrap();
    corrupt(&bench.store.find_payment(payment.id).await, "payments", "attempt_n", &id);
    raw::execute(&bench.database, "DELETE FROM attempts").await.unwrap();
    corrupt(&bench.store.find_payment(payment.id).await, "attempts", "id", &id);
    let (exchange, change) = bench.opening(payment.id, "");
    bench.store.commit(change).await.unwrap();
    raw::execute(&bench.database, "UPDATE exchanges SET attempt_n = -1").await.unwrap();
    corrupt(
        &bench.store.list_exchanges(payment.id).await,
        "exchanges",
        "attempt_n",
        &exchange.id.to_string(),
    );
    let tenant = TenantId::mint(moment(0), [1; 10]).to_string().replace("ten_", "nobody_");
    let sql = format!(
        "INSERT INTO tenants (id, name, created_at) VALUES ('{tenant}', 'x', '2027-01-01T00:00:00Z')"
    );
    raw::execute(&bench.database, &sql).await.unwrap();
    corrupt(&bench.store.ensure_tenant("x").await, "tenants", "id", &tenant);
}

fn corrupt<T: std::fmt::Debug>(result: &Result<T, StoreError>, table: &str, column: &str, id: &str) {
    let found = match result {
        Err(StoreError::Corrupt { table, column, id }) => Some((*table, *column, id.as_str())),
        Ok(_)
        | Err(
            StoreError::Conflict
            | StoreError::Unavailable
            | StoreError::Unwritable
            | StoreError::Unfit(_)
            | StoreError::Sql(_),
        ) => None,
    };
    assert_eq!(found, Some((table, column, id)), "{result:?}");
}

async fn the_database_answers_until_it_is_closed(database: Database) {
    let bench = Bench::new(database).await;
    let vitals = bench.store.vitals().await.unwrap();
    assert_eq!((vitals.schema, vitals.now.is_some()), (None, !bench.database.is_sqlite()));

    bench.store.close().await;

    assert!(matches!(bench.store.vitals().await, Err(StoreError::Unavailable)));
    let payment = bench.payment();
    let refused = bench.store.commit(bench.create(payment, None)).await;
    assert!(matches!(refused, Err(CommitError::Unavailable | CommitError::Store(StoreError::Unavailable))));
}
