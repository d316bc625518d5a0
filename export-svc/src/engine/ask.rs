//! Questions that only the thread of a Braze workspace can answer: it is asked through the queue of its events, and answers between
//! two polls.

use std::time::Duration;

use braze::{Identifier, User};
use control::{Authorization, ExportJob};
use proto::export::v1::ChangeStanding;
use tokio::sync::{mpsc, oneshot};

use super::{EngineHandle, Statuses};
use crate::pipeline::Event;

/// How long a thread may take to answer: it is never busy for long, and may be about to end.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A record of the membership topic, and for which feed somebody asks about it.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// Name of the job.
    pub(crate) job: String,
    pub(crate) audience: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// The newest moves of its job that a feed had gone through when its records fared so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GoneThrough {
    /// Number of the reset.
    pub(crate) reset: u64,
    /// Number of the redrive: everything that it sends again was open or settled.
    pub(crate) redrive: u64,
}

/// How does this record fare? `None`: there is no such feed yet.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) about: About,
    pub(crate) answer: oneshot::Sender<Option<(ChangeStanding, GoneThrough)>>,
}

impl Statuses {
    /// The workspace's thread answers questions from now on, until [`Statuses::ended`].
    pub(crate) fn answers(&self, workspace: &str, events: mpsc::Sender<Event>) {
        self.known().threads.insert(workspace.to_owned(), events);
    }

    async fn ask(&self, workspace: &str, about: About) -> Option<(ChangeStanding, GoneThrough)> {
        let events = self.known().threads.get(workspace)?.clone();
        let (answer, answered) = oneshot::channel();
        let asked = async {
            events.send(Event::Asked(Question { about, answer })).await.ok()?;
            answered.await.ok()?
        };
        tokio::time::timeout(ANSWER_MAX, asked).await.ok()?
    }
}

impl EngineHandle {
    /// How a record fares in a job, if this replica serves it.
    pub(crate) async fn standing(&self, job: &ExportJob, about: About) -> Option<(ChangeStanding, GoneThrough)> {
        self.statuses.ask(&job.workspace, about).await
    }

    /// A user of Braze, with what one attribute holds; `None` if there is no such user.
    ///
    /// # Errors
    /// Why that is not known, for people.
    pub(crate) async fn look_up(
        &self,
        authorization: &Authorization,
        identifier: &Identifier,
        attribute: &str,
    ) -> Result<Option<User>, String> {
        self.health.look_up(authorization, identifier, attribute).await
    }
}
