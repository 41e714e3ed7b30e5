//! Expanding puts whole objects where their ids stand in an answer.

use crate::{form::Form, noun::Noun, object::Object, problem::Problem, view};
use serde_json::Value;

/// As deep as Stripe goes.
const MAX_DEPTH: usize = 4;

/// Finds the object of an id.
pub(crate) type Find<'a> = &'a dyn Fn(Noun, &str) -> Option<Object>;

/// The answer's text with what the form asks for; nothing, if it asks for nothing.
pub(crate) fn expanded(body: &[u8], form: &Form, find: Find<'_>) -> Result<Option<Vec<u8>>, Problem> {
    let mut paths = form.inner("expand").map(|(_, path)| path).peekable();
    if paths.peek().is_none() {
        return Ok(None);
    }
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    for path in paths {
        let steps: Vec<&str> = path.split('.').collect();
        if steps.len() > MAX_DEPTH {
            let message = format!("You cannot expand more than {MAX_DEPTH} levels of a property ({path}).");
            return Err(Problem::wrong("expand", message));
        }
        walk(&mut answer, &steps, find).map_err(|step| {
            Problem::wrong("expand", format!("This property cannot be expanded ({step})."))
        })?;
    }
    Ok(Some(serde_json::to_vec(&answer).unwrap_or_default()))
}

fn walk<'a>(value: &mut Value, steps: &[&'a str], find: Find<'_>) -> Result<(), &'a str> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    if let Value::Array(items) = value {
        return items.iter_mut().try_for_each(|item| walk(item, steps, find));
    }
    let Some(next) = value.get_mut(*step) else { return Err(step) };
    if let Value::String(id) = next {
        let noun = noun(step).ok_or(*step)?;
        match find(noun, id) {
            Some(object) => *next = view::object(&object),
            // A customer that was only named, or a token: there is no more to show.
            None => return Ok(()),
        }
    }
    if next.is_null() { Ok(()) } else { walk(next, rest, find) }
}

/// What a property names.
fn noun(property: &str) -> Option<Noun> {
    match property {
        "charge" | "latest_charge" => Some(Noun::Charge),
        "customer" => Some(Noun::Customer),
        "default_payment_method" | "payment_method" => Some(Noun::Method),
        "payment_intent" => Some(Noun::Intent),
        _ => None,
    }
}
