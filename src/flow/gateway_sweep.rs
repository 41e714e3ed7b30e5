//! Gateway sweep: what events missed of the money that others moved, found in the gateway's own lists (S5.8).

use super::{FlowError, Flows, Worked, gateway_refunds::facts, identity::IDENTITY_SOON};
use crate::{
    domain::{
        listing::{Part, Turned},
        refund::Seen,
    },
    gateway::{
        Account,
        listing::{Listed, Listings, Span, Topic},
    },
    store::{
        change::{CommitError, Fact, JobEnd},
        claim::Claimed,
    },
};
use chrono::TimeDelta;
use dunlin_jobs::{GatewaySweep, PaymentId};

/// How often an account's lists are read.
const EVERY: TimeDelta = TimeDelta::minutes(15);
/// How many pages of one list a run may read, of its front and of all of it each.
const MAX_PAGES: usize = 20;

/// What one run came to, for the log.
#[derive(Debug, Default)]
struct Tally {
    pages: usize,
    seen: usize,
    learned: usize,
    unreadable: usize,
}

/// Reads on in the lists of one account; the job's row moves its own time.
pub async fn run(flows: &Flows, claimed: &Claimed, job: &GatewaySweep) -> Result<(), FlowError> {
    let Some(account) = flows.gateways.find(&job.account) else {
        // Another process may have it configured, and none plants the row before its next start.
        return flows.end_job(&claimed.lease, JobEnd::Again(flows.clock().now(true) + EVERY)).await;
    };
    if !flows.is_identified(&account.name) {
        // Another account's lists tell nothing of ours, and how far ours were read must stay as it is.
        let at = flows.clock().now(true) + IDENTITY_SOON;
        return flows.end_job(&claimed.lease, JobEnd::Again(at)).await;
    }
    let mut tally = Tally::default();
    if let Some(listings) = account.gateway.listings() {
        let sweep = Sweep { flows, claimed, account, listings };
        for topic in Topic::ALL {
            if !sweep.read(topic, &mut tally).await? {
                return Ok(());
            }
        }
    }
    let Tally { pages, seen, learned, unreadable } = tally;
    if unreadable > 0 {
        tracing::warn!(gateway.name = %account.name, unreadable,
            "{unreadable} entries of the lists of {} make no sense", account.name);
    }
    tracing::info!(gateway.name = %account.name, pages, seen, learned,
        "the lists of {} were read: {learned} of {seen} entries were news", account.name);
    let end = Worked::note(JobEnd::Again(flows.clock().now(true) + EVERY));
    match flows.happen(claimed, end).await {
        Ok(_) | Err(CommitError::LeaseLost) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One run over an account's lists.
struct Sweep<'a> {
    flows: &'a Flows,
    claimed: &'a Claimed,
    account: &'a Account,
    listings: &'a dyn Listings,
}

impl Sweep<'_> {
    /// Reads on in one list; false when the job was put back, for the account may not be called so soon.
    async fn read(&self, topic: Topic, tally: &mut Tally) -> Result<bool, FlowError> {
        for part in [Part::Front, Part::Whole] {
            for _ in 0..MAX_PAGES {
                match self.read_page(topic, part, tally).await? {
                    Read::More => {}
                    Read::Enough => break,
                    Read::Passed => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    async fn read_page(&self, topic: Topic, part: Part, tally: &mut Tally) -> Result<Read, FlowError> {
        let Self { flows, claimed, account, listings } = *self;
        let mut progress = flows.store.load_progress(&account.name, topic.name()).await?;
        let Some(pass) = progress.pass(part, flows.clock().now(account.livemode)) else {
            return Ok(Read::Enough);
        };
        if !flows.await_turn(claimed, account).await? {
            return Ok(Read::Passed);
        }
        let span = Span { charge: None, from: pass.floor, after: pass.after.as_deref() };
        let call = listings.list(topic, span);
        let reply = flows.client.send(account, &call, account.gateway.api_version()).await;
        let listed = match &reply {
            Ok(reply) => facts(listings, topic, reply),
            Err(error) => Listed::Nothing(error.to_string()),
        };
        let page = match listed {
            Listed::Page(page) => page,
            Listed::Gone(_) if pass.after.is_some() => {
                progress.begin_anew(part);
                flows.store.keep_progress(&account.name, topic.name(), &progress).await?;
                return Ok(Read::Enough);
            }
            Listed::Gone(why) | Listed::Refused(why) | Listed::Nothing(why) => {
                tracing::warn!(gateway.name = %account.name,
                    "the {} of {} could not be read: {why}", topic.name(), account.name);
                return Ok(Read::Enough);
            }
        };
        tally.pages += 1;
        tally.seen += page.items.len();
        tally.unreadable += page.unreadable;
        tally.learned += self.learn_news(page.items).await?;
        let ends = page.next_after.is_none();
        progress.turn(part, Turned { newest: page.newest, next_after: page.next_after });
        flows.store.keep_progress(&account.name, topic.name(), &progress).await?;
        Ok(if ends { Read::Enough } else { Read::More })
    }

    /// Keeps what is not known yet of payments of ours; how much that was.
    async fn learn_news(&self, shown: Vec<Fact>) -> Result<usize, FlowError> {
        let mut learned = 0;
        for (payment, fact) in self.news(shown).await? {
            let found = self.flows.store.find_payment(payment).await?;
            let ours = found.is_some_and(|payment| {
                payment.account == self.account.name && payment.livemode == self.account.livemode
            });
            if ours && self.flows.learn(payment, fact).await? {
                learned += 1;
            }
        }
        Ok(learned)
    }

    /// Those entries of a page that say something new, with their payments.
    async fn news(&self, shown: Vec<Fact>) -> Result<Vec<(PaymentId, Fact)>, FlowError> {
        let (store, account) = (&self.flows.store, &self.account.name);
        let refunds: Vec<&str> =
            shown.iter().filter_map(refund).map(|seen| seen.operation.as_str()).collect();
        let disputes: Vec<&str> = shown.iter().filter_map(dispute).collect();
        let named: Vec<&str> = shown.iter().map(charge).collect();
        let refunds = store.find_known_refunds(account, &refunds).await?;
        let disputes = store.find_known_disputes(account, &disputes).await?;
        let charged = store.find_charged_payments(account, &named).await?;
        let mut news = Vec::new();
        for fact in shown {
            let payment = match &fact {
                Fact::Refund(seen) => match refunds.get(&seen.operation) {
                    Some((_, status)) if seen.agrees(*status) => None,
                    Some((payment, _)) => Some(*payment),
                    None => charged.get(&seen.charge).copied().or(seen.payment),
                },
                Fact::Dispute(seen) => match disputes.get(&seen.id) {
                    Some(known) if (known.status, known.due_by) == (seen.status, seen.due_by) => None,
                    Some(known) => Some(known.payment),
                    None => charged.get(&seen.charge).copied(),
                },
                Fact::Warning(seen) => charged.get(&seen.charge).copied(),
            };
            news.extend(payment.map(|payment| (payment, fact)));
        }
        Ok(news)
    }
}

/// What reading a page came to.
enum Read {
    More,
    Enough,
    /// The job was put back.
    Passed,
}

fn refund(fact: &Fact) -> Option<&Seen> {
    match fact {
        Fact::Refund(seen) => Some(seen),
        Fact::Dispute(_) | Fact::Warning(_) => None,
    }
}

fn dispute(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Dispute(seen) => Some(&seen.id),
        Fact::Refund(_) | Fact::Warning(_) => None,
    }
}

fn charge(fact: &Fact) -> &str {
    match fact {
        Fact::Refund(seen) => &seen.charge,
        Fact::Dispute(seen) => &seen.charge,
        Fact::Warning(seen) => &seen.charge,
    }
}
