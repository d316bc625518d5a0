//! Starting and ending a simulator.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::handle::SimHandle;
use crate::options::Options;
use crate::routes::router;
use crate::server::serve;
use crate::shared::Shared;
use crate::storage::Storage;
use crate::tls;

/// A running simulator. It ends when this is dropped, or in order by [`Sim::shutdown`].
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be bound.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The listener that was given has no address.
    #[error("the listener has no address")]
    Address(#[source] std::io::Error),
    /// The certificate and its key cannot be used.
    #[error("the certificate cannot be used")]
    Tls(#[source] tls::Error),
    /// The object storage cannot be used.
    #[error("the object storage cannot be used")]
    Storage(#[source] object_store::Error),
}

impl Sim {
    /// Binds the address and serves; the port is open when this returns.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|source| Error::Listen(options.listen, source))?;
        Self::start_on(listener, options)
    }

    /// Serves on a listener that is already bound; `options.listen` is not looked at. To be called inside a runtime.
    ///
    /// # Errors
    /// When the listener has no address, or the certificate or the object storage cannot be used.
    pub fn start_on(listener: TcpListener, options: Options) -> Result<Self, Error> {
        let address = listener.local_addr().map_err(Error::Address)?;
        let tls = options.tls.clone().map(tls::acceptor).transpose().map_err(Error::Tls)?;
        let store = options
            .storage
            .clone()
            .map(Storage::open)
            .transpose()
            .map_err(Error::Storage)?;
        let shared = Arc::new(Shared::new(options, address, store));
        let applying = Arc::clone(&shared);
        shared.tasks.spawn(async move {
            tokio::select! {
                () = applying.queue.run(|call| applying.apply(&call)) => {}
                () = applying.stop.cancelled() => {}
            }
        });
        shared
            .tasks
            .spawn(serve(listener, tls, router(Arc::clone(&shared)), Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// A handle for looking and meddling; cheap to clone.
    pub fn handle(&self) -> SimHandle {
        SimHandle::new(Arc::clone(&self.shared))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://<address>`, or `https`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.shared.scheme, self.shared.address)
    }

    /// Stops listening, lets calls that are in flight finish for two seconds, and ends. What is accepted and not yet
    /// applied is lost with the users.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
