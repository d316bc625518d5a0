//! Whether something that was refused was sent again since.

use control::{Redrive, Reset};
use jiff::Timestamp;
use proto::export::v1::RejectedChange;

use super::hands_again;
use super::topics::Record;
use crate::engine::GoneThrough;

/// When it was last asked, after a record of an audience was kept, to send that again, if the audience has gone through that since.
pub(super) fn sent(
    (rejected, kept_ms): &(RejectedChange, Option<i64>),
    redrive: Option<&Redrive>,
    resets: &[Reset],
    gone_through: GoneThrough,
    (audience, record): (&str, &Record),
) -> Option<Timestamp> {
    let kept = Timestamp::from_millisecond((*kept_ms)?).ok()?;
    let is_meant = |redrive: &&Redrive| redrive.reasons.is_empty() || redrive.reasons.contains(&rejected.reason);
    let redrive = redrive.filter(|redrive| redrive.number <= gone_through.redrive);
    let resets = resets.iter().filter(|reset| reset.number <= gone_through.reset);
    let resets = resets.filter(|reset| hands_again(reset, audience, record));
    let asked = redrive.filter(is_meant).map(|redrive| redrive.time);
    let asked = asked.into_iter().chain(resets.map(|reset| reset.time));
    asked.filter(|time| *time > kept).max()
}

#[cfg(test)]
mod tests {
    use proto::export::v1::FeedProgress;

    use super::super::written_down;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Kept at 10 s; the audience has gone through the reset and the redrive of these numbers.
    fn again(redrive: Option<&Redrive>, resets: &[Reset], gone_through: (u64, u64)) -> Option<Timestamp> {
        let rejected = RejectedChange {
            reason: "blocked".to_owned(),
            ..RejectedChange::default()
        };
        let record = Record {
            partition: 0,
            offset: 7,
            time_ms: None,
            payload: None,
        };
        let progress = FeedProgress {
            reset: gone_through.0,
            redrive: gone_through.1,
            ..FeedProgress::default()
        };
        // As a replica tells it that does not serve the workspace.
        let (_, gone_through) = written_down(Some(&progress), &record);
        sent(
            &(rejected, Some(10_000)),
            redrive,
            resets,
            gone_through,
            ("vip", &record),
        )
    }

    fn redrive(reasons: &[&str], time: Timestamp) -> Redrive {
        Redrive {
            number: 3,
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            time,
        }
    }

    fn reset(audience: &str, offset: i64, time: Timestamp) -> Reset {
        Reset {
            number: 4,
            audiences: vec![audience.to_owned()],
            offsets: vec![(0, offset)],
            time,
        }
    }

    #[test]
    fn a_redrive_counts_once_it_has_run_if_it_is_about_what_was_kept() {
        assert_eq!(again(Some(&redrive(&[], at(11))), &[], (0, 3)), Some(at(11)));
        assert_eq!(again(Some(&redrive(&["blocked"], at(11))), &[], (0, 3)), Some(at(11)));
        assert_eq!(
            again(Some(&redrive(&[], at(11))), &[], (9, 2)),
            None,
            "it is still to run"
        );
        assert_eq!(again(Some(&redrive(&["value"], at(11))), &[], (0, 3)), None);
        assert_eq!(
            again(Some(&redrive(&[], at(9))), &[], (0, 3)),
            None,
            "it was kept after it"
        );
    }

    #[test]
    fn a_reset_counts_once_the_audience_has_gone_back_to_before_the_record() {
        assert_eq!(again(None, &[reset("vip", 7, at(12))], (4, 0)), Some(at(12)));
        assert_eq!(
            again(None, &[reset("vip", 7, at(12))], (3, 9)),
            None,
            "it is still to go back"
        );
        assert_eq!(again(None, &[reset("news", 7, at(12))], (4, 0)), None);
        assert_eq!(again(None, &[reset("vip", 8, at(12))], (4, 0)), None);
        assert_eq!(again(None, &[reset("vip", 7, at(9))], (4, 0)), None);
        let both = [reset("vip", 0, at(12)), reset("vip", 0, at(13))];
        assert_eq!(again(Some(&redrive(&[], at(11))), &both, (4, 3)), Some(at(13)));
    }
}
