//! Jobs as a person sees and moves them.

use super::{FlowError, Flows, payments::check_text};
use crate::store::{
    KeyHolder, Owner,
    change::{CommitError, JobAct, JobWish, Subject},
    jobs::{JobFilter, JobView},
};
use dunlin_jobs::JobId;

impl Flows {
    pub async fn list_jobs(&self, owner: Owner, filter: &JobFilter) -> Result<Vec<JobView>, FlowError> {
        Ok(self.store.list_owned_jobs(owner, filter).await?)
    }

    pub async fn load_job(&self, owner: Owner, id: JobId) -> Result<JobView, FlowError> {
        self.store.find_owned_job(owner, id).await?.ok_or(NO_JOB)
    }

    /// Does to a job what a person wants; answers with the job as it is then, or as it was left where it has run since.
    pub async fn operate_job(
        &self,
        by: &KeyHolder,
        id: JobId,
        act: JobAct,
        reason: Option<String>,
    ) -> Result<JobView, FlowError> {
        check_text("reason", reason.as_deref())?;
        let job = self.load_job(by.owner, id).await?;
        let payment = job.payment.parse().map_err(|_| NO_JOB)?;
        let wish = JobWish { payment, job: id, act, reason };
        let committed = match self.store.offer(self.change(by, Subject::Job(wish))).await {
            Ok(committed) => committed,
            Err(CommitError::NotFound) => return Err(NO_JOB),
            Err(error) => return Err(FlowError::from(error).with(payment)),
        };
        if committed.fresh {
            tracing::info!(job.id = %id, payment.id = %payment, key.id = %by.key, "a person moves {id}");
        }
        let left = JobView {
            state: "live".to_owned(),
            due_at: self.clock().now(by.owner.livemode),
            parked_reason: None,
            parked_code: None,
            ..job
        };
        Ok(self.store.find_owned_job(by.owner, id).await?.unwrap_or(left))
    }
}

const NO_JOB: FlowError = FlowError::NotFound("job");
