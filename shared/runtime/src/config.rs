//! Configuration: defaults in code < TOML file < environment < overrides of the caller, all faults at once.
//!
//! Every struct of a configuration carries `#[serde(default, deny_unknown_fields)]`: the defaults are the code's, and a
//! misspelt key is a fault instead of silence. The environment names a key `PREFIX__SECTION__KEY`; its values are text
//! that becomes what the key wants: a number, `true`, a duration such as `250ms`, a list (`a,b` or `[a, b]`).
//!
//! ```
//! #[derive(serde::Deserialize, Default)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     port: u16,
//! }
//! impl runtime::config::Validate for Config {
//!     fn faults(&self, out: &mut Vec<runtime::config::Fault>) {
//!         if self.port == 0 {
//!             out.push(runtime::config::Fault::new("port", "must be set, for example 8080"));
//!         }
//!     }
//! }
//! let env = [("DEMO__PORT".to_owned(), "8080".to_owned())];
//! let config: Config = runtime::config::load("DEMO", None, env.into_iter()).unwrap();
//! assert_eq!(config.port, 8080);
//! ```

use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::Value;
use figment::{Profile, Provider};
use serde::de::DeserializeOwned;

pub use fault::{Fault, Faults};
pub use listen::Listen;
use tree::Layer;

mod extract;
mod fault;
mod listen;
mod tree;

/// What a configuration can say about itself beyond the types of its values.
pub trait Validate {
    /// Appends every fault, relations between keys included. A fault names its key and what to set instead, and never
    /// holds the value of a secret.
    fn faults(&self, out: &mut Vec<Fault>);
}

/// Reads a configuration from `file` (TOML) and `env`; see [`Sources`] for overrides.
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
pub struct Sources {
    env_prefix: String,
    file: Option<PathBuf>,
    env: Layer,
    overrides: Layer,
    faults: Vec<Fault>,
}

impl Sources {
    /// Sources whose environment variables begin with `env_prefix` and two underscores.
    pub fn new(env_prefix: &str) -> Self {
        Self {
            env_prefix: env_prefix.to_owned(),
            file: None,
            env: Layer::new("the environment"),
            overrides: Layer::new("the command line"),
            faults: Vec::new(),
        }
    }

    /// Reads this TOML file; it must exist.
    #[must_use]
    pub fn file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// Takes the variables with our prefix. An empty value counts as not set, as in `FOO=${FOO:-}`.
    #[must_use]
    pub fn env(mut self, env: impl Iterator<Item = (String, String)>) -> Self {
        let lead = format!("{}__", self.env_prefix);
        let mut ours: Vec<_> = env
            .filter(|(name, value)| name.starts_with(&lead) && !value.is_empty())
            .collect();
        ours.sort();
        for (name, value) in ours {
            let path: Vec<String> = name[lead.len()..].split("__").map(str::to_lowercase).collect();
            if let Err(problem) = self.env.insert(&path, value) {
                self.faults.push(Fault::new(path.join("."), problem));
            }
        }
        self
    }

    /// Sets one key (dotted), above file and environment: for flags, and for tests.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        if let Err(problem) = self.overrides.insert(&path, value.into()) {
            self.faults.push(Fault::new(key, problem));
        }
        self
    }

    /// Reads and validates the whole.
    ///
    /// # Errors
    /// Everything that is wrong, at once: what does not parse, what has the wrong type, unknown keys, and what
    /// [`Validate`] finds once the faulty keys are replaced by their defaults.
    pub fn load<T: DeserializeOwned + Validate>(self) -> Result<T, Faults> {
        let Self {
            env_prefix,
            file,
            env,
            overrides,
            mut faults,
        } = self;
        let mut layers = Vec::new();
        if let Some(path) = file {
            match read_toml(&path) {
                Ok(layer) => layers.push(layer),
                Err(problem) => faults.push(Fault::new("", problem)),
            }
        }
        layers.extend([env, overrides]);
        let config = extract::extract::<T>(&env_prefix, layers, &mut faults);
        if let Some(config) = &config {
            let mut found = Vec::new();
            config.faults(&mut found);
            // A key that is faulty already was judged by its default: saying more about it would mislead.
            found.retain(|fault| !faults.iter().any(|earlier| earlier.key == fault.key));
            faults.append(&mut found);
        }
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(Faults::new(&env_prefix, faults)),
        }
    }
}

fn read_toml(path: &Path) -> Result<Layer, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut data = Toml::string(&text)
        .data()
        .map_err(|error| format!("{shown} is not TOML: {}", without_source_lines(&error.to_string())))?;
    let dict = data.remove(&Profile::Default).unwrap_or_default();
    Ok(Layer::with(&shown.to_string(), Value::from(dict)))
}

/// TOML's message shows the offending line, which may hold a secret: keep where it is and what is wrong with it.
fn without_source_lines(message: &str) -> String {
    let kept: Vec<&str> = message
        .lines()
        .filter(|line| !line.contains('|'))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    kept.join(": ")
}

#[cfg(test)]
mod tests;
