//! What a shadow reports, without anybody's data.

use std::sync::atomic::Ordering;
use std::sync::{LazyLock, PoisonError};

use proto::mapping::v1::{FieldDifference, OutcomeDifference, ShadowReport};
use proto::profile::v1::Value;
use proto::profile::v1::value::Kind;
use uuid::Uuid;

use super::Shadow;
use super::compare::Differences;
use crate::readable::readable;

/// Characters of a shape.
const SHAPE_CHARS_MAX: usize = 40;

/// This process, among the replicas.
static REPLICA: LazyLock<String> = LazyLock::new(|| {
    let mut id = Uuid::new_v4().simple().to_string();
    id.truncate(8);
    id
});

impl Shadow {
    /// What was counted so far.
    pub(crate) fn report(&self) -> ShadowReport {
        let (live_mapping, live_version) = match &self.live {
            Ok(live) => (live.alias().to_owned(), live.version()),
            Err(_) => (String::new(), 0),
        };
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = tally
            .outcomes
            .iter()
            .map(|((live, candidate), count)| OutcomeDifference {
                live: (*live).to_owned(),
                candidate: (*candidate).to_owned(),
                count: *count,
            });
        let fields = tally
            .fields
            .iter()
            .map(|(field, differences)| to_wire(field, differences));
        ShadowReport {
            replica: REPLICA.clone(),
            live_mapping,
            live_version,
            start_time: Some(model::time::to_wire(self.start)),
            same: tally.same,
            different: tally.different,
            passed_over: self.passed_over.load(Ordering::Relaxed),
            other_identities: tally.other_identities,
            other_key: tally.other_key,
            outcomes: outcomes.collect(),
            fields: fields.collect(),
            in_other_fields: tally.in_other_fields,
        }
    }
}

fn to_wire(field: &str, differences: &Differences) -> FieldDifference {
    FieldDifference {
        field: field.to_owned(),
        live_only: differences.live_only,
        candidate_only: differences.candidate_only,
        other_value: differences.other_value,
        other_merge_operator: differences.other_merge_operator,
        examples: differences.examples.clone(),
    }
}

/// The shape of a value: which kinds of characters stand where, and none of its letters and digits. Empty if there is none.
pub(super) fn shape(value: Option<&Value>) -> String {
    let Some(kind) = value.and_then(|value| value.kind.as_ref()) else {
        return String::new();
    };
    let text = match kind {
        Kind::StringValue(text) => text.clone(),
        kind => match readable(kind) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        },
    };
    let mut shape: String = text.chars().take(SHAPE_CHARS_MAX).map(masked).collect();
    if text.chars().nth(SHAPE_CHARS_MAX).is_some() {
        shape.push('…');
    }
    shape
}

fn masked(c: char) -> char {
    match c {
        c if c.is_numeric() => '9',
        c if c.is_uppercase() => 'A',
        c if c.is_alphabetic() => 'a',
        c if c.is_ascii_punctuation() || c == ' ' => c,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use proto::profile::v1::StringList;

    use super::*;

    #[test]
    fn a_shape_tells_the_form_of_a_value_and_nothing_of_what_it_says() {
        let shape = |kind| shape(Some(&Value { kind: Some(kind) }));
        let text = |text: &str| shape(Kind::StringValue(text.to_owned()));
        assert_eq!(text("Ann.Lee+1@Example.com"), "Aaa.Aaa+9@Aaaaaaa.aaa");
        assert_eq!(text("São 3\n東"), "Aaa 9?a");
        assert_eq!(text(&"x".repeat(41)), format!("{}…", "a".repeat(40)));
        assert_eq!(shape(Kind::IntValue(-12)), "-99");
        let date = prost_types::Timestamp { seconds: 0, nanos: 0 };
        assert_eq!(shape(Kind::DateValue(date)), "9999-99-99A99:99:99A");
        let values = vec!["a1".to_owned(), "B".to_owned()];
        assert_eq!(shape(Kind::StringList(StringList { values })), r#"["a9","A"]"#);
        assert_eq!(super::shape(None), "");
    }
}
