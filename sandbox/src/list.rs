//! A list is one page of an account's objects, newest first.

use crate::{
    account::Account,
    books::Books,
    form::{Form, Shape},
    kind::Kind,
    lag::Sight,
    mint,
    noun::Noun,
    params::Window,
    problem::Problem,
    shelf::{Kept, Shelf},
    view,
};
use serde::Serialize;
use serde_json::Value;
use std::{borrow::Cow, sync::Arc};

#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    object: &'static str,
    data: Vec<T>,
    has_more: bool,
    url: &'static str,
}

/// An account, and what its events' ids are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub books: &'a Books,
    pub account: &'a Account,
    pub account_id: &'a str,
}

/// The page that is asked for; intents, which are listed most, are written without detours.
pub(crate) fn page(shown: Shown<'_>, sight: Sight<'_>, noun: Noun, form: &Form) -> Result<Vec<u8>, Problem> {
    let own = shown.account;
    let named = |names: &[&'static str]| -> Result<(Window, Vec<String>), Problem> {
        let known: Vec<_> = names.iter().map(|name| (*name, Shape::One)).collect();
        let owners = names.iter().filter_map(|name| form.owned(name)).collect();
        Ok((Window::read(form, &known)?, owners))
    };
    match noun {
        Noun::Intent => {
            let (window, owners) = named(&["customer"])?;
            let rows = owned(&own.intents, &owners);
            let rows = sight.narrow(&rows, |row| own.intents.at(row));
            let (found, has_more) = cut(&own.intents, &rows, &window, noun)?;
            let data = found.map(|intent| view::intent(sight.version(intent))).collect();
            Ok(text(&Page::of(noun, data, has_more)))
        }
        Noun::Charge => {
            let (window, owners) = named(&["customer", "payment_intent"])?;
            let (found, has_more) = found(&own.charges, &owners, &window, noun)?;
            Ok(text(&Page::of(noun, found.map(|charge| view::charge(charge)).collect(), has_more)))
        }
        Noun::Refund => {
            let (window, owners) = named(&["charge", "payment_intent"])?;
            let (found, has_more) = found(&own.refunds, &owners, &window, noun)?;
            Ok(text(&Page::of(noun, found.map(|refund| view::refund(refund)).collect(), has_more)))
        }
        Noun::Dispute => {
            let (window, owners) = named(&["charge", "payment_intent"])?;
            let (found, has_more) = found(&own.disputes, &owners, &window, noun)?;
            Ok(text(&Page::of(noun, found.map(|dispute| view::dispute(dispute)).collect(), has_more)))
        }
        Noun::Warning => {
            let (window, owners) = named(&["charge", "payment_intent"])?;
            let (found, has_more) = found(&own.warnings, &owners, &window, noun)?;
            Ok(text(&Page::of(noun, found.map(|warning| view::warning(warning)).collect(), has_more)))
        }
        Noun::Setup => {
            let (window, owners) = named(&["customer"])?;
            let (found, has_more) = found(&own.setups, &owners, &window, noun)?;
            Ok(text(&Page::of(noun, found.map(|setup| view::setup(setup)).collect(), has_more)))
        }
        Noun::Endpoint => {
            let (window, owners) = named(&[])?;
            let (found, has_more) = found(&own.endpoints, &owners, &window, noun)?;
            Ok(text(&Page::of(noun, found.map(|endpoint| view::endpoint(endpoint)).collect(), has_more)))
        }
        Noun::Customer => customers(own, form),
        Noun::Method => methods(own, form),
        Noun::Event => events(shown, form),
    }
}

fn customers(own: &Account, form: &Form) -> Result<Vec<u8>, Problem> {
    let window = Window::read(form, &[("email", Shape::One)])?;
    let email = form.text("email");
    let rows = narrowed(&own.customers, own.customers.listed(), |customer| {
        email.is_none_or(|email| customer.email.as_deref() == Some(email))
    });
    let (found, has_more) = cut(&own.customers, &rows, &window, Noun::Customer)?;
    Ok(text(&Page::of(Noun::Customer, found.map(|customer| view::customer(customer)).collect(), has_more)))
}

/// A customer's methods: who asks for none gets none.
fn methods(own: &Account, form: &Form) -> Result<Vec<u8>, Problem> {
    let window = Window::read(form, &[("customer", Shape::One), ("type", Shape::One)])?;
    let kind = match form.text("type").map(|name| (name, Kind::named(name))) {
        Some((name, None)) => return Err(Problem::wrong("type", format!("Invalid type: {name}"))),
        Some((_, kind)) => kind,
        None => None,
    };
    let rows = form.text("customer").map_or(&[][..], |customer| own.methods.of(customer));
    let rows = narrowed(&own.methods, rows, |method| kind.is_none_or(|kind| method.kind() == kind));
    let (found, has_more) = cut(&own.methods, &rows, &window, Noun::Method)?;
    Ok(text(&Page::of(Noun::Method, found.map(|method| view::method(method)).collect(), has_more)))
}

