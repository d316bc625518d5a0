//! `lytics.membership.v1.AudienceService`.

use std::time::Duration;

use control::{Directory, Page};
use model::{AccountNumber, AccountRef, name};
use proto::membership::v1::audience_service_server::AudienceService;
use proto::membership::v1::{
    Audience, ListAudiencesRequest, ListAudiencesResponse, ListProfileFieldsRequest, ListProfileFieldsResponse,
    ProfileField,
};
use runtime::grpc::status::{failed_precondition, unavailable};
use tonic::{Request, Response, Status};

use super::{READ, page, parent};
use crate::catalog::{self, Catalog};

/// How long one call reads at most; what is left then, the next one reads.
const READ_MAX: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) catalog: Catalog,
}

/// For page tokens, which are names.
fn audience_name(account: AccountNumber, slug: &str) -> String {
    name::format_child(account, "audiences", slug)
}

pub(super) fn refused(error: &catalog::Error, account: AccountNumber) -> Status {
    match error {
        catalog::Error::Kafka(kafka::Error::Topic { topic, problem }) => failed_precondition(format!(
            "topic {topic}: {problem}; `export-svc topics ensure --account {account}` creates what is missing"
        )),
        other => {
            tracing::warn!(error = other as &dyn std::error::Error, %account, "the membership topic cannot be read");
            unavailable(format!("the membership topic cannot be read: {other}"), TRY_AGAIN)
        }
    }
}

#[tonic::async_trait]
impl AudienceService for Service {
    async fn list_audiences(
        &self,
        request: Request<ListAudiencesRequest>,
    ) -> Result<Response<ListAudiencesResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let page: Page = page(
            &["ListAudiences", &request.parent],
            request.page_size,
            &request.page_token,
        )?;
        self.directory.account(AccountRef::Number(account))?;
        // The later pages are of the same reading.
        let listing = if request.page_token.is_empty() {
            self.catalog.audiences(account, READ_MAX).await
        } else {
            self.catalog.audiences_read(account, READ_MAX).await
        };
        let listing = listing.map_err(|error| refused(&error, account))?;
        let audiences = listing.audiences.into_iter().map(|audience| {
            let wire = Audience {
                members: audience.members,
                members_estimated: audience.estimated,
                last_change_time: audience.changed.map(model::time::to_wire),
                slug: audience.slug,
            };
            (audience_name(account, &wire.slug), wire)
        });
        let listed = page.cut(audiences);
        Ok(Response::new(ListAudiencesResponse {
            audiences: listed.items,
            next_page_token: listed.next_page_token,
            unread: listing.unread,
            cut: listing.cut,
        }))
    }

    async fn list_profile_fields(
        &self,
        request: Request<ListProfileFieldsRequest>,
    ) -> Result<Response<ListProfileFieldsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let account = parent(&caller, &request.get_ref().parent, READ)?;
        self.directory.account(AccountRef::Number(account))?;
        let sample = self.catalog.fields(account, READ_MAX).await;
        let sample = sample.map_err(|error| refused(&error, account))?;
        let field = |(name, records)| ProfileField { name, records };
        let mut profile_fields: Vec<ProfileField> = sample.fields.into_iter().map(field).collect();
        profile_fields.sort_by(|one, other| other.records.cmp(&one.records).then_with(|| one.name.cmp(&other.name)));
        Ok(Response::new(ListProfileFieldsResponse {
            profile_fields,
            records: sample.records,
        }))
    }
}
