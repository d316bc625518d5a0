//! `ingest-svc import`, as people type it.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

use crate::harness::process::command;
use crate::harness::{self, DEADLINE, Service};

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::with_suffix(".csv").unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// The command, with what it sends where.
fn import(service: &Service, token: &str, arguments: &str) -> tokio::process::Command {
    let mut command = command();
    command
        .arg("import")
        .args(arguments.split(' '))
        .env("INGEST_SVC_URL", format!("http://{}", service.addresses.http))
        .env("LYTICS_TOKEN", token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Whether it ends well, and what it prints.
async fn run(service: &Service, token: &str, arguments: &str) -> (bool, String, String) {
    let output = tokio::time::timeout(DEADLINE, import(service, token, arguments).output()).await;
    let output = output.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn every_row_of_a_file_is_on_kafka_when_the_command_ends() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let rows: String = (1..=2_500).map(|row| format!("b-{row},Porto\n")).collect();
    let file = file(&format!("braze_id,city\n{rows},nobody\n"));
    let path = file.path().display();
    let arguments = format!("{path} --account {account} --stream braze_users");
    let (success, out, err) = run(service, &token, &arguments).await;
    assert!(success, "{err}");
    assert_eq!(out, "2501 rows read, 2500 records taken, 1 rejected\n");
    assert!(err.starts_with("row 2501: the record identifies nobody"), "{err}");
    service.events(account, 2_500).await;
    service.rejected(account, 1).await;
}

#[tokio::test]
async fn what_is_refused_is_told_with_the_row_to_go_on_with() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let file = file("braze_id\nb-1\nb-2\n");
    let path = file.path().display();
    let arguments = format!("{path} --account {account} --stream braze_users");
    let (success, _, err) = run(service, "lb_1_x_y", &arguments).await;
    assert!(
        !success && err.contains("401") && err.ends_with("go on with --from-row 1\n"),
        "{err}"
    );
    let (success, out, err) = run(service, &token, &format!("{arguments} --from-row 2")).await;
    assert!(success, "{err}");
    assert_eq!(out, "1 rows read, 1 records taken, 0 rejected\n");
    assert_eq!(service.events(account, 1).await[0].key, "br_user_id:b-2");
}

#[tokio::test]
async fn whoever_interrupts_it_is_told_the_row_to_go_on_with() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    // Nobody writes into it, so that the command waits.
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("rows.csv");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let arguments = format!(
        "{} --account {account} --stream braze_users --from-row 7",
        pipe.display()
    );
    let child = import(service, &token, &arguments).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    // It has opened the pipe once this opens it, too.
    let mut options = tokio::fs::OpenOptions::new();
    let writer = tokio::time::timeout(DEADLINE, options.write(true).open(&pipe));
    let writer = writer.await.unwrap().unwrap();
    kill(pid, Signal::SIGINT).unwrap();
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    drop(writer);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("interrupted\ngo on with --from-row 7"), "{err}");
}
