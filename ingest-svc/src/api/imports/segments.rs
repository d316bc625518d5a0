//! `ListSegments`.

use braze::Client;
use control::Directory;
use control::sealing::Sealer;
use proto::imports::v1::{ListSegmentsRequest, ListSegmentsResponse};
use runtime::grpc::status;
use tonic::{Response, Status};

use crate::imports::segments;

/// A page of the segments of the Braze workspace of an authorization.
pub(super) async fn list(
    directory: &Directory,
    sealer: Option<&Sealer>,
    client: &Client,
    request: &ListSegmentsRequest,
) -> Result<Response<ListSegmentsResponse>, Status> {
    let Some(sealer) = sealer else {
        let problem = "Braze's key cannot be opened: ingest-svc needs secrets.keys, the same as export-svc";
        return Err(status::failed_precondition(problem.to_owned()));
    };
    let listed = segments::list(directory, sealer, client, &request.authorization, &request.page_token);
    listed.await.map(Response::new)
}
