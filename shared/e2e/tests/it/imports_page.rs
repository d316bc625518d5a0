//! Proves that docs/imports.md is true: its commands work as typed, in its order, and show what it says they show.

use crate::harness::local::Local;
use crate::harness::reader::{Reader, commands};

/// What an import shows.
fn shows(line: &str) -> &'static str {
    match line {
        _ if line.contains("--from-row 2") => "1 rows read, 1 records taken, 0 rejected",
        _ => "2 rows read, 2 records taken, 0 rejected",
    }
}

#[tokio::test]
async fn every_command_of_the_page_works_as_typed_and_shows_what_it_says() {
    let (local, mut reader) = (Local::up().await, Reader::new());
    for (name, value) in &local.exports {
        reader.export(name, value);
    }
    reader.export("INGEST_SVC_URL", format!("http://{}", local.http));
    let mut imports = 0;
    for line in commands("docs/imports.md", "") {
        let printed = reader.run(&line).await;
        if line.starts_with("ingest-svc import ") {
            imports += 1;
            assert!(printed.contains(shows(&line)), "{line}: {printed}");
        } else if line.starts_with("ingest-svc events tail") {
            assert!(
                printed.contains("ines@example.org") && printed.contains("\"city\":\"Faro\""),
                "{printed}"
            );
        }
    }
    assert!(imports > 2, "the page has {imports} imports");
    local.stop().await;
}
