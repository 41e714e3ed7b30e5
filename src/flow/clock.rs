//! The test clock: lets a user watch a month of retries in a second.

use super::{FlowError, Flows};
use crate::{
    domain::{clock::Time, trail::Deed},
    gateway::{Account, Call},
    store::KeyHolder,
};
use std::time::Duration;

/// How long the jobs of one moment may take.
const QUIET_WITHIN: Duration = Duration::from_mins(2);
/// How long a sandbox that does not answer is told the time.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// How soon quiet is looked for again at first, and at last.
const LOOK_SOON: Duration = Duration::from_millis(2);
const LOOK_LATE: Duration = Duration::from_millis(20);
/// The furthest that test time may be ahead.
const MAX_AHEAD: chrono::TimeDelta = chrono::TimeDelta::days(366 * 10);

/// How far a step went.
enum Stepped {
    /// There may be more that is due before the target.
    Again,
    There,
}

impl Flows {
    /// Test time, which another process may have moved.
    pub async fn test_time(&self) -> Result<Time, FlowError> {
        self.store.refresh_clock().await?;
        Ok(self.clock().now(false))
    }

    /// Moves test time to `target`, stopping at each due moment until its work is done.
    pub async fn advance_test_clock(&self, target: Time) -> Result<Time, FlowError> {
        self.check_target(target)?;
        self.move_on(target).await
    }

    async fn move_on(&self, target: Time) -> Result<Time, FlowError> {
        if self.store.find_restore().await?.is_some() {
            return Err(FlowError::Conflict {
                code: "clock_not_advanceable",
                detail: "the database was restored, and nothing that is due would be done: run `dunlin restore --release` \
                         first"
                    .to_owned(),
                payment: None,
            });
        }
        loop {
            self.wait_until_quiet().await?;
            let flows = self.clone();
            // Once begun, a step is finished, whether or not its caller still waits.
            let step = tokio::spawn(async move { flows.step_test_clock(target).await });
            match step
                .await
                .map_err(|error| FlowError::Later(format!("the clock was not moved: {error}")))??
            {
                Stepped::Again => {}
                Stepped::There => return Ok(self.clock().now(false)),
            }
        }
    }

    /// The same for the holder of a key, whose deed is noted before it takes effect.
    pub async fn advance_test_clock_for(&self, by: &KeyHolder, target: Time) -> Result<Time, FlowError> {
        self.check_target(target)?;
        let deed = Deed {
            before: Some(self.clock().now(false).to_rfc3339()),
            after: Some(target.to_rfc3339()),
            ..Deed::by(&by.into(), "test_clock.advance", "test_clock", self.clock().now(true))
        };
        self.store.note_deed(by.owner, deed).await?;
        self.move_on(target).await
    }

    /// Moves test time to the next due moment, while nothing is in hand and nothing can be begun: a request that
    /// leaves before a jump must not arrive after it, when its key may be forgotten.
    async fn step_test_clock(&self, target: Time) -> Result<Stepped, FlowError> {
        let shut = self.store.shut_test_claims().await?;
        let stepped = self.step_while_shut(target).await;
        shut.open().await?;
        // Whoever rang while it was shut was not heard.
        self.store.enqueued().notify_waiters();
        stepped
    }

    async fn step_while_shut(&self, target: Time) -> Result<Stepped, FlowError> {
        if self.store.count_busy(false, self.clock().now(false)).await? > 0 {
            return Ok(Stepped::Again);
        }
        match self.store.find_next_due(false).await?.filter(|due| *due <= target) {
            Some(due) => self.move_test_clock(due).await.map(|()| Stepped::Again),
            None => self.move_test_clock(target).await.map(|()| Stepped::There),
        }
    }

    fn check_target(&self, target: Time) -> Result<(), FlowError> {
        let invalid = |detail: String| FlowError::Invalid { field: "to".to_owned(), detail };
        let now = self.clock().now(false);
        if target < now {
            return Err(invalid(format!("the test clock stands at {now} and never goes back")));
        }
        if target > self.clock().now(true) + MAX_AHEAD {
            return Err(invalid("at most ten years ahead".to_owned()));
        }
        match self.gateways.of(false).find(|account| !account.follows_test_clock) {
            Some(account) => Err(FlowError::Conflict {
                code: "clock_not_advanceable",
                detail: format!(
                    "the gateway account {} has a clock of its own; advance only with sandbox accounts, which \
                     have follows_test_clock = true",
                    account.name
                ),
                payment: None,
            }),
            None => Ok(()),
        }
    }

    /// Sandboxes first: what they answer must never be older than what we ask.
    async fn move_test_clock(&self, to: Time) -> Result<(), FlowError> {
        let offset = to - self.clock().now(true);
        if offset <= self.clock().offset() {
            return Ok(());
        }
        for account in self.gateways.of(false) {
            let Some(call) = account.gateway.set_clock(offset) else { continue };
            self.tell_time(account, &call).await?;
        }
        Ok(self.store.advance_clock(offset).await?)
    }

    /// Tells a sandbox the time until it says that it has it: an answer that is lost leaves it ahead of us.
    async fn tell_time(&self, account: &Account, call: &Call) -> Result<(), FlowError> {
        let deadline = tokio::time::Instant::now() + TOLD_WITHIN;
        loop {
            let problem = match self.client.send(account, call, account.gateway.api_version()).await {
                // 409: it was told before, and whoever told it did not live to keep the time. It never goes back;
                // we follow.
                Ok(reply) if matches!(reply.status, 200 | 409) => return Ok(()),
                Ok(reply) => format!("{} did not take the time: HTTP {}", account.name, reply.status),
                Err(error) => format!("{} was not told the time: {error}", account.name),
            };
            if tokio::time::Instant::now() > deadline {
                return Err(FlowError::Later(problem));
            }
            tokio::time::sleep(LOOK_SOON).await;
        }
    }

    /// Until no job of the test environment is due or in hand.
    pub async fn wait_until_quiet(&self) -> Result<(), FlowError> {
        let deadline = tokio::time::Instant::now() + QUIET_WITHIN;
        let mut pause = LOOK_SOON;
        while self.store.count_busy(false, self.clock().now(false)).await? > 0 {
            if tokio::time::Instant::now() > deadline {
                return Err(FlowError::Later("the jobs that are due take too long".to_owned()));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 5 / 4).min(LOOK_LATE);
        }
        Ok(())
    }
}
