//! `/docs` as HTML: one section for each call and each object, from the same document that programs read.

mod fields;
mod shell;

use fields::{Field, codes, fields, kind};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

const STYLE: &str = include_str!("style.css");

/// A call, where it stands in the document.
struct Call<'a> {
    path: &'a str,
    method: &'a str,
    told: &'a Value,
}

pub(super) fn page(document: &Value) -> String {
    let calls = calls(document);
    let tags: Vec<_> = array(&document["tags"]).iter().map(|tag| text(&tag["name"])).collect();
    let of = |tag: &str| calls.iter().filter(move |call| call.told["tags"][0] == tag).collect::<Vec<_>>();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "dunlin API" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#calls" { "Skip to the calls" }
                header { (intro(document)) }
                nav aria-label="Calls" {
                    @for tag in &tags {
                        section {
                            h2 { (tag) }
                            ul { @for call in of(tag) { li { (link(call)) } } }
                        }
                    }
                    section { h2 { a href="#objects" { "Objects" } } }
                }
                main #calls {
                    @for tag in &tags {
                        section {
                            h2 { (tag) }
                            @for call in of(tag) { (section(call)) }
                        }
                    }
                    section #objects {
                        h2 { "Objects" }
                        @for (name, schema) in objects(document) { (object(name, schema)) }
                    }
                }
            }
        }
    };
    markup.into_string()
}

fn calls(document: &Value) -> Vec<Call<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, told)| (path, method, told))
    });
    methods.map(|(path, method, told)| Call { path, method, told }).collect()
}

fn objects(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["components"]["schemas"].as_object().into_iter().flatten()
}

fn intro(document: &Value) -> Markup {
    html! {
        h1 { "dunlin API" }
        p { (prose(text(&document["info"]["description"]))) }
        p {
            "Version " (text(&document["info"]["version"])) ". Programs read "
            a href="openapi.json" { "openapi.json" } "."
        }
        h2 #try { "Try it" }
        p { "Beside a running " code { "dunlin serve" } ", set these once; each example uses them." }
        (shell::shown(shell::SETTINGS))
    }
}

fn link(call: &Call<'_>) -> Markup {
    html! { a href={ "#" (text(&call.told["operationId"])) } { (text(&call.told["summary"])) } }
}

fn section(call: &Call<'_>) -> Markup {
    let told = call.told;
    let of = |place: &str| {
        let found = array(&told["parameters"]).iter().filter(|parameter| parameter["in"] == place);
        found.map(Field::of_parameter).collect::<Vec<_>>()
    };
    let body = &told["requestBody"]["content"]["application/json"]["schema"];
    html! {
        article id=(text(&told["operationId"])) {
            h3 { (text(&told["summary"])) }
            p.call { span.method { (call.method.to_uppercase()) } " " code { (call.path) } }
            @let description = text(&told["description"]);
            @if !description.is_empty() { p { (prose(description)) } }
            @for (heading, found) in [
                ("Path", of("path")),
                ("Query", of("query")),
                ("Headers", of("header")),
                ("Body", fields(body)),
            ] {
                @if !found.is_empty() { h4 { (heading) } (list(&found)) }
            }
            @if let Some(example) = shell::example(call.method, call.path, told) {
                h4 { "Example" }
                (shell::shown(&example))
            }
            h4 { "Answers" }
            dl {
                @for (status, answer) in told["responses"].as_object().into_iter().flatten() {
                    (self::answer(status, answer))
                }
            }
        }
    }
}

fn answer(status: &str, answer: &Value) -> Markup {
    let content = answer["content"].as_object().and_then(|content| content.iter().next());
    html! {
        dt { code { (status) } " " (text(&answer["description"])) }
        dd {
            @if let Some((kind_of_content, content)) = content {
                @match kind_of_content.as_str() {
                    "application/json" => (kind(&content["schema"])),
                    "application/problem+json" => {
                        (codes(&content["schema"]["allOf"][1]["properties"]["code"]["enum"]))
                    }
                    other => code { (other) },
                }
            }
        }
    }
}

fn object(name: &str, schema: &Value) -> Markup {
    let found = fields(schema);
    html! {
        article id=(name) {
            h3 { (name) }
            @if let Some(description) = schema["description"].as_str() { p { (prose(description)) } }
            @if found.is_empty() { p { (kind(schema)) } } @else { (list(&found)) }
        }
    }
}

fn list(found: &[Field<'_>]) -> Markup {
    html! {
        dl {
            @for field in found {
                dt {
                    code { (field.name) } " "
                    span.kind { (kind(field.schema)) @if field.required { ", " strong { "required" } } }
                }
                dd { @if let Some(description) = field.description { (prose(description)) } }
            }
        }
    }
}

/// Text in which what stands between backticks is code.
fn prose(text: &str) -> Markup {
    html! {
        @for (n, part) in text.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
