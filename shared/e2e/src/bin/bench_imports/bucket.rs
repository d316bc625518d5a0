//! A server of S3's protocol in this process, which keeps its bucket in a folder. It steps back behind whoever measures: elsewhere it would be
//! somebody else's machine.

use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use runtime::background::Background;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The bucket's name.
pub(crate) const NAME: &str = "files";
/// Who may read it.
pub(crate) const KEY_ID: &str = "bench";
pub(crate) const KEY: &str = "bench-secret";

/// It ends when dropped, with all that is in it.
pub(crate) struct Bucket {
    folder: TempDir,
    pub(crate) endpoint: String,
    _serving: JoinSet<()>,
    _background: Background,
}

impl Bucket {
    /// An empty one.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        std::fs::create_dir(folder.path().join(NAME))?;
        let files = FileSystem::new(folder.path()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY_ID, KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let background = Background::start("bucket")?;
        let mut serving = JoinSet::new();
        let serve = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // A client may leave as it likes.
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
                while connections.try_join_next().is_some() {}
            }
        };
        serving.spawn_on(serve, background.handle());
        Ok(Self {
            folder,
            endpoint,
            _serving: serving,
            _background: background,
        })
    }

    /// Where an object of that key lies: whoever writes it there has put it.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(NAME).join(key)
    }
}
