//! Fields: a schema as a person reads it.

use super::{array, text};
use maud::{Markup, html};
use serde_json::Value;

/// A field, a parameter or a header.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) schema: &'a Value,
    pub(super) required: bool,
    pub(super) description: Option<&'a str>,
}

impl<'a> Field<'a> {
    pub(super) fn of_parameter(parameter: &'a Value) -> Self {
        Self {
            name: text(&parameter["name"]).to_owned(),
            schema: &parameter["schema"],
            required: parameter["required"] == true,
            description: parameter["description"].as_str(),
        }
    }
}

/// The fields of an object, those of objects in it included; what must be there comes first.
pub(super) fn fields(schema: &Value) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    gather(schema, "", &mut found);
    found
}

fn gather<'a>(schema: &'a Value, before: &str, found: &mut Vec<Field<'a>>) {
    let mut own: Vec<_> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, field)| (!array(&schema["required"]).iter().any(|must| must == name), name, field))
        .collect();
    own.sort_by_key(|(optional, ..)| *optional);
    for (optional, name, field) in own {
        let name = format!("{before}{name}");
        found.push(Field {
            name: name.clone(),
            schema: field,
            required: !optional,
            description: field["description"].as_str(),
        });
        gather(field, &format!("{name}."), found);
        gather(&field["items"], &format!("{name}[]."), found);
    }
}

/// What may stand there, in a few words.
pub(super) fn kind(schema: &Value) -> Markup {
    if let Some(name) = text(&schema["$ref"]).strip_prefix("#/components/schemas/") {
        return html! { a href={ "#" (name) } { (name) } };
    }
    let either: Vec<_> = ["anyOf", "oneOf"].iter().flat_map(|word| array(&schema[*word])).collect();
    if !either.is_empty() {
        return html! { @for (n, one) in either.iter().enumerate() { @if n > 0 { " or " } (kind(one)) } };
    }
    if let Some(only) = schema.get("const") {
        return codes(&Value::Array(vec![only.clone()]));
    }
    if let Some(values) = schema.get("enum") {
        return codes(values);
    }
    if let Some(items) = schema.get("items").filter(|items| items.get("properties").is_none()) {
        return html! { "list of " (kind(items)) };
    }
    html! { (types(schema)) (bounds(schema)) }
}

/// Values as they are, with commas between.
pub(super) fn codes(values: &Value) -> Markup {
    html! {
        @for (n, value) in array(values).iter().enumerate() {
            @if n > 0 { ", " }
            code { @if let Some(text) = value.as_str() { (text) } @else { (value) } }
        }
    }
}

fn types(schema: &Value) -> String {
    let word = |name: &str| match (name, text(&schema["format"])) {
        ("string", "date-time") => "moment".to_owned(),
        ("string", "uri") => "URL".to_owned(),
        ("string", _) => "text".to_owned(),
        ("integer", _) => "whole number".to_owned(),
        ("array", _) => "list".to_owned(),
        (other, _) => other.to_owned(),
    };
    let words: Vec<_> = match (&schema["type"], schema.get("properties")) {
        (Value::String(name), _) => vec![word(name)],
        (Value::Array(names), _) => names.iter().map(|name| word(text(name))).collect(),
        (_, Some(_)) => vec!["object".to_owned()],
        (_, None) => vec!["anything".to_owned()],
    };
    words.join(" or ")
}

fn bounds(schema: &Value) -> String {
    let between = |least: &str, most: &str, unit: &str| match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => format!(", {least} to {most}{unit}"),
        (Some(least), None) => format!(", at least {least}{unit}"),
        (None, Some(most)) => format!(", at most {most}{unit}"),
        (None, None) => String::new(),
    };
    [
        between("minLength", "maxLength", " characters"),
        between("minItems", "maxItems", " items"),
        between("minProperties", "maxProperties", " entries"),
        between("minimum", "maximum", ""),
    ]
    .concat()
}
