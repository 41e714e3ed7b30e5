//! Help, exit codes and the configuration.

use super::run;
use crate::support::process::folder;

#[test]
fn every_command_explains_itself() {
    let (_folder, path) = folder();

    let help = run(&path, &["--help"], &[]);

    assert_eq!(help.code, Some(0));
    for command in ["serve", "charge", "demo", "migrate", "check-config", "keys", "sandbox"] {
        assert!(help.out.contains(command), "{}", help.out);
        let help = run(&path, &[command, "--help"], &[]);
        assert_eq!(help.code, Some(0), "{}", help.err);
        assert!(help.out.contains("Usage: dunlin"), "{}", help.out);
    }
    assert!(help.out.contains("Exit codes:"));
    assert!(run(&path, &["charge", "--help"], &[]).out.contains("reference"));
    assert!(run(&path, &["--version"], &[]).out.starts_with("dunlin "));
}

#[test]
fn a_wrong_command_line_ends_with_two() {
    let (_folder, path) = folder();

    for arguments in [&[][..], &["pay"], &["serve", "--port", "1"], &["charge"], &["demo", "now"]] {
        let ended = run(&path, arguments, &[]);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_key_and_the_file() {
    let (_folder, path) = folder();
    let check = |text: &str| {
        std::fs::write(path.join("mine.toml"), text).unwrap();
        run(&path, &["--config", "mine.toml", "check-config"], &[])
    };

    assert_eq!(check("[worker]\nlease_s = 60\n").code, Some(0));
    check("[worker]\nlease_seconds = 60\n").assert_failed(&["worker.lease_seconds", "mine.toml", "lease_s"]);
    check("[worker]\nlease_s = \"long\"\n").assert_failed(&["worker.lease_s", "long", "mine.toml"]);
    check("[worker]\nlease_s = 5\n").assert_failed(&["worker.lease_s", "at least"]);
    check("[worker\n").assert_failed(&["mine.toml", "line 1"]);
    check("environment = \"test\"\n").assert_failed(&["environment", "production"]);
    run(&path, &["--config", "none.toml", "check-config"], &[]).assert_failed(&["none.toml", "--config"]);
}

#[test]
fn a_mistake_in_a_variable_is_told_with_the_variable() {
    let (_folder, path) = folder();
    let check = |name: &str, value: &str| run(&path, &["check-config"], &[(name, value)]);

    check("DUNLIN_WORKER__LEASE_S", "long").assert_failed(&[
        "worker.lease_s",
        "long",
        "DUNLIN_WORKER__LEASE_S",
    ]);
    check("DUNLIN_WORKER__LEASE_SECONDS", "60")
        .assert_failed(&["DUNLIN_WORKER__LEASE_SECONDS", "no such setting"]);
    check("DUNLIN_HTTP__LISTEN", "here").assert_failed(&["http.listen", "DUNLIN_HTTP__LISTEN"]);
    let secret = check("DUNLIN_GATEWAYS__MAIN__SECRET_KEY", "778899");
    secret.assert_failed(&["gateways.main.secret_key", "DUNLIN_GATEWAYS__MAIN__SECRET_KEY"]);
    assert!(!secret.err.contains("778899"), "{}", secret.err);
    check("DUNLIN_LOG__LEVEL", "foo=bar").assert_failed(&["log.level"]);
    assert_eq!(check("DUNLIN_WORKER__LEASE_S", "60").code, Some(0));
}
