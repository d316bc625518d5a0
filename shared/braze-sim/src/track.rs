//! `POST /users/track`, the deciding half: what is accepted of a body, and what the answer says (reference §3.1–3.6).

mod answer;
mod check;
mod identity;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(crate) use answer::broken_json;
pub(crate) use identity::Identity;

use crate::settings::{ObjectLimit, Settings};

/// Which of the three arrays an object stood in, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Array {
    Attributes,
    Events,
    Purchases,
}

impl Array {
    pub(crate) const ALL: [Self; 3] = [Self::Attributes, Self::Events, Self::Purchases];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::Events => "events",
            Self::Purchases => "purchases",
        }
    }

    const fn processed(self) -> &'static str {
        match self {
            Self::Attributes => "attributes_processed",
            Self::Events => "events_processed",
            Self::Purchases => "purchases_processed",
        }
    }
}

/// An object that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) array: Array,
    pub(crate) identity: Identity,
    pub(crate) object: Map<String, Value>,
}

/// What becomes of one body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) status: u16,
    pub(crate) answer: Value,
    /// The objects to apply: attributes before events before purchases.
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) refused: usize,
}

impl Judgement {
    fn fatal(answer: Value) -> Self {
        Self {
            status: 400,
            answer,
            accepted: Vec::new(),
            refused: 0,
        }
    }
}

/// Judges a body. `refused` are external ids whose objects are refused on demand, with the text to give.
pub(crate) fn judge(body: &[u8], settings: &Settings, refused: &BTreeMap<String, String>) -> Judgement {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Judgement::fatal(broken_json());
    };
    let mut arrays = arrays_of(body);
    if over(&settings.objects, &arrays) {
        return Judgement::fatal(answer::message("Max Input Length Exceeded"));
    }
    if arrays.iter().all(|(_, objects)| objects.is_empty()) {
        return Judgement::fatal(answer::message(answer::NO_USABLE_ARRAY));
    }

    let mut accepted = Vec::new();
    let mut tally = answer::Tally::default();
    for (array, objects) in &mut arrays {
        let before = accepted.len();
        for (index, object) in std::mem::take(objects).into_iter().enumerate() {
            match check::check(*array, object, settings, refused) {
                Ok(object) => accepted.push(object),
                Err(refusal) => tally.refused(*array, index, refusal),
            }
        }
        tally.processed(*array, accepted.len() - before);
    }
    let refused = tally.refusals();
    let (status, answer) = tally.answer(settings);
    Judgement {
        status,
        answer,
        accepted,
        refused,
    }
}

/// The arrays that were sent, in the order in which they are applied. Anything that is not an array counts as not sent.
fn arrays_of(body: Value) -> Vec<(Array, Vec<Value>)> {
    let Value::Object(mut body) = body else {
        return Vec::new();
    };
    let arrays = Array::ALL.map(|array| match body.remove(array.name()) {
        Some(Value::Array(objects)) => Some((array, objects)),
        _ => None,
    });
    arrays.into_iter().flatten().collect()
}

fn over(limit: &ObjectLimit, arrays: &[(Array, Vec<Value>)]) -> bool {
    if limit.per_array {
        arrays.iter().any(|(_, objects)| objects.len() > limit.max)
    } else {
        arrays.iter().map(|(_, objects)| objects.len()).sum::<usize>() > limit.max
    }
}
