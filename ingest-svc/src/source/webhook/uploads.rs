//! `/files/{account}/{stream}`: uploads of whole files, in pieces, by the tus protocol 1.0.0 with creation and termination.
//!
//! Nothing of an upload is in this process: its parts are in object storage, what it is for is in its import job. So any replica goes
//! on with it, and an offset that was answered is one that the storage has.

mod append;
mod create;
mod metadata;

use std::borrow::Cow;
use std::net::IpAddr;

use axum::body::Body;
use axum::response::Response;
use control::{Caller, ImportJob, ImportSource};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};
use model::AccountNumber;
use percent_encoding::percent_decode_str;
use runtime::http1::Peer;
use tokio::time::Instant;

use self::append::Append;
use super::endpoint::Endpoint;
use super::parameters::Parameters;
use super::refused::{Refused, busy};
use super::take::Request;
use super::{Parts, Webhook};
use crate::source::STREAM_BYTES_MAX;
use crate::store;
use crate::uploads::SIZE_MAX;

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const IMPORT_JOB: HeaderName = HeaderName::from_static("import-job");

/// What a path below `/files/` names.
pub(super) struct Place {
    account: String,
    stream: String,
    id: Option<String>,
}

/// Who sends, as it was at the head of the request.
struct Sender {
    account: String,
    stream: String,
    parameters: Parameters,
    headers: HeaderMap,
    peer: Option<IpAddr>,
}

/// An answer of success: nothing but headers.
struct Done {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Any other answer, and up to where the upload has arrived if that is known.
struct Ended {
    refused: Refused,
    offset: Option<u64>,
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self { refused, offset: None }
    }
}

/// What the path names, if it is one of ours.
pub(super) fn find(path: &str) -> Option<Place> {
    let mut names = path.strip_prefix("/files/")?.trim_end_matches('/').split('/');
    let mut next = || {
        let name = percent_decode_str(names.next()?).decode_utf8().ok()?;
        Some(name).filter(|name| !name.is_empty()).map(Cow::into_owned)
    };
    let (account, stream, id) = (next()?, next()?, next());
    names.next().is_none().then_some(Place { account, stream, id })
}

/// The answer to a request for it.
pub(super) async fn answer(webhook: &Webhook, place: Place, request: request::Parts, mut body: Body) -> Response {
    let method = method(&request);
    let names = (place.account.clone(), place.stream.clone());
    let headers = request.headers.clone();
    let ended = take(webhook, place, &method, request, &mut body).await;
    let (mut response, more) = match ended {
        Ok(Done { status, headers }) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            (webhook.counted(response), headers)
        }
        Err(Ended { refused, offset }) => {
            let mut more: Vec<_> = offset.map(|offset| (OFFSET, offset.into())).into_iter().collect();
            if refused.status == StatusCode::PRECONDITION_FAILED {
                more.push((HeaderName::from_static("tus-version"), VERSION));
            }
            if refused.status == StatusCode::METHOD_NOT_ALLOWED {
                more.push((
                    header::ALLOW,
                    HeaderValue::from_static("POST, HEAD, PATCH, DELETE, OPTIONS"),
                ));
            }
            (webhook.refuse((&names.0, &names.1), &refused, &headers, body), more)
        }
    };
    response.headers_mut().insert(RESUMABLE, VERSION);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().extend(more);
    response
}

/// What the sender wants: some can say no more than POST.
fn method(request: &request::Parts) -> Method {
    let instead = request.headers.get("x-http-method-override");
    let instead = instead.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    instead
        .filter(|_| request.method == Method::POST)
        .unwrap_or_else(|| request.method.clone())
}

