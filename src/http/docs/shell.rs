//! Examples: each call as a command that works beside a running `dunlin serve`.

use super::{array, text};
use maud::{Markup, html};
use serde_json::Value;
use std::fmt::Write;

/// What every example stands on.
pub(super) const SETTINGS: &str = "url=http://127.0.0.1:7070\nkey=$(cat dunlin-data/development-key)";

/// A command to be copied.
pub(super) fn shown(command: &str) -> Markup {
    html! { pre { code { (command) } } }
}

/// The call by `curl`; none where what it needs cannot be had in a shell, such as a gateway's signature.
pub(super) fn example(method: &str, path: &str, told: &Value) -> Option<String> {
    let content = &told["requestBody"]["content"]["application/json"];
    if told.get("requestBody").is_some() && content.get("example").is_none() {
        return None;
    }
    let mut command = String::new();
    let mut path = path.to_owned();
    for parameter in array(&told["parameters"]) {
        if let Some(shell) = parameter["x-shell"].as_str() {
            let name = text(&parameter["name"]);
            path = path.replace(&format!("{{{name}}}"), &format!("${name}"));
            writeln!(command, "{name}=$({shell})").ok()?;
        }
    }
    write!(command, "curl -sS \"$url{path}\"").ok()?;
    // A body alone means POST.
    let implied = if content.get("example").is_some() { "post" } else { "get" };
    if method != implied {
        write!(command, " -X {}", method.to_uppercase()).ok()?;
    }
    if told["security"].as_array().is_some_and(|ways| !ways.is_empty()) {
        command += " \\\n    -H \"Authorization: Bearer $key\"";
    }
    for parameter in array(&told["parameters"]) {
        if parameter["in"] == "header" && parameter["required"] == true {
            write!(command, " \\\n    -H \"{}: try-$(date +%s%N)\"", text(&parameter["name"])).ok()?;
        }
    }
    if let Some(example) = content.get("example") {
        write!(command, " \\\n    -H \"Content-Type: application/json\" \\\n    -d '{example}'").ok()?;
    }
    Some(command)
}
