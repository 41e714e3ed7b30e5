//! Strikes: a blow as it falls on a running fleet.

use super::{
    Fleet,
    blows::{Blow, Sort, Way, Weather},
    replica::Replica,
};
use crate::signals::Signal;
use std::time::Instant;
use tokio::{
    sync::MutexGuard,
    time::{sleep, timeout},
};

impl Fleet<'_> {
    /// Deals a blow and mends what it has broken; whether it fell, since who is down already is not hit again.
    pub(super) async fn strike(&self, blow: Blow) -> anyhow::Result<bool> {
        match blow.sort {
            Sort::Kill => self.kill(blow).await,
            Sort::Stop | Sort::Pause => self.freeze(blow).await,
            Sort::Term => self.roll().await,
            Sort::Flush => self.flush().await,
            Sort::RestartRedis => self.restart_redis(blow).await,
            Sort::RestartPostgres => self.restart_postgres(blow).await,
            Sort::Network => Ok(self.trouble(blow).await),
        }
    }

    async fn kill(&self, blow: Blow) -> anyhow::Result<bool> {
        let Some(mut victim) = self.victim(blow.victim) else { return Ok(false) };
        self.complain(victim.mishap());
        let process = victim.pid();
        let killed = Instant::now();
        victim.kill(&self.doors).await;
        let noted = async {
            if let Some(process) = process {
                self.recovery.note(&self.store, process, killed).await;
            }
        };
        let back = async {
            sleep(blow.lasts).await;
            self.start(&mut victim).await
        };
        tokio::join!(noted, back).1?;
        Ok(true)
    }

    async fn freeze(&self, blow: Blow) -> anyhow::Result<bool> {
        let Some(mut victim) = self.victim(blow.victim) else { return Ok(false) };
        self.complain(victim.mishap());
        victim.signal(Signal::STOP)?;
        let mut over = self.over.subscribe();
        // A stop that lasts longer than the load would only be waited for.
        let _ = timeout(blow.lasts, over.wait_for(|over| *over)).await;
        victim.signal(Signal::CONT)?;
        Ok(true)
    }

    /// A deployment: one process after the other is asked to stop, and started anew.
    async fn roll(&self) -> anyhow::Result<bool> {
        let Ok(_alone) = self.rolling.try_lock() else { return Ok(false) };
        for replica in &self.replicas {
            let mut replica = replica.lock().await;
            self.complain(replica.mishap());
            replica.stop(&self.doors).await?;
            self.start(&mut replica).await?;
        }
        Ok(true)
    }

    async fn flush(&self) -> anyhow::Result<bool> {
        let Ok(redis) = self.redis.try_lock() else { return Ok(false) };
        let Some(redis) = &*redis else { return Ok(false) };
        redis.flush_all().await?;
        Ok(true)
    }

    async fn restart_redis(&self, blow: Blow) -> anyhow::Result<bool> {
        let Ok(mut redis) = self.redis.try_lock() else { return Ok(false) };
        let Some(redis) = &mut *redis else { return Ok(false) };
        redis.stop().await?;
        sleep(blow.lasts).await;
        redis.start_again().await?;
        Ok(true)
    }

    async fn restart_postgres(&self, blow: Blow) -> anyhow::Result<bool> {
        let Ok(mut postgres) = self.postgres.try_lock() else { return Ok(false) };
        let Some(postgres) = &mut *postgres else { return Ok(false) };
        postgres.stop(blow.shutdown).await?;
        sleep(blow.lasts).await;
        postgres.start_again().await?;
        Ok(true)
    }

    async fn trouble(&self, blow: Blow) -> bool {
        let Ok(_alone) = self.stormy.try_lock() else { return false };
        let road = match blow.way {
            Way::Database => &self.roads.database,
            Way::Gateway => &self.roads.gateway,
            Way::Redis => self.roads.redis.as_ref().unwrap_or(&self.roads.gateway),
        };
        road.set(blow.weather);
        sleep(blow.lasts).await;
        road.set(Weather::Clear);
        true
    }

    /// The first process, counted on from that number, that is in nobody's hands.
    fn victim(&self, number: usize) -> Option<MutexGuard<'_, Replica>> {
        let count = self.replicas.len();
        (number..number + count).find_map(|at| self.replicas[at % count].try_lock().ok())
    }
}
