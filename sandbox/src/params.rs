//! Params are what an endpoint asks for, once a form has been found to say it.

use crate::{
    currency,
    form::{Form, Shape, number},
    intent::{Confirmation, Usage},
    kind::Kind,
    problem::Problem,
};
use std::collections::BTreeMap;

const MAX_AMOUNT: u64 = 99_999_999;
const MAX_METADATA: usize = 50;
const MAX_METADATA_KEY: usize = 40;
const MAX_METADATA_VALUE: usize = 500;
const MAX_DESCRIPTION: usize = 1000;
const MAX_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 10;

#[derive(Debug)]
pub(crate) struct Create {
    pub amount: u64,
    pub currency: String,
    pub method: Option<String>,
    pub customer: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub confirmation_method: Confirmation,
    pub types: Vec<Kind>,
    pub setup_future_usage: Option<Usage>,
    pub statement_descriptor_suffix: Option<String>,
    /// Present when the intent is to be confirmed at once.
    pub confirm: Option<Confirm>,
}

const CREATE: &[(&str, Shape)] = &[
    ("allowed_payment_method_types", Shape::List),
    ("amount", Shape::One),
    ("automatic_payment_methods", Shape::Keys(&["allow_redirects", "enabled"])),
    ("capture_method", Shape::One),
    ("confirm", Shape::One),
    ("confirmation_method", Shape::One),
    ("currency", Shape::One),
    ("customer", Shape::One),
    ("description", Shape::One),
    ("error_on_requires_action", Shape::One),
    ("expand", Shape::List),
    ("metadata", Shape::Map),
    ("off_session", Shape::One),
    ("payment_method", Shape::One),
    ("payment_method_types", Shape::List),
    ("return_url", Shape::One),
    ("setup_future_usage", Shape::One),
    ("statement_descriptor_suffix", Shape::One),
];

/// What Stripe takes only together with a confirmation.
const ONLY_CONFIRMING: [&str; 3] = ["error_on_requires_action", "off_session", "return_url"];

impl Create {
    pub(crate) fn read(form: &Form) -> Result<Self, Problem> {
        form.check(CREATE)?;
        form.only("capture_method", "automatic")?;
        let confirm = if form.flag("confirm")? { Some(confirm(form)?) } else { None };
        if confirm.is_none()
            && let Some(name) = ONLY_CONFIRMING.iter().find(|name| form.text(name).is_some())
        {
            let message = format!("The parameter '{name}' can only be passed when 'confirm' is set to true.");
            return Err(Problem::wrong(name, message));
        }
        let (amount, currency) = (amount(form)?, currency(form)?);
        currency::check_amount(amount, &currency)?;
        Ok(Self {
            amount,
            currency,
            method: form.owned("payment_method"),
            customer: form.owned("customer"),
            description: description(form)?,
            metadata: metadata(form)?,
            confirmation_method: confirmation_method(form)?,
            types: types(form)?,
            setup_future_usage: usage(form, "setup_future_usage")?,
            statement_descriptor_suffix: form.owned("statement_descriptor_suffix"),
            confirm,
        })
    }
}

/// What of an intent may change at any time.
#[derive(Debug)]
pub(crate) struct Update {
    pub description: Option<String>,
    pub metadata: Changes,
    pub setup_future_usage: Option<Usage>,
}

const UPDATE: &[(&str, Shape)] = &[
    ("description", Shape::One),
    ("expand", Shape::List),
    ("metadata", Shape::Map),
    ("setup_future_usage", Shape::One),
];

