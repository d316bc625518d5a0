//! Proves that docs/imports.md is true: its commands work as typed, in its order, and show what it says they show.

use crate::harness::local::Local;
use crate::harness::reader::{Reader, commands};

/// What a command shows, by how many have been typed before that are called so.
fn shows(line: &str, before: usize) -> &'static [&'static str] {
    let is_import = line.starts_with("ingest-svc import ");
    match before {
        _ if line.contains("--from-row 2") => &["1 rows read, 1 records taken, 0 rejected"],
        // Two users, and what one of them received of a campaign and of a Canvas.
        _ if is_import && line.contains("segment-export/") => &["2 rows read, 4 records taken, 0 rejected"],
        _ if is_import => &["2 rows read, 2 records taken, 0 rejected"],
        0 if line.starts_with("ingest-svc events tail ") => &["users.messages.email.Open"],
        1 if line.starts_with("ingest-svc events tail ") => &["ines@example.org", "\"city\":\"Faro\""],
        _ => &[],
    }
}

#[tokio::test]
async fn every_command_of_the_page_works_as_typed_and_shows_what_it_says() {
    let (local, mut reader) = (Local::up().await, Reader::new());
    for (name, value) in &local.exports {
        reader.export(name, value);
    }
    reader.export("INGEST_SVC_URL", format!("http://{}", local.http));
    let mut typed: Vec<String> = Vec::new();
    for line in commands("docs/imports.md", "") {
        let command: String = line.split_whitespace().take(2).collect();
        let before = typed.iter().filter(|typed| **typed == command).count();
        let printed = reader.run(&line).await;
        for shown in shows(&line, before) {
            assert!(printed.contains(shown), "{line}: {printed}");
        }
        typed.push(command);
    }
    let imports = typed.iter().filter(|typed| *typed == "ingest-svcimport").count();
    assert!(imports > 5, "the page has {imports} imports");
    local.stop().await;
}
