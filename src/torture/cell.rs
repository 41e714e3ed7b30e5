//! Cells: one process after the other over the same database, each hit but the last, and then the verdict.

use super::{
    caller::{Caller, Taken},
    life::Life,
    plan::{Blow, Moment, Plan},
    room::Room,
    verdict::{self, Verdict},
};
use crate::failpoint::Deed;
use chrono::TimeDelta;
use std::time::Duration;

/// How long a process may take to come to rest; without a blow that takes so long, none takes a tenth of it.
const REST_WITHIN: Duration = Duration::from_secs(40);
/// How much test time a process sees that is hit: enough for what is asked after, and for some retries.
const TROUBLED: TimeDelta = TimeDelta::days(10);
/// How much the last one sees: longer than the longest schedule of retries.
const HEALED: TimeDelta = TimeDelta::days(50);
/// After this long a slow call is on the wire.
const ON_THE_WIRE: Duration = Duration::from_millis(60);

/// How a cell went.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    /// How many of its blows fell: a point may be met less often than the plan has it.
    pub(super) blows_fallen: usize,
}

pub(super) async fn run(plan: &Plan, room: &mut Room) -> anyhow::Result<Ended> {
    room.enter();
    let mut taken = Taken::new();
    let mut complaints = Vec::new();
    let mut blows_fallen = 0;
    for blow in &plan.blows {
        let suffered = suffer(plan, room, blow, &mut taken).await?;
        blows_fallen += usize::from(suffered.fallen);
        complaints.extend(suffered.complaint);
        room.pass_time(blow.downtime).await?;
    }
    complaints.extend(heal(plan, room, &mut taken).await?);
    let mut verdict = verdict::judge(plan, room, &taken).await?;
    for complaint in complaints {
        verdict.stuck(complaint);
    }
    Ok(Ended { verdict, blows_fallen })
}

struct Suffered {
    fallen: bool,
    complaint: Option<String>,
}

/// The life of a process that is hit. One that is not killed by it has to come to rest by itself.
async fn suffer(plan: &Plan, room: &Room, blow: &Blow, taken: &mut Taken) -> anyhow::Result<Suffered> {
    let mut life = Life::start(room, Some(blow))?;
    let strike = life.strike();
    let rested = tokio::select! {
        () = strike, if blow.deed == Deed::Hold => true,
        rested = tokio::time::timeout(REST_WITHIN, play(plan, room, blow, &mut life, taken)) => rested.is_ok(),
    };
    let fallen = life.was_struck();
    life.kill().await;
    let complaint = (!rested).then(|| {
        format!("a process did not come to rest by itself after {:?}:\n{}", blow, life.last_words())
    });
    Ok(Suffered { fallen, complaint })
}

/// What is asked of a process that is hit. How it answers is its affair: the next one is asked again.
async fn play(
    plan: &Plan,
    room: &Room,
    blow: &Blow,
    life: &mut Life,
    taken: &mut Taken,
) -> anyhow::Result<()> {
    let url = life.door().await?;
    let caller = Caller::new(url, room.key()?)?;
    caller.send(plan, taken).await;
    if blow.moment == Moment::Stopping {
        tokio::time::sleep(ON_THE_WIRE).await;
        life.stop().await;
    } else {
        caller.advance(TROUBLED).await;
    }
    Ok(())
}

/// The life of the last process, in which nothing goes wrong any more.
async fn heal(plan: &Plan, room: &Room, taken: &mut Taken) -> anyhow::Result<Option<String>> {
    let mut life = Life::start(room, None)?;
    let work = async {
        let url = life.door().await?;
        let caller = Caller::new(url, room.key()?)?;
        caller.send_until_taken(plan, taken).await;
        caller.advance(HEALED).await;
        anyhow::Ok(())
    };
    let rested = tokio::time::timeout(REST_WITHIN, work).await;
    life.kill().await;
    Ok(match rested {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the last process: {error:#}")),
        Err(_) => Some(format!("the last process did not come to rest:\n{}", life.last_words())),
    })
}
