//! Proves that docs/exports.md is true: its commands work as typed, in its order, and show what it says they show.

use crate::harness::local::Local;
use crate::harness::reader::{Reader, commands};

/// What a command shows in the end, by how often it has been typed before. Of the others it is enough that they succeed.
fn shows(command: &str, before: usize) -> Option<&'static str> {
    Some(match (command, before) {
        ("authorizations providers", _) => "rest_api_key",
        ("audiences list", _) => "vip       2",
        ("audiences fields", _) => "user_id",
        ("authorizations create", _) | ("authorizations get", _) => "unhealthy",
        ("authorizations rotate-key", _) => "healthy",
        ("jobs create", 0) => "attributeWrites",
        ("jobs create", 3) => "vip_changed",
        ("jobs create", 4) => "vip-upgrade",
        ("jobs create", _) => "runnable",
        ("jobs get", 2) => "added 121",
        ("jobs get", 3) => "the guard has paused it",
        ("jobs get", 4) => "removed 121",
        ("jobs get", _) | ("jobs list", 1) => "sleeping",
        ("jobs list", 2) => "events",
        ("explain --account", 0) => "no value in user_id; give the profile such a value",
        ("explain --account", _) => "waits, for the job is asleep",
        ("jobs log", 0) => "\tcreated\t",
        ("jobs log", _) => "1 still unusable",
        ("jobs omitted", _) => "43\tno_identifier\tthe change has no value in user_id",
        ("jobs update", 0) => "Europe/Berlin",
        ("jobs update", 1) => "2999-12-31",
        ("jobs update", 2) => "vip, news",
        ("jobs update", _) => "audience news,",
        ("jobs watch", 0) => "Braze refuses the authorization",
        ("jobs pause", _) => "paused",
        ("jobs kill", _) => "removing",
        ("users get", 0) => "\"vip\"",
        ("users get", 2) => "entered",
        ("users get", 3) => "vip-upgrade",
        ("users list", _) => "vip_by_email",
        _ => return None,
    })
}

#[tokio::test]
async fn every_command_of_the_page_works_as_typed_and_shows_what_it_says() {
    let (local, mut reader) = (Local::up().await, Reader::new());
    for (name, value) in &local.exports {
        reader.export(name, value);
    }
    let mut typed: Vec<String> = Vec::new();
    for line in commands("docs/exports.md", "") {
        let words: Vec<_> = line.split_whitespace().skip(1).take(2).collect();
        let command = words.join(" ");
        let before = typed.iter().filter(|typed| **typed == command).count();
        match (command.as_str(), shows(&command, before)) {
            ("jobs watch", Some(shown)) => reader.until_line(&line, shown).await,
            ("jobs watch", None) => drop(reader.first_line(&line).await),
            // Its end: the slug has gone.
            ("users get", None) => reader.until(&line, |user| !user.contains("\"vip\"")).await,
            // Typed once: it would be carried out again.
            (_, Some(shown))
                if ["create", "update", "pause", "kill", "rotate-key"]
                    .iter()
                    .any(|verb| command.ends_with(verb)) =>
            {
                let printed = reader.run(&line).await;
                assert!(printed.contains(shown), "{line}: {printed}");
            }
            (_, Some(shown)) => reader.until(&line, |printed| printed.contains(shown)).await,
            (_, None) => drop(reader.run(&line).await),
        }
        typed.push(command);
    }
    assert!(
        typed.contains(&"explain --account".to_owned()),
        "the page has no explain"
    );
    for verb in [
        "create", "get", "list", "watch", "log", "omitted", "redrive", "update", "pause", "resume", "bounce", "reset",
        "kill", "delete",
    ] {
        assert!(typed.contains(&format!("jobs {verb}")), "the page has no jobs {verb}");
    }
    local.stop().await;
}
