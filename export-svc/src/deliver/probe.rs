//! Authorizations that Braze refuses: the jobs that name one sleep, and it is asked about until Braze takes it again.
//!
//! Asking is a call without updates, so nobody is touched, nothing is at stake, and the feeds stay detached meanwhile. It is
//! outside the budget: one call per sleeping authorization in `probe_after` at most.

use std::sync::Arc;

use braze::{Attempt, Refusal, Track};

use super::Deliverer;
use crate::clock::Time;
use crate::feed::{Credential, Probed, Used};
use crate::pipeline::Event;
use crate::workspace::Workspace;

impl Deliverer {
    fn probe(&self, used: Used, credential: Arc<Credential>) {
        let (client, events, health) = (self.client.clone(), self.events.clone(), self.health.clone());
        let call = async move {
            let attempt = client
                .track(&credential.endpoint, &credential.key, &Track::probe())
                .await;
            health.observe(&used, &attempt);
            // Nobody listens any more: the workspace was abandoned.
            drop(events.send(Event::Probed { used, attempt }).await);
        };
        self.tasks.spawn_on(call, &self.runtime);
    }
}

impl Workspace {
    /// Asks about whoever has slept long enough.
    pub(crate) fn start_probes(&mut self, deliverer: &Deliverer, now: Time) {
        for (used, credential) in self.feeds.probe(now) {
            deliverer.probe(used, credential);
        }
    }

    /// A probe has ended.
    pub(crate) fn end_probe(&mut self, used: &Used, attempt: &Attempt, now: Time) {
        let until = self.probe_at(now);
        if self.feeds.probed(used, shown(attempt), until) {
            let name = &used.name;
            tracing::info!(
                authorization = name,
                "Braze takes authorization {name} again; its jobs run on"
            );
        } else {
            self.err_under(used, now);
        }
        self.touch();
    }

    /// The jobs that name an authorization sleep.
    pub(super) fn sleep(&mut self, used: &Used, reason: &str, now: Time) {
        let until = self.probe_at(now);
        let detached = self.feeds.refuse(used, until, reason);
        if !detached.is_empty() {
            let name = &used.name;
            tracing::error!(authorization = name, "jobs of authorization {name} sleep: {reason}");
            self.batch
                .abandon(|origin| detached.contains(&origin.feed), &self.order, now);
        }
        self.err_under(used, now);
        self.touch();
    }

    /// When to ask, after so many refusals.
    fn probe_at(&self, now: Time) -> impl Fn(u32) -> Time + use<> {
        let (probe_after, max) = (self.config.probe_after, self.config.sleep_max);
        move |refusals| now + probe_after.saturating_mul(1 << refusals.min(16)).min(max)
    }
}

/// How it begins if Braze does not take the key, or not for this.
pub(crate) const REFUSES: &str = "Braze refuses the authorization";

/// Braze refuses a request without updates in any case; what counts is whether that is because of the key.
pub(crate) fn shown(attempt: &Attempt) -> Probed {
    match &attempt.end {
        braze::End::Refused { refusal, message, .. } => match refusal {
            Refusal::Unauthorized { .. } | Refusal::Other { .. } => Probed::Refused {
                reason: reason(*refusal, message),
            },
            Refusal::NotSent | Refusal::RateLimited { .. } => Probed::NotKnown,
            Refusal::TooLarge | Refusal::TooManyObjects | Refusal::Objects | Refusal::Malformed => Probed::Taken,
        },
        braze::End::Accepted { .. } => Probed::Taken,
        braze::End::Unknown { .. } => Probed::NotKnown,
    }
}

/// Why jobs sleep, in words for whoever can help.
pub(super) fn reason(refusal: Refusal, message: &str) -> String {
    match refusal {
        Refusal::Unauthorized { status: Some(status) } => {
            format!("{REFUSES} (status {status}): {message}")
        }
        Refusal::Unauthorized { status: None } => format!("the authorization cannot be sent: {message}"),
        Refusal::Other { status } => format!("Braze answers with status {status}: {message}"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use braze::{End, RateHints};

    use super::*;

    #[test]
    fn only_an_answer_that_is_about_the_key_puts_jobs_to_sleep_or_wakes_them() {
        let refused = |refusal| End::Refused {
            refusal,
            verdicts: Vec::new(),
            split: false,
            message: "words".into(),
        };
        let shown = |end| {
            shown(&Attempt {
                end,
                status: None,
                rate: RateHints::default(),
            })
        };
        for refusal in [
            Refusal::Malformed,
            Refusal::Objects,
            Refusal::TooLarge,
            Refusal::TooManyObjects,
        ] {
            assert!(matches!(shown(refused(refusal)), Probed::Taken), "{refusal:?}");
        }
        for refusal in [
            Refusal::Unauthorized { status: Some(401) },
            Refusal::Other { status: 404 },
        ] {
            assert!(matches!(shown(refused(refusal)), Probed::Refused { .. }), "{refusal:?}");
        }
        for refusal in [Refusal::NotSent, Refusal::RateLimited { retry_after: None }] {
            assert!(matches!(shown(refused(refusal)), Probed::NotKnown), "{refusal:?}");
        }
        let unknown = End::Unknown {
            status: Some(503),
            message: "words".into(),
        };
        assert!(matches!(shown(unknown), Probed::NotKnown));
    }
}
