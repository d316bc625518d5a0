//! The runtime as a service uses it: over sockets, and with real signals.
#![cfg(test)]

mod admin;
mod grpc;
mod signals;
mod traces;

use std::future::Future;
use std::time::Duration;

/// How long anything here may take: far above what it takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// Asks `condition` again until it gives something.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let poll = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll)
        .await
        .unwrap_or_else(|_| panic!("never happened: {what}"))
}
