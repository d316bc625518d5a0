//! The bodies of answers (reference §3.6).

use serde_json::{Map, Value, json};

use super::Array;
use super::check::Refusal;
use crate::settings::{ErrorForm, Settings};

pub(super) const NO_USABLE_ARRAY: &str =
    "Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.";

pub(super) fn message(text: &str) -> Value {
    json!({ "message": text })
}

/// A body that does not parse is the one case that is told under `error`.
pub(crate) fn broken_json() -> Value {
    json!({ "error": "Error while parsing request body. Please check your syntax." })
}

/// What was accepted and refused of a request so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    processed: Vec<(Array, usize)>,
    refused: Vec<(Array, usize, Refusal)>,
}

impl Tally {
    pub(super) fn refused(&mut self, array: Array, index: usize, refusal: Refusal) {
        self.refused.push((array, index, refusal));
    }

    /// To be called once for every array that was sent.
    pub(super) fn processed(&mut self, array: Array, objects: usize) {
        self.processed.push((array, objects));
    }

    pub(super) fn refusals(&self) -> usize {
        self.refused.len()
    }

    /// 201 if anything was accepted, else 400.
    pub(super) fn answer(self, settings: &Settings) -> (u16, Value) {
        let all_refused = self.processed.iter().all(|(_, objects)| *objects == 0);
        let mut body = Map::new();
        body.insert(
            "message".to_owned(),
            Value::from(if all_refused { NO_USABLE_ARRAY } else { "success" }),
        );
        if !all_refused || settings.all_refused_with_processed {
            for (array, objects) in self.processed {
                body.insert(array.processed().to_owned(), Value::from(objects));
            }
        }
        if !self.refused.is_empty() {
            let errors = self
                .refused
                .into_iter()
                .map(|refused| error(refused, settings))
                .collect();
            body.insert("errors".to_owned(), Value::Array(errors));
        }
        (if all_refused { 400 } else { 201 }, Value::Object(body))
    }
}

fn error((array, index, refusal): (Array, usize, Refusal), settings: &Settings) -> Value {
    let kind = match (settings.errors, refusal.code) {
        (ErrorForm::Strings, _) => return Value::from(refusal.sentence),
        (ErrorForm::Codes, Some(code)) => code.into(),
        (ErrorForm::Codes, None) | (ErrorForm::Sentences, _) => refusal.sentence,
    };
    let mut error = json!({ "type": kind, "input_array": array.name() });
    if settings.error_index {
        error["index"] = Value::from(index);
    }
    error
}
