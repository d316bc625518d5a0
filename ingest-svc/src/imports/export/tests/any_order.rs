//! Whatever Braze answers, whenever it calls, and wherever a coordinator dies: each export is imported once and whole, and none is asked for
//! while one is known to run.

use std::collections::BTreeSet;

use braze::{Denial, Denied, StartedExport};
use proptest::prelude::*;

use super::*;

/// An export that Braze has begun.
struct Run {
    number: u64,
    prefix: String,
    /// When each of its files appears.
    files: Vec<(Timestamp, Found)>,
    ends: Timestamp,
    calls: bool,
}

struct World {
    now: Timestamp,
    /// What is written.
    progress: JobProgress,
    runs: Vec<Run>,
    callback: Option<ExportCallback>,
    /// Keys, in the order of importing.
    imported: Vec<String>,
    /// What is drawn.
    draws: Vec<u16>,
    at: usize,
}

impl World {
    fn new(draws: Vec<u16>) -> Self {
        Self {
            now: start(),
            progress: JobProgress::default(),
            runs: Vec::new(),
            callback: None,
            imported: Vec::new(),
            draws,
            at: 0,
        }
    }

    /// Something below `end`; 0, which is always what goes well, when all is drawn.
    fn draw(&mut self, end: u16) -> u16 {
        let drawn = self.draws.get(self.at).map_or(0, |draw| draw % end);
        self.at += 1;
        drawn
    }

    fn is_over(&self) -> bool {
        self.at >= self.draws.len()
    }

    fn crashes(&mut self) -> bool {
        self.draw(8) == 7
    }

    fn listing(&self) -> Vec<Found> {
        let files = self.runs.iter().flat_map(|run| &run.files);
        let there = files.filter(|(time, _)| *time <= self.now);
        there.map(|(_, object)| object.clone()).collect()
    }

