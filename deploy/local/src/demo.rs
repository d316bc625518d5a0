//! `make demo`: drives the stack both ways and compares what comes out with what must.

mod export;
mod ingest;

use indicatif::{ProgressBar, ProgressStyle};

use crate::stack::{FLUSH, Ports, Stack};
use crate::{memberships, webhooks};

/// Something broken on purpose: the demo must then end with a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sabotage {
    /// One exit that decides is never published.
    DropExit,
    /// One webhook is posted with the first and the last name swapped.
    WrongField,
}

/// How many differences are printed.
const DIFFERENCES_SHOWN: usize = 10;

/// Runs the demo.
///
/// # Errors
/// When something does not work at all, and when something came out other than expected.
pub(crate) async fn run(sabotage: Option<Sabotage>) -> anyhow::Result<()> {
    let telemetry = runtime::telemetry::Config {
        log_filter: "error".to_owned(),
        ..Default::default()
    };
    let guard = runtime::telemetry::init("local", &telemetry)?;
    let mut stack = Stack::start(Ports::free()).await?;

    let posted = webhooks::all()?;
    let mut differences = ingest::post(&stack, &posted, sabotage == Some(Sabotage::WrongField)).await?;
    let published = ingest::read_back(&stack)?;
    differences.extend(webhooks::compare(&posted, &published.events, &published.rejected));

    let script = memberships::script();
    let exported = export::run(&mut stack, &script, sabotage == Some(Sabotage::DropExit)).await?;
    differences.extend(exported.differences);
    stack.stop().await?;
    guard.shutdown(FLUSH).await;

    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        println!("mismatch: {difference}");
    }
    println!(
        "demo: webhooks={} profile_events={} rejected={} membership_changes={} requests={} users={} mismatches={}",
        posted.len(),
        published.events.len(),
        published.rejected.len(),
        script.before.len() + script.after.len(),
        exported.requests,
        exported.users,
        differences.len(),
    );
    anyhow::ensure!(differences.is_empty(), "what came out is not what must");
    Ok(())
}

/// A progress bar that says what is being done; nothing where nobody looks.
fn bar(what: &'static str, length: usize) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {per_sec}")?;
    Ok(ProgressBar::new(length as u64).with_style(style).with_message(what))
}
