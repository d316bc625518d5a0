//! How what a candidate gives differs from what the live mapping gives, counted. Pure.

use std::collections::{BTreeMap, HashMap};

use proto::mapping::v1::DifferenceExample;
use proto::profile::v1::{Field, ProfileEvent, Value};

use super::report::shape;
use crate::normalize::Normalized;
use crate::publish::Refusal;

/// Fields whose differences are counted by name.
const FIELDS_MAX: usize = 200;
/// Examples of a field.
const EXAMPLES_MAX: usize = 3;

type Outcome = Result<Normalized, Refusal>;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) same: u64,
    pub(super) different: u64,
    pub(super) other_identities: u64,
    pub(super) other_key: u64,
    /// What records became by the live mapping and by the candidate, where that is not the same.
    pub(super) outcomes: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) fields: BTreeMap<String, Differences>,
    pub(super) in_other_fields: u64,
}

/// Of one field.
#[derive(Debug, Default)]
pub(super) struct Differences {
    pub(super) live_only: u64,
    pub(super) candidate_only: u64,
    pub(super) other_value: u64,
    pub(super) other_merge_operator: u64,
    pub(super) examples: Vec<DifferenceExample>,
}

/// A short, stable word for what a record becomes.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "published",
        Err(refusal) => refusal.code(),
    }
}

impl Tally {
    /// Adds what became of a record; whether that is the same.
    pub(super) fn add(&mut self, live: &Outcome, candidate: &Outcome) -> bool {
        let same = match (live, candidate) {
            (Ok(live), Ok(candidate)) => self.events(&live.event, &candidate.event),
            _ => {
                let words = (word(live), word(candidate));
                let same = words.0 == words.1;
                if !same {
                    *self.outcomes.entry(words).or_default() += 1;
                }
                same
            }
        };
        let count = if same { &mut self.same } else { &mut self.different };
        *count += 1;
        same
    }

