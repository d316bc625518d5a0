//! When API tokens were last used: noted in memory by whoever checks a token, and written to the control table behind everybody's
//! back, at most once an hour for a token, however many replicas it is used at.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kafka::Change;
use proto::control::v1::{ApiTokenUse, ControlRecord, control_record};
use rand::Rng;
use tokio::sync::Notify;

use super::ApiToken;
use crate::record::{self, Resource, State};
use crate::{Directory, Error};

/// A use within so long of the one that is written is not worth a record.
const EXACT_TO: SignedDuration = SignedDuration::from_hours(1);
/// How long uses are gathered before they are written together: at random in between, so that one replica finds what another wrote.
const GATHER: std::ops::Range<Duration> = Duration::from_secs(1)..Duration::from_secs(5);
/// How long a replica waits after a write, or a failed one.
const PAUSE: Duration = Duration::from_secs(60);
/// How many uses are written at once; the others wait for the next time.
const WRITTEN_MAX: usize = 500;

/// That a token was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenUse {
    /// Name of the token.
    token: String,
    pub(crate) last_use_time: Timestamp,
}

impl Resource for TokenUse {
    const KIND: &'static str = "apiTokenUse/";

    fn name(&self) -> String {
        self.token.clone()
    }

    fn to_record(&self) -> ControlRecord {
        let used = ApiTokenUse {
            api_token: self.token.clone(),
            last_use_time: Some(model::time::to_wire(self.last_use_time)),
        };
        ControlRecord {
            resource: Some(control_record::Resource::ApiTokenUse(used)),
        }
    }

    fn from_record(record: ControlRecord, _: u64) -> Option<Self> {
        let control_record::Resource::ApiTokenUse(used) = record.resource? else {
            return None;
        };
        Some(Self {
            token: used.api_token,
            last_use_time: model::time::from_wire(&used.last_use_time?)?,
        })
    }
}

/// Uses that are not written yet, by name of the token; no more than there are tokens.
#[derive(Default)]
pub(crate) struct Uses {
    noted: Mutex<HashMap<String, Timestamp>>,
    some: Notify,
}

impl Uses {
    /// The token was used now.
    pub(crate) fn note(&self, token: &str, now: Timestamp) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = noted.get_mut(token) {
            *last = now.max(*last);
        } else {
            noted.insert(token.to_owned(), now);
            self.some.notify_one();
        }
    }

    fn take(&self) -> Vec<TokenUse> {
        let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        let uses = noted.into_iter();
        uses.map(|(token, last_use_time)| TokenUse { token, last_use_time })
            .collect()
    }
}

/// Whether a use is worth a record: its token exists, and the use that is written is old.
fn is_due(state: &impl State, used: &TokenUse) -> bool {
    let written = record::find::<TokenUse>(state, &used.token).ok().flatten();
    let is_new = written.is_none_or(|written| used.last_use_time.duration_since(written.last_use_time) >= EXACT_TO);
    is_new && state.get(&record::key::<ApiToken>(&used.token)).is_some()
}

fn decide_write(state: &impl State, uses: &[TokenUse]) -> (Vec<Change>, ()) {
    let due = uses.iter().filter(|used| is_due(state, used));
    (due.map(TokenUse::put).collect(), ())
}

impl Directory {
    /// Keeps writing down when tokens were last used, for as long as it is polled. What cannot be written is tried again later.
    pub async fn keep_uses(&self) -> Infallible {
        loop {
            self.uses().some.notified().await;
            let gather = rand::rng().random_range(GATHER);
            tokio::time::sleep(gather).await;
            match self.write_uses().await {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "when tokens were last used cannot be written yet"
                ),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes down the uses that are due; false if there are none.
    pub(crate) async fn write_uses(&self) -> Result<bool, Error> {
        let mut due = self.uses().take();
        due.retain(|used| is_due(self.table(), used));
        let later = due.split_off(due.len().min(WRITTEN_MAX));
        self.note_again(later);
        if due.is_empty() {
            return Ok(false);
        }
        let uses = due.clone();
        let written = self.mutate(move |view| Ok(decide_write(view, &uses))).await;
        if written.is_err() {
            self.note_again(due);
        }
        written.map(|_| true)
    }

    fn note_again(&self, uses: Vec<TokenUse>) {
        for TokenUse { token, last_use_time } in uses {
            self.uses().note(&token, last_use_time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::Map;
    use crate::token::tests::state_with_token;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn used(token: &ApiToken, minutes: i64) -> TokenUse {
        TokenUse {
            token: token.name(),
            last_use_time: at(minutes),
        }
    }

    /// Writes what is due of a use at this minute; whether that was anything.
    fn write(map: &mut Map, token: &ApiToken, minutes: i64) -> bool {
        let (changes, ()) = decide_write(map, &[used(token, minutes)]);
        let written = !changes.is_empty();
        map.apply(Ok((changes, ()))).unwrap();
        written
    }

    #[test]
    fn a_token_that_is_used_without_a_pause_is_written_once_an_hour() {
        let (mut map, token, _) = state_with_token(None);
        let revision = map.get(&record::key::<ApiToken>(&token.name())).unwrap().revision;
        let written: Vec<i64> = (0..180).filter(|minute| write(&mut map, &token, *minute)).collect();
        assert_eq!(written, [0, 60, 120]);
        let stored: TokenUse = record::fetch(&map, &token.name()).unwrap();
        assert_eq!(stored.last_use_time, at(120));
        assert_eq!(
            map.get(&record::key::<ApiToken>(&token.name())).unwrap().revision,
            revision,
            "the token itself is as it was"
        );
    }

    #[test]
    fn what_another_replica_wrote_meanwhile_is_not_written_again() {
        let (mut map, token, _) = state_with_token(None);
        assert!(write(&mut map, &token, 70));
        assert!(!write(&mut map, &token, 10), "older than what is there");
        assert!(!write(&mut map, &token, 71));
    }

    #[test]
    fn a_token_that_was_revoked_meanwhile_leaves_nothing_behind() {
        let (mut map, token, _) = state_with_token(None);
        assert!(write(&mut map, &token, 0));
        map.apply(super::super::decide_delete(&map, &token.name(), None))
            .unwrap();
        assert_eq!(map.keys(), ["account/accounts/7"]);
        assert!(!write(&mut map, &token, 100));
    }

    #[test]
    fn many_uses_are_noted_as_the_last() {
        let uses = Uses::default();
        for minute in [3, 9, 5] {
            uses.note("accounts/7/apiTokens/a", at(minute));
        }
        let noted = uses.take();
        assert_eq!(noted.iter().map(|used| used.last_use_time).collect::<Vec<_>>(), [at(9)]);
        assert!(uses.take().is_empty());
    }
}
