//! Proves that docs/imports.md is true: its commands work as typed, in its order, and show what it says they show.

use crate::harness::local::Local;
use crate::harness::reader::{Reader, commands};

/// What a command shows, by how many have been typed before that are called so.
fn shows(line: &str, before: usize) -> &'static [&'static str] {
    let is_import = line.starts_with("ingest-svc import ");
    match before {
        _ if line.contains("import csv ") => &["/importJobs/", "completed  files 1/1  rows 2  sent 2"],
        _ if line.contains("create segment-export ") => &["completed  files 1/1  rows 1  sent 1  rejected 0"],
        _ if line.contains("create storage ") => &["completed  files 1/1  rows 2  sent 2  rejected 0"],
        _ if line.contains("imports segments ") => &["37a8eec1-ce19-687d-132f-e29051dca629", "All Users"],
        _ if line.contains("imports list ") => &["\"label\":\"Everybody\"", "\"label\":\"People\"", "completed"],
        _ if line.contains("--from-row 2") => &["1 rows read, 1 records taken, 0 rejected"],
        // Two users, and what one of them received of a campaign and of a Canvas.
        _ if is_import && line.contains("segment-export/") => &["2 rows read, 4 records taken, 0 rejected"],
        _ if is_import => &["2 rows read, 2 records taken, 0 rejected"],
        0 if line.starts_with("ingest-svc events tail ") => &["br_user_id"],
        1 if line.starts_with("ingest-svc events tail ") => &["ines.duarte@example.org"],
        2 if line.starts_with("ingest-svc events tail ") => &["users.messages.email.Open"],
        3 if line.starts_with("ingest-svc events tail ") => &["ines@example.org", "\"city\":\"Faro\""],
        _ => &[],
    }
}

/// The last word in all that was printed that looks as the page says: `export HERE=accounts/1234/storageAuthorizations/…`.
fn named(printed: &[String], pattern: &str) -> String {
    let beginning = pattern.trim_end_matches('…');
    let beginning = if beginning.is_empty() { "lb_1234_" } else { beginning };
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/_-".contains(c);
    let text = printed.iter().rev().find(|text| text.contains(beginning));
    let text = text.unwrap_or_else(|| panic!("nothing printed {pattern}"));
    let from = text.find(beginning).unwrap();
    text[from..].chars().take_while(|c| is_part(*c)).collect()
}

#[tokio::test]
async fn every_command_of_the_page_works_as_typed_and_shows_what_it_says() {
    let (local, mut reader) = (Local::up().await, Reader::new());
    for (name, value) in &local.exports {
        reader.export(name, value);
    }
    reader.export("INGEST_SVC_URL", format!("http://{}", local.http));
    let (mut typed, mut printed): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for line in commands("docs/imports.md", "") {
        let line = line.replace("localhost:8080", &local.http.to_string());
        let command: String = line.split_whitespace().take(2).collect();
        let before = typed.iter().filter(|typed| **typed == command).count();
        if let Some((name, pattern)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
            reader.export(name, named(&printed, pattern));
            continue;
        }
        let shown = match line.starts_with("curl ") {
            true => reader.post(&line).await,
            false => reader.run(&line).await,
        };
        for expected in shows(&line, before) {
            assert!(shown.contains(expected), "{line}: {shown}");
        }
        printed.push(shown);
        typed.push(command);
    }
    let imports = typed.iter().filter(|typed| *typed == "ingest-svcimport").count();
    assert!(imports > 5, "the page has {imports} imports");
    local.stop().await;
}
