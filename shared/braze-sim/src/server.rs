//! Serving connections. Done here rather than by the web framework, because a fault may close a connection without an
//! answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::shared::Shared;

/// How long calls in flight may take to finish when the simulator ends.
const FINISH: Duration = Duration::from_secs(2);
/// How long to wait after a failure to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Marks a response that is not to be sent: the connection is closed instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropConnection;

/// Why a connection was closed.
#[derive(Debug, thiserror::Error)]
#[error("a fault closed the connection")]
struct Dropped;

/// Accepts connections until the simulator stops.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let stop = shared.stop.clone();
                shared
                    .tasks
                    .spawn(accept(stream, tls.clone(), peer, router.clone(), stop));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch Nagle's algorithm off");
    }
    let Some(tls) = tls else {
        return connection(stream, peer, router, stop).await;
    };
    match tls.accept(stream).await {
        Ok(stream) => connection(stream, peer, router, stop).await,
        Err(error) => tracing::debug!(%error, "a connection was not made"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.ip());
        answer(router.clone(), request.map(axum::body::Body::new))
    });
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FINISH, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

async fn answer(router: Router, request: Request) -> Result<Response, Dropped> {
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never as Infallible {},
    };
    if response.extensions().get::<DropConnection>().is_some() {
        Err(Dropped)
    } else {
        Ok(response)
    }
}
