use std::fmt;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The key in TOML's spelling, for example `kafka.brokers`; empty when it is about a file as a whole.
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

    /// A fault of the key `key` unless `text` is `host:port`.
    pub fn unless_address(key: &str, text: &str) -> Option<Self> {
        let good = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        (!good).then(|| Self::new(key, "must be host:port, such as 0.0.0.0:8080"))
    }
}

/// Everything that is wrong with a configuration; `Display` gives one line per fault, each with the name of the
/// environment variable and of the TOML key to set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    env_prefix: String,
    faults: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(env_prefix: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort();
        faults.dedup();
        Self {
            env_prefix: env_prefix.to_owned(),
            faults,
        }
    }

    /// The faults, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Fault { key, problem }) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match key.as_str() {
                "" => write!(f, "{problem}")?,
                key => write!(f, "{} ({key}): {problem}", env_name(&self.env_prefix, key))?,
            }
        }
        Ok(())
    }
}

/// The environment variable that sets `key`.
pub(super) fn env_name(prefix: &str, key: &str) -> String {
    format!("{prefix}__{}", key.replace('.', "__").to_uppercase())
}
