//! Configuration: defaults that document every key, the environment's file, yours, and variables, in that
//! order. Each module owns its own settings; this file puts them together and checks what spans them.

use crate::{
    domain::{decline::Policy, rejection::Rules},
    failpoint::{Deed, Point},
    flow, gateway, http, redis,
    sealing::{Keyring, SealingConfig},
    store, worker,
};
use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format, Toml},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const DEFAULT: &str = include_str!("../config/default.toml");
const DEVELOPMENT: &str = include_str!("../config/development.toml");
const PRODUCTION: &str = include_str!("../config/production.toml");
const DECLINES: &str = include_str!("../config/declines.toml");
const REJECTIONS: &str = include_str!("../config/rejections.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub environment: Environment,
    pub data_dir: PathBuf,
    pub store: StoreConfig,
    pub http: http::Settings,
    pub worker: worker::Settings,
    pub intake: worker::intake::Settings,
    pub payments: flow::Settings,
    pub client: gateway::client::ClientConfig,
    pub gateways: BTreeMap<String, gateway::AccountConfig>,
    pub gateway_rates: BTreeMap<String, flow::Rate>,
    pub gateway_usual_rate: flow::Rate,
    pub redis: redis::Settings,
    pub sealing: SealingConfig,
    pub sandbox: SandboxConfig,
    pub log: LogConfig,
    pub failpoint: FailpointConfig,
    #[serde(skip)]
    pub declines: Option<Policy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    Development,
    Production,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    pub url: String,
    pub connections: u32,
    pub committers: usize,
    pub migrate_on_start: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxConfig {
    pub start: bool,
    pub account: String,
    pub latency_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailpointConfig {
    pub point: String,
    pub nth: u32,
    pub deed: Deed,
}

/// Why the configuration cannot be used; each names the key and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Read(String),
    #[error("the configuration cannot be used:\n{}", .0.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<String>),
}

impl Config {
    /// Reads all layers and checks the result.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_over(file, &[])
    }

    /// The same with settings of the command line on top, as `("store.url", "..")`.
    pub fn load_over(file: Option<&Path>, over: &[(&str, String)]) -> Result<Self, ConfigError> {
        if let Some(file) = file.filter(|file| !file.is_file()) {
            return Err(ConfigError::Read(format!("there is no file {}: check --config", file.display())));
        }
        let mut layers = Figment::from(Toml::string(DEFAULT));
        let top = |mut layers: Figment| {
            if let Some(file) = file {
                layers = layers.merge(Toml::file_exact(file));
            }
            let mut layers = layers.merge(Env::prefixed("DUNLIN_").split("__").ignore(NOT_SETTINGS));
            for (key, value) in over {
                layers = layers.merge((*key, value));
            }
            layers
        };
        let environment: Environment =
            top(layers.clone()).extract_inner("environment").map_err(|error| unreadable(&error))?;
        layers = layers.merge(Toml::string(match environment {
            Environment::Development => DEVELOPMENT,
            Environment::Production => PRODUCTION,
        }));
        let mut config: Self = top(layers).extract().map_err(|error| unreadable(&error))?;
        let policy: Policy =
            toml::from_str(DECLINES).map_err(|error| ConfigError::Read(format!("declines.toml: {error}")))?;
        let rejections: Rules = toml::from_str(REJECTIONS)
            .map_err(|error| ConfigError::Read(format!("rejections.toml: {error}")))?;
        config.payments.rejections = Arc::new(rejections);
        config.payments.max_clock_skew = config.worker.max_clock_skew();
        let mistakes = config.mistakes(&policy);
        config.declines = Some(policy);
        if mistakes.is_empty() { Ok(config) } else { Err(ConfigError::Wrong(mistakes)) }
    }

    /// What spans sections, or is more than a type can say.
    fn mistakes(&self, policy: &Policy) -> Vec<String> {
        let mut wrong = policy.mistakes();
        wrong.extend(self.payments.rejections.mistakes());
        let longest = self.client.timeout() + Duration::from_millis(self.payments.lease_margin_ms);
        wrong.extend(self.worker.check(longest).err());
        wrong.extend(self.intake.mistake().map(str::to_owned));
        if self.payments.unknown_polls_s.is_empty() || self.payments.unknown_polls_s.contains(&0) {
            wrong.push("payments.unknown_polls_s must list at least one delay, and none of 0".to_owned());
        }
        if self.payments.action_expires_s == 0 {
            wrong.push(
                "payments.action_expires_s must be more than 0: a customer needs time to act".to_owned(),
            );
        }
        if !(1..=366).contains(&self.payments.payable_days) {
            wrong.push("payments.payable_days must be 1 to 366".to_owned());
        }
        if self.payments.action_expires_s >= self.payments.review_after_s {
            wrong.push(
                "payments.action_expires_s must be less than payments.review_after_s: a customer who went away is \
                 no case for a person"
                    .to_owned(),
            );
        }
        if !self.failpoint.point.is_empty() && Point::from_name(&self.failpoint.point).is_none() {
            let known: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
            wrong.push(format!("failpoint.point: no such point; one of {}", known.join(", ")));
        }
        wrong.extend(self.mistakes_if_live(&self.gateways));
        for (name, account) in &self.gateways {
            wrong.extend(account.mistake().map(|mistake| format!("gateways.{name}: {mistake}")));
        }
        for (name, rate) in &self.gateway_rates {
            wrong.extend(rate.mistake().map(|mistake| format!("gateway_rates.{name}: {mistake}")));
        }
        wrong.extend(
            self.gateway_usual_rate
                .mistake()
                .map(|_| "gateway_usual_rate: requests_per_s and burst must be more than 0".to_owned()),
        );
        wrong.extend(self.redis.mistake());
        if self.sandbox.start && self.gateways.get(&self.sandbox.account).is_some_and(|to| to.livemode) {
            wrong.push("sandbox.account must not be a live account".to_owned());
        }
        if self.sandbox.start && !self.gateways.contains_key(&self.sandbox.account) {
            wrong.push(format!(
                "sandbox.account is {:?}, which is not under [gateways]: add it, or set sandbox.start = false",
                self.sandbox.account
            ));
        }
        wrong.extend(Keyring::new(&self.sealing).err().map(|error| error.to_string()));
        if self.environment == Environment::Production
            && self.gateways.is_empty()
            && self.sealing.key.expose_secret().is_empty()
        {
            wrong.push(
                "[gateways] is empty: name at least one account, or set sealing.key and keep accounts in the \
                 database"
                    .to_owned(),
            );
        }
        if self.environment == Environment::Production && self.store.url.is_empty() {
            wrong.push("store.url is empty: name the database".to_owned());
        }
        wrong
    }

    /// What must not be where an account moves real money.
    pub fn mistakes_if_live(&self, accounts: &BTreeMap<String, gateway::AccountConfig>) -> Vec<String> {
        let live: Vec<_> = accounts.iter().filter(|(_, account)| account.livemode).collect();
        let mut wrong = Vec::new();
        if !live.is_empty() && !self.failpoint.point.is_empty() {
            wrong.push("failpoint.point must be empty where a gateway account is live".to_owned());
        }
        for (name, account) in live {
            if account.is_live_without_tls() {
                wrong.push(format!("gateways.{name}.base_url must begin with https:// for a live account"));
            }
            if account.follows_test_clock {
                wrong.push(format!("gateways.{name}.follows_test_clock must be false for a live account"));
            }
        }
        wrong
    }

    pub fn store_options(&self) -> store::Options {
        let url = if self.store.url.is_empty() {
            format!("sqlite:{}", self.data_dir.join("dunlin.db").display())
        } else {
            self.store.url.clone()
        };
        store::Options {
            url,
            connections: self.store.connections,
            kept: 0,
            committers: self.store.committers,
            migrate: self.store.migrate_on_start,
        }
    }
}

