//! What Braze said to the changes that it has not taken, for people who ask. Of any other change nothing is kept.

use std::sync::Arc;

use super::{Batch, ChangeId, RequestId};
use crate::clock::Time;
use crate::hash::Map;

/// How an attempt ended that did not take a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it ended.
    pub time: Time,
    /// The HTTP status; `None` if there was no answer.
    pub status: Option<u16>,
    /// Braze's words, or why there are none: short, and without our key.
    pub message: Arc<str>,
}

/// The last answer by change, of those in the batch that an attempt has not taken.
#[derive(Debug, Default)]
pub(super) struct Answers(Map<ChangeId, Answer>);

impl Answers {
    /// A change goes back into the batch. `words`: what was said of it alone.
    pub(super) fn keep(&mut self, id: ChangeId, answer: &Answer, words: Option<&str>) {
        let mut answer = answer.clone();
        if let Some(words) = words {
            answer.message = words.into();
        }
        self.0.insert(id, answer);
    }

    /// These leave the batch, or there is a newer answer.
    pub(super) fn forget(&mut self, ids: &[ChangeId]) {
        if self.0.is_empty() {
            return;
        }
        for id in ids {
            self.0.remove(id);
        }
        if self.0.is_empty() {
            // What an outage has filled is not needed any more.
            self.0 = Map::default();
        }
    }

    pub(super) fn get(&self, id: ChangeId) -> Option<&Answer> {
        self.0.get(&id)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Batch<T> {
    /// How a request has ended, to be told of what must be retried. Before [`Batch::complete`].
    pub fn answered(&mut self, id: RequestId, answer: Answer) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.answer = Some(answer);
        }
    }
}