fn events(shown: Shown<'_>, form: &Form) -> Result<Vec<u8>, Problem> {
    let window = Window::read(form, &[("type", Shape::One), ("types", Shape::List)])?;
    let mut types: Vec<_> = form.inner("types").map(|(_, name)| name).collect();
    types.extend(form.text("type"));
    let events = &shown.account.events;
    let is_wanted = |name: &str| types.is_empty() || types.iter().any(|wanted| is_like(wanted, name));
    let rows: Vec<usize> =
        (0..).zip(events).filter(|(_, event)| is_wanted(event.name)).map(|(row, _)| row).collect();
    let created = |row: usize| events.get(row).map_or(i64::MAX, |event| event.at);
    let (rows, has_more) = window_of(&rows, created, |id| shown.event(id), &window, Noun::Event)?;
    let data: Vec<Value> = rows.iter().rev().filter_map(|row| shown.view(*row)).collect();
    Ok(text(&Page::of(Noun::Event, data, has_more)))
}

/// `charge.*` stands for all of its kind.
fn is_like(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == wanted,
    }
}

impl Shown<'_> {
    /// The place of an event, if the account has it.
    pub(crate) fn event(&self, id: &str) -> Option<usize> {
        let number = mint::event_number(id)?;
        let is_own = number < self.account.events.len() && self.event_id(number) == id;
        is_own.then_some(number)
    }

    pub(crate) fn view(&self, number: usize) -> Option<Value> {
        let pending = self.books.outbox.pending(self.account_id, number);
        let event = self.account.events.get(number)?;
        Some(view::event(event, &self.event_id(number), pending))
    }

    fn event_id(&self, number: usize) -> String {
        mint::event(self.books.salt(), self.account_id, number)
    }
}

impl<T> Page<T> {
    fn of(noun: Noun, data: Vec<T>, has_more: bool) -> Self {
        Self { object: "list", data, has_more, url: noun.url() }
    }
}

fn text(page: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(page).unwrap_or_default()
}

/// What belongs to all of these owners, as far as the window shows.
fn found<'a, T: Kept>(
    shelf: &'a Shelf<T>,
    owners: &[String],
    window: &Window,
    noun: Noun,
) -> Result<(impl Iterator<Item = &'a Arc<T>>, bool), Problem> {
    cut(shelf, &owned(shelf, owners), window, noun)
}

fn owned<'a, T: Kept>(shelf: &'a Shelf<T>, owners: &[String]) -> Cow<'a, [usize]> {
    match owners.split_first() {
        None => Cow::Borrowed(shelf.listed()),
        Some((owner, [])) => Cow::Borrowed(shelf.of(owner)),
        Some((owner, others)) => Cow::Owned(narrowed(shelf, shelf.of(owner), |item| {
            others.iter().all(|other| item.owners().contains(&Some(other.as_str())))
        })),
    }
}

fn narrowed<T: Kept>(shelf: &Shelf<T>, rows: &[usize], is_wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    rows.iter().copied().filter(|row| shelf.at(*row).is_some_and(|item| is_wanted(item))).collect()
}

fn cut<'a, T: Kept>(
    shelf: &'a Shelf<T>,
    rows: &[usize],
    window: &Window,
    noun: Noun,
) -> Result<(impl Iterator<Item = &'a Arc<T>> + use<'a, T>, bool), Problem> {
    let created = |row| shelf.at(row).map_or(i64::MAX, |item| item.created());
    let (rows, has_more) = window_of(rows, created, |id| shelf.position(id), window, noun)?;
    let rows: Vec<usize> = rows.iter().rev().copied().collect();
    Ok((rows.into_iter().filter_map(|row| shelf.at(row)), has_more))
}

/// The rows that a window shows, rising, and whether there are more.
fn window_of<'a>(
    rows: &'a [usize],
    created: impl Fn(usize) -> i64,
    position: impl Fn(&str) -> Option<usize>,
    window: &Window,
    noun: Noun,
) -> Result<(&'a [usize], bool), Problem> {
    let place = |param, id: &str| position(id).ok_or_else(|| Problem::no_such(noun, param, id));
    let mut low = rows.partition_point(|row| created(*row) < window.from);
    let mut high = rows.partition_point(|row| created(*row) <= window.to);
    if let Some(id) = &window.starting_after {
        let cursor = place("starting_after", id)?;
        high = high.min(rows.partition_point(|row| *row < cursor));
    }
    if let Some(id) = &window.ending_before {
        let cursor = place("ending_before", id)?;
        low = low.max(rows.partition_point(|row| *row <= cursor));
    }
    let found = rows.get(low..high).unwrap_or_default();
    // A page before a cursor is the one next to it, not the newest.
    let page = if window.ending_before.is_some() {
        found.get(..window.limit)
    } else {
        found.len().checked_sub(window.limit).and_then(|from| found.get(from..))
    };
    Ok((page.unwrap_or(found), found.len() > window.limit))
}
