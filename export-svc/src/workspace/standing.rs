//! How one record fares, for people who ask.

use proto::export::v1::{ChangeStage, ChangeStanding, ExportJobState};

use super::Workspace;
use crate::batch::Whereabouts;
use crate::clock::Time;
use crate::engine::{About, GoneThrough};
use crate::feed::Reading;
use crate::settle;
use crate::workspace::Origin;

impl Workspace {
    /// How a record fares; `None` if there is no such feed yet.
    pub(crate) fn standing(&self, about: &About, now: Time) -> Option<(ChangeStanding, GoneThrough)> {
        let (id, feed) = self.feeds.of(&about.job, &about.audience)?;
        let (state, reason) = match &self.unread {
            Some(reason) => (ExportJobState::Fault, Some(reason.as_str())),
            None => self.feeds.condition(feed),
        };
        let mut standing = ChangeStanding {
            state: state.into(),
            state_reason: reason.or(self.not_kept.as_deref()).unwrap_or_default().to_owned(),
            resume_time: self.feeds.resumes(feed).map(settle::timestamp),
            ..ChangeStanding::default()
        };
        match self.feeds.reading(feed, about.partition, about.offset) {
            Reading::Unread { before, catch_up } => {
                standing.set_stage(ChangeStage::Unread);
                (standing.records_before, standing.catch_up) = (before, catch_up);
            }
            Reading::Done => {
                standing.set_stage(ChangeStage::Settled);
                if let Some(request) = self.taken.of((id, about.partition, about.offset)) {
                    standing.taken_time = Some(settle::timestamp(request.time));
                    standing.taken_changes = u32::try_from(request.changes.len()).unwrap_or(u32::MAX);
                }
            }
            Reading::Handed => {
                let is_it = |origin: &Origin| {
                    let place = (origin.feed, origin.partition, origin.offset, origin.moves);
                    place == (id, about.partition, about.offset, feed.moves)
                };
                match self.batch.whereabouts(is_it, &self.order, now) {
                    Some((whereabouts, attempts, answer)) => {
                        standing.attempts = attempts;
                        if let Some(answer) = answer {
                            standing.last_message = answer.message.as_ref().to_owned();
                            standing.last_status = answer.status.unwrap_or(0).into();
                            standing.last_attempt_time = Some(settle::timestamp(answer.time));
                        }
                        self.waits(whereabouts, &mut standing, now);
                    }
                    None => standing.set_stage(ChangeStage::Keeping),
                }
            }
        }
        let gone_through = GoneThrough {
            reset: feed.reset,
            redrive: feed.redriven.number(),
        };
        Some((standing, gone_through))
    }

    /// What a change of the batch waits for.
    fn waits(&self, whereabouts: Whereabouts, standing: &mut ChangeStanding, now: Time) {
        let (stage, until) = match whereabouts {
            Whereabouts::InFlight => (ChangeStage::InFlight, None),
            Whereabouts::Fenced => (ChangeStage::PersonInFlight, None),
            Whereabouts::Behind => (ChangeStage::EarlierChange, None),
            Whereabouts::Held { until } => (ChangeStage::Retry, Some(until)),
            Whereabouts::TooEarly { until, in_doubt: true } => (ChangeStage::Doubt, Some(until)),
            Whereabouts::TooEarly { until, .. } => (ChangeStage::SettleGap, Some(until)),
            Whereabouts::Open {
                updates,
                updates_max,
                due,
            } => {
                let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
                (standing.updates, standing.updates_max) = (number(updates), number(updates_max));
                (ChangeStage::Window, Some(due))
            }
            Whereabouts::Next => self.next_request_waits(now),
        };
        standing.set_stage(stage);
        standing.until = until.map(settle::timestamp);
    }

    /// What the next request waits for.
    fn next_request_waits(&self, now: Time) -> (ChangeStage, Option<Time>) {
        let takeover = self.takeover.as_ref().map(|takeover| takeover.send_from);
        if let Some(send_from) = takeover.filter(|send_from| *send_from > now) {
            return (ChangeStage::Takeover, Some(send_from));
        }
        match self.budget.next() {
            until if until > now => (ChangeStage::Budget, Some(until)),
            _ => (ChangeStage::Next, None),
        }
    }
}
