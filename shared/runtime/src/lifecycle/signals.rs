use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

use super::Lifecycle;

/// Installs the handlers at once; the future then turns signals into a drain and, the second time, into an exit.
pub(super) fn watch(lifecycle: Lifecycle) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let mut draining = false;
        loop {
            let (name, number) = tokio::select! {
                _ = terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
                _ = interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
            };
            if draining {
                tracing::warn!(signal = name, "a second signal: ending at once");
                std::process::exit(128 + number);
            }
            draining = true;
            lifecycle.drain(name);
        }
    })
}