impl Update {
    pub(crate) fn read(form: &Form) -> Result<Self, Problem> {
        form.check(UPDATE)?;
        Ok(Self {
            description: description(form)?,
            metadata: changes(form)?,
            setup_future_usage: usage(form, "setup_future_usage")?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Confirm {
    pub method: Option<String>,
    pub return_url: Option<String>,
    pub setup_future_usage: Option<Usage>,
    pub action: Action,
}

/// What becomes of a card that wants its owner present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Asked,
    Refused,
}

const CONFIRM: &[(&str, Shape)] = &[
    ("error_on_requires_action", Shape::One),
    ("expand", Shape::List),
    ("off_session", Shape::One),
    ("payment_method", Shape::One),
    ("return_url", Shape::One),
    ("setup_future_usage", Shape::One),
];

impl Confirm {
    pub(crate) fn read(form: &Form) -> Result<Self, Problem> {
        form.check(CONFIRM)?;
        confirm(form)
    }
}

fn confirm(form: &Form) -> Result<Confirm, Problem> {
    let is_refused = form.flag("off_session")? | form.flag("error_on_requires_action")?;
    let action = if is_refused { Action::Refused } else { Action::Asked };
    Ok(Confirm {
        method: form.owned("payment_method"),
        return_url: return_url(form)?,
        setup_future_usage: usage(form, "setup_future_usage")?,
        action,
    })
}

const CANCEL: &[(&str, Shape)] = &[("cancellation_reason", Shape::One), ("expand", Shape::List)];
const REASONS: [&str; 4] = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];

/// The reason for a cancellation, if one is given.
pub(crate) fn cancellation_reason(form: &Form) -> Result<Option<String>, Problem> {
    form.check(CANCEL)?;
    match form.text("cancellation_reason") {
        Some(reason) if !REASONS.contains(&reason) => {
            Err(Problem::wrong("cancellation_reason", format!("Invalid cancellation_reason: {reason}")))
        }
        reason => Ok(reason.map(str::to_owned)),
    }
}

/// Which part of a list is asked for.
#[derive(Debug)]
pub(crate) struct Window {
    pub limit: usize,
    pub starting_after: Option<String>,
    pub ending_before: Option<String>,
    /// The first second that counts.
    pub from: i64,
    /// The last second that counts.
    pub to: i64,
}

const WINDOW: [(&str, Shape); 5] = [
    ("created", Shape::Keys(&["gt", "gte", "lt", "lte"])),
    ("ending_before", Shape::One),
    ("expand", Shape::List),
    ("limit", Shape::One),
    ("starting_after", Shape::One),
];

impl Window {
    /// Reads the window of a list that can also be narrowed by others.
    pub(crate) fn read(form: &Form, others: &[(&str, Shape)]) -> Result<Self, Problem> {
        form.check(&[&WINDOW, others].concat())?;
        let (starting_after, ending_before) = (form.owned("starting_after"), form.owned("ending_before"));
        if starting_after.is_some() && ending_before.is_some() {
            return Err(Problem::wrong(
                "ending_before",
                "You may only specify one of: starting_after, ending_before.",
            ));
        }
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        for (bound, value) in form.inner("created") {
            let second = number("created", value)?;
            match bound {
                "gt" => from = from.max(second.saturating_add(1)),
                "gte" => from = from.max(second),
                "lt" => to = to.min(second.saturating_sub(1)),
                _ => to = to.min(second),
            }
        }
        Ok(Self { limit: limit(form)?, starting_after, ending_before, from, to })
    }
}

fn limit(form: &Form) -> Result<usize, Problem> {
    let Some(limit) = form.integer("limit")? else { return Ok(DEFAULT_PAGE) };
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| Problem::wrong("limit", format!("Invalid limit: must be between 1 and {MAX_PAGE}")))
}

fn amount(form: &Form) -> Result<u64, Problem> {
    optional_amount(form)?.ok_or_else(|| Problem::missing("amount"))
}

pub(crate) fn optional_amount(form: &Form) -> Result<Option<u64>, Problem> {
    let Some(amount) = form.integer("amount")? else { return Ok(None) };
    match u64::try_from(amount) {
        Ok(0) | Err(_) => {
            let message = "This value must be greater than or equal to 1.";
            Err(Problem::parameter("parameter_invalid_integer", "amount", message))
        }
        Ok(amount) if amount > MAX_AMOUNT => Err(Problem::parameter(
            "amount_too_large",
            "amount",
            format!("Amount must be no more than {MAX_AMOUNT}."),
        )),
        Ok(amount) => Ok(Some(amount)),
    }
}

fn currency(form: &Form) -> Result<String, Problem> {
    let currency = form.owned("currency").ok_or_else(|| Problem::missing("currency"))?;
    currency::check(&currency)?;
    Ok(currency)
}

/// The types of payment methods that are taken; none named, and the currency decides.
pub(crate) fn types(form: &Form) -> Result<Vec<Kind>, Problem> {
    let named = ["payment_method_types", "allowed_payment_method_types"].into_iter().flat_map(|parameter| {
        form.inner(parameter).map(move |(_, name)| {
            let message = format!("Invalid {parameter}: {name}");
            Kind::named(name).ok_or_else(|| Problem::wrong(parameter, message))
        })
    });
    named.collect()
}

/// Where a customer is sent back to, also into an app: `shop://back`.
pub(crate) fn return_url(form: &Form) -> Result<Option<String>, Problem> {
    let is_url = |url: &str| url.contains("://") && url.bytes().all(|byte| byte.is_ascii_graphic());
    match form.text("return_url") {
        Some(url) if !is_url(url) => Err(Problem::parameter("url_invalid", "return_url", "Not a valid URL")),
        url => Ok(url.map(str::to_owned)),
    }
}

pub(crate) fn usage(form: &Form, name: &str) -> Result<Option<Usage>, Problem> {
    let Some(value) = form.text(name) else { return Ok(None) };
    let message = format!("Invalid {name}: must be one of on_session or off_session");
    Usage::named(value).map(Some).ok_or_else(|| Problem::wrong(name, message))
}

pub(crate) fn description(form: &Form) -> Result<Option<String>, Problem> {
    match form.text("description") {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => Err(too_long("description", MAX_DESCRIPTION)),
        text => Ok(text.map(str::to_owned)),
    }
}

fn confirmation_method(form: &Form) -> Result<Confirmation, Problem> {
    match form.text("confirmation_method") {
        None | Some("automatic") => Ok(Confirmation::Automatic),
        Some("manual") => Ok(Confirmation::Manual),
        Some(other) => {
            Err(Problem::wrong("confirmation_method", format!("Invalid confirmation_method: {other}")))
        }
    }
}

/// The keys of metadata to set, and those with an empty value to take away.
pub(crate) type Changes = Vec<(String, String)>;

pub(crate) fn metadata(form: &Form) -> Result<BTreeMap<String, String>, Problem> {
    let mut metadata = BTreeMap::new();
    merge(&mut metadata, changes(form)?)?;
    Ok(metadata)
}

pub(crate) fn changes(form: &Form) -> Result<Changes, Problem> {
    let mut changes = Vec::new();
    for (key, value) in form.inner("metadata") {
        if key.chars().count() > MAX_METADATA_KEY {
            return Err(too_long("metadata", MAX_METADATA_KEY));
        }
        if value.chars().count() > MAX_METADATA_VALUE {
            return Err(too_long(&format!("metadata[{key}]"), MAX_METADATA_VALUE));
        }
        changes.push((key.to_owned(), value.to_owned()));
    }
    Ok(changes)
}

pub(crate) fn merge(metadata: &mut BTreeMap<String, String>, changes: Changes) -> Result<(), Problem> {
    for (key, value) in changes {
        if value.is_empty() {
            metadata.remove(&key);
        } else {
            metadata.insert(key, value);
        }
    }
    if metadata.len() > MAX_METADATA {
        return Err(Problem::wrong("metadata", format!("Metadata can have up to {MAX_METADATA} keys.")));
    }
    Ok(())
}

pub(crate) fn too_long(param: &str, most: usize) -> Problem {
    Problem::parameter(
        "parameter_invalid_string_too_long",
        param,
        format!("{param} must be at most {most} characters"),
    )
}
