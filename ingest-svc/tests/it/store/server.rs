//! Servers of a test's own: S3's protocol over a folder, and answers by a function.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use control::Storage;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A real server of S3's protocol with the bucket `files`, which one key may use.
pub(crate) struct S3 {
    folder: TempDir,
    pub(crate) endpoint: String,
    _serving: JoinSet<()>,
}

pub(crate) const KEY_ID: &str = "id-1";
pub(crate) const SECRET: &str = "the-secret-of-the-tests";

impl S3 {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // A client may leave as it likes.
                    builder.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self {
            folder,
            endpoint,
            _serving: serving,
        }
    }

    /// The bucket, at this endpoint.
    pub(crate) fn storage_at(endpoint: &str) -> Storage {
        Storage::S3 {
            bucket: "files".to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: KEY_ID.to_owned(),
            endpoint: Some(endpoint.to_owned()),
        }
    }

    pub(crate) fn storage(&self) -> Storage {
        Self::storage_at(&self.endpoint)
    }

    /// Where an object is.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join("files").join(key)
    }

    /// Writes an object.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// A server whose answers are made by a function, and what it was asked.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Request<()>>>>,
    _serving: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start<A>(answer: A) -> Self
    where
        A: Fn(&Request<()>) -> Response<Body> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, noted) = (Arc::new(answer), Arc::clone(&asked));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, noted) = (Arc::clone(&answer), Arc::clone(&noted));
                connections.spawn(async move {
                    let service = service_fn(|request: Request<Incoming>| {
                        let request = request.map(drop);
                        let response = answer(&request);
                        noted.lock().unwrap().push(request);
                        async move { Ok::<_, Infallible>(response) }
                    });
                    let builder = Builder::new(TokioExecutor::new());
                    builder.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self {
            endpoint,
            asked,
            _serving: serving,
        }
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Request<()>> {
        self.asked.lock().unwrap().clone()
    }
}

/// The value of a parameter in the query of a request.
pub(crate) fn parameter(request: &Request<()>, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

/// A header of a request; empty if it has none.
pub(crate) fn header<'a>(request: &'a Request<()>, name: &str) -> &'a str {
    request.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}
