//! An HTTP/1.1 server: bounded in connections, with a limit on the time a head may take, and drained at the end.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::Connections;

/// What a connection may buffer of a request's head, and of a body at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// How long a connection without a request in progress may last in a drain: the rest of a head, or the last bytes of an
/// answer, may be on their way.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// Limits of a [`Server`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the port in metrics.
    pub port: &'static str,
    /// Open connections; a further one waits in the kernel's backlog until another closes.
    pub connections_max: usize,
    /// How long the head of a request may take, how long a connection may be idle between two, and how long its peer may take
    /// nothing of an answer; then it is closed.
    pub header_timeout: Duration,
}

/// A bound HTTP port that does not answer yet.
#[derive(Debug)]
pub struct Server {
    connections: Connections,
    header_timeout: Duration,
}

impl Server {
    /// Binds at once, so that port 0 can be asked for and read back.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(address: impl ToSocketAddrs, options: Options) -> io::Result<Self> {
        Ok(Self {
            connections: Connections::bind(options.port, address, options.connections_max).await?,
            header_timeout: options.header_timeout,
        })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connections.local_addr()
    }

    /// Answers until `drain` is cancelled; then closes the port and finishes the requests in progress. A connection on which
    /// no request has been in progress for a second is dropped then, whatever its peer is about to say.
    pub async fn serve<S>(self, service: S, drain: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let open = TaskTracker::new();
        let accept = async {
            loop {
                let (stream, slot) = self.connections.accept().await;
                let serve = connection(stream, service.clone(), self.header_timeout, drain.clone());
                open.spawn(async move {
                    serve.await;
                    drop(slot);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = drain.cancelled() => {}
        }
        drop(self.connections);
        open.close();
        open.wait().await;
    }
}

async fn connection<S>(stream: TcpStream, service: S, header_timeout: Duration, drain: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    let (busy, mut changes) = watch::channel(false);
    let service = Watched {
        inner: service,
        // A peer that has gone already has none.
        peer: stream.peer_addr().ok().map(Peer),
        busy: Arc::new(busy),
    };
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(header_timeout));
    let serve = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        // A peer that has said all it will say is answered all the same.
        .half_close(true)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut serve = std::pin::pin!(serve);
    let result = tokio::select! {
        result = serve.as_mut() => result,
        () = drain.cancelled() => {
            serve.as_mut().graceful_shutdown();
            tokio::select! {
                result = serve => result,
                () = idle_for(&mut changes, DRAIN_GRACE) => {
                    tracing::debug!("a connection without a request in progress was dropped in the drain");
                    return;
                }
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended");
    }
}

/// Waits until no request has been in progress for `grace`.
async fn idle_for(busy: &mut watch::Receiver<bool>, grace: Duration) {
    // The sender goes with the connection, and then there is nothing to wait for.
    while busy.wait_for(|busy| !busy).await.is_ok() {
        match tokio::time::timeout(grace, busy.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Whom a connection is from; an extension of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The service of one connection, which says whether a request is in progress: from its head to its answer.
struct Watched<S> {
    inner: S,
    peer: Option<Peer>,
    busy: Arc<watch::Sender<bool>>,
}

impl<S, B> Service<Request<B>> for Watched<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn call(&self, mut request: Request<B>) -> Self::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let busy = Busy::begin(Arc::clone(&self.busy));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(busy);
            answer
        })
    }
}

/// A request in progress; HTTP/1.1 answers one at a time.
struct Busy(Arc<watch::Sender<bool>>);

impl Busy {
    fn begin(busy: Arc<watch::Sender<bool>>) -> Self {
        busy.send_replace(true);
        Self(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}
