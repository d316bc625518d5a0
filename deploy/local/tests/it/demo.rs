//! `make demo` passes, and notices what is broken on purpose.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command
        .arg("demo")
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// The figure of that name in the last line.
fn figure(output: &Output, name: &str) -> usize {
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("demo: "), "{said}");
    let value = last
        .split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {last}"))
}

#[test]
fn the_demo_finds_no_mismatch() {
    let output = demo(&[]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(figure(&output, "mismatches"), 0);
    assert!(figure(&output, "webhooks") >= 1_000);
    assert_eq!(
        figure(&output, "profile_events") + figure(&output, "rejected"),
        figure(&output, "webhooks")
    );
    assert!(figure(&output, "requests") > 0 && figure(&output, "users") > 0);
}

#[test]
fn an_exit_that_is_never_published_is_a_mismatch() {
    let output = demo(&["--break", "drop-exit"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(figure(&output, "mismatches"), 1);
}

#[test]
fn a_field_that_arrives_wrong_is_a_mismatch() {
    let output = demo(&["--break", "wrong-field"]);
    assert_eq!(output.status.code(), Some(1));
    // The event that is missing, and the one that came instead.
    assert_eq!(figure(&output, "mismatches"), 2);
}
