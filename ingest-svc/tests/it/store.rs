//! Object storage, each kind from a server of its protocol on a real socket.

mod azure;
mod broken;
mod folder;
mod gcs;
mod s3;
pub(crate) mod server;

use bytes::Bytes;
use control::Storage;
use futures::TryStreamExt;
use ingest_svc::config::Imports;
use ingest_svc::store::{Error, Object, Store};
use secrecy::SecretString;
use tokio::io::AsyncReadExt;

/// An installation that allows these endpoints.
fn imports(endpoints: &[&str]) -> Imports {
    Imports {
        endpoints: endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect(),
        ..Imports::default()
    }
}

fn open(storage: &Storage, secret: &str) -> Store {
    Store::open(
        storage,
        Some(SecretString::from(secret)),
        &imports(&[storage.endpoint().unwrap()]),
    )
    .unwrap()
}

/// What is listed, by key.
async fn list(store: &Store, prefix: &str) -> Result<Vec<Object>, Error> {
    let mut objects: Vec<_> = store.list(prefix).try_collect().await?;
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(objects)
}

async fn keys(store: &Store, prefix: &str) -> Vec<String> {
    let objects = list(store, prefix).await.unwrap();
    objects.into_iter().map(|object| object.key).collect()
}

async fn read(store: &Store, object: &Object) -> Result<Bytes, Error> {
    let mut body = store.read(&object.key, &object.etag).await?;
    let mut bytes = Vec::new();
    match body.read_to_end(&mut bytes).await {
        Ok(_) => Ok(bytes.into()),
        Err(error) => Err(Error::of(&error).expect("one of ours").clone()),
    }
}
