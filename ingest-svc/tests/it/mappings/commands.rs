//! `ingest-svc mappings …`, as people type it.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::harness::process::command;
use crate::harness::{self, DEADLINE, Service};

/// What a command prints, and whether it ends well.
async fn run(service: &Service, token: &str, arguments: &str, stdin: &str) -> (bool, String, String) {
    let mut child = command()
        .args(arguments.split(' '))
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", service.addresses.grpc))
        .env("LYTICS_TOKEN", token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A command that reads nothing may have ended.
    input.write_all(stdin.as_bytes()).await.unwrap_or_default();
    drop(input);
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_life_of_a_mapping_by_commands() {
    let service = harness::shared().await;
    let (account, token) = service.sender().await;
    let ok = async |arguments: &str, stdin: &str| {
        let (success, out, err) = run(service, &token, arguments, stdin).await;
        assert!(success, "{arguments}: {out}{err}");
        out
    };
    let lql = "SELECT user AS id, email(mail) AS email FROM web INTO user BY id ALIAS web\n";
    let put = ok(&format!("mappings put --account {account} -"), lql).await;
    assert!(put.contains("version      1\n"), "{put}");
    let changed = lql.replace("email(mail)", "tolower(mail)");
    ok(&format!("mappings put --account {account} - --output json"), &changed).await;
    let name = format!("accounts/{account}/mappings/web");
    assert_eq!(
        ok(&format!("mappings get {name} --output lql --version 1"), "").await,
        lql
    );
    assert!(
        ok(&format!("mappings get web --account {account}"), "")
            .await
            .ends_with(&changed)
    );
    let list = ok(&format!("mappings list --account {account}"), "").await;
    assert!(list.starts_with("NAME") && list.contains(&name), "{list}");
    let versions = ok(&format!("mappings versions {name} --output json"), "").await;
    assert_eq!(versions.lines().count(), 2);

    let record = r#"{"user":"1","mail":"x@"}"#;
    let tested = ok(
        &format!("mappings test --account {account} --mapping web --version 1"),
        record,
    )
    .await;
    assert!(
        tested.contains("email    nothing: `email` makes nothing of \"x@\""),
        "{tested}"
    );

    let (success, out, err) = run(
        service,
        &token,
        &format!("mappings validate --account {account} -"),
        "SELECT x",
    )
    .await;
    assert!(
        !success && out.contains("-:1:9: FROM <stream> is missing"),
        "{out}{err}"
    );
    assert!(err.contains("4 problems"), "{err}");
    assert_eq!(
        ok(&format!("mappings validate --account {account} -"), lql).await,
        "the statement is good\n"
    );
    let stale = format!("mappings put --account {account} --if-revision 0 -");
    let (success, _, err) = run(service, &token, &stale, lql).await;
    assert!(!success && err.contains("ABORTED: "), "{err}");

    let shadow = ok(&format!("mappings shadow put --account {account} -"), lql).await;
    assert!(shadow.contains(&format!("accounts/{account}/shadows/web")), "{shadow}");
    let mut report = String::new();
    until_reported(service, &token, account.get(), &mut report).await;
    assert!(report.contains("web version 2"), "{report}");
    assert!(
        ok(&format!("mappings shadow list --account {account}"), "")
            .await
            .contains("shadows/web")
    );
    ok(&format!("mappings shadow delete web --account {account}"), "").await;
    assert_eq!(
        ok(&format!("mappings delete {name}"), "").await,
        format!("deleted {name}\n")
    );
    assert_eq!(ok(&format!("mappings list --account {account}"), "").await, "none\n");
}

async fn until_reported(service: &Service, token: &str, account: u64, report: &mut String) {
    *report = harness::wait_for("the replica reports", async || {
        let arguments = format!("mappings shadow get web --account {account}");
        let (success, out, _) = run(service, token, &arguments, "").await;
        (success && out.contains("beside ")).then_some(out)
    })
    .await;
}

#[tokio::test]
async fn help_teaches() {
    let output = harness::process::run(command().args(["mappings", "put", "--help"])).await;
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains("docs/mapping.md") && help.contains("--version 0"),
        "{help}"
    );
}
