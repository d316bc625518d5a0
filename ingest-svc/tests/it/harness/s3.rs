//! A real server of S3's protocol, which keeps its buckets in a folder, and can be made to stand still.

use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes that are passed on at a time.
const PIECE_BYTES: usize = 4 << 10;

/// A server with the bucket `files`, which the keys `id-1` with `secret-1` and `id-2` with `secret-2` may use.
pub(crate) struct S3 {
    folder: TempDir,
    pub(crate) endpoint: String,
    /// Bytes that a connection gives at most.
    gives: watch::Sender<usize>,
    _serving: JoinSet<()>,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        let mut keys = SimpleAuth::from_single("id-1", "secret-1");
        keys.register("id-2".to_owned(), "secret-2".into());
        service.set_auth(keys);
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (gives, may) = watch::channel(usize::MAX);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, service.clone(), may.clone()));
            }
        });
        Self {
            folder,
            endpoint,
            gives,
            _serving: serving,
        }
    }

    /// From now on every connection stands still after so many bytes in all.
    pub(crate) fn gives_at_most(&self, bytes: usize) {
        self.gives.send_replace(bytes);
    }

    /// Puts an object into the bucket.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.objects().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Where the bucket's objects are, by their keys.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.path().join("files")
    }
}

/// A client may leave as it likes.
async fn serve(client: TcpStream, service: S3Service, may: watch::Receiver<usize>) {
    let (inner, outer) = duplex(PIECE_BYTES);
    let builder = Builder::new(TokioExecutor::new());
    let serve = builder.serve_connection(TokioIo::new(inner), service);
    tokio::select! {
        _ = serve => {}
        _ = pass_on(client, outer, may) => {}
    }
}

async fn pass_on(mut client: TcpStream, server: DuplexStream, mut may: watch::Receiver<usize>) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let asks = tokio::io::copy(&mut from_client, &mut to_server);
    let answers = async {
        let (mut piece, mut given) = ([0; PIECE_BYTES], 0);
        loop {
            let read = from_server.read(&mut piece).await?;
            if read == 0 {
                return to_client.shutdown().await;
            }
            given += read;
            if may.wait_for(|may| given <= *may).await.is_err() {
                return Ok(());
            }
            to_client.write_all(&piece[..read]).await?;
        }
    };
    tokio::try_join!(asks, answers).map(drop)
}