    /// Lets time pass, and Braze call.
    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        let ended = self.runs.iter().filter(|run| run.calls && run.ends <= self.now);
        self.callback = ended.map(|run| run.number).max().map(called);
    }

    /// Braze begins, if it is not at it.
    fn begin(&mut self, number: u64) -> Option<String> {
        if self.runs.iter().any(|run| run.ends > self.now) {
            return None;
        }
        let clock = i64::from(self.draw(60));
        let prefix = format!("{number:04}{:04}-{}", self.runs.len(), self.now.as_second() - clock);
        let mut appears = self.now + SignedDuration::from_secs(i64::from(self.draw(5_000)));
        let mut files = Vec::new();
        for file in 0..self.draw(4) {
            appears += SignedDuration::from_secs(i64::from(self.draw(299)));
            let date = appears.strftime("%Y-%m-%d").to_string();
            files.push((appears, object(&date, &prefix, &format!("{file}.gz"))));
        }
        let calls = self.draw(3) < 2;
        self.runs.push(Run {
            number,
            prefix: prefix.clone(),
            files,
            ends: appears,
            calls,
        });
        Some(prefix)
    }

    fn answer(&mut self, number: u64) -> Result<StartedExport, Denied> {
        let denied = |denial| {
            Err(Denied {
                denial,
                message: String::new(),
            })
        };
        match self.draw(8) {
            1 => denied(Denial::Unknown),
            2 => {
                self.begin(number);
                denied(Denial::Unknown)
            }
            3 => denied(Denial::NotSent),
            4 => denied(Denial::Unauthorized { status: Some(401) }),
            _ => match self.begin(number) {
                Some(object_prefix) => Ok(StartedExport {
                    object_prefix,
                    url: None,
                }),
                None => denied(Denial::Busy),
            },
        }
    }

    /// One step of a coordinator that may die anywhere in it.
    fn step(&mut self) {
        let mut decided = self.decide(None);
        if matches!(decided, Step::List(_)) {
            if self.crashes() {
                return;
            }
            let listing = self.listing();
            decided = self.decide(Some(&listing));
        }
        if self.crashes() {
            return self.pass(7);
        }
        match decided {
            Step::List(_) => panic!("{decided:?}"),
            // A bounce.
            Step::Rest => self.progress = going_well(&self.progress),
            Step::Write(progress) => self.progress = progress,
            Step::Wait(until) => {
                let late = [0, 0, 0, 400, 4_000][usize::from(self.draw(5))];
                let left = until.duration_since(self.now).as_secs();
                let woken = self.draw(6) == 5;
                self.pass(if woken { left / 2 } else { left + late });
            }
            Step::Ask(asked, progress) => self.ask(asked, progress),
            Step::Import(files, progress) => {
                self.progress = progress;
                self.import(&files);
            }
        }
        self.progress.failed = false;
    }

    fn decide(&self, listing: Option<&[Found]>) -> Step {
        let hourly = ImportSchedule::Every(std::time::Duration::from_secs(3_600));
        let taken: BTreeSet<&str> = self.imported.iter().filter_map(|key| export_of(key)).collect();
        let standing = Standing {
            schedule: Some(&hourly),
            callback: self.callback.as_ref(),
            listing,
            taken: &|prefix| taken.contains(prefix),
            ..standing(&self.progress)
        };
        step(&standing, self.now)
    }

    fn ask(&mut self, asked: Asked, progress: JobProgress) {
        let before = std::mem::replace(&mut self.progress, progress);
        let known = before.export.unwrap_or_default();
        assert_eq!(known.object_prefix, "", "it is known to run");
        let numbers = self.runs.iter().map(|run| run.number);
        assert!(
            numbers.max().is_none_or(|newest| newest < asked.number),
            "a number comes again"
        );
        if self.crashes() {
            return;
        }
        let answer = self.answer(asked.number);
        if self.crashes() {
            return self.pass(7);
        }
        self.progress = answered(&self.progress, asked, &answer, self.now).unwrap();
    }

    fn import(&mut self, files: &[Found]) {
        let keys: Vec<String> = files.iter().map(|file| file.key.clone()).collect();
        assert!(
            keys.iter().all(|key| !self.imported.contains(key)),
            "{keys:?} comes again"
        );
        if let Some(prefix) = keys.first().and_then(|key| export_of(key)) {
            let run = self.runs.iter().find(|run| run.prefix == prefix).unwrap();
            let whole: Vec<&String> = run.files.iter().map(|(_, object)| &object.key).collect();
            assert_eq!(keys.iter().collect::<Vec<_>>(), whole, "not all of it");
        }
        self.imported.extend(keys);
    }

    /// The export that was said to have begun, if it is to be imported some time.
    fn awaited(&self) -> Option<(u64, String)> {
        let export = self
            .progress
            .export
            .clone()
            .filter(|export| !export.object_prefix.is_empty())?;
        let run = self.runs.iter().find(|run| run.prefix == export.object_prefix).unwrap();
        (!run.files.is_empty()).then_some((self.progress.looks, run.prefix.clone()))
    }
}

proptest! {
    #[test]
    fn each_export_is_imported_once_and_whole_and_none_is_asked_for_beside_another(
        draws in prop::collection::vec(any::<u16>(), 0..400),
    ) {
        let mut world = World::new(draws);
        let mut awaited = None;
        while !world.is_over() {
            world.step();
            // What is awaited is so until it is imported.
            let now = world.awaited();
            let before: Option<(u64, String)> = awaited.take();
            if let Some((looks, prefix)) = before {
                let is_imported = world.imported.iter().any(|key| export_of(key) == Some(prefix.as_str()));
                prop_assert!(is_imported || now == Some((looks, prefix)));
            }
            awaited = now;
        }
        // From here all goes well; what is still open comes to its end, and so does one more.
        let looks = world.progress.looks;
        for _ in 0..10_000 {
            if world.progress.looks > looks + 1 {
                break;
            }
            world.step();
        }
        prop_assert!(world.progress.looks > looks + 1, "nothing comes any more: {:?}", world.progress);
    }
}
