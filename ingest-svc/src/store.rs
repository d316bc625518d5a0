//! Object storage of customers: lists what is there, and reads it.
//!
//! ```text
//! control::Storage + its secret ─▶ open ─▶ list ─▶ Object { key, etag, size, modified }
//!                                     └──▶ read (key, etag) ─▶ bytes, through broken connections
//! ```
//!
//! * A storage is reached with its own secret and with nothing else: no credentials of the environment, of a file, or of the machine.
//! * It is where its maker has it, or at an endpoint that the installation lists (`imports.endpoints`); nobody is redirected.
//! * Every wait ends: connecting after 5 s, an answer that stands still after 30 s, a call with all its tries after 60 s.
//! * What a storage says of a refusal is told by its code and its first line; never the headers or the signature that it may quote.

mod body;
mod error;
mod folder;
mod http;
mod open;

use std::sync::Arc;
use std::time::Duration;

use control::Storage;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::{ObjectMeta, ObjectStore};
use secrecy::SecretString;

pub use self::body::Body;
pub(crate) use self::body::read as read_object;
pub use self::error::Error;
pub(crate) use self::error::is_taken;
use self::folder::Folder;
pub(crate) use self::http::own;
pub(crate) use self::open::retry;
use crate::config::Imports;

/// How long a storage may take to show that it can be listed.
const TRY_MAX: Duration = Duration::from_secs(10);
/// How long one page of a listing may take, or the head of an answer, with all tries.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(60);

/// A storage that files are read from. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    place: Place,
    secret: Option<SecretString>,
}

#[derive(Clone)]
enum Place {
    Bucket(Arc<dyn Bucket>),
    Folder(Folder),
}

/// A bucket of any maker.
trait Bucket: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Bucket for T {}

/// Something that can be read. Empty ones are not listed: some storages mark folders so, and there is nothing in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its whole key.
    pub key: String,
    /// Changes with its content. Empty if the storage has none; then the object is read as it is.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

impl Store {
    /// Nothing is asked of the storage yet.
    ///
    /// # Errors
    /// [`Error::Setup`] when it cannot be so, or the installation does not allow it.
    pub fn open(storage: &Storage, secret: Option<SecretString>, imports: &Imports) -> Result<Self, Error> {
        let place = open::open(storage, secret.as_ref(), imports)?;
        Ok(Self { place, secret })
    }

    /// Lists one object at most: whether the storage is there and may be listed.
    ///
    /// # Errors
    /// As the storage says; [`Error::Unavailable`] after 10 seconds.
    pub async fn try_it(&self) -> Result<(), Error> {
        let first = async {
            match &self.place {
                Place::Bucket(bucket) => self.page(bucket, "", None, Some(1)).await.map(drop),
                Place::Folder(folder) => folder.list("").try_next().await.map(drop),
            }
        };
        let first = tokio::time::timeout(TRY_MAX, first).await;
        first.unwrap_or_else(|_| Err(Error::late(TRY_MAX)))
    }

    /// What there is whose key begins with `prefix`, a page at a time, in no order. After an error there is nothing more.
    ///
    /// A key that the library cannot spell – with two slashes in a row, a part `.` or `..`, or a control character – is
    /// [`Error::Refused`].
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object, Error>> {
        match &self.place {
            Place::Bucket(bucket) => self.pages(bucket, prefix),
            Place::Folder(folder) => folder.list(prefix),
        }
    }

    /// The bytes of an object as it was listed. If the connection breaks they go on behind it, unless the object has changed. Errors
    /// while it is read are an [`io::Error`](std::io::Error) that has one of ours inside: [`Error::of`].
    ///
    /// # Errors
    /// As the storage says; [`Error::Changed`] if the etag is another.
    pub async fn read(&self, key: &str, etag: &str) -> Result<Body, Error> {
        match &self.place {
            Place::Bucket(bucket) => {
                let (bucket, secret) = (Arc::clone(bucket) as Arc<dyn ObjectStore>, self.secret.clone());
                read_object(bucket, secret, key, etag).await
            }
            Place::Folder(folder) => folder.read(key, etag).await,
        }
    }

    fn pages(&self, bucket: &Arc<dyn Bucket>, prefix: &str) -> BoxStream<'static, Result<Object, Error>> {
        let (store, bucket, prefix) = (self.clone(), Arc::clone(bucket), prefix.to_owned());
        let pages = stream::try_unfold(Next::First, move |next| {
            let (store, bucket, prefix) = (store.clone(), Arc::clone(&bucket), prefix.clone());
            async move {
                let token = match next {
                    Next::First => None,
                    Next::Token(token) => Some(token),
                    Next::Nothing => return Ok(None),
                };
                let (objects, following) = store.page(&bucket, &prefix, token.clone(), None).await?;
                let next = match following.filter(|token| !token.is_empty()) {
                    // It would be the same page for ever.
                    following @ Some(_) if following == token => return Err(Error::unreadable()),
                    Some(following) => Next::Token(following),
                    None => Next::Nothing,
                };
                Ok(Some((stream::iter(objects.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn page(
        &self,
        bucket: &Arc<dyn Bucket>,
        prefix: &str,
        token: Option<String>,
        max: Option<usize>,
    ) -> Result<(Vec<Object>, Option<String>), Error> {
        let options = PaginatedListOptions {
            max_keys: max,
            page_token: token,
            ..PaginatedListOptions::default()
        };
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        let page = tokio::time::timeout(CALL_MAX, bucket.list_paginated(prefix, options)).await;
        let page = page.map_err(|_| Error::late(CALL_MAX))?;
        let page = page.map_err(|error| Error::from_library(&error, self.secret.as_ref(), "the bucket"))?;
        let objects = page.result.objects.into_iter().filter(|object| object.size > 0);
        Ok((objects.map(Object::from).collect(), page.page_token))
    }
}

/// What of a listing is to be asked for.
enum Next {
    First,
    Token(String),
    Nothing,
}

impl From<ObjectMeta> for Object {
    fn from(meta: ObjectMeta) -> Self {
        Self {
            key: meta.location.into(),
            etag: meta.e_tag.unwrap_or_default(),
            size: meta.size,
            modified: Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).unwrap_or_default(),
        }
    }
}
