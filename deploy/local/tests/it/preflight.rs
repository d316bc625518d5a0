//! A machine without one of the tools is told so in one line, before anything compiles.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TOOLS: [&str; 5] = ["gcc", "g++", "make", "perl", "cargo"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder that holds all tools but one, each of which does nothing but to succeed and to leave a trace.
fn path_without(missing: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder of our own");
    for tool in TOOLS.iter().filter(|tool| **tool != missing) {
        let script = folder.path().join(tool);
        std::fs::write(&script, "#!/bin/sh\n: >\"$0.ran\"\n").expect("a script");
        let mut permissions = script.metadata().expect("it is there").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        std::fs::set_permissions(&script, permissions).expect("ours");
    }
    for tool in ["sh", "mkdir"] {
        symlink(Path::new("/bin").join(tool), folder.path().join(tool)).expect("a link");
    }
    folder
}

fn run(program: &str, arguments: &[&str], path: &Path) -> Output {
    let mut command = Command::new(program);
    // What a make around this test has set is not for the make in it.
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    command.args(arguments).current_dir(root()).env("PATH", path);
    command.output().expect("it starts")
}

/// The command that the README tells to type.
fn readme_install() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let mut quoted = readme.split('`').skip(1).step_by(2);
    let found = quoted.find(|code| code.contains("apt-get install"));
    found.expect("an apt command").to_owned()
}

#[test]
fn with_all_tools_it_says_nothing() {
    let output = run("/bin/sh", &["deploy/bin/preflight"], path_without("none").path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn without_a_tool_it_says_in_one_line_what_to_type_and_exits_69() {
    for tool in TOOLS {
        let output = run("/bin/sh", &["deploy/bin/preflight"], path_without(tool).path());
        assert_eq!(output.status.code(), Some(69), "{tool}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        let install = match tool {
            "cargo" => "install rustup from https://rustup.rs".to_owned(),
            _ => format!("install with: {}\n", readme_install()),
        };
        assert!(said.starts_with(&format!("missing: {tool} - {install}")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn without_a_compiler_no_target_that_compiles_reaches_cargo() {
    for target in ["build", "demo", "up", "test", "lint", "doc"] {
        let path = path_without("g++");
        let output = run("/usr/bin/make", &[target], path.path());
        assert!(!output.status.success(), "{target}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("missing: g++ - "), "{target}: {said}");
        assert!(!path.path().join("cargo.ran").exists(), "{target} runs cargo");
    }
}