    fn events(&mut self, live: &ProfileEvent, candidate: &ProfileEvent) -> bool {
        let other_identities = live.identities != candidate.identities;
        self.other_identities += u64::from(other_identities);
        self.other_key += u64::from(live.identities.first() != candidate.identities.first());
        let id = &live.event_id;
        let mut same = !other_identities;
        let mut by_name: HashMap<&str, &Field> = candidate
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field))
            .collect();
        for field in &live.fields {
            let other = by_name.remove(field.name.as_str());
            same &= self.field(id, Some(field), other);
        }
        // In the order of the event, so that of too many the first are named.
        for field in candidate
            .fields
            .iter()
            .filter(|field| by_name.contains_key(field.name.as_str()))
        {
            same &= self.field(id, None, Some(field));
        }
        same
    }

    /// Counts how one field differs; whether it does not.
    fn field(&mut self, event_id: &str, live: Option<&Field>, candidate: Option<&Field>) -> bool {
        let Some(name) = live.or(candidate).map(|field| &field.name) else {
            return true;
        };
        let value = |field: Option<&Field>| -> Option<Value> { field?.value.clone() };
        let count: fn(&mut Differences) -> &mut u64 = match (live, candidate) {
            (Some(live), Some(candidate)) if live == candidate => return true,
            (Some(_), None) => |differences| &mut differences.live_only,
            (None, _) => |differences| &mut differences.candidate_only,
            (Some(live), Some(candidate)) if live.value == candidate.value => {
                |differences| &mut differences.other_merge_operator
            }
            (Some(_), Some(_)) => |differences| &mut differences.other_value,
        };
        if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(name) {
            self.in_other_fields += 1;
            return false;
        }
        let differences = self.fields.entry(name.clone()).or_default();
        *count(differences) += 1;
        if differences.examples.len() < EXAMPLES_MAX {
            differences.examples.push(DifferenceExample {
                event_id: event_id.to_owned(),
                live: shape(value(live).as_ref()),
                candidate: shape(value(candidate).as_ref()),
            });
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::normalize::{Mapping, RawRecord, normalize};

    fn outcome(lql: &str, json: &str) -> Outcome {
        let mapping = Mapping::parse(lql).unwrap();
        let raw = RawRecord {
            account: 1,
            stream: "web",
            json: json.as_bytes(),
            timestamp_field: None,
        };
        Ok(normalize(&mapping, &raw, Timestamp::UNIX_EPOCH)?)
    }

    fn statement(columns: &str, by: &str) -> String {
        format!("SELECT {columns} FROM web INTO user BY {by} ALIAS web")
    }

    fn compared(live: &str, candidate: &str, json: &str) -> Tally {
        let mut tally = Tally::default();
        tally.add(&outcome(live, json), &outcome(candidate, json));
        tally
    }

    const RECORD: &str = r#"{"id":"7","mail":"Ann@Example.com","city":"Porto","n":3}"#;

    #[test]
    fn the_same_in_another_order_of_columns_is_the_same() {
        let tally = compared(&statement("id, city, n", "id"), &statement("n, id, city", "id"), RECORD);
        assert_eq!((tally.same, tally.different, tally.fields.len()), (1, 0, 0));
    }

    #[test]
    fn every_way_in_which_a_field_differs_is_counted_with_an_example_of_shapes() {
        let live = statement("id, mail AS email, city, n", "id");
        let candidate = statement(
            "id, email(mail) AS email, n MERGEOP max KIND string, city AS town",
            "id",
        );
        let candidate = candidate.replace("MERGEOP max", "MERGEOP latest");
        let mut tally = Tally::default();
        for _ in 0..5 {
            tally.add(&outcome(&live, RECORD), &outcome(&candidate, RECORD));
        }
        let counts = |field: &str| {
            let Differences {
                live_only,
                candidate_only,
                other_value,
                other_merge_operator,
                examples,
            } = &tally.fields[field];
            let counts = [*live_only, *candidate_only, *other_value, *other_merge_operator];
            (
                counts,
                examples.len(),
                examples[0].live.as_str(),
                examples[0].candidate.as_str(),
            )
        };
        assert_eq!((tally.same, tally.different), (0, 5));
        assert_eq!(counts("email"), ([0, 0, 5, 0], 3, "Aaa@Aaaaaaa.aaa", "aaa@aaaaaaa.aaa"));
        assert_eq!(counts("city"), ([5, 0, 0, 0], 3, "Aaaaa", ""));
        assert_eq!(counts("town"), ([0, 5, 0, 0], 3, "", "Aaaaa"));
        assert_eq!(counts("n"), ([0, 0, 0, 5], 3, "9", "9"));
        assert_eq!(tally.fields.len(), 4);
        assert_eq!((tally.other_identities, tally.other_key), (0, 0));
    }

    #[test]
    fn other_identities_and_another_key_are_counted() {
        let live = statement("id, mail", "id OR mail");
        let reordered = compared(&live, &statement("id, mail", "mail OR id"), RECORD);
        assert_eq!(
            (reordered.different, reordered.other_identities, reordered.other_key),
            (1, 1, 1)
        );
        let fewer = compared(&live, &statement("id, mail", "id"), RECORD);
        assert_eq!((fewer.different, fewer.other_identities, fewer.other_key), (1, 1, 0));
        assert!(fewer.fields.is_empty());
    }

    #[test]
    fn what_becomes_something_else_is_counted_by_what_and_into_what() {
        let live = statement("id, gone", "id");
        let nobody = compared(&live, &statement("id, gone", "gone"), RECORD);
        assert_eq!(nobody.outcomes, BTreeMap::from([(("published", "no_identity"), 1)]));
        let condition = live.replace("ALIAS", "WHERE n > 5 ALIAS");
        let not_wanted = compared(&condition, &live, RECORD);
        assert_eq!(not_wanted.outcomes, BTreeMap::from([(("not_wanted", "published"), 1)]));
        assert_eq!((not_wanted.same, not_wanted.different), (0, 1));
        let both = compared(&condition, &condition, RECORD);
        assert_eq!((both.same, both.different, both.outcomes.len()), (1, 0, 0));
    }

    #[test]
    fn of_too_many_fields_the_first_are_named() {
        let columns: Vec<_> = (0..FIELDS_MAX + 5).map(|n| format!("city AS c{n}")).collect();
        let candidate = statement(&format!("id, {}", columns.join(", ")), "id");
        let tally = compared(&statement("id", "id"), &candidate, RECORD);
        assert_eq!(
            (tally.fields.len(), tally.in_other_fields, tally.different),
            (FIELDS_MAX, 5, 1)
        );
        assert!(tally.fields.contains_key("c0"));
    }
}
