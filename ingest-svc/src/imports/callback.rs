//! Where Braze calls when an export is ready: `{http.public_url}/imports/braze/{account}/{job}/{number}/{token}`.
//!
//! Braze signs nothing, so whoever knows the address may call. Its token is a tag under `secrets.keys`: nobody can guess it, nobody has to keep
//! it, and every replica can check it.

use std::sync::Arc;

use control::sealing::Sealer;
use control::{Directory, Error};
use model::{AccountNumber, name};
use proto::imports::v1::ExportCallback;
use secrecy::{ExposeSecret, SecretString};

use super::Progress;

/// What every address begins with.
const ROOT: &str = "/imports/braze/";
/// What the tags are for.
const PURPOSE: &str = "callback of a segment export";

/// The path of an address. It is a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    account: AccountNumber,
    job: &'a str,
    number: u64,
    token: &'a str,
}

impl<'a> Path<'a> {
    /// `None` if this is no such path.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.strip_prefix(ROOT)?.split('/');
        let (account, job, number, token) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let parsed = Self {
            account: account.parse().ok()?,
            job: Some(job).filter(|job| name::is_id(job))?,
            number: number.parse().ok()?,
            token,
        };
        parts.next().is_none().then_some(parsed)
    }

    fn name(&self) -> String {
        job_name(self.account, self.job)
    }
}

/// The address for an export of a job.
pub(crate) fn address(
    public_url: &str,
    sealer: &Sealer,
    (account, job): (AccountNumber, &str),
    number: u64,
) -> SecretString {
    let token = sealer.tag(PURPOSE, &message(&job_name(account, job), number));
    let (base, token) = (public_url.trim_end_matches('/'), token.expose_secret());
    SecretString::from(format!("{base}{ROOT}{account}/{job}/{number}/{token}"))
}

fn job_name(account: AccountNumber, job: &str) -> String {
    name::format_child(account, name::IMPORT_JOBS, job)
}

/// No number has a slash in it.
fn message(job: &str, number: u64) -> String {
    format!("{job}/{number}")
}

/// Takes the calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Callbacks {
    directory: Directory,
    sealer: Arc<Sealer>,
    progress: Progress,
}

impl Callbacks {
    pub(crate) fn new(directory: Directory, sealer: Arc<Sealer>, progress: Progress) -> Self {
        Self {
            directory,
            sealer,
            progress,
        }
    }

    /// Whether the path is one that we gave to Braze, of a job that is there.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not; [`Error::Unavailable`] if that cannot be said now.
    pub(crate) fn check(&self, path: &Path<'_>) -> Result<(), Error> {
        let name = path.name();
        if !self.sealer.verify(PURPOSE, &message(&name, path.number), path.token) {
            return Err(Error::NotFound(name));
        }
        self.directory.import_jobs().get(path.account, path.job).map(drop)
    }

    /// Writes down that Braze has called. Whoever calls again changes nothing.
    ///
    /// # Errors
    /// When the progress cannot be written.
    pub(crate) async fn note(&self, path: &Path<'_>, success: bool) -> Result<(), kafka::Error> {
        let (job, number) = (path.name(), path.number);
        let callback = ExportCallback { number, success };
        if !is_news(self.progress.job(&job).callback, callback) {
            return Ok(());
        }
        self.progress.write_callback(&job, callback).await
    }
}

/// A call for an earlier export comes too late, and of one export nothing takes a success back.
fn is_news(known: Option<ExportCallback>, callback: ExportCallback) -> bool {
    known.is_none_or(|known| (known.number, known.success) < (callback.number, callback.success))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::from_config(&"k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into()).unwrap()
    }

    #[test]
    fn an_address_is_for_one_number_of_one_job_and_parses_into_it() {
        let account = AccountNumber::new(1234).unwrap();
        let address = address("https://collect.example.com/", &sealer(), (account, "k3v9"), 7);
        let path = address
            .expose_secret()
            .strip_prefix("https://collect.example.com")
            .unwrap();
        let parsed = Path::parse(path).unwrap();
        assert_eq!((parsed.account, parsed.job, parsed.number), (account, "k3v9", 7));
        for (job, number, good) in [
            ("k3v9", 7, true),
            ("k3v9", 8, false),
            ("k3v", 7, false),
            ("k3v9-7", 7, false),
        ] {
            let message = message(&job_name(account, job), number);
            assert_eq!(sealer().verify(PURPOSE, &message, parsed.token), good, "{message}");
        }
    }

    #[test]
    fn a_call_that_comes_late_or_again_says_nothing_new() {
        let called = |number, success| ExportCallback { number, success };
        assert!(is_news(None, called(1, true)));
        for (call, news) in [
            ((1, true), false),
            ((2, false), false),
            ((2, true), false),
            ((3, false), true),
        ] {
            assert_eq!(is_news(Some(called(2, true)), called(call.0, call.1)), news, "{call:?}");
        }
        assert!(is_news(Some(called(2, false)), called(2, true)));
    }

    #[test]
    fn other_paths_are_none_of_ours() {
        for path in [
            "/imports/braze/1234/k3v9/7",
            "/imports/braze/1234/k3v9/7/t/",
            "/imports/braze/1234/K3/7/t",
            "/imports/braze/x/k3v9/7/t",
            "/imports/braze/1234/k3v9/seven/t",
            "/imports/other/1234/k3v9/7/t",
            "/c/1234/braze_users",
        ] {
            assert!(Path::parse(path).is_none(), "{path}");
        }
        assert!(Path::parse("/imports/braze/1234/k3v9/7/t").is_some());
    }
}
