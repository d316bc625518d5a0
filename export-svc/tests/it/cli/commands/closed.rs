//! A reader that has gone, as after `| head -1`.

use std::process::Stdio;

use super::{KEY, done, file, folder};
use crate::cli::{export_svc, stderr};
use crate::service::{ADMIN, Service, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_reader_has_gone_ends_quietly_as_it_would_have_ended() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let key_file = key_file.to_str().unwrap();
    for line in [
        format!("authorizations create --account 1234 --label Sim --instance US-01 --key-file {key_file}"),
        "jobs create --account 1234 --auth Sim --label VIP --audience vip --external-id-field user_id --existing-users"
            .to_owned(),
        "memberships publish --account 1234 --audience vip --profile 42 --enter".to_owned(),
    ] {
        done(&service, &line.split_whitespace().collect::<Vec<_>>()).await;
    }
    for (line, code) in [
        ("completions bash", 0),
        ("jobs list --account 1234", 0),
        ("jobs get --account 1234 VIP --output json", 0),
        ("explain --account 1234 --job VIP --profile 42", 0),
        // They would go on for ever.
        ("jobs omitted --account 1234 VIP --follow", 0),
        ("jobs log --account 1234 VIP --follow", 0),
        ("jobs watch --account 1234 VIP", 0),
        ("jobs get --account 1234 Nobody", 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = export_svc();
        command
            .args(line.split_whitespace())
            .env("EXPORT_SVC_ENDPOINT", service.endpoint())
            .env("LYTICS_TOKEN", ADMIN)
            .stdout(writer)
            .stderr(Stdio::piped());
        let ended = tokio::task::spawn_blocking(move || command.output());
        let ended = tokio::time::timeout(runtime::testing::DEADLINE, ended).await;
        let output = ended.expect(line).unwrap().unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{line}: {}", stderr(&output));
    }
    service.stop().await;
}
