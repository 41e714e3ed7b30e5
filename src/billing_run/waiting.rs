//! Waiting: asks after a run's payments until none is under way.

use super::{IN_FLIGHT, Progress, Stop, server::Server, summary::Summary};
use dunlin_jobs::PaymentId;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::time::Duration;
use tokio::time::Instant;

/// How many payments are asked after at once.
const PAGE: usize = 200;
/// How long it waits between two rounds, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Asks until every payment is settled, which is true, or it is told to stop; then it counts the rest as it stands.
pub(super) async fn settle(
    server: &Server,
    mut under_way: Vec<PaymentId>,
    summary: &mut Summary,
    stop: &mut Stop,
    tell: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<bool> {
    let of = under_way.len();
    let mut pause = FIRST_PAUSE;
    loop {
        let (stopped, began) = (*stop.borrow(), Instant::now());
        let mut unsettled = 0;
        let pages = under_way.chunks(PAGE).map(|page| server.look_up(page));
        let mut pages = stream::iter(pages).buffer_unordered(IN_FLIGHT);
        let mut left = Vec::new();
        while let Some(page) = pages.try_next().await? {
            for payment in page {
                if payment.is_settled() || stopped {
                    unsettled += usize::from(!payment.is_settled());
                    summary.add(&payment);
                } else {
                    left.push(payment.id);
                }
            }
        }
        drop(pages);
        tell(Progress::Settled { payments: of - left.len(), of });
        if left.is_empty() {
            return Ok(unsettled == 0);
        }
        pause = if left.len() < under_way.len() { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
        // A round over many payments is work for the server, which has to charge them too.
        pause = pause.max(began.elapsed());
        under_way = left;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = stop.changed() => {}
        }
    }
}