/// Variables that have our prefix and are no settings: they are for the commands that call a server.
const NOT_SETTINGS: &[&str] = &[
    "url",
    "api_key",
    "config",
    "test_clients",
    "test_postgres_url",
    "test_redis_server",
    "gateway_secret_key",
    "gateway_webhook_secret",
];

/// The secrets of a gateway account to be kept, where they come in variables.
#[derive(Debug, Default, Deserialize)]
pub struct SecretVariables {
    #[serde(rename = "dunlin_gateway_secret_key")]
    pub secret_key: Option<SecretString>,
    #[serde(rename = "dunlin_gateway_webhook_secret")]
    pub webhook_secret: Option<SecretString>,
}

impl SecretVariables {
    pub fn read() -> Result<Self, ConfigError> {
        let variables = Env::raw().only(&["DUNLIN_GATEWAY_SECRET_KEY", "DUNLIN_GATEWAY_WEBHOOK_SECRET"]);
        Figment::from(variables).extract().map_err(|error| unreadable(&error))
    }
}

/// Figment's error with the key and the place it came from.
fn unreadable(error: &figment::Error) -> ConfigError {
    let lines: Vec<_> = error.clone().into_iter().map(|error| told(&error)).collect();
    ConfigError::Read(format!("the configuration cannot be read: {}", lines.join("; ")))
}

