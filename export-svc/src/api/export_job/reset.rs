//! Where a reset lets a job go on: as it was asked for, and then as offsets of the membership topic.

use jiff::Timestamp;
use kafka::Reader;
use proto::export::v1::reset_export_job_request::To;
use runtime::grpc::status::{Violations, invalid_argument};
use tonic::Status;

const BY_PARTITION: &str = "offsets.by_partition";

/// What was asked for, once it is well formed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Beginning,
    /// (partition, offset), ascending.
    Offsets(Vec<(i32, i64)>),
    Time(Timestamp),
}

/// A partition of the topic: its number, first offset and end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) partition: i32,
    pub(super) first: i64,
    pub(super) end: i64,
}

/// What a request asks for, or everything that is wrong with it. `known` are the audiences of the job.
pub(super) fn parse(known: &[String], audiences: &[String], to: Option<To>) -> Result<Target, Status> {
    let mut violations = Violations::new();
    for (index, slug) in audiences.iter().enumerate() {
        if !known.contains(slug) {
            violations.add(format!("audiences[{index}]"), "is no audience of the job");
        }
    }
    let target = target(to);
    if let Err((field, problem)) = &target {
        violations.add(*field, *problem);
    }
    violations.into_result()?;
    target.map_err(|(field, problem)| invalid_argument(field, problem))
}

fn target(to: Option<To>) -> Result<Target, (&'static str, &'static str)> {
    match to {
        Some(To::Beginning(())) => Ok(Target::Beginning),
        Some(To::Offsets(offsets)) => {
            let mut offsets: Vec<_> = offsets.by_partition.into_iter().collect();
            offsets.sort_unstable();
            if offsets.is_empty() || offsets.iter().any(|(_, offset)| *offset < 0) {
                return Err((BY_PARTITION, "must name partitions, each with an offset from 0"));
            }
            Ok(Target::Offsets(offsets))
        }
        Some(To::Time(time)) => match model::time::from_wire(&time) {
            Some(time) => Ok(Target::Time(time)),
            None => Err(("time", "must be an instant of the years -9999 to 9999")),
        },
        None => Err(("beginning", "or one of offsets and time must be set")),
    }
}

/// Every partition of the topic. Asks Kafka; open transactions count.
///
/// # Errors
/// Those of [`Reader::watermarks`].
pub(super) fn bounds(reader: &Reader, topic: &str) -> Result<Vec<Bounds>, kafka::Error> {
    let bounds = |partition| {
        let (first, end) = reader.watermarks(topic, partition)?;
        Ok(Bounds { partition, first, end })
    };
    reader.partitions(topic)?.into_iter().map(bounds).collect()
}

/// Where a job goes on, as (partition, offset), in a topic of these bounds. `at` are the offsets of the wanted time, if one is
/// wanted. The beginning is 0, wherever the topic begins by then.
pub(super) fn resolve(target: &Target, bounds: &[Bounds], at: Vec<(i32, i64)>) -> Result<Vec<(i32, i64)>, Status> {
    let offsets = match target {
        Target::Beginning => return Ok(bounds.iter().map(|bounds| (bounds.partition, 0)).collect()),
        Target::Offsets(offsets) => offsets.clone(),
        Target::Time(_) => at,
    };
    let within = |(partition, offset): (i32, i64)| {
        let Some(bounds) = bounds.iter().find(|bounds| bounds.partition == partition) else {
            let problem = format!("the topic has no partition {partition}");
            return Err(invalid_argument(BY_PARTITION, problem));
        };
        if offset > bounds.end {
            let end = bounds.end;
            return Err(Status::out_of_range(format!(
                "offset {offset} of partition {partition} is beyond its end, which is {end}"
            )));
        }
        Ok((partition, if offset <= bounds.first { 0 } else { offset }))
    };
    offsets.into_iter().map(within).collect()
}

#[cfg(test)]
mod tests {
    use proto::export::v1::ResetOffsets;
    use tonic::Code;

    use super::*;

    const BOUNDS: [Bounds; 2] = [
        Bounds {
            partition: 0,
            first: 10,
            end: 20,
        },
        Bounds {
            partition: 1,
            first: 0,
            end: 0,
        },
    ];

    fn to(offsets: &[(i32, i64)]) -> Result<Vec<(i32, i64)>, Status> {
        resolve(&Target::Offsets(offsets.to_vec()), &BOUNDS, Vec::new())
    }

    #[test]
    fn what_the_topic_has_no_more_is_its_beginning_and_what_it_has_not_yet_is_refused_with_the_end() {
        assert_eq!(to(&[(0, 15), (1, 0)]).unwrap(), [(0, 15), (1, 0)]);
        assert_eq!(to(&[(0, 20)]).unwrap(), [(0, 20)], "the end is a place to go on at");
        for gone in [0, 9, 10] {
            assert_eq!(to(&[(0, gone)]).unwrap(), [(0, 0)]);
        }
        let status = to(&[(0, 21)]).unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
        assert!(status.message().contains("partition 0") && status.message().contains("which is 20"));
        assert_eq!(to(&[(2, 0)]).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn the_beginning_is_every_partitions_and_a_time_is_where_it_was_found() {
        assert_eq!(
            resolve(&Target::Beginning, &BOUNDS, Vec::new()).unwrap(),
            [(0, 0), (1, 0)]
        );
        let time = Target::Time(Timestamp::UNIX_EPOCH);
        assert_eq!(
            resolve(&time, &BOUNDS, vec![(0, 12), (1, 0)]).unwrap(),
            [(0, 12), (1, 0)]
        );
    }

    #[test]
    fn offsets_are_taken_in_the_order_of_partitions() {
        let offsets = ResetOffsets {
            by_partition: [(3, 1), (0, 2)].into(),
        };
        let parsed = parse(&[], &[], Some(To::Offsets(offsets))).unwrap();
        assert_eq!(parsed, Target::Offsets(vec![(0, 2), (3, 1)]));
    }
}
