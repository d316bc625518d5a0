//! The rules in which contracts and ages of Braze differ, and the figures of this one. All of it may change while the
//! simulator runs: in-process, by `PATCH /_sim/settings`, or by `braze-sim settings NAME=VALUE`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact as duration_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Every switch of the simulator. The defaults are the newest documented behaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How the objects of a request are counted (reference §3.5).
    pub objects: ObjectLimit,
    /// Largest body in bytes; above it the answer is 413. Braze says 4 MB.
    pub body_bytes_max: usize,
    /// What a key without the endpoint's permission gets: 403, or 401 as the other half of the documentation has it.
    pub missing_permission_status: u16,
    /// How refused objects are reported (reference §3.6).
    pub errors: ErrorForm,
    /// Whether the entries of `errors` say which object they are about.
    pub error_index: bool,
    /// Whether the 400 of a request whose objects were all refused also carries `*_processed` (both were seen).
    pub all_refused_with_processed: bool,
    /// How long after its acceptance a call is applied.
    #[serde(with = "duration_text::required")]
    pub apply_delay: Duration,
    /// Whether each call draws its own delay between zero and `apply_delay`, so that calls overtake each other.
    pub reorder: bool,
    /// Most values of an array attribute; adding more drops the oldest.
    pub array_values_max: usize,
    /// The same for single attributes, by name.
    pub array_values_max_by_attribute: BTreeMap<String, usize>,
    /// Most bytes of an array attribute's values together, and of a nested object.
    pub value_bytes_max: usize,
    /// Attributes whose type is forced in the dashboard: values of another type are dropped without an error.
    pub attribute_types: BTreeMap<String, AttributeType>,
    /// Attributes that are ignored without an error and cost nothing.
    pub blocked_attributes: BTreeSet<String>,
    /// External ids of dummy users: their objects are refused for good.
    pub banned_external_ids: BTreeSet<String>,
    /// Rate limits of `POST /users/track`, per workspace.
    pub track_limits: RateLimits,
    /// Rate limits of `POST /users/export/ids`, per workspace.
    pub export_ids_limits: RateLimits,
    /// Rate limits of the pool that most other endpoints share, per workspace: `/users/export/segment`, `/segments/list`.
    pub shared_limits: RateLimits,
    /// How segments are exported (reference §5.2, §5.3).
    pub segment_export: SegmentExports,
    /// Which of the two header forms the answers carry (reference §3.7).
    pub rate_headers: RateHeaders,
    /// How many bytes of one body the journal keeps.
    pub journal_body_bytes_max: usize,
    /// How many bytes the journal holds before it forgets its oldest calls.
    pub journal_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            objects: ObjectLimit::default(),
            body_bytes_max: 4 * 1024 * 1024,
            missing_permission_status: 403,
            errors: ErrorForm::default(),
            error_index: true,
            all_refused_with_processed: false,
            apply_delay: Duration::from_millis(50),
            reorder: false,
            array_values_max: 500,
            array_values_max_by_attribute: BTreeMap::new(),
            value_bytes_max: 100 * 1024,
            attribute_types: BTreeMap::new(),
            blocked_attributes: BTreeSet::new(),
            banned_external_ids: BTreeSet::new(),
            track_limits: RateLimits {
                per_hour: None,
                burst: Some(Burst::new(3_000, Duration::from_secs(3))),
            },
            export_ids_limits: RateLimits {
                per_hour: None,
                burst: Some(Burst::new(250, Duration::from_secs(60))),
            },
            shared_limits: RateLimits {
                per_hour: Some(250_000),
                burst: None,
            },
            segment_export: SegmentExports::default(),
            rate_headers: RateHeaders::default(),
            journal_body_bytes_max: 64 * 1024,
            journal_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// How many objects one request may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectLimit {
    /// The number: 75, or the 5 that Braze plans for `/users/track`.
    pub max: usize,
    /// Legacy contracts: the number holds for each of the three arrays by itself.
    pub per_array: bool,
}

impl Default for ObjectLimit {
    fn default() -> Self {
        Self {
            max: 75,
            per_array: false,
        }
    }
}

/// The form of the entries of `errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorForm {
    /// Objects whose `type` is a sentence: what is seen on the wire.
    #[default]
    Sentences,
    /// Objects whose `type` is an upper-case code where one is documented.
    Codes,
    /// Plain strings.
    Strings,
}

/// A type that the dashboard forces on a custom attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeType {
    /// Text.
    String,
    /// Integer or float.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of values.
    Array,
    /// A nested object.
    Object,
}