async fn take(
    webhook: &Webhook,
    place: Place,
    method: &Method,
    request: request::Parts,
    body: &mut Body,
) -> Result<Done, Ended> {
    if *method == Method::OPTIONS {
        return Ok(options());
    }
    if place.stream.len() > STREAM_BYTES_MAX {
        return Err(Refused::path(format!("the stream's name is longer than {STREAM_BYTES_MAX} bytes")).into());
    }
    let sender = Sender {
        parameters: Parameters::read(&request.uri, &request.headers),
        peer: request.extensions.get::<Peer>().map(|Peer(peer)| peer.ip()),
        headers: request.headers,
        account: place.account,
        stream: place.stream,
    };
    let slot = webhook.files.enter().ok_or_else(|| busy("uploads"))?;
    let parts = webhook.parts.get();
    let parts = parts.ok_or_else(|| Refused::unavailable("starting", "starting"))?;
    let (caller, account) = sender.authorize(parts)?;
    let permit = webhook.throttle.enter(&caller).map_err(Refused::from)?;
    let uploads = parts.uploads.clone().ok_or_else(nowhere)?;
    if sender.headers.get(RESUMABLE) != Some(&VERSION) {
        let message = "say `Tus-Resumable: 1.0.0`: files are uploaded by that protocol";
        return Err(refused(StatusCode::PRECONDITION_FAILED, "tus_version", message).into());
    }
    match (method.as_str(), place.id) {
        ("POST", None) => Ok(create::create(parts, &sender, account).await?),
        ("HEAD", Some(id)) => {
            let job = parts.job(account, &sender.stream, &id).await?;
            let arrived = uploads.size_so_far(account, &id).await.map_err(of_store)?;
            Ok(stands(StatusCode::OK, &job, arrived))
        }
        ("PATCH", Some(id)) => {
            let job = parts.job(account, &sender.stream, &id).await?;
            let offset = append::offset(&sender.headers)?;
            append::must_go_on(&uploads, &job, offset, &sender.headers).await?;
            let append = Append {
                webhook: webhook.clone(),
                uploads,
                sender,
                body: std::mem::replace(body, Body::empty()),
                next: offset,
                held: bytes::BytesMut::new(),
                job: job.clone(),
                _bounds: (slot, permit),
            };
            // It goes on if the connection ends: what has arrived is kept.
            let appended = webhook.behind.spawn(append.run()).await;
            let (appended, left) = appended.map_err(|_| Refused::unavailable("upload", "it failed; send it again"))?;
            *body = left;
            Ok(stands(StatusCode::NO_CONTENT, &job, appended?))
        }
        ("DELETE", Some(id)) => {
            parts.job(account, &sender.stream, &id).await?;
            match parts.directory.import_jobs().delete(account, &id, None).await {
                Ok(()) | Err(control::Error::NotFound(_)) => {}
                Err(error) => return Err(of_control(&error).into()),
            }
            uploads.remove(account, &id).await.map_err(of_store)?;
            Ok(Done {
                status: StatusCode::NO_CONTENT,
                headers: Vec::new(),
            })
        }
        _ => {
            let message = "a file is begun by POST to /files/{account}/{stream}, and goes on by HEAD and PATCH to the Location in its answer";
            Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method", message).into())
        }
    }
}

impl Sender {
    fn authorize(&self, parts: &Parts) -> Result<(Caller, AccountNumber), Refused> {
        parts.authorize(&Request {
            endpoint: Endpoint::Bulk,
            method: &Method::POST,
            account: Some(&self.account),
            stream: &self.stream,
            parameters: &self.parameters,
            headers: &self.headers,
            peer: self.peer,
            deadline: Instant::now(),
        })
    }
}

impl Parts {
    /// The job of an upload, as far as this replica has heard; one that another has just created comes within moments.
    async fn job(&self, account: AccountNumber, stream: &str, id: &str) -> Result<ImportJob, Refused> {
        const LOOKS: u32 = 20;
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
        for look in 1.. {
            match self.directory.import_jobs().get(account, id) {
                Ok(job) if job.killed => break,
                Ok(job) if job.stream == stream && matches!(job.source, ImportSource::Upload(_)) => return Ok(job),
                Ok(_) => return Err(unknown()),
                Err(control::Error::NotFound(_)) if look < LOOKS => tokio::time::sleep(PAUSE).await,
                Err(control::Error::NotFound(_)) => return Err(unknown()),
                Err(error) => return Err(of_control(&error)),
            }
        }
        Err(refused(
            StatusCode::GONE,
            "gone",
            "the import job of this upload was killed",
        ))
    }
}

