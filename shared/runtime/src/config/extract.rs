use figment::error::{Actual, Kind};
use figment::value::Value;
use figment::{Error, Figment};
use serde::de::DeserializeOwned;

use super::fault::{Fault, env_name};
use super::tree::{self, Layer};

/// Names of keys whose values are never shown.
const SECRET_ENDINGS: [&str; 7] = ["token", "tokens", "key", "keys", "password", "secret", "secrets"];

/// Deserialises the merged layers. A key that does not fit is noted and dropped, and the rest is tried again, so that
/// one pass finds every fault; what comes out is then the configuration with defaults in place of the faulty keys.
pub(super) fn extract<T: DeserializeOwned>(prefix: &str, layers: Vec<Layer>, faults: &mut Vec<Fault>) -> Option<T> {
    let merged = layers
        .into_iter()
        .fold(Figment::new(), |merged, layer| merged.merge(layer));
    let mut root = match merged.find_value("") {
        Ok(root) => root,
        Err(error) => {
            faults.push(Fault::new("", error.kind.to_string()));
            return None;
        }
    };
    loop {
        let error = match Figment::from(Layer::with("", root.clone())).extract_lossy::<T>() {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        if split_list(&mut root, &error) {
            continue;
        }
        let path = key_of(&mut root, &error);
        let key = path.join(".");
        let origin = merged
            .find_metadata(&key)
            .map(|metadata| format!(" [from {}]", metadata.name));
        let problem = problem(prefix, &path, &error);
        faults.push(Fault::new(key, format!("{problem}{}", origin.unwrap_or_default())));
        if !tree::remove(&mut root, &path) {
            return None;
        }
    }
}

/// The environment has only text: where a list is wanted, `a,b` and `[a, b]` become one.
fn split_list(root: &mut Value, error: &Error) -> bool {
    let Kind::InvalidType(Actual::Str(_), expected) = &error.kind else {
        return false;
    };
    if !expected.contains("sequence") {
        return false;
    }
    let Some((_, value)) = tree::find_mut(root, &error.path) else {
        return false;
    };
    let Value::String(_, text) = &*value else { return false };
    let bare = text.trim();
    let bare = bare
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(bare);
    let items: Vec<Value> = bare
        .split(',')
        .map(|item| item.trim().trim_matches('"'))
        .filter(|item| !item.is_empty())
        .map(Value::from)
        .collect();
    *value = Value::from(items);
    true
}

/// The path of the key that is at fault, without indexes into lists; for a missing key the path it should have.
fn key_of(root: &mut Value, error: &Error) -> Vec<String> {
    let mut path = error.path.clone();
    if let Kind::MissingField(name) = &error.kind {
        path.push(name.to_string());
    } else if let Some((depth, _)) = tree::find_mut(root, &path) {
        path.truncate(depth);
    }
    path
}

fn problem(prefix: &str, path: &[String], error: &Error) -> String {
    let secret = path
        .iter()
        .any(|part| SECRET_ENDINGS.iter().any(|ending| part.ends_with(ending)));
    let found = |actual: &dyn std::fmt::Display| {
        if secret {
            "the value given (not shown: it is a secret)".to_owned()
        } else {
            actual.to_string()
        }
    };
    match &error.kind {
        Kind::UnknownField(name, known) => unknown(prefix, path, name, known),
        Kind::MissingField(_) => "must be set".to_owned(),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("expected {}, not {}", wanted(expected), found(actual))
        }
        Kind::UnknownVariant(actual, known) => format!("expected one of {}, not {}", known.join(", "), found(actual)),
        _ if secret => "is not valid (the value is not shown: it is a secret)".to_owned(),
        kind => kind.to_string(),
    }
}

fn wanted(expected: &str) -> String {
    match expected {
        "a duration" => "a duration such as \"250ms\" or \"5m\"".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "text".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => format!("a whole number of at least 0 that fits {expected}"),
        other => other.to_owned(),
    }
}

fn unknown(prefix: &str, path: &[String], name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .min();
    match nearest {
        Some((steps, candidate)) if steps <= 1 + name.len() / 3 => {
            let mut meant = path.to_vec();
            meant.pop();
            meant.push((*candidate).to_owned());
            format!("unknown key; did you mean {}?", env_name(prefix, &meant.join(".")))
        }
        Some(_) => format!("unknown key; known here: {}", known.join(", ")),
        None => "unknown key".to_owned(),
    }
}

/// How many letters must be added, dropped or changed to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
