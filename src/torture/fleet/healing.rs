//! Healing: nothing befalls the fleet any more, and time passes until nothing is left to do.

use super::{Fleet, load::Load};
use chrono::TimeDelta;
use std::time::{Duration, Instant};

/// How long what is due may take.
const QUIET_WITHIN: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often test time passes while nobody runs, at most; each time to what is due next, and on by this much.
const JUMPS: usize = 60;
const MORE: TimeDelta = TimeDelta::hours(6);

impl Fleet<'_> {
    /// Brings every payment to its end, as far as time does.
    pub(super) async fn heal(&self, load: &Load) -> anyhow::Result<()> {
        for replica in &self.replicas {
            let mut replica = replica.lock().await;
            let mishap = replica.mishap();
            if mishap.is_some() {
                self.complain(mishap);
                self.start(&mut replica).await?;
            }
        }
        self.room.calm().await?;
        tokio::select! {
            quiet = self.rest() => quiet?,
            () = self.recovery.watch(&self.store) => {}
        }
        for _ in 0..JUMPS {
            load.ask_back(&self.doors).await;
            self.rest().await?;
            let Some(due) = self.store.find_next_due(false).await? else { break };
            self.stop().await?;
            self.room.pass_time(due - self.store.clock().now(false) + MORE).await?;
            self.start_some().await?;
            self.rest().await?;
        }
        self.stop().await
    }

    /// One of each role is enough now.
    async fn start_some(&self) -> anyhow::Result<()> {
        for number in [0, self.doors.count()] {
            self.start(&mut *self.replicas[number].lock().await).await?;
        }
        Ok(())
    }

    async fn stop(&self) -> anyhow::Result<()> {
        for replica in &self.replicas {
            let mut replica = replica.lock().await;
            self.complain(replica.mishap());
            replica.stop(&self.doors).await?;
        }
        Ok(())
    }

    /// Waits until nothing is due and nobody has anything in hand.
    async fn rest(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.is_busy().await? {
            if begun.elapsed() > QUIET_WITHIN {
                self.complain(Some("the fleet did not come to rest".to_owned()));
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_busy(&self) -> anyhow::Result<bool> {
        self.store.refresh_clock().await?;
        Ok(self.store.count_busy(false, self.store.clock().now(false)).await? > 0)
    }
}