fn options() -> Done {
    let headers = [
        ("tus-version", VERSION),
        ("tus-extension", HeaderValue::from_static("creation,termination")),
        ("tus-max-size", SIZE_MAX.into()),
    ];
    Done {
        status: StatusCode::NO_CONTENT,
        headers: headers
            .map(|(name, value)| (HeaderName::from_static(name), value))
            .into(),
    }
}

/// How far an upload is.
fn stands(status: StatusCode, job: &ImportJob, arrived: u64) -> Done {
    let mut headers = vec![(OFFSET, arrived.into()), (LENGTH, size(job).into())];
    headers.extend(HeaderValue::try_from(job.name()).map(|name| (IMPORT_JOB, name)));
    Done { status, headers }
}

fn size(job: &ImportJob) -> u64 {
    match &job.source {
        ImportSource::Upload(file) => file.size,
        ImportSource::Storage(_) | ImportSource::SegmentExport(_) => 0,
    }
}

fn refused(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Refused {
    Refused {
        status,
        reason,
        message: message.into(),
    }
}

fn unknown() -> Refused {
    refused(
        StatusCode::NOT_FOUND,
        "unknown_upload",
        "there is no such upload to this stream",
    )
}

fn nowhere() -> Refused {
    let message =
        "files cannot be uploaded here: whoever runs this has not said where to keep them (imports.upload_url)";
    refused(StatusCode::NOT_IMPLEMENTED, "upload_url", message)
}

/// What the storage of uploads says is for whoever runs this, and stands in the log.
fn of_store(error: store::Error) -> Refused {
    match error {
        store::Error::Missing(_) => refused(StatusCode::GONE, "gone", "this upload was read, or removed"),
        error => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "uploads cannot be kept or found"
            );
            Refused::unavailable("upload_store", "uploads cannot be kept now; go on later")
        }
    }
}

fn of_control(error: &control::Error) -> Refused {
    match error {
        control::Error::NotFound(what) => refused(StatusCode::NOT_FOUND, "unknown_account", what.clone()),
        control::Error::AlreadyExists(what) => refused(StatusCode::CONFLICT, "label", what.clone()),
        error => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the job of an upload cannot be written or read"
            );
            Refused::unavailable(
                "table",
                "the import job cannot be written or read now; send it again later",
            )
        }
    }
}

/// A whole number in a header.
fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let value = headers.get(name)?.to_str().ok()?;
    value
        .parse()
        .ok()
        .filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_account_a_stream_and_perhaps_an_upload() {
        let names = |path| find(path).map(|place| (place.account, place.stream, place.id));
        let place = |id: Option<&str>| Some(("7".to_owned(), "a b".to_owned(), id.map(str::to_owned)));
        assert_eq!(names("/files/7/a%20b"), place(None));
        assert_eq!(names("/files/7/a%20b/"), place(None));
        assert_eq!(names("/files/7/a%20b/x1"), place(Some("x1")));
        for path in [
            "/files",
            "/files/7",
            "/files//a",
            "/files/7/a/b/c",
            "/c/7/a",
            "/files/7/%ff",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn nothing_but_digits_is_a_number() {
        for (value, number) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("+1", None),
            ("-1", None),
            ("", None),
            ("1.0", None),
        ] {
            let headers = HeaderMap::from_iter([(OFFSET, HeaderValue::from_static(value))]);
            assert_eq!(super::number(&headers, &OFFSET), number, "{value}");
        }
    }
}
