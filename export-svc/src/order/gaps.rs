//! Until when values that Braze has accepted may still be applied. All wait equally long, so they are remembered by generation,
//! half as long as the wait, and forgotten a generation at a time: nothing is looked up to be forgotten.

use std::time::Duration;

use crate::clock::Time;
use crate::hash::Map;
use crate::order::Key;

/// What is remembered of one value.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The newest one first. The oldest has expired when the next one begins.
    generations: [Generation; 3],
}

#[derive(Debug, Default)]
struct Generation {
    until: Map<Key, Time>,
    /// The first and the last of them.
    span: Option<(Time, Time)>,
}

impl Gaps {
    /// The latest time of either key; [`Time::MIN`] if none is known.
    #[inline(always)]
    pub(super) fn until(&self, keys: [Key; 2]) -> Time {
        let mut latest = Time::MIN;
        for generation in &self.generations {
            if generation.span.is_some() {
                for key in &keys {
                    latest = generation.until.get(key).map_or(latest, |until| latest.max(*until));
                }
            }
        }
        latest
    }

    /// Both keys wait until then.
    pub(super) fn insert(&mut self, keys: [Key; 2], until: Time) {
        let [newest, ..] = &mut self.generations;
        let (first, last) = newest.span.unwrap_or((until, until));
        newest.span = Some((first, last.max(until)));
        for key in keys {
            let known = newest.until.entry(key).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// Forgets the generations that have passed by `now`, and begins a new one if the newest has gone on for `span`.
    pub(super) fn expire(&mut self, now: Time, span: Duration) {
        for generation in &mut self.generations {
            if generation.span.is_some_and(|(_, last)| last <= now) {
                generation.until.clear();
                generation.span = None;
            }
        }
        let [newest, .., oldest] = &self.generations;
        if oldest.span.is_none() && newest.span.is_some_and(|(first, last)| last.since(first) >= span) {
            // The oldest is empty, and keeps its memory for what comes.
            self.generations.rotate_right(1);
        }
    }

    /// When a generation is forgotten next.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        let spans = self.generations.iter().filter_map(|generation| generation.span);
        spans.map(|(_, last)| last).min()
    }

    pub(super) fn len(&self) -> usize {
        self.generations.iter().map(|generation| generation.until.len()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, Time)> {
        let generations = self.generations.iter();
        generations.flat_map(|generation| generation.until.iter().map(|(key, until)| (*key, *until)))
    }
}
