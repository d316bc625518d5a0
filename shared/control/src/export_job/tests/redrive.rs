//! Omitted changes that are to be sent again.

use super::*;
use crate::export_job::redrive::decide_redrive;

const NAME: &str = "accounts/7/exportJobs/j";

fn redrive(map: &mut Map, reasons: &[&str], done: u64) -> Result<Redrive, Error> {
    let new = NewRedrive {
        reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
        done,
    };
    let later: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
    map.apply(decide_redrive(map, NAME, &new, None, later))?;
    let job: ExportJob = record::fetch(map, NAME)?;
    Ok(job.redrive.expect("it is there"))
}

#[test]
fn one_that_waits_becomes_part_of_the_next_and_one_that_is_done_does_not() {
    let mut map = state_with_job();
    let reasons = |redrive: Redrive| redrive.reasons.into_iter().collect::<Vec<_>>();
    let first = redrive(&mut map, &["blocked"], 0).unwrap();
    assert_eq!((first.number, reasons(first)), (1, vec!["blocked".to_owned()]));
    let both = redrive(&mut map, &["value"], 0).unwrap();
    assert_eq!(
        (both.number, reasons(both)),
        (2, vec!["blocked".to_owned(), "value".to_owned()])
    );
    let second = redrive(&mut map, &["value"], 2).unwrap();
    assert_eq!((second.number, reasons(second)), (3, vec!["value".to_owned()]));
    assert_eq!(
        reasons(redrive(&mut map, &[], 0).unwrap()),
        [""; 0],
        "all are more than some"
    );
    assert_eq!(reasons(redrive(&mut map, &["value"], 0).unwrap()), [""; 0]);
}
