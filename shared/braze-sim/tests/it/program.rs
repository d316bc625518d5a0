//! The program: its subcommands against a real process, and its end.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bucket::S3;
use crate::files;
use crate::support::{Rig, raw, request};

const PROGRAM: &str = env!("CARGO_BIN_EXE_braze-sim");
const BODY: &str = r#"{"attributes":[{"external_id":"cust-1","lytics_segments":{"add":["vip"]}}]}"#;

/// A simulator in a process of its own; killed if the test fails.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .env("BRAZE_SIM_KEYS", "first-key,second-key=other")
            .env("AWS_SECRET_ACCESS_KEY", "secret-1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap()
            .parse()
            .unwrap();
        Self { child, address }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(&format!("http://{}", self.address), arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks for an export of a segment, and waits until the program shows it as ended.
    async fn export(&self, segment: &str) -> Value {
        let headers = "authorization: Bearer first-key\r\ncontent-type: application/json\r\n";
        let body = json!({"segment_id": segment, "fields_to_export": ["external_id"]}).to_string();
        let answer = raw(self.address, &request("/users/export/segment", headers, &body))
            .await
            .unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let export = self.json(&["exports"]);
            if !export["ended_at"].is_null() {
                return export;
            }
            assert!(Instant::now() < deadline, "the export ends in time: {export}");
        }
    }

    async fn track(&self, key: &str) -> Option<u16> {
        let headers = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        raw(self.address, &request("/users/track", &headers, BODY))
            .await
            .map(|answer| answer.status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(endpoint: &str, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env("BRAZE_SIM_ENDPOINT", endpoint)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_calls_and_shows_the_users() {
    let process = Process::start(&["serve", "--set", "apply_delay=20ms"]);
    assert_eq!(
        process.track("sim-key").await,
        Some(401),
        "the keys are those of the environment"
    );
    assert_eq!(process.track("first-key").await, Some(201));
    let user = process.json(&["users", "get", "cust-1"]);
    assert_eq!(user["custom_attributes"], json!({"lytics_segments": ["vip"]}));
    let braze_id = user["braze_id"].as_str().unwrap();
    assert_eq!(process.json(&["users", "get", "--braze-id", braze_id]), user);
    assert_eq!(process.json(&["users", "list"]), user);
    assert_eq!(process.json(&["meter"])["data_points"], 1);
    assert_eq!(process.track("second-key").await, Some(201));
    process.json(&["users", "get", "cust-1", "--workspace", "other"]);
    let journal = process.run(&["journal", "--tail", "2"]);
    let lines: Vec<Value> = journal
        .stdout
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!((lines.len(), &lines[1]["workspace"]), (2, &json!("other")));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_get_says_who_is_unknown_and_exits_with_1() {
    let process = Process::start(&[]);
    let output = process.run(&["users", "get", "nobody", "--wait", "10ms"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("no user with external_id \"nobody\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_get_waits_for_a_user_that_is_on_the_way() {
    let process = Process::start(&["--set", "apply_delay=500ms"]);
    assert_eq!(process.track("first-key").await, Some(201));
    assert_eq!(process.json(&["users", "get", "cust-1"])["external_id"], "cust-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_arms_and_clears_faults() {
    let process = Process::start(&["serve"]);
    let armed = process.json(&["fault", "status", "503", "--next", "1"]);
    assert_eq!(armed["armed"], json!([{"kind": "status", "status": 503, "next": 1}]));
    assert_eq!(process.track("first-key").await, Some(503));
    assert_eq!(process.track("first-key").await, Some(201));
    for fault in [
        &["fault", "delay", "2s", "--rate", "0.5"][..],
        &["fault", "drop-before"],
        &["fault", "drop-after", "--apply-after", "30s"],
        &["fault", "hold"],
        &["fault", "release"],
        &["fault", "no-callback", "--next", "1"],
        &["fault", "two-callbacks"],
        &["fault", "late-file", "2s"],
        &["fault", "broken-file"],
        &["fault", "status", "503", "--path", "/users/export/segment"],
        &["fault", "refuse", "cust-1"],
        &["fault", "reject-key", "first-key"],
        &["fault", "list"],
    ] {
        process.json(fault);
    }
    assert_eq!(process.track("first-key").await, Some(401));
    assert_eq!(process.json(&["fault", "clear"])["armed"], json!([]));
    assert_eq!(process.track("first-key").await, Some(201));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_adds_and_lists_keys() {
    let process = Process::start(&["serve"]);
    process.run(&["fault", "reject-key", "first-key"]);
    let keys = process.json(&["keys", "add", "fresh-key=other"]);
    assert_eq!(
        (&keys[0]["rejected"], &keys[2]["workspace"]),
        (&json!(true), &json!("other"))
    );
    assert_eq!(
        (process.track("first-key").await, process.track("fresh-key").await),
        (Some(401), Some(201))
    );
    assert_eq!(process.json(&["keys", "list"]), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_adds_and_lists_segments_and_exports_them_into_a_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let process = Process::start(&["serve", "--storage", folder.path().to_str().unwrap()]);
    let all = process.json(&["segments", "list"]);
    assert_eq!(all["name"], "All Users");
    let listed = process
        .run(&["segments", "add", "vips", "VIPs", "cust-1", "cust-2"])
        .stdout;
    let vips: Value = serde_json::from_str(&listed.lines().nth(1).unwrap().unwrap()).unwrap();
    assert_eq!(
        (&vips["id"], &vips["external_ids"]),
        (&json!("vips"), &json!(["cust-1", "cust-2"]))
    );
    assert_eq!(process.track("first-key").await, Some(201));
    process.json(&["users", "get", "cust-1"]);
    let export = process.export("vips").await;
    let keys: Vec<String> = serde_json::from_value(export["files"].clone()).unwrap();
    assert_eq!(files::external_ids(folder.path(), &keys), [["cust-1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_exports_into_a_bucket() {
    let s3 = S3::start().await;
    let process = Process::start(&[
        "serve",
        "--storage",
        "s3://exports",
        "--s3-endpoint",
        &s3.endpoint,
        "--s3-access-key-id",
        "id-1",
    ]);
    let all = process.json(&["segments", "list"])["id"].as_str().unwrap().to_owned();
    assert_eq!(process.track("first-key").await, Some(201));
    process.json(&["users", "get", "cust-1"]);
    let export = process.export(&all).await;
    let keys: Vec<String> = serde_json::from_value(export["files"].clone()).unwrap();
    assert_eq!(files::external_ids(&s3.objects(), &keys), [["cust-1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_changes_settings() {
    let process = Process::start(&["serve"]);
    assert_eq!(
        process.json(&["settings", "objects.max=5", "apply_delay=1s"])["objects"]["max"],
        5
    );
    let output = process.run(&["settings", "objects.maximum=5"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("maximum"));
}

#[test]
fn a_bad_setting_at_the_start_exits_with_64() {
    let output = run("", &["serve", "--set", "aply_delay=2s"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("aply_delay"));
}

#[test]
fn a_bucket_without_a_key_exits_with_64() {
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--storage", "s3://exports", "--listen", "127.0.0.1:0"]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env("AWS_SECRET_ACCESS_KEY", "secret-1");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--s3-access-key-id"));
}

#[tokio::test]
async fn a_simulator_that_is_not_there_is_named() {
    let rig = Rig::start().await;
    let endpoint = rig.sim.base_url();
    rig.sim.shutdown().await;
    let output = run(&endpoint, &["meter"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is it running?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_program_with_0_although_a_call_is_held() {
    let mut process = Process::start(&["serve"]);
    process.json(&["fault", "hold"]);
    let headers = "authorization: Bearer first-key\r\ncontent-type: application/json\r\n";
    let (address, request) = (process.address, request("/users/track", headers, BODY));
    let mut call = JoinSet::new();
    call.spawn(async move { raw(address, &request).await });
    let deadline = Instant::now() + Duration::from_secs(30);
    while process.json(&["fault", "list"])["held"] != 1 {
        assert!(Instant::now() < deadline, "the call is held in time");
    }
    let pid = Pid::from_raw(i32::try_from(process.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(
        call.join_next().await.unwrap().unwrap().unwrap().status,
        201,
        "the call in flight finishes"
    );
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}
