//! The real binary, run as people run it.

mod commands;
mod doctor;
mod serve;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary with nothing of ours in its environment.
fn export_svc() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_export-svc"));
    let ours = |name: &str| name.starts_with("EXPORT_SVC") || name == "LYTICS_TOKEN";
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A folder of the test's own under `target`.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
