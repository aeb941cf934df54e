//! The examples run and say what they promise. `cargo test` builds them beside this test's own binary.

#![expect(clippy::unwrap_used, reason = "a test stops at what is not as it should be")]

use std::{path::PathBuf, process::Command};

/// `target/…/examples/NAME`, seen from `target/…/deps/examples-…`.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(|deps| deps.parent()).unwrap();
    profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn output(name: &str) -> String {
    let path = example(name);
    // With `cargo test --test examples` alone, cargo builds no examples.
    let built = path.exists() || {
        let cargo = Command::new(env!("CARGO")).args(["build", "--locked", "--example", name]).status().unwrap();
        cargo.success() && path.exists()
    };
    assert!(built, "{} is not there", path.display());
    let ran = Command::new(path).output().unwrap();
    assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn quickstart_reports_every_row() {
    let output = output("quickstart");
    for line in ["sent        3", "failed      1", "suppressed  1", "the provider has accepted 3 messages"] {
        assert!(output.contains(line), "{line} is missing in\n{output}");
    }
}

#[test]
fn own_provider_shows_its_call_and_judges_three_answers() {
    let output = output("own_provider");
    for line in ["Post https://pigeon.example/v1/messages", "Accepted", "Rejected", "InDoubt"] {
        assert!(output.contains(line), "{line} is missing in\n{output}");
    }
}
