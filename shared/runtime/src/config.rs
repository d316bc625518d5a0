//! Configuration: defaults in code < TOML file < environment < overrides of the caller, all faults at once.
//!
//! Every struct of a configuration carries `#[serde(default, deny_unknown_fields)]`: the defaults are the code's, and a
//! misspelt key is a fault instead of silence. The environment names a key `PREFIX__SECTION__KEY`.

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key in TOML's spelling, for example `kafka.brokers`.
    pub key: String,
    /// What is wrong and what to set instead. Never holds the value of a secret.
    pub problem: String,
}

impl Fault {
    /// A fault of the key `key` (dotted, as in TOML).
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

/// Everything that is wrong with a configuration; `Display` gives one line per fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    env_prefix: String,
    faults: Vec<Fault>,
}

impl Faults {
    /// The faults, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.env_prefix, self.faults.len())
    }
}

/// What a configuration can say about itself beyond the types of its values.
pub trait Validate {
    /// Appends every fault, relations between keys included.
    fn faults(&self, out: &mut Vec<Fault>);
}

/// Reads a configuration from `file` (TOML) and `env`; see [`Sources`].
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load<T: DeserializeOwned + Validate>(
    env_prefix: &str,
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<T, Faults> {
    let sources = Sources::new(env_prefix).env(env);
    match file {
        Some(file) => sources.file(file).load(),
        None => sources.load(),
    }
}

/// The variables of this process, without those that are not UTF-8.
pub fn process_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Where a configuration comes from; later sources win: file, environment, overrides.
#[derive(Debug)]
pub struct Sources {}

impl Sources {
    /// Sources whose environment variables begin with `env_prefix` and two underscores.
    pub fn new(_env_prefix: &str) -> Self {
        Self {}
    }

    /// Reads this TOML file; it must exist.
    #[must_use]
    pub fn file(self, _path: &Path) -> Self {
        self
    }

    /// Takes the variables with our prefix. An empty value counts as not set.
    #[must_use]
    pub fn env(self, _env: impl Iterator<Item = (String, String)>) -> Self {
        self
    }

    /// Sets one key (dotted), above file and environment: for flags, and for tests.
    #[must_use]
    pub fn set(self, _key: &str, _value: impl Into<String>) -> Self {
        self
    }

    /// Reads and validates the whole.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load<T: DeserializeOwned + Validate>(self) -> Result<T, Faults> {
        unimplemented!()
    }
}
