//! The segments of a Braze workspace, to pick one from.

use std::time::Duration;

use braze::{Client, Denial, Denied};
use control::sealing::Sealer;
use control::{Directory, Page};
use model::name;
use proto::imports::v1::{ListSegmentsResponse, Segment};
use runtime::grpc::status;
use tonic::Status;

use super::key::{Key, key};

/// When to try again if Braze does not say.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A page of the segments that the authorization's key shows, oldest first. Braze is asked once, and has 10 seconds to answer.
///
/// # Errors
/// INVALID_ARGUMENT for the authorization's name or the page token; NOT_FOUND; FAILED_PRECONDITION if the key cannot be opened or is not taken;
/// RESOURCE_EXHAUSTED and UNAVAILABLE if Braze should be asked again.
pub(crate) async fn list(
    directory: &Directory,
    sealer: &Sealer,
    client: &Client,
    authorization: &str,
    page_token: &str,
) -> Result<ListSegmentsResponse, Status> {
    let (account, id) = name::child(authorization, name::AUTHORIZATIONS)
        .map_err(|error| status::invalid_argument("authorization", error.to_string()))?;
    let page = Page::new(&["ListSegments", authorization], 0, page_token)
        .map_err(|error| status::invalid_argument("page_token", error.to_string()))?;
    let number = match page.after() {
        "" => 0,
        number => number.parse().unwrap_or(u32::MAX),
    };
    directory.authorizations().get(account, id)?;
    let Key { base, key } = key(directory, sealer, authorization).map_err(status::failed_precondition)?;
    let listed = client.segments(&base, &key, number).await;
    let listed = listed.map_err(|denied| refused(authorization, &denied))?;
    let segments = listed.segments.into_iter();
    Ok(ListSegmentsResponse {
        segments: segments
            .map(|braze::Segment { id, name }| Segment { id, name })
            .collect(),
        next_page_token: listed
            .next
            .map(|next| page.token(&next.to_string()))
            .unwrap_or_default(),
    })
}

fn refused(authorization: &str, Denied { denial, message }: &Denied) -> Status {
    match denial {
        Denial::Unauthorized { .. } => status::failed_precondition(format!(
            "Braze does not take the key of {authorization}, which needs the permission segments.list: {message}"
        )),
        Denial::RateLimited { retry_after } => status::resource_exhausted(
            format!("the Braze workspace has used up its requests: {message}"),
            retry_after.unwrap_or(RETRY_AFTER),
        ),
        Denial::NotSent | Denial::Unknown | Denial::Busy => {
            status::unavailable(format!("Braze does not answer: {message}"), RETRY_AFTER)
        }
        Denial::Unusable | Denial::Other { .. } => {
            status::failed_precondition(format!("Braze does not list its segments: {message}"))
        }
    }
}
