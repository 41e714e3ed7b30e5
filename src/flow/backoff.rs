//! Back-off: when a request goes again that is proven not to have left.

use super::Flows;
use crate::{
    domain::{clock::Time, decline::transport},
    gateway::{Account, Reply, client::SendError},
    store::claim::Claimed,
};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

impl Flows {
    /// Not before the gateway wants it, and spread: what a limiter turned away together must not come back together.
    pub(super) fn next_try(
        &self,
        claimed: &Claimed,
        account: &Account,
        reply: &Result<Reply, SendError>,
    ) -> Time {
        let advised = reply.as_ref().ok().and_then(|reply| account.gateway.retry_after(reply));
        let advised = advised.and_then(|wait| TimeDelta::from_std(wait).ok()).unwrap_or_default();
        let delay = transport(claimed.failures + 1).max(advised);
        self.clock().now(claimed.livemode)
            + delay
            + jitter(&claimed.lease.job.to_string(), claimed.failures, delay)
    }
}

/// Up to half of the delay, by a hash of the job, so that it can be replayed (S3.0).
fn jitter(job: &str, failures: u32, delay: TimeDelta) -> TimeDelta {
    let digest = Sha256::digest(format!("{job}:{failures}"));
    let micros = delay.num_microseconds().unwrap_or(0) / 2;
    TimeDelta::microseconds(micros.saturating_mul(i64::from(digest[0])) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_turned_away_together_comes_back_spread_and_never_early() {
        let delay = TimeDelta::seconds(10);
        let spread: Vec<_> = (0..100).map(|n| jitter(&format!("job_{n}"), 0, delay)).collect();

        assert!(spread.iter().all(|late| *late >= TimeDelta::zero() && *late <= TimeDelta::seconds(5)));
        assert!(spread.iter().max().unwrap().num_seconds() > spread.iter().min().unwrap().num_seconds() + 3);
    }
}
