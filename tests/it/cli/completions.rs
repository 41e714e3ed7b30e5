//! `dunlin completions`: each shell gets a script that knows our commands.

use super::run;
use crate::support::process::folder;
use std::{
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn every_shell_gets_its_script() {
    let (_folder, path) = folder();

    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&path, &["completions", shell], &[]);

        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{shell}");
        for word in ["payments", "jobs", "unknown", "completions"] {
            assert!(ended.out.contains(word), "{shell}: {word} is missing");
        }
    }
    let unknown = run(&path, &["completions", "tcsh"], &[]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
    assert!(unknown.err.contains("bash") && unknown.err.contains("fish"), "{}", unknown.err);
}

#[test]
fn bash_completes_by_it() {
    let (_folder, path) = folder();
    let script = run(&path, &["completions", "bash"], &[]).out;
    let typed =
        "COMP_WORDS=(dunlin unknown res); COMP_CWORD=2; _dunlin dunlin res unknown; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = bash.stdin.take().unwrap();
    input.write_all(format!("{script}\n{typed}\n").as_bytes()).unwrap();
    drop(input);

    let output = bash.wait_with_output().unwrap();

    assert_eq!(String::from_utf8_lossy(&output.stdout), "resolve\n");
}
