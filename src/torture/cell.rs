//! Cells: one process after the other over the same database, each hit but the last, and then the verdict.

use super::{
    caller::{Asked, Caller, Taken},
    life::Life,
    office, people,
    places::Moment,
    plan::{Blow, Loss, Plan, Trouble},
    room::Room,
    verdict::{self, Verdict},
};
use crate::{failpoint::Deed, private::Redis};
use chrono::TimeDelta;
use std::time::Duration;
use tokio::time::timeout;

/// How long a process may take to take what is handed to it, and to do what is due in five days; on a machine that has
/// nothing else to do, it takes a hundredth of it.
const WITHIN: Duration = Duration::from_mins(1);
/// How many times five days of test time a process sees that is hit: enough for doubts, and for some retries.
const TROUBLED: u32 = 2;
/// How many the last one sees: more than the longest schedule of retries has.
const HEALED: u32 = 10;
const FIVE_DAYS: TimeDelta = TimeDelta::days(5);
/// Test time in which what is due now is done.
const A_MOMENT: TimeDelta = TimeDelta::seconds(1);
/// After this long a slow call is on the wire.
const ON_THE_WIRE: Duration = Duration::from_millis(60);

/// How often Redis loses what it holds, in cells in which it does.
const LOSS_EVERY: Duration = Duration::from_millis(50);

/// How a cell went.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    /// How many of its blows fell: a point may be met less often than the plan has it.
    pub(super) blows_fallen: usize,
}

pub(super) async fn run(plan: &Plan, room: &mut Room) -> anyhow::Result<Ended> {
    room.enter(plan).await?;
    let Some(mut redis) = room.redis.take() else { return live_through(plan, room).await };
    room.redis_url = redis.url();
    let ended = tokio::select! {
        ended = Box::pin(live_through(plan, room)) => ended,
        error = lose(&mut redis, plan.loss) => Err(error),
    };
    if plan.loss == Loss::Restarted {
        // It may have been on its way down or up.
        redis.stop().await?;
        redis.start_again().await?;
    }
    room.redis = Some(redis);
    ended
}

/// Has Redis lose what it holds until this is dropped; ends where it could not.
async fn lose(redis: &mut Redis, loss: Loss) -> anyhow::Error {
    loop {
        tokio::time::sleep(LOSS_EVERY).await;
        let done = match loss {
            Loss::None => std::future::pending().await,
            Loss::Flushed => redis.flush_all().await,
            Loss::Restarted => match redis.stop().await {
                Ok(()) => redis.start_again().await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            return error;
        }
    }
}

async fn live_through(plan: &Plan, room: &mut Room) -> anyhow::Result<Ended> {
    let mut taken = Taken::new();
    let mut complaints = Vec::new();
    let mut blows_fallen = 0;
    for blow in &plan.blows {
        let mut life = Life::start(room, Some(blow))?;
        let strike = life.strike();
        let complaint = tokio::select! {
            () = strike, if blow.deed == Deed::Hold => None,
            complaint = suffer(plan, room, blow, &mut life, &mut taken) => complaint,
        };
        blows_fallen += usize::from(life.was_struck());
        room.relay.lead_to(None);
        life.kill().await;
        complaints.extend(complaint.map(|complaint| format!("{complaint}\n{}", life.last_words())));
        room.pass_time(blow.downtime).await?;
    }
    if plan.trouble == Trouble::Silence {
        room.calm().await?;
    }
    let mut life = Life::start(room, None)?;
    let url = life.door().await?;
    room.relay.lead_to(Some(&url));
    let caller = Caller::new(url, room.key()?)?;
    let mut complaint = work(plan, room, &caller, HEALED, &mut taken).await;
    if complaint.is_none()
        && let Err(error) = office::tell_again(&caller, room).await
    {
        complaint = Some(format!("what was told again was not taken: {error:#}"));
    }
    room.hush().await?;
    if complaint.is_none() && timeout(WITHIN, caller.pass(A_MOMENT)).await.is_err() {
        complaint = Some(format!("what was told last was not looked at; it said {}", caller.refused()));
    }
    room.relay.lead_to(None);
    life.kill().await;
    complaints.extend(complaint.map(|complaint| format!("{complaint}\n{}", life.last_words())));
    let mut verdict = verdict::judge(&plan.charges, room, &taken).await?;
    for complaint in complaints {
        verdict.stuck(complaint);
    }
    Ok(Ended { verdict, blows_fallen })
}

/// What is asked of a process that is hit. Unless it ends by that, it has to get over it by itself.
async fn suffer(plan: &Plan, room: &Room, blow: &Blow, life: &mut Life, taken: &mut Taken) -> Option<String> {
    let Ok(url) = life.door().await else { return None };
    room.relay.lead_to(Some(&url));
    let caller = match room.key().and_then(|key| Caller::new(url, key)) {
        Ok(caller) => caller,
        Err(error) => return Some(format!("{error:#}")),
    };
    if blow.moment == Moment::Stopping {
        caller.send(plan, taken).await;
        tokio::time::sleep(ON_THE_WIRE).await;
        return timeout(WITHIN, life.stop()).await.err().map(|_| "it did not stop".to_owned());
    }
    work(plan, room, &caller, TROUBLED, taken).await
}

/// Hands over all charges, asks for refunds, and lets time pass until nothing is due; says what took too long.
async fn work(plan: &Plan, room: &Room, caller: &Caller, times: u32, taken: &mut Taken) -> Option<String> {
    let slow = |what: String| Some(format!("a process did not {what}; it said {}", caller.refused()));
    if timeout(WITHIN, caller.send_until_taken(plan, taken)).await.is_err() {
        return slow("take all charges".to_owned());
    }
    let mut asked = Asked::default();
    for time in 1..=times {
        if timeout(WITHIN, caller.pass(A_MOMENT)).await.is_err() {
            return slow("do what was due at once".to_owned());
        }
        caller.have_customers_answer(&plan.charges, taken).await;
        // What they cannot do now they do later.
        let _ = timeout(WITHIN, office::act(&plan.charges, room, taken)).await;
        if timeout(WITHIN, caller.ask_back(&plan.charges, taken, &mut asked)).await.is_err() {
            return slow("take all refunds".to_owned());
        }
        if timeout(WITHIN, caller.pass(FIVE_DAYS)).await.is_err() {
            return slow(format!("come to rest by day {}", 5 * time));
        }
        // They come again: what they cannot say now they may say later.
        let _ = timeout(WITHIN, people::look(caller, room)).await;
    }
    None
}
