//! How far an import is: a bar on a terminal, and what to say at its end.

use std::cell::Cell;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// By the bytes of the file: how many rows it has is known at its end.
const BAR: &str = "{wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}\n{msg}";

/// How many rejected rows are told one by one.
const REJECTED_TOLD_MAX: u64 = 20;

/// What has become of the rows so far.
pub(super) struct Progress {
    bar: ProgressBar,
    rows: Cell<u64>,
    taken: Cell<u64>,
    rejected: Cell<u64>,
    told: Cell<u64>,
    has_begun: Cell<bool>,
}

impl Progress {
    /// Nothing yet.
    pub(super) fn new(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        let zero = || Cell::new(0);
        Self {
            bar,
            rows: zero(),
            taken: zero(),
            rejected: zero(),
            told: zero(),
            has_begun: Cell::new(false),
        }
    }

    pub(super) fn begin(&self, bytes: u64) {
        self.bar.set_length(bytes);
    }

    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// A row was read.
    pub(super) fn read(&self) {
        self.rows.set(self.rows.get() + 1);
    }

    /// A row is not sent.
    pub(super) fn drop(&self, row: u64, problem: &str) {
        self.rejected.set(self.rejected.get() + 1);
        self.reject(row, problem);
    }

    /// The first of the rejected are told.
    pub(super) fn reject(&self, row: u64, problem: &str) {
        let told = self.told.get() + 1;
        self.told.set(told);
        if told <= REJECTED_TOLD_MAX {
            self.say(&format!("row {row}: {problem}"));
        } else if told == REJECTED_TOLD_MAX + 1 {
            self.say("further ones are counted");
        }
    }

    /// A request was answered.
    pub(super) fn took(&self, taken: u64, rejected: u64) {
        self.taken.set(self.taken.get() + taken);
        self.rejected.set(self.rejected.get() + rejected);
        self.has_begun.set(true);
        self.bar.set_message(self.summary());
    }

    /// Whether the service has answered before.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }

    /// A request is to be sent again.
    pub(super) fn waits(&self, problem: &anyhow::Error) {
        self.say(&format!("waiting: {problem:#}"));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn summary(&self) -> String {
        let (rows, taken, rejected) = (self.rows.get(), self.taken.get(), self.rejected.get());
        format!("{rows} rows read, {taken} records taken, {rejected} rejected")
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn the_bar_goes_by_the_bytes_of_the_file_and_tells_what_became_of_its_rows() {
        let terminal = InMemoryTerm::new(24, 80);
        let progress = Progress::new(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        progress.begin(1_000);
        progress.bar().inc(500);
        progress.read();
        progress.read();
        progress.took(1, 1);
        let drawn = terminal.contents();
        assert!(drawn.contains(" 500 B/1000 B "), "{drawn}");
        assert!(drawn.ends_with("2 rows read, 1 records taken, 1 rejected"), "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
    }
}
