//! `jobs watch`.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;
use runtime::stdout;

use super::show::state;
use crate::cli::output::{Output, time};
use crate::cli::refused;
use crate::cli::resource::One;

/// The message wraps where the terminal ends.
const BAR: &str = "{wide_bar} {pos}/{len} settled  {per_sec}  ETA {left}\n{msg}";

/// Shows a job until it has ended for good: as a progress bar on a terminal, else as a line whenever it changes.
pub(super) async fn run(one: One) -> Result<(), Failure> {
    let (channel, name) = one.find::<wire::ExportJob>().await?;
    let mut client = ExportJobServiceClient::new(channel);
    let answer = client.watch_export_job(wire::WatchExportJobRequest { name }).await;
    let mut jobs = answer.map_err(refused)?.into_inner();
    let is_text = one.remote.output == Output::Text;
    let mut bar = (is_text && std::io::stdout().is_terminal()).then(|| Bar::new(ProgressDrawTarget::stdout()));
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

/// What a job is doing, and why.
fn line(job: &wire::ExportJob) -> String {
    match job.state_reason.as_str() {
        "" => counts(job),
        reason => format!("{}  {reason}", counts(job)),
    }
}

/// What a job is doing.
fn counts(job: &wire::ExportJob) -> String {
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
    if job.pending > 0 {
        line += &format!("  pending {}", job.pending);
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
    line
}

/// How many changes are settled, of those that have come and of the records that have still to be read.
struct Bar {
    bar: ProgressBar,
    /// It has shown something: from there on the rate counts.
    begun: bool,
}

impl Bar {
    fn new(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style.with_key("left", left));
        }
        Self { bar, begun: false }
    }

    fn show(&mut self, job: &wire::ExportJob) {
        if let (Some(counters), Some(unread)) = (job.counters, job.unread) {
            let settled = counters.added + counters.removed + counters.omitted + counters.rejected;
            self.bar.set_length(settled + job.pending + unread);
            self.bar.set_position(settled);
            if !std::mem::replace(&mut self.begun, true) {
                self.bar.reset_eta();
            }
        }
        self.bar.set_message(match job.state_reason.as_str() {
            "" => counts(job),
            reason => format!("{}\n{reason}", counts(job)),
        });
    }
}

/// How long what is left takes at the present rate.
fn left(progress: &ProgressState, text: &mut dyn Write) {
    let is_done = progress.len().is_some_and(|length| progress.pos() >= length);
    let told = if is_done || progress.per_sec() > 0.0 {
        write!(text, "{:#}", HumanDuration(progress.eta()))
    } else {
        write!(text, "unknown")
    };
    // A text takes whatever is written.
    told.unwrap_or_default();
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn a_line_says_what_is_known() {
        let mut job = wire::ExportJob {
            counters: Some(wire::ExportCounters {
                added: 3,
                rejected: 1,
                ..wire::ExportCounters::default()
            }),
            pending: 7,
            unread: Some(12),
            state_reason: "401".to_owned(),
            oldest_unconfirmed_time: Some(prost_types::Timestamp::default()),
            ..wire::ExportJob::default()
        };
        job.set_state(wire::ExportJobState::Sleeping);
        let said = "sleeping  added 3, removed 0, omitted 0, rejected 1  pending 7  unread 12  \
                    oldest of 1970-01-01T00:00:00Z  401";
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

    /// A job that has settled, is sending and has still to read so many.
    fn fares(settled: u64, pending: u64, unread: u64) -> wire::ExportJob {
        wire::ExportJob {
            counters: Some(wire::ExportCounters {
                added: settled,
                ..wire::ExportCounters::default()
            }),
            pending,
            unread: Some(unread),
            ..wire::ExportJob::default()
        }
    }

    /// The bar on a terminal of 80 columns.
    fn drawn() -> (Bar, InMemoryTerm) {
        let terminal = InMemoryTerm::new(24, 80);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        (Bar::new(target), terminal)
    }

    #[test]
    fn the_bar_shows_what_is_settled_and_not_what_is_only_read() {
        let (mut bar, terminal) = drawn();
        bar.show(&wire::ExportJob::default());
        assert_eq!(bar.bar.length(), None, "nothing is known");
        let mut filled = Vec::new();
        for (settled, pending, unread) in [(0, 0, 20_000), (0, 20_000, 0), (50, 19_950, 0), (20_000, 0, 0)] {
            bar.show(&fares(settled, pending, unread));
            assert_eq!((bar.bar.position(), bar.bar.length()), (settled, Some(20_000)));
            let seen = terminal.contents();
            assert!(seen.contains(&format!(" {settled}/20000 settled  ")), "{seen}");
            filled.push(!seen.contains('░'));
        }
        assert_eq!(filled, [false, false, false, true]);
    }

    #[test]
    fn the_bar_tells_the_rate_and_the_remaining_time_of_what_is_settled_since_it_is_watched() {
        let (mut bar, terminal) = drawn();
        // All of this was before.
        bar.show(&fares(1_000, 500, 500));
        let seen = terminal.contents();
        assert!(seen.contains("settled  0/s  ETA unknown"), "{seen}");
        // It has read, and settled nothing.
        bar.show(&fares(1_000, 1_000, 0));
        let seen = terminal.contents();
        assert!(seen.contains("settled  0/s  ETA unknown"), "{seen}");
        bar.show(&fares(1_500, 500, 0));
        assert!(bar.bar.per_sec() > 0.0);
        let seen = terminal.contents();
        let (_, told) = seen.lines().next().unwrap().split_once("settled  ").unwrap();
        let (rate, left) = told.split_once("/s  ETA ").unwrap();
        assert!(rate.chars().any(|digit| ('1'..='9').contains(&digit)), "{seen}");
        assert!(left.starts_with(|digit: char| digit.is_ascii_digit()), "{seen}");
        bar.show(&fares(2_000, 0, 0));
        let seen = terminal.contents();
        assert!(seen.contains("/s  ETA 0s"), "{seen}");
    }

    #[test]
    fn on_eighty_columns_the_bar_says_the_whole_reason_on_lines_of_its_own() {
        let (mut bar, terminal) = drawn();
        let reason = "Braze refuses the authorization (401: Invalid API key); give it a key that Braze takes: \
                      `export-svc authorizations rotate-key`";
        let mut job = fares(12_345, 19_950, 0);
        job.set_state(wire::ExportJobState::Sleeping);
        job.oldest_unconfirmed_time = Some(prost_types::Timestamp::default());
        job.state_reason = reason.to_owned();
        bar.show(&job);
        let seen = terminal.contents();
        let start = &reason[..80];
        assert!(seen.lines().any(|line| line == start.trim_end()), "{seen}");
        let rows = seen.lines().skip_while(|line| *line != start.trim_end());
        let said: String = rows.map(|row| format!("{row:80}")).collect();
        assert_eq!(said.trim_end(), reason);
        assert!(seen.contains("sleeping  added 12345"), "{seen}");
        assert!(seen.contains("pending 19950"), "{seen}");
        // It goes away with the reason.
        job.state_reason.clear();
        bar.show(&job);
        assert!(!terminal.contents().contains("Braze"), "{}", terminal.contents());
    }
}
