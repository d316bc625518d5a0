//! Secrets: read from a file or stdin, never from argv; cut out of text that others wrote.

use std::io::{self, Read};
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// Why a secret could not be read. Never holds its text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or is not UTF-8.
    #[error("cannot read {from}")]
    Read {
        /// The file, or `stdin`.
        from: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds nothing but white space.
    #[error("{from} is empty")]
    Empty {
        /// The file, `stdin`, or the variable.
        from: String,
    },
}

/// Reads a secret from a file, or from stdin when `path` is `-`; white space around it is cut off.
///
/// # Errors
/// When it cannot be read or is empty; the error names the file.
pub fn read(path: &Path) -> Result<SecretString, Error> {
    let from = if path == Path::new("-") {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let mut text = Zeroizing::new(String::new());
    let outcome = if path == Path::new("-") {
        io::stdin().lock().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map(drop)
    };
    match outcome {
        Ok(()) => trimmed(&text).ok_or(Error::Empty { from }),
        Err(source) => Err(Error::Read { from, source }),
    }
}

/// The API token for a call: from `file` if given, else `lytics_token` (the value of the variable `LYTICS_TOKEN`) unless
/// it is blank, else none.
///
/// # Errors
/// When the file cannot be read or is empty.
pub fn token(file: Option<&Path>, lytics_token: Option<String>) -> Result<Option<SecretString>, Error> {
    match file {
        Some(file) => read(file).map(Some),
        None => Ok(lytics_token.map(Zeroizing::new).and_then(|text| trimmed(&text))),
    }
}

/// `text` with every occurrence of `secret` replaced by `[redacted]`. A blank secret changes nothing.
pub fn redact(text: &str, secret: &SecretString) -> String {
    match secret.expose_secret() {
        "" => text.to_owned(),
        secret => text.replace(secret, "[redacted]"),
    }
}

fn trimmed(text: &str) -> Option<SecretString> {
    let text = text.trim();
    (!text.is_empty()).then(|| SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> std::path::PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("runtime-secret-{name}.txt"));
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn a_secret_is_read_without_the_white_space_around_it() {
        assert_eq!(read(&file("good", b" hunter2\r\n")).unwrap().expose_secret(), "hunter2");
    }

    #[test]
    fn an_error_names_the_file_and_never_the_content() {
        let empty = read(&file("empty", b" \n")).unwrap_err().to_string();
        assert!(empty.ends_with("runtime-secret-empty.txt is empty"), "{empty}");
        let broken = read(&file("broken", b"hunter2\xff")).unwrap_err();
        let shown = format!("{broken} {broken:?}");
        assert!(
            shown.contains("runtime-secret-broken.txt") && !shown.contains("hunter2"),
            "{shown}"
        );
        let missing = read(Path::new("/nowhere/key.txt")).unwrap_err().to_string();
        assert_eq!(missing, "cannot read /nowhere/key.txt");
    }

    #[test]
    fn a_token_file_beats_the_variable_and_a_blank_variable_is_none() {
        let path = file("token", b"from-file");
        let of = |file: Option<&Path>, text: &str| {
            token(file, Some(text.to_owned()))
                .unwrap()
                .map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(of(Some(&path), "from-env").as_deref(), Some("from-file"));
        assert_eq!(of(None, "from-env\n").as_deref(), Some("from-env"));
        assert_eq!(of(None, " "), None);
        assert!(token(None, None).unwrap().is_none());
    }

    #[test]
    fn redaction_cuts_out_every_occurrence() {
        let secret = SecretString::from("hunter2");
        assert_eq!(
            redact("key hunter2, again hunter2", &secret),
            "key [redacted], again [redacted]"
        );
        assert_eq!(redact("text", &SecretString::from("")), "text");
    }
}
