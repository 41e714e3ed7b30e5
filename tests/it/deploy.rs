//! What is shipped to be started elsewhere: the compose file and the Dockerfile, as far as they can be held to the
//! program without an engine that runs them.

use crate::support::process::dunlin;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The compose file, read by the YAML of the Python that `scripts/test` installs.
fn compose() -> Value {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let clients = std::env::var("DUNLIN_TEST_CLIENTS").expect("run scripts/test, which installs the clients");
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let python = Path::new(&clients).join("python/bin/python");
    let output =
        Command::new(python).args(["-c", read]).arg(root().join("docker-compose.yml")).output().unwrap();
    serde_json::from_slice(&output.stdout).expect("docker-compose.yml is YAML")
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// The services that run our image.
fn ours(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().unwrap().iter().filter(|(_, service)| service["image"] == "dunlin")
}

#[test]
fn each_service_of_ours_runs_a_command_that_there_is_with_settings_that_are_good() {
    let compose = compose();
    let none = Map::new();

    for (name, service) in ours(&compose) {
        let command = words(&service["command"]);
        let settings = service["environment"].as_object().unwrap_or(&none);
        let settings = settings.iter().map(|(key, value)| (key, value.as_str().unwrap()));
        let help = dunlin().args(&command).arg("--help").output().unwrap();
        let check = dunlin().arg("check-config").envs(settings).output().unwrap();
        assert!(help.status.success(), "{name} runs {command:?}");
        assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stderr));
    }

    let names: BTreeSet<_> = ours(&compose).map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["api", "sandbox", "worker"]));
}

#[test]
fn what_a_service_speaks_to_is_a_service() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();

    for (name, service) in services {
        let needs = service["depends_on"].as_object().into_iter().flat_map(Map::keys);
        for needed in needs {
            assert!(services.contains_key(needed), "{name} depends on {needed}");
        }
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            let host = value.as_str().and_then(|value| url::Url::parse(value).ok());
            let host = host.and_then(|url| url.host_str().map(str::to_owned));
            assert!(host.as_ref().is_none_or(|host| services.contains_key(host)), "{name}: {key} is {value}");
        }
    }
}

#[test]
fn a_stop_has_longer_than_the_drain() {
    let drain = dunlin::config::Config::load(None).unwrap().worker.drain_timeout_s;

    for (name, service) in ours(&compose()).filter(|(name, _)| *name != "sandbox") {
        let grace: u64 =
            service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
        assert!(grace > drain, "{name} has {grace} s");
    }
}

#[test]
fn the_image_is_built_of_files_that_there_are() {
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let copied: Vec<_> = dockerfile
        .lines()
        .filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
        .flat_map(|line| {
            let paths: Vec<_> = line.split_whitespace().skip(1).collect();
            paths[..paths.len() - 1].to_vec()
        })
        .collect();

    for path in &copied {
        assert!(root().join(path).exists(), "{path} is copied");
    }
    // What the build reads, by the manifest's own words.
    for needed in ["Cargo.toml", "Cargo.lock", "src", "jobs", "sandbox", "config"] {
        assert!(copied.contains(&needed), "{needed} is not copied");
    }
    assert!(dockerfile.contains("cargo build --profile dist --locked --bin dunlin"));
    assert!(dockerfile.contains("\nUSER 10001:10001\n"), "it does not run as root");
}
