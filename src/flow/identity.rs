//! Identity: whose account a key is of, as the gateway itself says. Until that is told nothing is begun there, and
//! that nothing was found proves nothing: it may be another account.

use super::{FlowError, Flows};
use crate::{
    domain::hold::HoldCause,
    gateway::{Account, client::Client},
    store::{Store, StoreError},
};
use chrono::TimeDelta;

/// How long what is about an account waits for the gateway to say whose it is.
pub(super) const IDENTITY_SOON: TimeDelta = TimeDelta::minutes(1);

/// Why it is not known to be the account that it always was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    #[error("the gateway refused the key with HTTP {0}")]
    Refused(u16),
    #[error("{0}")]
    Untold(String),
    #[error(
        "the key of the gateway account {name} is of {told}, but {name} has always been {known}: set a key of \
         {known}, or give {told} a name of its own"
    )]
    Another { name: String, told: String, known: String },
}

impl Unidentified {
    fn reason(&self) -> HoldCause {
        match self {
            Self::Refused(_) => HoldCause::Credentials,
            Self::Untold(_) => HoldCause::Identity,
            Self::Another { .. } => HoldCause::WrongAccount,
        }
    }
}

/// The gateway's own id of the account.
pub async fn identify(account: &Account, client: &Client) -> Result<String, Unidentified> {
    let reply = client.send(account, &account.gateway.identify(), account.gateway.api_version()).await;
    let reply = reply.map_err(|error| Unidentified::Untold(error.to_string()))?;
    match (reply.status, account.gateway.read_identity(&reply)) {
        (_, Some(identity)) => Ok(identity),
        (status, None) if account.gateway.refuses_key(&reply) => Err(Unidentified::Refused(status)),
        (status, None) => Err(Unidentified::Untold(format!("the gateway answered HTTP {status}"))),
    }
}

/// Whether an account is still the one that it was when it was first used here; the first word on it is kept.
pub async fn hold_to(store: &Store, name: &str, told: &str) -> Result<Result<(), Unidentified>, StoreError> {
    store.note_identity(name, told).await?;
    let known = store.find_account(name).await?.and_then(|account| account.identity);
    Ok(match known {
        Some(known) if known != told => {
            Err(Unidentified::Another { name: name.to_owned(), told: told.to_owned(), known })
        }
        Some(_) | None => Ok(()),
    })
}

impl Flows {
    /// Whether the gateway has told this process that it is the account that its payments are of.
    pub(super) fn is_identified(&self, account: &str) -> bool {
        self.store.holds().watch(|watch| watch.is_told(account))
    }

    /// Asks the gateway whose account it is. Until it has said, nothing is begun there.
    pub async fn identify(&self, account: &Account) -> Result<Result<(), Unidentified>, FlowError> {
        let told = match identify(account, &self.client).await {
            Ok(told) => hold_to(&self.store, &account.name, &told).await?,
            Err(error) => Err(error),
        };
        match &told {
            Ok(()) => self.store.holds().watch(|watch| watch.told(&account.name, self.clock().now(true))),
            Err(error) => self.doubt(&account.name, error.reason(), &error.to_string()),
        }
        Ok(told)
    }

    /// It is not known whose account it is: this process begins nothing there until it is told.
    pub(super) fn doubt(&self, account: &str, reason: HoldCause, detail: &str) {
        let now = self.clock().now(true);
        if !self.store.holds().watch(|watch| watch.doubt(account, reason, detail, now)) {
            return;
        }
        match reason {
            HoldCause::WrongAccount | HoldCause::Credentials => tracing::error!(
                gateway.name = account,
                "the gateway account {account} is not charged: {detail}"
            ),
            HoldCause::Identity | HoldCause::Requests | HoldCause::Person => {
                tracing::warn!(
                    gateway.name = account,
                    "the gateway account {account} is not charged until it says whose it is: {detail}"
                );
            }
        }
    }
}
