//! The reference of the configuration, written from the comments of `config/default.toml`.

use super::page::root;
use dunlin::config::Config;
use std::{fmt::Write, fs};
use toml::{Table, Value};

const PAGE: &str = "docs/configuration-reference.md";

/// A section of the file: its name, what stands above its head, and its keys.
#[derive(Debug, Default)]
struct Section {
    name: String,
    words: Vec<String>,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    name: String,
    words: Vec<String>,
    /// As it is written.
    value: String,
}

fn config(name: &str) -> String {
    fs::read_to_string(root().join("config").join(name)).unwrap()
}

/// The sections of a file. An account at a gateway, which has no default, stands in it as a comment.
fn sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut words = Vec::new();
    let mut is_account = false;
    for line in text.lines() {
        is_account = line.starts_with("# [") || (is_account && line.starts_with('#'));
        let line = if is_account { &line[2..] } else { line };
        if let Some(word) = line.strip_prefix('#') {
            words.push(word.trim().to_owned());
        } else if let Some(name) = line.strip_prefix('[') {
            let name = name.trim_end_matches(']').to_owned();
            sections.push(Section { name, words: std::mem::take(&mut words), keys: Vec::new() });
        } else if let Some((name, value)) = line.split_once(" = ") {
            let (name, value) = (name.to_owned(), value.to_owned());
            let key = Key { name, value, words: std::mem::take(&mut words) };
            sections.last_mut().unwrap().keys.push(key);
        } else {
            words.clear();
        }
    }
    // Under its own head there are accounts only.
    sections.retain(|section| section.name != "gateways");
    sections
}

/// A key's words, without what only says its unit.
fn meaning(words: &[String]) -> String {
    let words = words.join(" ");
    words.split(" Unit: ").next().unwrap_or_default().to_owned()
}

impl Key {
    /// What a number counts: by the end of its name, or by the last words above it.
    fn unit(&self) -> Option<String> {
        let by_name =
            [("_per_s", "a second"), ("_ms", "milliseconds"), ("_s", "seconds"), ("_bytes", "bytes")];
        let named =
            by_name.iter().find(|(end, _)| self.name.ends_with(end)).map(|(_, unit)| (*unit).to_owned());
        let words = self.words.join(" ");
        named.or_else(|| Some(words.split_once("Unit: ")?.1.trim_end_matches('.').to_owned()))
    }

    fn counts(&self) -> bool {
        let table: Table = format!("it = {}", self.value).parse().unwrap();
        match &table["it"] {
            Value::Integer(_) => true,
            Value::Array(items) => items.iter().any(Value::is_integer),
            Value::String(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
                false
            }
        }
    }
}

impl Section {
    fn key(&self, key: &Key) -> String {
        if self.name.is_empty() { key.name.clone() } else { format!("{}.{}", self.name, key.name) }
    }

    /// The same place in another file.
    fn value(&self, key: &Key, environment: &str) -> Option<String> {
        let other = sections(environment).into_iter().find(|section| section.name == self.name)?;
        let found = other.keys.into_iter().find(|other| other.name == key.name)?;
        Some(found.value).filter(|value| *value != key.value)
    }

    fn is_account(&self) -> bool {
        self.name.starts_with("gateways.")
    }

    fn told(&self) -> String {
        let mut told = String::new();
        if !self.name.is_empty() {
            writeln!(told, "## `[{}]`\n", self.name).unwrap();
        }
        if !self.words.is_empty() {
            writeln!(told, "{}\n", self.words.join(" ").trim()).unwrap();
        }
        let value = if self.is_account() { "example" } else { "default" };
        writeln!(told, "| key | {value} | unit | variable | |\n|---|---|---|---|---|").unwrap();
        for key in &self.keys {
            let name = self.key(key);
            let mut value = format!("`{}`", key.value);
            for environment in ["development", "production"] {
                if let Some(other) = self.value(key, &config(&format!("{environment}.toml"))) {
                    write!(value, "; in {environment} `{other}`").unwrap();
                }
            }
            let variable = format!("DUNLIN_{}", name.replace('.', "__").to_uppercase());
            let (unit, meaning) = (key.unit().unwrap_or_default(), meaning(&key.words).replace('|', "\\|"));
            writeln!(told, "| `{name}` | {value} | {unit} | `{variable}` | {meaning} |").unwrap();
        }
        if self.is_account() {
            let development = sections(&config("development.toml"));
            for Section { name, keys, .. } in development.into_iter().filter(Self::is_account) {
                let keys: Vec<_> = keys.iter().map(|key| format!("`{} = {}`", key.name, key.value)).collect();
                writeln!(told, "\nIn development there is `[{name}]`: {}.", keys.join(", ")).unwrap();
            }
        }
        told
    }
}

// Whoever changes the file runs this, and commits the page.
#[test]
fn the_reference_is_what_the_file_says() {
    let mut told = "# Configuration reference\n\nEvery setting, written by `tests/it/docs/settings.rs` from \
                    [config/default.toml](../config/default.toml).\nHow settings come together stands in \
                    [configuration](configuration.md).\n"
        .to_owned();
    for section in sections(&config("default.toml")) {
        write!(told, "\n{}", section.told()).unwrap();
    }

    let path = root().join(PAGE);
    let is = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, &told).unwrap();

    assert!(is == told, "{PAGE} was old and is written anew: look at it, and commit it");
}

#[test]
fn every_key_says_what_it_means_and_every_number_what_it_counts() {
    let mut wrong = Vec::new();
    for section in sections(&config("default.toml")) {
        for key in &section.keys {
            let name = section.key(key);
            if meaning(&key.words).is_empty() {
                wrong.push(format!("{name}: say above it what it means"));
            }
            if key.counts() && key.unit().is_none() {
                wrong.push(format!("{name}: end its name, or the words above it, with its unit"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_key_of_an_account_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dunlin.toml");
    fs::write(&path, "[gateways.sandbox]\nnothing = 1\n").unwrap();

    let refused = Config::load(Some(&path)).unwrap_err().to_string();

    let known = refused.split_once("there are ").unwrap().1.split(" (in").next().unwrap();
    let accounts =
        sections(&config("default.toml")).into_iter().find(|section| section.name == "gateways.main");
    let explained: Vec<_> = accounts.unwrap().keys.into_iter().map(|key| key.name).collect();
    assert_eq!(known.split(", ").collect::<Vec<_>>(), explained);
}
