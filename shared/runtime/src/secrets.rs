//! Secrets: read from a file or stdin, never from argv; cut out of text that others wrote.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// Why a secret could not be read. Never holds its text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {from}: {source}")]
    Read {
        /// The file, or `stdin`.
        from: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds nothing but white space.
    #[error("{from} is empty")]
    Empty {
        /// The file, or `stdin`.
        from: String,
    },
}

/// Reads a secret from a file, or from stdin when `path` is `-`; white space around it is cut off.
///
/// # Errors
/// When it cannot be read or is empty; the error names the file.
pub fn read(_path: &Path) -> Result<SecretString, Error> {
    unimplemented!()
}

/// The API token for a call: from `file` if given, else the value of `LYTICS_TOKEN`, else none.
///
/// # Errors
/// When the file cannot be read or is empty.
pub fn token(_file: Option<&Path>, _lytics_token: Option<String>) -> Result<Option<SecretString>, Error> {
    unimplemented!()
}

/// `text` with every occurrence of `secret` replaced by `[redacted]`.
pub fn redact(text: &str, secret: &SecretString) -> String {
    text.replace(secret.expose_secret(), "[redacted]")
}
