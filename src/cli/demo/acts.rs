//! The demo's acts: the billing run, the charges, the days that pass, and a customer at the checkout.

use super::super::{
    api::Api,
    charge::{bar, unstopped},
    note, say,
    words::Paint,
};
use crate::{
    app::App,
    billing_run::{self, Format, Plan, Progress, Target},
};
use anyhow::Context;
use chrono::TimeDelta;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::time::Duration;

/// How long test time passes: longer than the longest schedule of retries.
const PASSES: TimeDelta = TimeDelta::days(45);

/// Where it is shown.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    app: &'a App,
    target: Target,
    pub(super) api: Api,
    paint: Paint,
}

impl<'a> Stage<'a> {
    pub(super) fn new(app: &'a App, paint: Paint) -> anyhow::Result<Self> {
        let key = app.development_key.clone().context("development has a key")?;
        let server = app.server.as_ref().context("the demo has an API")?;
        let target = Target { url: format!("http://{}", server.address), key };
        Ok(Self { app, api: Api::new(target.clone())?, target, paint })
    }

    /// Tells how many rows were refused.
    pub(super) async fn bill(&self, file: &str) -> anyhow::Result<u64> {
        self.begin(1, "A billing run, through the HTTP API:");
        let progress = bar(file.len().try_into()?);
        let plan = Plan { format: Format::Csv, wait: false };
        let report = billing_run::run(&self.target, file.as_bytes(), plan, unstopped(), |told| match told {
            Progress::Read(bytes) => progress.set_position(bytes),
            Progress::Refused(row) => progress.suspend(|| note(format_args!("   refused: {row}"))),
            Progress::Settled { .. } => {}
        })
        .await?;
        progress.finish_and_clear();
        say(format_args!(
            "   {} charges: {} accepted, {} refused",
            report.rows, report.accepted, report.refused
        ));
        Ok(report.refused)
    }

    pub(super) async fn charge(&self) -> anyhow::Result<()> {
        self.begin(
            2,
            "Workers charge them; declined ones wait for their retries, lost answers are asked after:",
        );
        let spinner = spinner("charging");
        self.app.flows.wait_until_quiet().await?;
        spinner.finish_and_clear();
        self.count().await
    }

    pub(super) async fn let_time_pass(&self) -> anyhow::Result<()> {
        self.begin(3, "The test clock lets 45 days pass:");
        let spinner = spinner("45 days pass");
        let flows = &self.app.flows;
        flows.advance_test_clock(flows.clock().now(false) + PASSES).await?;
        spinner.finish_and_clear();
        self.count().await
    }

    /// Charges a customer who is there, and whose bank wants to see them; tells the payment.
    pub(super) async fn check_out(&self) -> anyhow::Result<Value> {
        self.begin(4, "A customer pays at the checkout, and their bank asks them to confirm:");
        let order = json!({
            "amount": 4900, "currency": "EUR", "customer": "cus_checkout", "reference": "ORDER-1",
            "off_session": false, "return_url": "https://shop.example/orders/1",
            "method": { "type": "card", "payment_method": "pm_card_authenticationRequired" },
        });
        let made = self.api.post_once("/v1/payments", &order).await?;
        self.app.flows.wait_until_quiet().await?;
        let id = made["id"].as_str().context("a payment has an id")?;
        let asked = self.api.get(&format!("/v1/payments/{id}")).await?;
        let status = asked["status"].as_str().unwrap_or_default();
        say(format_args!(
            "   {}, and their bank's page is {}",
            self.paint.status(status),
            asked["next_action"]["url"].as_str().unwrap_or("no address")
        ));
        Ok(asked)
    }

    fn begin(&self, act: u8, title: &str) {
        say(format_args!("{}. {}", act, self.paint.strong(title)));
    }

    async fn count(&self) -> anyhow::Result<()> {
        let counts = self.app.flows.store.count_by_status(false).await?;
        let told = counts.iter().map(|(status, count)| format!("{count} {}", self.paint.status(status)));
        say(format_args!("   {}", told.collect::<Vec<_>>().join(", ")));
        Ok(())
    }
}

/// Something that turns while one waits; without a terminal it shows nothing.
fn spinner(message: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
