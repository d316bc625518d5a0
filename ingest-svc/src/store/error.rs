//! What a storage refuses or cannot do, in words that can be shown.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::StatusCode;
use object_store::client::{HttpError, HttpErrorKind};
use secrecy::{ExposeSecret, SecretString};

/// Characters of what somebody else has written, at most.
const WORDS_MAX: usize = 200;

/// Why a storage gives nothing. The text has no secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What is said of the storage cannot be so, or the installation does not allow it.
    #[error("{0}")]
    Setup(String),
    /// It will not, however often it is asked.
    #[error("the storage refuses it: {0}")]
    Refused(String),
    /// There is no such bucket, folder or object.
    #[error("not found: {0}")]
    Missing(String),
    /// The object is not the one that was listed.
    #[error("{0} has changed since it was listed")]
    Changed(String),
    /// It does not answer, or not now.
    #[error("the storage is unavailable: {0}")]
    Unavailable(String),
}

/// A storage's answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("{status}")]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Its code and the first line of its message, if it has them.
    pub(super) words: Option<String>,
}

impl Error {
    /// Whether it may be otherwise when it is tried again.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The one inside of an error of a [`Body`](super::Body).
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(crate) fn late(after: Duration) -> Self {
        Self::Unavailable(format!("no answer within {} seconds", after.as_secs()))
    }

    pub(super) fn unreadable() -> Self {
        Self::Unavailable("its answer cannot be read".to_owned())
    }

    /// What the library says. `of` is what was asked for.
    pub(crate) fn from_library(error: &object_store::Error, secret: Option<&SecretString>, of: &str) -> Self {
        let told = told(error, of);
        let shown = |text: String| shown(&text, secret);
        match told {
            Self::Setup(text) => Self::Setup(shown(text)),
            Self::Refused(text) => Self::Refused(shown(text)),
            Self::Missing(text) => Self::Missing(shown(text)),
            Self::Changed(text) => Self::Changed(shown(text)),
            Self::Unavailable(text) => Self::Unavailable(shown(text)),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// Whether what was to be created is there already.
pub(crate) fn is_taken(error: &object_store::Error) -> bool {
    let taken = [StatusCode::PRECONDITION_FAILED, StatusCode::CONFLICT];
    matches!(error, object_store::Error::AlreadyExists { .. })
        || find::<Answer>(error).is_some_and(|answer| taken.contains(&answer.status))
}

fn told(error: &object_store::Error, of: &str) -> Error {
    if let object_store::Error::InvalidPath { source } = error {
        let key = format!("a key cannot be read ({source}); name a prefix that is not its");
        return Error::Refused(key);
    }
    if let Some(answer) = find::<Answer>(error) {
        return answered(answer, of);
    }
    if let Some(broken) = find::<HttpError>(error) {
        let why = match broken.kind() {
            HttpErrorKind::Timeout => "no answer in time".to_owned(),
            // The innermost says it: no such host, connection refused, a certificate that is not trusted.
            HttpErrorKind::Connect => format!("cannot connect: {}", innermost(broken)),
            _ => format!("the connection broke: {}", innermost(broken)),
        };
        return Error::Unavailable(why);
    }
    match error {
        object_store::Error::NotFound { .. } => Error::Missing(of.to_owned()),
        object_store::Error::AlreadyExists { .. } => Error::Changed(of.to_owned()),
        object_store::Error::PermissionDenied { .. } => Error::Refused(format!("{of}: no permission")),
        _ => Error::unreadable(),
    }
}

fn answered(answer: &Answer, of: &str) -> Error {
    let Answer { status, words } = answer;
    let words = words.clone().unwrap_or_else(|| status.to_string());
    match *status {
        StatusCode::NOT_FOUND => Error::Missing(format!("{of} ({words})")),
        StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => Error::Changed(of.to_owned()),
        status if status.is_redirection() => {
            Error::Refused(format!("the bucket is elsewhere, perhaps in another region ({words})"))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => Error::Unavailable(words),
        status if status.is_client_error() => Error::Refused(words),
        _ => Error::Unavailable(words),
    }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// The first line of a text, without the secret, cut.
fn shown(text: &str, secret: Option<&SecretString>) -> String {
    let secret = secret.map_or("", |secret| secret.expose_secret());
    let text = match secret {
        "" => text.to_owned(),
        secret => text.replace(secret, "(secret)"),
    };
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|char| !char.is_control()).take(WORDS_MAX).collect()
}
