//! What positions belong to: in another topic, cluster or number of partitions they would lead astray.

use std::time::Duration;

use proto::export::v1::WorkspaceProgress;

use crate::clock::Time;
use crate::engine::Error;

/// The membership topic as a workspace is served from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) topic: String,
    pub(crate) partitions: usize,
    pub(crate) cluster_id: String,
    /// How long the topic keeps every record before it may compact it away, if it says.
    pub(crate) compaction_lag: Option<Duration>,
}

impl Layout {
    /// Whether positions that a predecessor wrote mean something here.
    ///
    /// # Errors
    /// [`Error::Moved`] if not.
    pub(crate) fn check(&self, progress: &WorkspaceProgress) -> Result<(), Error> {
        if progress.topic != self.topic {
            return Err(self.moved(format!("positions are those of topic {}", progress.topic)));
        }
        if !progress.cluster_id.is_empty() && progress.cluster_id != self.cluster_id {
            let (was, is) = (&progress.cluster_id, &self.cluster_id);
            return Err(self.moved(format!("it is in cluster {is} and was in {was}")));
        }
        match usize::try_from(progress.partitions) {
            // Written before that was.
            Ok(0) => Ok(()),
            partitions => self.compare(partitions.unwrap_or(usize::MAX), self.partitions),
        }
    }

    /// Whether a record that was written then may have replaced others of its key, which are compacted away: not before it has
    /// been there for as long as the topic keeps every record.
    pub(crate) fn may_have_replaced(&self, written: Option<Time>, now: Time) -> bool {
        let age = self.compaction_lag.zip(written.map(|written| now.since(written)));
        age.is_none_or(|(lag, age)| age > lag)
    }

    /// Whether the topic still has the partitions it had.
    ///
    /// # Errors
    /// [`Error::Moved`] if not.
    pub(crate) fn still(&self, partitions: usize) -> Result<(), Error> {
        self.compare(self.partitions, partitions)
    }

    fn compare(&self, was: usize, is: usize) -> Result<(), Error> {
        if was == is {
            return Ok(());
        }
        Err(self.moved(format!("it has {is} partitions and had {was}")))
    }

    fn moved(&self, changed: String) -> Error {
        Error::Moved {
            topic: self.topic.clone(),
            changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_younger_than_what_the_topic_keeps_has_replaced_none_and_any_may_have_if_it_keeps_nothing() {
        let now = Time::from_millis(1_000_000);
        let lag = Duration::from_secs(60);
        let layout = |compaction_lag| Layout {
            compaction_lag,
            ..Layout::default()
        };
        let old = now - (lag + Duration::from_millis(1));
        assert!(!layout(Some(lag)).may_have_replaced(Some(now - lag), now));
        assert!(layout(Some(lag)).may_have_replaced(Some(old), now));
        assert!(
            layout(Some(lag)).may_have_replaced(None, now),
            "nobody knows how old it is"
        );
        assert!(layout(None).may_have_replaced(Some(now), now));
    }

    #[test]
    fn positions_of_another_topic_cluster_or_number_of_partitions_are_a_fault_that_says_so() {
        let layout = Layout {
            topic: "membership".into(),
            partitions: 4,
            cluster_id: "here".into(),
            compaction_lag: None,
        };
        let written = WorkspaceProgress {
            topic: "membership".into(),
            partitions: 4,
            cluster_id: "here".into(),
            ..WorkspaceProgress::default()
        };
        let problem = |progress| layout.check(&progress).err().map(|error| error.to_string());
        assert_eq!(problem(written.clone()), None);
        let older = WorkspaceProgress {
            partitions: 0,
            cluster_id: String::new(),
            ..written.clone()
        };
        assert_eq!(problem(older), None, "written before this was");
        let topic = "other".to_owned();
        let other = problem(WorkspaceProgress {
            topic,
            ..written.clone()
        });
        assert!(other.is_some_and(|text| text.contains("topic other")));
        let cluster_id = "there".to_owned();
        let other = problem(WorkspaceProgress {
            cluster_id,
            ..written.clone()
        });
        assert!(other.is_some_and(|text| text.contains("cluster here and was in there")));
        let other = problem(WorkspaceProgress {
            partitions: 3,
            ..written
        });
        assert!(other.is_some_and(|text| text.contains("4 partitions and had 3")));
        assert!(layout.still(4).is_ok() && layout.still(5).is_err());
    }
}
