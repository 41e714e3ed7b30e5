//! Tidiness: what the layout promises, read from the files themselves. Each rule says which file breaks it.

use dunlin::config::Config;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file's path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

/// Every Rust file below some folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    let mut todo: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                paths.push(path);
            }
        }
    }
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    paths.into_iter().map(source).collect()
}

impl Source {
    /// The module of the crate that the file belongs to: `store` for `src/store/jobs.rs`.
    fn module(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// The lines of code, without comments.
    fn code(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The modules of the crate that it names, by `crate::name` or in a `crate::{..}`.
    fn named_modules(&self) -> BTreeSet<String> {
        let code = self.code();
        let mut names = BTreeSet::new();
        for (at, _) in code.match_indices("crate::") {
            // `$crate::` is a macro's word for its own home.
            if code[..at].ends_with(|before: char| before == '$' || before.is_alphanumeric() || before == '_')
            {
                continue;
            }
            let rest = &code[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(group) => names.extend(members(group)),
                None => {
                    names.insert(word(rest));
                }
            }
        }
        names
    }
}

/// The first word of each member of a group, up to its closing brace.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            other => names.last_mut().unwrap().push(other),
        }
    }
    names.iter().map(|name| word(name.trim_start())).filter(|name| !name.is_empty()).collect()
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// Which floor a module is on; imports go down only. `dunlin_jobs` is floor 0, a crate of its own.
fn floor(module: &str) -> u8 {
    match module {
        "domain" | "failpoint" => 1,
        "store" | "gateway" | "redis" | "sender" => 2,
        "flow" => 3,
        "http" | "worker" => 4,
        _ => 5,
    }
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        let own = floor(source.module());
        for name in source.named_modules() {
            let allowed = name == source.module() || own == 5 || floor(&name) < own;
            if !allowed {
                wrong.push(format!(
                    "{} (floor {own}) names crate::{name} (floor {})",
                    source.path,
                    floor(&name)
                ));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_reader_of_imports_sees_nested_groups() {
    let text = "use crate::{\n    domain::{a::B, c},\n    flow, gateway,\n};\nfn f() -> crate::http::X { $crate::store::y }";
    let source = Source { path: "src/worker/x.rs".to_owned(), text: text.to_owned() };

    let names: Vec<_> = source.named_modules().into_iter().collect();

    assert_eq!(names, ["domain", "flow", "gateway", "http"]);
    assert_eq!(source.module(), "worker");
}

/// The files that have the word in their code and may not.
fn offenders(word: &str, folders: &[&str], allowed: &[&str]) -> Vec<String> {
    let found = sources(folders).into_iter().filter(|source| !source.is_in(allowed));
    found.filter(|source| source.code().contains(word)).map(|source| source.path).collect()
}

#[test]
fn only_the_store_speaks_sql() {
    for word in ["sqlx", "SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"] {
        // A producer's one statement calls a function of the store's.
        let allowed = ["src/store/", "jobs/src/postgres.rs"];
        let found = offenders(word, &["src", "jobs/src", "sandbox/src"], &allowed);
        assert_eq!(found, Vec::<String>::new(), "{word}");
    }
}

#[test]
fn only_the_workers_know_apalis() {
    assert_eq!(offenders("apalis", &["src", "jobs", "sandbox"], &["src/worker/"]), Vec::<String>::new());
}

#[test]
fn the_domain_never_awaits() {
    for word in ["async ", ".await", "tokio"] {
        assert_eq!(offenders(word, &["src/domain"], &[]), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn no_clock_is_read_past_the_clock() {
    for word in ["Utc::now", "SystemTime::now"] {
        assert_eq!(offenders(word, &["src"], &["src/domain/clock.rs"]), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn no_route_is_made_past_its_description() {
    let only = ["src/http/routes.rs"];
    assert_eq!(offenders("routing", &["src/http"], &only), Vec::<String>::new());
    assert_eq!(
        offenders("Router", &["src/http"], &["src/http/routes.rs", "src/http/mod.rs"]),
        Vec::<String>::new()
    );
    assert_eq!(offenders("Router::new", &["src/http"], &only), Vec::<String>::new());
}

/// The API may speak of the store's plain values, such as an owner or a filter; it asks flows for everything
/// but one thing that no flow adds to: whether a key is good.
#[test]
fn the_api_leaves_the_store_to_the_flows() {
    let mut wrong = Vec::new();
    for source in sources(&["src/http"]) {
        let code = source.code();
        let methods: BTreeSet<_> =
            code.match_indices("flows.store.").map(|(at, found)| word(&code[at + found.len()..])).collect();
        let others = methods.iter().filter(|method| method.as_str() != "find_key");
        wrong.extend(others.map(|method| format!("{} calls {method}", source.path)));
        if code.contains("Store,") || code.contains("Store}") || code.contains("store::Store") {
            wrong.push(format!("{} names the store itself", source.path));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_gateways_name_stands_in_its_own_files_and_its_registry_lines() {
    let allowed = ["src/gateway/stripe/"];
    for source in sources(&["src", "jobs/src"]) {
        let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| line.to_lowercase().contains("stripe")).count();
        let most = match source.path.as_str() {
            // The module, the name in the configuration with its two arms, and what the arms call.
            "src/gateway/mod.rs" => 5,
            _ if source.is_in(&allowed) => usize::MAX,
            _ => 0,
        };
        assert!(lines <= most, "{} names a gateway in {lines} lines", source.path);
    }
}

#[test]
fn files_are_short() {
    let all = sources(&["src", "jobs", "sandbox/src", "sandbox/tests", "tests"]);
    let mut lengths: Vec<_> =
        all.iter().map(|source| (source.text.lines().count(), source.path.as_str())).collect();
    lengths.sort_unstable();

    let long: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > 600).collect();
    assert_eq!(long, Vec::<&(usize, &str)>::new());
    let (p95, path) = lengths[lengths.len() * 95 / 100];
    assert!(p95 <= 450, "one file in twenty is at least as long as {path}, which has {p95} lines");
}

#[test]
fn nothing_is_ignored_or_left_to_do() {
    let itself = "tests/it/tidy.rs";
    for word in ["#[ignore", "todo!(", "unimplemented!(", "dbg!("] {
        let found = offenders(word, &["src", "jobs", "sandbox/src", "sandbox/tests", "tests"], &[itself]);
        assert_eq!(found, Vec::<String>::new(), "{word}");
    }
}

fn config(name: &str) -> String {
    fs::read_to_string(root().join("config").join(name)).unwrap()
}

#[test]
fn every_shipped_configuration_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dunlin.toml");
    // Production assumes nothing, so the least that it needs is added.
    let least = "environment = \"production\"\n[store]\nurl = \"postgres://db/dunlin\"\n[gateways.main]\n\
                 gateway = \"stripe\"\nlivemode = true\nbase_url = \"https://example.com\"\nsecret_key = \"sk\"\n";
    fs::write(&path, least).unwrap();

    let development = Config::load(None).unwrap();
    let production = Config::load(Some(&path)).unwrap();

    assert!(development.store.migrate_on_start && !production.store.migrate_on_start);
    assert!(development.sandbox.start && !production.sandbox.start);
}

#[test]
fn every_configuration_file_has_known_keys_only() {
    let defaults: toml::Table = config("default.toml").parse().unwrap();
    for name in ["development.toml", "production.toml"] {
        let table: toml::Table = config(name).parse().unwrap();
        for (section, keys) in &table {
            // Accounts at gateways have names of their user's choice.
            let Some(keys) = keys.as_table().filter(|_| section != "gateways") else { continue };
            let known = defaults[section].as_table().unwrap();
            let unknown: Vec<_> = keys.keys().filter(|key| !known.contains_key(*key)).collect();
            assert_eq!(unknown, Vec::<&String>::new(), "{name}: [{section}]");
        }
    }
}

#[test]
fn the_example_has_two_thousand_charges() {
    let text = fs::read_to_string(root().join("examples/charges.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());

    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();

    assert_eq!(rows.len(), 2000);
}
