//! `jobs watch`.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;
use runtime::stdout;

use super::show::state;
use crate::cli::output::{Output, time};
use crate::cli::refused;
use crate::cli::resource::One;

const BAR: &str = "{bar:30} {pos}/{len} records  {per_sec}  ETA {eta}\n{wide_msg}";

/// Shows a job until it has ended for good: as a progress bar on a terminal, else as a line whenever it changes.
pub(super) async fn run(one: One) -> Result<(), Failure> {
    let (channel, name) = one.find::<wire::ExportJob>().await?;
    let mut client = ExportJobServiceClient::new(channel);
    let answer = client.watch_export_job(wire::WatchExportJobRequest { name }).await;
    let mut jobs = answer.map_err(refused)?.into_inner();
    let is_text = one.remote.output == Output::Text;
    let mut bar = (is_text && std::io::stdout().is_terminal()).then(Bar::new);
    let mut last = String::new();
    while let Some(seen) = jobs.message().await.map_err(refused)? {
        let job = seen.export_job.unwrap_or_default();
        if let Some(bar) = &mut bar {
            bar.show(&job);
            continue;
        }
        let line = if is_text { line(&job) } else { Output::json_line(&job) };
        if line == last {
            continue;
        }
        if !stdout::offer(&line) {
            return Ok(());
        }
        last = line;
    }
    Ok(())
}

/// What a job is doing.
fn line(job: &wire::ExportJob) -> String {
    let mut line = state(job);
    if let Some(counters) = job.counters {
        let wire::ExportCounters {
            added,
            removed,
            omitted,
            rejected,
            ..
        } = counters;
        line += &format!("  added {added}, removed {removed}, omitted {omitted}, rejected {rejected}");
    }
    if let Some(unread) = job.unread {
        line += &format!("  unread {unread}");
    }
    if let Some(oldest) = time(job.oldest_unconfirmed_time).as_str() {
        line += &format!("  oldest of {oldest}");
    }
    for removal in job.removals.iter().filter(|removal| !removal.done) {
        let removed = removal.counters.map_or(0, |counters| counters.removed);
        line += &format!("  removing {}: {removed} so far", removal.audience);
    }
    if !job.state_reason.is_empty() {
        line += &format!("  {}", job.state_reason);
    }
    line
}

/// How many of the records that there were to read have been read.
struct Bar {
    bar: ProgressBar,
    most: u64,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stdout());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        Self { bar, most: 0 }
    }

    fn show(&mut self, job: &wire::ExportJob) {
        if let Some(unread) = job.unread {
            self.most = self.most.max(unread);
            self.bar.set_length(self.most);
            self.bar.set_position(self.most - unread);
        }
        self.bar.set_message(line(job));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_known() {
        let mut job = wire::ExportJob {
            counters: Some(wire::ExportCounters {
                added: 3,
                rejected: 1,
                ..wire::ExportCounters::default()
            }),
            unread: Some(12),
            state_reason: "401".to_owned(),
            oldest_unconfirmed_time: Some(prost_types::Timestamp::default()),
            ..wire::ExportJob::default()
        };
        job.set_state(wire::ExportJobState::Sleeping);
        let said =
            "sleeping  added 3, removed 0, omitted 0, rejected 1  unread 12  oldest of 1970-01-01T00:00:00Z  401";
        assert_eq!(line(&job), said);
        job.removals = vec![
            wire::AudienceRemoval {
                audience: "gold".to_owned(),
                counters: Some(wire::ExportCounters {
                    removed: 5,
                    ..wire::ExportCounters::default()
                }),
                ..wire::AudienceRemoval::default()
            },
            wire::AudienceRemoval {
                done: true,
                ..wire::AudienceRemoval::default()
            },
        ];
        assert_eq!(line(&job), said.replace("  401", "  removing gold: 5 so far  401"));
        let mut killed = wire::ExportJob::default();
        killed.set_state(wire::ExportJobState::Killed);
        assert_eq!(line(&killed), "killed");
    }

    #[test]
    fn the_bar_shows_what_is_read_of_the_most_there_was() {
        let mut bar = Bar::new();
        bar.bar.set_draw_target(ProgressDrawTarget::hidden());
        for (unread, position, length) in [(10, 0, 10), (4, 6, 10), (20, 0, 20)] {
            bar.show(&wire::ExportJob {
                unread: Some(unread),
                ..wire::ExportJob::default()
            });
            assert_eq!((bar.bar.position(), bar.bar.length()), (position, Some(length)));
        }
    }
}