/// The rate limits of one endpoint's pool. Requests are counted when they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// Requests per clock hour (10:00:00 to 11:00:00).
    pub per_hour: Option<u64>,
    /// Requests within a sliding window.
    pub burst: Option<Burst>,
}

/// At most so many requests within any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// How many requests.
    pub requests: u64,
    /// The length of the window.
    #[serde(with = "duration_text::required")]
    pub window: Duration,
}

impl Burst {
    /// `requests` within any `window`.
    pub const fn new(requests: u64, window: Duration) -> Self {
        Self { requests, window }
    }
}

/// How segments are exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentExports {
    /// How long after its request an export writes its first file.
    #[serde(with = "duration_text::required")]
    pub delay: Duration,
    /// Most users in a file. Braze says about 5,000.
    pub users_per_file: usize,
    /// Most exports that run at once, all workspaces together.
    pub running_max: usize,
    /// Whether the date in the files' keys is the day after the request: Braze's is that of completion.
    pub next_day: bool,
    /// How long an export can be fetched that is in no storage of the customer's.
    #[serde(with = "duration_text::required")]
    pub url_lifetime: Duration,
}

impl Default for SegmentExports {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(50),
            users_per_file: 5_000,
            running_max: 100,
            next_day: false,
            url_lifetime: Duration::from_secs(4 * 3_600),
        }
    }
}

/// The form of the rate-limit headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateHeaders {
    /// Limit, remaining and reset on every answer; the reset is an instant in epoch seconds.
    #[default]
    Classic,
    /// The reset is in seconds from now; a 429 carries only the seconds to wait.
    Mau,
}

/// Why settings were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An assignment is not of the form `name=value` or `name.inner=value`.
    #[error("{0:?} is not of the form NAME=VALUE")]
    Form(String),
    /// A name is unknown or a value does not fit.
    #[error("settings: {0}")]
    Value(#[from] serde_json::Error),
}

impl Settings {
    /// These settings with the members of `patch` in place of their own; objects are merged, everything else replaced.
    ///
    /// # Errors
    /// Names the unknown setting or the value that does not fit; nothing is changed then.
    pub fn patched(&self, patch: &Value) -> Result<Self, SettingsError> {
        let mut whole = serde_json::to_value(self)?;
        merge(&mut whole, patch);
        Ok(serde_json::from_value(whole)?)
    }

    /// These settings with assignments such as `apply_delay=500ms` or `objects.max=5`. A value is read as JSON, else as
    /// a text.
    ///
    /// # Errors
    /// As [`Settings::patched`], and for an assignment without `=`.
    pub fn assigned<S: AsRef<str>>(&self, assignments: &[S]) -> Result<Self, SettingsError> {
        let mut settings = self.clone();
        for assignment in assignments {
            settings = settings.patched(&Self::patch(assignment.as_ref())?)?;
        }
        Ok(settings)
    }

    /// One assignment as a patch: `objects.max=5` is `{"objects":{"max":5}}`.
    ///
    /// # Errors
    /// When there is no `=`.
    pub fn patch(assignment: &str) -> Result<Value, SettingsError> {
        let (path, text) = assignment
            .split_once('=')
            .ok_or_else(|| SettingsError::Form(assignment.to_owned()))?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        let wrap = |inner, name: &str| Value::Object(Map::from_iter([(name.to_owned(), inner)]));
        Ok(path.split('.').rev().fold(value, wrap))
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match into.get_mut(name) {
                    Some(slot) => merge(slot, value),
                    None => {
                        into.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_changes_one_setting_and_leaves_the_others() {
        let settings = Settings::default()
            .assigned(&[
                "objects.max=5",
                "apply_delay=2s",
                "errors=codes",
                "attribute_types.vip=array",
            ])
            .unwrap();
        let expected = Settings {
            objects: ObjectLimit {
                max: 5,
                per_array: false,
            },
            apply_delay: Duration::from_secs(2),
            errors: ErrorForm::Codes,
            attribute_types: BTreeMap::from([("vip".to_owned(), AttributeType::Array)]),
            ..Settings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn an_unknown_setting_and_a_misfit_are_refused_by_name() {
        let unknown = Settings::default()
            .assigned(&["aply_delay=2s"])
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("aply_delay"), "{unknown}");
        assert!(Settings::default().assigned(&["apply_delay=soon"]).is_err());
        assert!(Settings::default().assigned(&["apply_delay"]).is_err());
    }

    #[test]
    fn a_limit_can_be_set_and_taken_away() {
        let set = Settings::default()
            .assigned(&["track_limits.per_hour=10", "track_limits.burst=null"])
            .unwrap();
        assert_eq!(
            set.track_limits,
            RateLimits {
                per_hour: Some(10),
                burst: None
            }
        );
    }
}