fn told(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let from = error.metadata.as_ref();
    let place = match from.and_then(|from| from.source.as_ref()) {
        Some(source) => format!(" (in {source})"),
        None if from.is_some_and(|from| from.name.contains("environment variable")) => {
            format!(" (in the variable DUNLIN_{})", error.path.join("__").to_ascii_uppercase())
        }
        None => String::new(),
    };
    let kind = if let Kind::UnknownField(_, known) = &error.kind {
        format!("there is no such setting; there are {}", known.join(", "))
    } else if is_secret(&key) {
        // A wrong value would be quoted.
        "the value cannot be read: put it in quotes".to_owned()
    } else {
        error.kind.to_string()
    };
    if key.is_empty() { format!("{kind}{place}") } else { format!("{key}: {kind}{place}") }
}

fn is_secret(key: &str) -> bool {
    ["secret_key", "webhook_secret", "sealing.key", "old_keys"].iter().any(|name| key.ends_with(name))
        || key == "store.url"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dunlin.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn the_defaults_load() {
        let config = Config::load(None).unwrap();

        assert_eq!(config.environment, Environment::Development);
        assert!(config.gateways.contains_key("sandbox"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let (_folder, path) = written("[worker]\nlease_seconds = 3\n");

        let error = Config::load(Some(&path)).unwrap_err().to_string();

        assert!(error.contains("lease_seconds"), "{error}");
    }

    #[test]
    fn a_lease_too_short_for_the_gateway_is_refused() {
        let (_folder, path) = written("[worker]\nlease_s = 5\n");

        let error = Config::load(Some(&path)).unwrap_err().to_string();

        assert!(error.contains("worker.lease_s is 5, but must be at least 26"), "{error}");
    }

    #[test]
    fn production_assumes_nothing() {
        let (_folder, path) = written("environment = \"production\"\n");

        let error = Config::load(Some(&path)).unwrap_err().to_string();

        assert!(error.contains("[gateways] is empty") && error.contains("store.url is empty"), "{error}");
    }

    #[test]
    fn a_key_of_the_wrong_mode_is_refused() {
        let (_folder, path) = written(
            "[gateways.main]\ngateway = \"stripe\"\nlivemode = true\nbase_url = \"https://example.com\"\n\
             secret_key = \"sk_test_x\"\n",
        );

        let error = Config::load(Some(&path)).unwrap_err().to_string();

        assert!(error.contains("gateways.main: secret_key is a test key"), "{error}");
    }

    #[test]
    fn an_empty_webhook_secret_is_refused() {
        let (_folder, path) = written("[gateways.sandbox]\nwebhook_secret = \"\"\n");

        let error = Config::load(Some(&path)).unwrap_err().to_string();

        assert!(error.contains("gateways.sandbox: webhook_secret is empty"), "{error}");
    }

    #[test]
    fn a_live_account_needs_tls_and_no_failpoint() {
        let (_folder, path) = written(
            "[gateways.main]\ngateway = \"stripe\"\nlivemode = true\nbase_url = \"http://example.com\"\n\
             secret_key = \"sk_live_x\"\n[failpoint]\npoint = \"charge.before_send\"\n",
        );

        let error = Config::load(Some(&path)).unwrap_err().to_string();

        assert!(error.contains("https://") && error.contains("failpoint.point must be empty"), "{error}");
    }
}
