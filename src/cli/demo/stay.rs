//! `dunlin demo --keep`: what was shown stays, and where to look at it.

use super::{
    super::{note, say, stop::Stop, words::Paint},
    examples::Example,
};
use crate::app::App;
use anyhow::Context;
use secrecy::ExposeSecret;

/// Says where to look, and waits for Ctrl-C.
pub(super) async fn until_stopped(app: &App, examples: &[Example], paint: Paint) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    tell(app, examples, paint)?;
    stop.told().await;
    note("stopping, and removing what was made");
    Ok(())
}

fn tell(app: &App, examples: &[Example], paint: Paint) -> anyhow::Result<()> {
    let address = app.server.as_ref().context("the demo has an API")?.address;
    let dunlin = program();
    let key = app.development_key.as_ref().context("development has a key")?.expose_secret();
    let sandbox = app.sandbox.as_ref().context("the demo has a sandbox")?.address;
    let example = examples.first().context("there is an example")?;
    let payment = &example.payment;
    say(format_args!(
        "
{all} The API, its workers and the sandbox run until Ctrl-C; their clock is 45 days ahead.

   each call      http://{address}/docs
   the API        http://{address}
   a test key     {key}
   the sandbox    http://{sandbox}

{try_it}

   export DUNLIN_URL=http://{address} DUNLIN_API_KEY={key}
   {dunlin} payments list --status requires_action --limit 5
   {dunlin} payments show {payment}
   curl -sS $DUNLIN_URL/v1/payments/{payment}/timeline -H \"Authorization: Bearer $DUNLIN_API_KEY\"
",
        all = paint.strong("Everything is still there."),
        try_it = paint.strong("In another terminal:"),
    ));
    Ok(())
}

/// dunlin as it was called here, so that the same words call it again.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    if !called.is_empty() && called.chars().all(plain) { called } else { "dunlin".to_owned() }
}
