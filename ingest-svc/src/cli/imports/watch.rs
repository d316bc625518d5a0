//! `imports watch`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::anyhow;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use proto::imports::v1 as wire;
use proto::imports::v1::ImportJobState;
use proto::imports::v1::import_job_service_client::ImportJobServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;
use tonic::Code;

use super::show::{line, plain};
use crate::cli::{Connection, refused};

/// By bytes: how many rows a file has is known at its end. The message wraps where the terminal ends.
const BAR: &str = "{wide_bar} {bytes}/{total_bytes}\n{msg}";
const FILE: &str = "  {wide_msg} {bar:20} {bytes}/{total_bytes}";

/// How long to wait before the service is asked again, at first and at most, and how often in a row.
const WAIT: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(10);
const TRIES_MAX: u32 = 60;

/// Follows a job until it has ended, also through connections that are lost.
pub(in crate::cli) async fn watch(connection: &Connection, name: String) -> Result<(), Failure> {
    let mut view = match std::io::stdout().is_terminal() {
        true => View::Bars(Bars::new(ProgressDrawTarget::stdout())),
        false => View::Lines(String::new()),
    };
    let (mut tries, mut wait) = (0, WAIT);
    // Whoever is not there at first is somebody else.
    let mut channel = connection.open().await?;
    loop {
        let lost = match follow(&channel, &name, &mut view, &mut tries).await {
            Ok(job) => {
                view.end(&job);
                return ended(&job);
            }
            Err(Lost::Refused(failure)) => return Err(failure),
            Err(Lost::Away(failure)) => failure,
        };
        if tries == 0 {
            wait = WAIT;
        }
        tries += 1;
        if tries > TRIES_MAX {
            return Err(lost);
        }
        view.waits(&lost);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
        if let Ok(another) = connection.open().await {
            channel = another;
        }
    }
}

/// Why it is not followed any more.
enum Lost {
    Refused(Failure),
    /// Somebody may answer later.
    Away(Failure),
}

/// The job as it was last, when the service has nothing more to tell of it.
async fn follow(channel: &Channel, name: &str, view: &mut View, tries: &mut u32) -> Result<wire::ImportJob, Lost> {
    let away = |status: tonic::Status| match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::ResourceExhausted => {
            Lost::Away(refused(status))
        }
        _ => Lost::Refused(refused(status)),
    };
    let request = wire::WatchImportJobRequest { name: name.to_owned() };
    let answer = ImportJobServiceClient::new(channel.clone())
        .watch_import_job(request)
        .await;
    let mut jobs = answer.map_err(away)?.into_inner();
    let mut last = None;
    while let Some(seen) = jobs.message().await.map_err(away)? {
        *tries = 0;
        let job = seen.import_job.unwrap_or_default();
        view.show(&job);
        let is_over = is_over(&job);
        last = Some(job);
        if is_over {
            break;
        }
    }
    match last.filter(is_over) {
        Some(job) => Ok(job),
        // A replica that drains ends its streams.
        None => Err(Lost::Away(Failure::call(anyhow!("the service has ended")))),
    }
}

/// Whether nothing more happens to it by itself.
fn is_over(job: &wire::ImportJob) -> bool {
    let is_once = job.schedule.is_none();
    match job.state() {
        ImportJobState::Completed | ImportJobState::Failed | ImportJobState::Killed => true,
        ImportJobState::Fault => is_once,
        _ => false,
    }
}

fn ended(job: &wire::ImportJob) -> Result<(), Failure> {
    match job.state() {
        ImportJobState::Completed => Ok(()),
        _ => Err(Failure::call(anyhow!("{}", line(job)))),
    }
}

/// How a job is shown.
enum View {
    Bars(Bars),
    /// The last one.
    Lines(String),
}

impl View {
    fn show(&mut self, job: &wire::ImportJob) {
        match self {
            Self::Bars(bars) => bars.show(job),
            Self::Lines(last) => {
                let line = line(job);
                if line != *last {
                    stdout::line(&line);
                    *last = line;
                }
            }
        }
    }
}

