//! A real server of S3's protocol, which keeps its buckets in a folder.

use std::path::PathBuf;

use braze_sim::{Bucket, Storage};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) struct S3 {
    folder: TempDir,
    pub(crate) endpoint: String,
    _serving: JoinSet<()>,
}

impl S3 {
    /// With the bucket `exports`, which one key may use.
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("exports")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("id-1", "secret-1"));
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

    /// The bucket, with a key that is good if this is `secret-1`.
    pub(crate) fn storage(&self, secret: &str) -> Storage {
        Storage::S3(Bucket {
            name: "exports".to_owned(),
            endpoint: Some(self.endpoint.clone()),
            region: "us-east-1".to_owned(),
            access_key_id: "id-1".to_owned(),
            secret_access_key: secret.to_owned(),
        })
    }

    /// Where the bucket's objects are, by their keys.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.path().join("exports")
    }
}
