//! Which omitted changes are still the last word.

use std::collections::{HashMap, HashSet};

use proto::export::v1::rejected_change::Identifier;

use crate::clock::Time;
use crate::order::Key;

/// An omitted change that is still the last word on its profile and its users.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) written: Option<Time>,
    /// Of the record in the membership topic.
    pub(crate) key: Box<[u8]>,
    pub(crate) payload: Box<[u8]>,
    /// See [`keys`](super::keys).
    pub(crate) keys: Vec<Key>,
    /// The users under whom it was refused, if they are known.
    pub(crate) refused: Vec<Identifier>,
}

/// Where a record is, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) written: Option<Time>,
}

impl At {
    /// Whether this was written after a record of another partition; if both were at the same time, nobody knows.
    fn is_surely_later_than(&self, other: &Self) -> bool {
        let times = self.written.zip(other.written);
        times.is_some_and(|(own, others)| own > others)
    }
}

/// Looks at every record of the topic.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// With the users under whom they were refused, if they are known.
    omitted: HashMap<(i32, i64), Vec<Identifier>>,
    /// Of each key the last record of each partition that has one.
    newest: HashMap<Key, Vec<At>>,
    found: Vec<Found>,
    /// Not to be told from others by what is known of them.
    pub(super) unusable: u64,
}

impl Survey {
    /// This record was omitted, under one of its users if that is known, and is known by these keys.
    pub(super) fn want(&mut self, partition: i32, offset: i64, keys: &[Key], refused: Option<Identifier>) {
        self.omitted.entry((partition, offset)).or_default().extend(refused);
        for key in keys {
            self.newest.entry(*key).or_default();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.omitted.len()
    }

    /// Everything that an omitted change is known by.
    pub(super) fn watched(&self) -> HashSet<Key> {
        self.newest.keys().copied().collect()
    }

    /// A record of the topic, of an audience that is asked for; the records of a partition come in order. A tombstone has no
    /// value.
    pub(super) fn see(&mut self, at: At, keys: &[Key], key: &[u8], payload: Option<&[u8]>) {
        for key in keys {
            let Some(newest) = self.newest.get_mut(key) else {
                continue;
            };
            match newest.iter_mut().find(|newest| newest.partition == at.partition) {
                Some(newest) => *newest = at,
                None => newest.push(at),
            }
        }
        let Some((payload, refused)) = payload.zip(self.omitted.get(&(at.partition, at.offset))) else {
            return;
        };
        if keys.iter().all(|key| self.newest.contains_key(key)) {
            self.found.push(Found {
                partition: at.partition,
                offset: at.offset,
                written: at.written,
                key: key.into(),
                payload: payload.into(),
                keys: keys.to_vec(),
                refused: refused.clone(),
            });
        } else {
            self.unusable += 1;
        }
    }

    /// What is still the last word, in the order of the log, and how many have been overtaken.
    pub(super) fn finish(self) -> (Vec<Found>, u64) {
        let Self {
            omitted,
            newest,
            mut found,
            unusable,
        } = self;
        let is_last = |found: &Found, key: &Key| {
            let own = At {
                partition: found.partition,
                offset: found.offset,
                written: found.written,
            };
            let mut newest = newest.get(key).into_iter().flatten();
            newest
                .all(|newest| *newest == own || (newest.partition != own.partition && own.is_surely_later_than(newest)))
        };
        found.retain(|found| found.keys.iter().all(|key| is_last(found, key)));
        let left = u64::try_from(found.len()).unwrap_or(u64::MAX).saturating_add(unusable);
        let overtaken = u64::try_from(omitted.len()).unwrap_or(u64::MAX).saturating_sub(left);
        (found, overtaken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Proves: whichever records were omitted, and however the partitions are read, what is left has no newer record of its
        /// profile in the topic, and none of another profile with the same user that was written later or at the same time; and
        /// whatever is so is left.
        #[test]
        fn what_is_left_never_overwrites_a_newer_state(
            log in proptest::collection::vec((0..4u64, 0..3u64, 0..2i64, any::<bool>(), any::<bool>()), 1..60),
            turns in proptest::collection::vec(any::<bool>(), 0..60),
        ) {
            // A profile's records are all in one partition; time goes on, or stands still.
            let mut time = 0;
            let mut partitions: [Vec<(At, Vec<Key>, bool)>; 2] = Default::default();
            for (profile, user, step, names, omitted) in log {
                time += step;
                let partition = usize::from(profile % 2 == 1);
                let at = At {
                    partition: i32::from(profile % 2 == 1),
                    offset: i64::try_from(partitions[partition].len()).unwrap() * 2,
                    written: Some(Time::from_millis(time)),
                };
                let mut keys = vec![profile];
                keys.extend(names.then_some(100 + user));
                partitions[partition].push((at, keys, omitted));
            }
            let mut survey = Survey::default();
            for (at, keys, _) in partitions.iter().flatten().filter(|(.., omitted)| *omitted) {
                survey.want(at.partition, at.offset, keys, None);
            }
            let mut left = [partitions[0].iter(), partitions[1].iter()];
            for turn in turns.into_iter().chain(std::iter::repeat_n(false, 60)).chain(std::iter::repeat_n(true, 60)) {
                if let Some((at, keys, _)) = left[usize::from(turn)].next() {
                    survey.see(*at, keys, b"key", Some(b"value"));
                }
            }
            let omitted = survey.len();
            let (found, overtaken) = survey.finish();
            prop_assert_eq!(found.len() + usize::try_from(overtaken).unwrap(), omitted);
            let is_newer = |other: &At, than: &At| match other.partition == than.partition {
                true => other.offset > than.offset,
                false => other.written >= than.written,
            };
            for (at, keys, omitted) in partitions.iter().flatten() {
                let others = partitions.iter().flatten();
                let newer = others.filter(|(other, others, _)| is_newer(other, at) && others.iter().any(|key| keys.contains(key)));
                let is_left = found.iter().any(|found| (found.partition, found.offset) == (at.partition, at.offset));
                prop_assert_eq!(is_left, *omitted && newer.count() == 0);
            }
        }
    }

    #[test]
    fn a_tombstone_is_newer_and_what_names_more_than_was_known_is_not_sent() {
        let at = |offset| At {
            partition: 0,
            offset,
            written: None,
        };
        let mut survey = Survey::default();
        survey.want(0, 0, &[1, 7], None);
        survey.want(0, 1, &[2], None);
        survey.see(at(0), &[1, 7], b"a/1", Some(b"value"));
        survey.see(at(1), &[2, 8], b"a/2", Some(b"value"));
        survey.see(at(2), &[1], b"a/1", None);
        assert_eq!(survey.unusable, 1);
        let (found, overtaken) = survey.finish();
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(overtaken, 1);
    }
}
