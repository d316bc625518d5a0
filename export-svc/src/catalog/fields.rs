//! Which profile fields the newest records of a topic carry.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use kafka::{Polled, Position, Reader};
use prost::Message;
use proto::membership::v1::MembershipChange;

use super::POLL;

/// Records that are looked at, and so many of each partition at most.
const RECORDS_MAX: u64 = 2_000;
const RECORDS_OF_A_PARTITION_MAX: i64 = 500;
/// Names that are remembered.
const NAMES_MAX: usize = 1_000;

/// Fields of the newest records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// How many records were looked at.
    pub(crate) records: u64,
    /// In how many of them each field has a value.
    pub(crate) fields: BTreeMap<String, u64>,
}

impl Sample {
    fn see(&mut self, value: &[u8]) {
        let Ok(change) = MembershipChange::decode(value) else {
            return;
        };
        self.records += 1;
        for (name, value) in change.fields {
            if value.trim().is_empty() || (self.fields.len() >= NAMES_MAX && !self.fields.contains_key(&name)) {
                continue;
            }
            *self.fields.entry(name).or_default() += 1;
        }
    }
}

pub(super) fn sample(reader: &mut Reader, topic: &str, deadline: Instant) -> Result<Sample, kafka::Error> {
    let mut from = Vec::new();
    for partition in reader.partitions(topic)? {
        let (first, end) = reader.watermarks(topic, partition)?;
        // Empty ones need not say so.
        if end > first {
            let newest = first.max(end - RECORDS_OF_A_PARTITION_MAX);
            from.push((partition, Position::At(newest)));
        }
    }
    let mut sample = Sample::default();
    if from.is_empty() {
        return Ok(sample);
    }
    reader.assign(topic, &from)?;
    let mut open: HashSet<i32> = from.iter().map(|(partition, _)| *partition).collect();
    while !open.is_empty() && sample.records < RECORDS_MAX && Instant::now() < deadline {
        match reader.poll(POLL) {
            None => {}
            Some(Ok(Polled::Eof { partition })) => {
                open.remove(&partition);
            }
            Some(Ok(Polled::Record(record))) => {
                if let Some(value) = record.payload() {
                    sample.see(value);
                }
            }
            Some(Err(error)) if error.disposition() == kafka::Disposition::Retry => {}
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(fields: &[(&str, &str)]) -> Vec<u8> {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let change = MembershipChange {
            fields: fields.collect(),
            ..MembershipChange::default()
        };
        change.encode_to_vec()
    }

    #[test]
    fn a_field_counts_where_it_has_a_value_and_the_names_are_bounded() {
        let mut sample = Sample::default();
        sample.see(&value(&[("user_id", "1"), ("email", " ")]));
        sample.see(&value(&[("user_id", "2"), ("email", "a@example.com")]));
        sample.see(b"\xff");
        assert_eq!(sample.records, 2);
        let expected = [("email".to_owned(), 1), ("user_id".to_owned(), 2)];
        assert_eq!(sample.fields, expected.into());
        for number in 0..2 * NAMES_MAX {
            sample.see(&value(&[(&format!("x{number}"), "1"), ("user_id", "1")]));
        }
        assert_eq!(sample.fields.len(), NAMES_MAX);
        assert_eq!(sample.fields["user_id"], 2 + 2 * NAMES_MAX as u64);
    }
}
