//! Inquiry: asks a gateway what became of an attempt, page by page, each call an exchange on record.

use super::{About, FlowError, Flows, Worked, verdict::Verdict};
use crate::{
    domain::{attempt::Attempt, clock::Time, payment::Payment},
    failpoint::Point,
    gateway::{Finding, Tried},
    store::{
        change::{CommitError, Exchange, ExchangeWrite, JobEnd},
        claim::Claimed,
    },
};

/// How many pages of a listing one look may read.
const MAX_PAGES: usize = 50;

/// One question about one attempt.
pub(super) struct Inquiry<'a> {
    pub(super) flows: &'a Flows,
    pub(super) claimed: &'a Claimed,
    pub(super) payment: &'a Payment,
    pub(super) attempt: &'a Attempt,
    pub(super) last_sent_at: Time,
}

impl Inquiry<'_> {
    /// Whether there is anything to ask by: the gateway's own id, or our reference in its listings (S2.9).
    pub(super) fn is_possible(&self) -> Result<bool, FlowError> {
        let listed = self.flows.account(self.payment)?.gateway.traits().query_by_reference;
        Ok(listed || self.payment.operation.is_some())
    }

    /// Asks by the gateway's own id, or in a complete listing. What was found comes with the end of its exchange,
    /// which is to be committed with what follows from it; none when the job has passed to another worker.
    pub(super) async fn ask(&self) -> Result<Option<(Finding, ExchangeWrite)>, FlowError> {
        let Self { flows, claimed, payment, attempt, last_sent_at } = *self;
        let account = flows.account(payment)?;
        let attempts = flows.store.list_attempts(payment.id).await?;
        // An attempt that was never charged has no charge; the last one that was is what the intent still names.
        let mut earlier = attempts.iter().rev().filter(|other| other.n < attempt.n);
        let tried = Tried {
            payment,
            n: attempt.n,
            first_sent_at: attempt.first_sent_at,
            last_sent_at,
            earlier_charge: earlier.find_map(|attempt| attempt.charge.as_deref()),
        };
        let mut call = account.gateway.query(tried);
        for page in 1..=MAX_PAGES {
            let exchange = flows.exchange(account, About::Attempt(payment.id, attempt.n), &call);
            if !flows.open(claimed, &exchange).await? {
                return Ok(None);
            }
            let reply = flows.send(account, claimed, &exchange).await;
            flows.store.pass(Point::AfterAsk).await?;
            let finding = match &reply {
                Ok(reply) => account.gateway.read_query(tried, &call, reply),
                Err(error) => Finding::Nothing(error.to_string()),
            };
            match &finding {
                Finding::More(next) if page < MAX_PAGES => {
                    let closing = flows.closing(account, &exchange, &reply, finding.verdict());
                    flows.keep(closing).await?;
                    call = next.clone();
                }
                Finding::Answered(_)
                | Finding::Canceled
                | Finding::Absent
                | Finding::More(_)
                | Finding::Nothing(_) => {
                    let mut verdict = finding.verdict();
                    if matches!(finding, Finding::More(_)) {
                        verdict.push_str(", and there are too many");
                    }
                    let closing = flows.closing(account, &exchange, &reply, verdict);
                    return Ok(Some((finding, closing)));
                }
            }
        }
        Ok(None)
    }
}

impl Flows {
    /// Commits an exchange before a byte leaves; false when the job has passed to another worker.
    pub(super) async fn open(&self, claimed: &Claimed, exchange: &Exchange) -> Result<bool, FlowError> {
        let opening = Worked::note(JobEnd::Keep).with(ExchangeWrite::Open(exchange.clone()));
        match self.happen(claimed, opening).await {
            Ok(_) => {
                self.store.pass(Point::BeforeAsk).await?;
                Ok(true)
            }
            Err(CommitError::LeaseLost) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
