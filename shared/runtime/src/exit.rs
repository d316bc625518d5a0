//! Exit codes, and the few lines between `fn main` and an asynchronous program.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use crate::config;

/// The call failed: what the program was asked to do was refused, or did not succeed.
pub const CALL_FAILED: u8 = 1;
/// The configuration is bad (`EX_USAGE` of sysexits); every fault is on stderr.
pub const CONFIG: u8 = 64;
/// A precondition is missing, for example Kafka or a topic (`EX_UNAVAILABLE`).
pub const PRECONDITION: u8 = 69;
/// A component failed while the process ran (`EX_SOFTWARE`).
pub const INTERNAL: u8 = 70;

/// How long blocking threads may hold up the exit after the program itself has ended.
const BLOCKING_THREADS_WAIT: Duration = Duration::from_secs(1);

/// Why a program ends with another code than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Exit code 64.
    #[error(transparent)]
    Config(#[from] config::Faults),
    /// Exit code 1.
    #[error("{0:#}")]
    Call(anyhow::Error),
    /// Exit code 69.
    #[error("{0:#}")]
    Precondition(anyhow::Error),
    /// Exit code 70.
    #[error("{0:#}")]
    Internal(anyhow::Error),
}

impl Failure {
    /// A call that was refused or failed: exit code 1.
    pub fn call(error: impl Into<anyhow::Error>) -> Self {
        Failure::Call(error.into())
    }

    /// Something the program needs is not there: exit code 69.
    pub fn precondition(error: impl Into<anyhow::Error>) -> Self {
        Failure::Precondition(error.into())
    }

    /// A component failed: exit code 70.
    pub fn internal(error: impl Into<anyhow::Error>) -> Self {
        Failure::Internal(error.into())
    }

    /// The exit code of this failure.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Config(_) => CONFIG,
            Failure::Call(_) => CALL_FAILED,
            Failure::Precondition(_) => PRECONDITION,
            Failure::Internal(_) => INTERNAL,
        }
    }
}

/// Runs a program on a multi-threaded runtime, prints its failure once on stderr, and gives the exit code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     runtime::exit::run(async { Ok(()) })
/// }
/// ```
pub fn run(program: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(Err(Failure::internal(error))),
    };
    let result = runtime.block_on(program);
    runtime.shutdown_timeout(BLOCKING_THREADS_WAIT);
    report(result)
}

fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let lead = if matches!(failure, Failure::Config(_)) {
                ""
            } else {
                "error: "
            };
            eprintln!("{lead}{failure}");
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_the_exit_code_of_its_kind() {
        let boom = || anyhow::anyhow!("boom");
        let codes = [
            Failure::call(boom()),
            Failure::precondition(boom()),
            Failure::internal(boom()),
        ]
        .map(|f| f.code());
        assert_eq!(codes, [1, 69, 70]);
        assert_eq!(Failure::from(config::Faults::default()).code(), 64);
    }
}
