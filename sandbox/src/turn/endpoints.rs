//! What the calls on webhook endpoints decide.

use super::{Asker, Turn};
use crate::{
    endpoint::Endpoint,
    event,
    form::{Form, Shape},
    mint,
    noun::Noun,
    params,
    post::Target,
    problem::Problem,
};

const CREATE: &[(&str, Shape)] = &[
    ("api_version", Shape::One),
    ("description", Shape::One),
    ("enabled_events", Shape::List),
    ("expand", Shape::List),
    ("metadata", Shape::Map),
    ("url", Shape::One),
];
/// Stripe's own limit for test mode.
const MAX_ENDPOINTS: usize = 16;

pub(super) fn create(asker: Asker<'_>, form: &Form) -> Result<Turn, Problem> {
    form.check(CREATE)?;
    let url = form.text("url").ok_or_else(|| Problem::missing("url"))?;
    if Target::of(url).is_none() {
        let message =
            "Invalid URL: the sandbox posts to this machine alone, such as http://127.0.0.1:8000/hook.";
        return Err(Problem::parameter("url_invalid", "url", message));
    }
    let events: Vec<_> = form.inner("enabled_events").map(|(_, name)| name.to_owned()).collect();
    if events.is_empty() {
        return Err(Problem::missing("enabled_events"));
    }
    if let Some(unknown) = events.iter().find(|name| !event::NAMES.contains(&name.as_str())) {
        let message = format!("Invalid enabled_events: the sandbox has no event {unknown}");
        return Err(Problem::wrong("enabled_events", message));
    }
    let open = asker.own().map_or(0, |own| own.endpoints.listed().len());
    if open >= MAX_ENDPOINTS {
        return Err(Problem::invalid(format!("You may have at most {MAX_ENDPOINTS} webhook endpoints.")));
    }
    let id = asker.new_id("we");
    Ok(Turn::done(Endpoint {
        secret: mint::signing_secret(asker.books.salt(), &id),
        id,
        created: asker.now,
        url: url.to_owned(),
        events,
        api_version: form.owned("api_version"),
        description: params::description(form)?,
        metadata: params::metadata(form)?,
        is_deleted: false,
    }))
}

pub(super) fn delete(asker: Asker<'_>, id: &str, form: &Form) -> Result<Turn, Problem> {
    form.check(&[])?;
    let found = asker.own().and_then(|own| own.endpoints.find(id)).filter(|endpoint| !endpoint.is_deleted);
    let endpoint = found.ok_or_else(|| Problem::no_such(Noun::Endpoint, "webhook_endpoint", id))?;
    Ok(Turn::done(Endpoint { is_deleted: true, ..Endpoint::clone(endpoint) }))
}
