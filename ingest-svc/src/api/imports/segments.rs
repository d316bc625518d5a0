//! `ListSegments`.

use control::Directory;
use control::sealing::Sealer;
use proto::imports::v1::{ListSegmentsRequest, ListSegmentsResponse};
use tonic::{Response, Status};

/// A page of the segments of the Braze workspace of an authorization.
#[expect(clippy::unused_async, reason = "Braze is asked")]
pub(super) async fn list(
    _directory: &Directory,
    _sealer: Option<&Sealer>,
    _request: &ListSegmentsRequest,
) -> Result<Response<ListSegmentsResponse>, Status> {
    Err(Status::unimplemented("segments cannot be listed yet"))
}