impl View {
    /// What the bars have shown stays.
    fn end(&mut self, job: &wire::ImportJob) {
        if let Self::Bars(bars) = self {
            drop(bars.all.clear());
            stdout::line(line(job));
        }
    }

    /// The service is asked again.
    fn waits(&self, why: &Failure) {
        let said = format!("waiting: {why}");
        match self {
            Self::Bars(bars) => bars.all.suspend(|| eprintln!("{said}")),
            Self::Lines(_) => eprintln!("{said}"),
        }
    }
}

/// A bar over all bytes, and one for each file that is being read.
struct Bars {
    all: MultiProgress,
    job: ProgressBar,
    files: BTreeMap<String, ProgressBar>,
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let job = all.add(styled(BAR));
        Self {
            all,
            job,
            files: BTreeMap::new(),
        }
    }

    fn show(&mut self, job: &wire::ImportJob) {
        let counters = job.counters.unwrap_or_default();
        self.job.set_length(counters.bytes);
        self.job.set_position(counters.bytes_read);
        let left = job.estimated_duration.and_then(|left| Duration::try_from(left).ok());
        let left = left.map_or_else(String::new, |left| format!("  ETA {}", HumanDuration(left)));
        let rate = job.rows_per_second.round();
        self.job.set_message(format!("{}  {rate} rows/s{left}", line(job)));
        self.files.retain(|key, bar| {
            let is_read = job.reading.iter().any(|file| file.key == *key);
            if !is_read {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            is_read
        });
        for file in &job.reading {
            let all = &self.all;
            let bar = self
                .files
                .entry(file.key.clone())
                .or_insert_with(|| all.add(styled(FILE)));
            bar.set_length(file.size);
            bar.set_position(file.counters.unwrap_or_default().bytes_read);
            bar.set_message(plain(&file.key));
        }
    }
}

fn styled(template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => ProgressBar::new(0).with_style(style),
        Err(_) => ProgressBar::new(0),
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn the_bars_tell_of_the_job_and_of_each_file_that_is_read() {
        let terminal = InMemoryTerm::new(24, 80);
        let mut bars = Bars::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        let read = |bytes_read| {
            Some(wire::ImportCounters {
                files: 2,
                bytes: 4_000,
                bytes_read,
                rows: 7,
                ..Default::default()
            })
        };
        let file = |key: &str| wire::ImportFile {
            key: key.to_owned(),
            size: 2_000,
            counters: read(500),
            ..Default::default()
        };
        let mut job = wire::ImportJob {
            counters: read(1_000),
            rows_per_second: 12.4,
            estimated_duration: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            reading: vec![file("a.csv"), file("b.csv")],
            ..Default::default()
        };
        job.set_state(ImportJobState::Runnable);
        bars.show(&job);
        let seen = terminal.contents();
        for told in [
            "1000 B/3.91 KiB",
            "rows 7",
            "12 rows/s",
            "ETA 60 seconds",
            "a.csv",
            "b.csv",
            "500 B/1.95 KiB",
        ] {
            assert!(seen.contains(told), "{told} in {seen}");
        }
        job.reading.remove(0);
        bars.show(&job);
        let seen = terminal.contents();
        assert!(!seen.contains("a.csv") && seen.contains("b.csv"), "{seen}");
    }

    #[test]
    fn a_job_is_over_when_nothing_more_happens_by_itself() {
        let job = |state, schedule| {
            let mut job = wire::ImportJob {
                schedule,
                ..Default::default()
            };
            job.set_state(state);
            job
        };
        for state in [
            ImportJobState::Completed,
            ImportJobState::Fault,
            ImportJobState::Failed,
            ImportJobState::Killed,
        ] {
            assert!(is_over(&job(state, None)), "{state:?}");
            assert_eq!(ended(&job(state, None)).is_ok(), state == ImportJobState::Completed);
        }
        for state in [
            ImportJobState::Runnable,
            ImportJobState::Sleeping,
            ImportJobState::Paused,
        ] {
            assert!(!is_over(&job(state, None)), "{state:?}");
        }
        assert!(!is_over(&job(
            ImportJobState::Fault,
            Some(wire::ImportSchedule::default())
        )));
    }
}
