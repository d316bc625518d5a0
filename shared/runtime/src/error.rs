//! How an error is printed.

use std::error::Error;

/// An error with its causes, in one line: `task grpc failed: the transport failed: connection reset`.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
