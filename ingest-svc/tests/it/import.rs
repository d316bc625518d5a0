//! `ingest-svc import`, as people type it.

mod broken;

use std::collections::BTreeMap;
use std::process::Stdio;

use ingest_svc::config::Config;
use kafka::testing::InProcessBroker;
use model::AccountNumber;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::{NamedTempFile, TempDir};

use crate::harness::process::command;
use crate::harness::{self, ADMIN_TOKEN, DEADLINE, Service};
use crate::process::{process, until_accepted};

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
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", service.addresses.grpc))
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

/// A service that keeps uploads in a folder, and whoever sends to it.
async fn keeper() -> (InProcessBroker, TempDir, Service, AccountNumber, String) {
    keeper_with(|_| ()).await
}

async fn keeper_with(change: impl FnOnce(&mut Config)) -> (InProcessBroker, TempDir, Service, AccountNumber, String) {
    let folder = TempDir::new().unwrap();
    let url = format!("file://{}", folder.path().display());
    let (broker, service) = Service::alone(|config| {
        config.imports.upload_url = Some(url);
        change(config);
    })
    .await;
    let (account, token) = service.sender().await;
    (broker, folder, service, account, token)
}

/// More than a piece of an upload: a hundred rows of 100 KB.
fn large() -> String {
    let note = "x".repeat(100_000);
    let rows: String = (1..=100).map(|row| format!("b-{row},{note}\n")).collect();
    format!("braze_id,note\n{rows}")
}

async fn are_read(service: &Service, account: AccountNumber, count: usize) {
    let read = async || {
        let events = harness::topic::events_so_far(&service.kafka, account).await;
        (events.len() >= count).then_some(events)
    };
    let events = harness::wait_for("the job reads the file", read).await;
    assert_eq!(events.len(), count);
}

#[tokio::test]
async fn a_file_that_is_uploaded_is_read_by_a_job() {
    let (_broker, _folder, service, account, token) = keeper().await;
    let file = file(&large());
    let path = file.path().display();
    let arguments = format!("csv {path} --account {account} --stream braze_users --columns braze_id");
    let (success, out, err) = run(&service, &token, &arguments).await;
    assert!(success, "{err}");
    let (job, followed) = out.split_once(" reads it\n").unwrap();
    assert!(job.starts_with(&format!("accounts/{account}/importJobs/")), "{out}");
    let ended = "completed  files 1/1  rows 100  sent 100  rejected 0";
    assert!(followed.contains(ended), "{out}");
    are_read(&service, account, 100).await;
    let (success, _, err) = run(&service, "lb_1_x_y", &arguments).await;
    assert!(!success && err.contains("401") && !err.contains("--resume"), "{err}");
}

#[tokio::test]
async fn files_are_read_by_threads_that_step_back_behind_the_webhooks() {
    let folder = TempDir::new().unwrap();
    let url = format!("file://{}", folder.path().display());
    let (_brokers, _kafka, process) = process(&[("INGEST_SVC__IMPORTS__UPLOAD_URL", &url)]).await;
    until_accepted(&process, &format!("/c/1234/braze_users?key={ADMIN_TOKEN}")).await;
    let before = process.threads("files");
    assert!(!before.is_empty());
    let file = file(&large());
    let mut upload = command();
    upload
        .args(["import", "csv", file.path().to_str().unwrap()])
        .args(["--account", "1234", "--stream", "braze_users"])
        .env("INGEST_SVC_URL", format!("http://{}", process.http))
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", process.grpc))
        .env("LYTICS_TOKEN", ADMIN_TOKEN);
    let output = harness::process::run(&mut upload).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = process.threads("files");
    assert!(after.values().all(|(nice, _)| *nice >= 10), "{after:?}");
    let waited = |threads: &BTreeMap<_, (i32, u64)>| threads.values().map(|(_, waited)| waited).sum::<u64>();
    assert!(waited(&after) > waited(&before), "{before:?} {after:?}");
}

#[tokio::test]
async fn an_upload_goes_on_where_it_stands_if_it_is_of_the_same_file() {
    let (_broker, _folder, service, account, token) = keeper().await;
    let (text, http) = (large(), service.addresses.http);
    let authorization = format!("authorization: Bearer {token}");
    let length = format!("upload-length: {}", text.len());
    let headers = [&*authorization, "tus-resumable: 1.0.0", &*length];
    let path = format!("/files/{account}/braze_users");
    let created = harness::http::send(http, "POST", &path, &headers, b"").await;
    let location = created.header("location").unwrap();
    let piece = "content-type: application/offset+octet-stream";
    let headers = [&*authorization, "tus-resumable: 1.0.0", piece, "upload-offset: 0"];
    let appended = harness::http::send(http, "PATCH", location, &headers, &text.as_bytes()[..1_000]).await;
    assert_eq!(appended.status, 204, "{}", appended.body);
    let (whole, other) = (file(&text), file("braze_id\nb-1\n"));
    let arguments = |file: &NamedTempFile| {
        let path = file.path().display();
        format!("csv {path} --account {account} --stream braze_users --resume http://{http}{location}")
    };
    let (success, _, err) = run(&service, &token, &arguments(&other)).await;
    assert!(!success && err.contains("the upload is of a file of"), "{err}");
    let (success, out, err) = run(&service, &token, &arguments(&whole)).await;
    assert!(success, "{err}");
    let job = created.header("import-job").unwrap();
    assert!(out.starts_with(&format!("{job} reads it\n")), "{out}");
    are_read(&service, account, 100).await;
}
