//! A piece of a file, written in parts as it arrives.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use control::ImportJob;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;

use super::super::Webhook;
use super::super::admission::Admitted;
use super::super::refused::Refused;
use super::super::throttle::Permit;
use super::{Ended, OFFSET, Sender, number, of_store, refused, size, unknown};
use crate::metrics;
use crate::uploads::{Appended, PART_BYTES, Uploads};

const MEDIA_TYPE: &[u8] = b"application/offset+octet-stream";

/// A piece on its way.
pub(super) struct Append {
    pub(super) webhook: Webhook,
    pub(super) uploads: Uploads,
    pub(super) sender: Sender,
    pub(super) job: ImportJob,
    pub(super) body: Body,
    /// The offset behind what is kept.
    pub(super) next: u64,
    /// What has arrived and is not kept yet: a part at most.
    pub(super) held: BytesMut,
    pub(super) _bounds: (Admitted, Permit),
}

/// Where the sender wants to go on.
pub(super) fn offset(headers: &HeaderMap) -> Result<u64, Refused> {
    if headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes()) != Some(MEDIA_TYPE) {
        let message = "say `Content-Type: application/offset+octet-stream`";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message));
    }
    let message = "say where this goes on: `Upload-Offset`, from the answer to HEAD";
    number(headers, &OFFSET).ok_or_else(|| refused(StatusCode::BAD_REQUEST, "upload_offset", message))
}

/// That what is said of the piece fits the upload; before any of it is read.
pub(super) async fn must_go_on(
    uploads: &Uploads,
    job: &ImportJob,
    offset: u64,
    headers: &HeaderMap,
) -> Result<(), Ended> {
    if !uploads.ends_at(job.account, &job.id, offset).await.map_err(of_store)? {
        return Err(elsewhere(uploads, job).await);
    }
    let declared = number(headers, &header::CONTENT_LENGTH).unwrap_or(0);
    if offset.checked_add(declared).is_none_or(|end| end > size(job)) {
        return Err(at(too_long(job), offset));
    }
    Ok(())
}

/// 409 with the offset that it is.
async fn elsewhere(uploads: &Uploads, job: &ImportJob) -> Ended {
    match uploads.size_so_far(job.account, &job.id).await {
        Ok(arrived) => {
            let message = format!("the upload stands at {arrived}: go on there");
            at(refused(StatusCode::CONFLICT, "upload_offset", message), arrived)
        }
        Err(error) => of_store(error).into(),
    }
}

fn too_long(job: &ImportJob) -> Refused {
    let message = format!(
        "the file was to have {} bytes (`Upload-Length`), and this is more",
        size(job)
    );
    refused(StatusCode::PAYLOAD_TOO_LARGE, "upload_length", message)
}

fn at(refused: Refused, offset: u64) -> Ended {
    Ended {
        refused,
        offset: Some(offset),
    }
}

impl Append {
    /// Up to where the file has arrived; and what is left of the body, to be read away. However it ends, all that had arrived is kept,
    /// if the store takes it.
    pub(super) async fn run(mut self) -> (Result<u64, Ended>, Body) {
        let mut ended = self.pieces().await;
        if let Ok(stop) = &mut ended {
            let kept = self.keep().await;
            ended = match (kept, stop.take()) {
                (Ok(()), Some(refused)) => Err(at(refused, self.next)),
                (Ok(()), None) => Ok(None),
                (Err(ended), _) => Err(ended),
            };
        }
        (ended.map(|_| self.next), self.body)
    }

    /// Reads to the end, or to where the sender is stopped.
    async fn pieces(&mut self) -> Result<Option<Refused>, Ended> {
        let (drain, pause_max) = (self.webhook.drain.clone(), self.webhook.limits.body_timeout);
        loop {
            let next = tokio::time::timeout(pause_max, self.body.frame());
            let Some(next) = drain.run_until_cancelled(next).await else {
                return Ok(Some(Refused::unavailable(
                    "ending",
                    "the service is ending; go on at another",
                )));
            };
            let frame = match next {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Ok(Some(Refused::late("body_cut", "the body ended early"))),
                Err(_) => {
                    ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "body_time").increment(1);
                    return Ok(Some(Refused::late("body_time", "the body paused for too long")));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            self.arrived(&data).await?;
        }
    }

    async fn arrived(&mut self, data: &Bytes) -> Result<(), Ended> {
        let mut data = &**data;
        if self.next + (self.held.len() + data.len()) as u64 > size(&self.job) {
            return Err(at(too_long(&self.job), self.next));
        }
        while !data.is_empty() {
            let (fits, rest) = data.split_at(data.len().min(PART_BYTES - self.held.len()));
            self.held.extend_from_slice(fits);
            data = rest;
            if self.held.len() == PART_BYTES {
                self.keep().await?;
            }
        }
        Ok(())
    }

    /// Writes what is held, if the sender still may.
    async fn keep(&mut self) -> Result<(), Ended> {
        if self.held.is_empty() {
            return Ok(());
        }
        let at_next = |refused| at(refused, self.next);
        let parts = self.webhook.parts.get();
        let parts = parts.ok_or_else(|| at_next(Refused::unavailable("starting", "starting")))?;
        // An upload may outlive its token, and its job.
        self.sender.authorize(parts).map_err(at_next)?;
        let (account, id) = (self.job.account, &*self.job.id);
        match parts.directory.import_jobs().get(account, id) {
            Ok(job) if !job.killed => {}
            Ok(_) | Err(control::Error::NotFound(_)) => return Err(unknown().into()),
            Err(error) => return Err(at_next(super::of_control(&error))),
        }
        let part = std::mem::take(&mut self.held).freeze();
        let bytes = part.len() as u64;
        match self.uploads.append(account, id, self.next, part).await {
            Ok(Appended::Kept) => {
                self.next += bytes;
                Ok(())
            }
            Ok(Appended::Taken) => Err(elsewhere(&self.uploads, &self.job).await),
            // It may be there: only HEAD can tell.
            Err(error) => Err(of_store(error).into()),
        }
    }
}
