//! `MappingService`: mappings and shadows as resources, statements validated and tried out.

mod statement;
mod tested;

use control::{Directory, Page};
use jiff::Timestamp;
use model::{AccountNumber, Role, name};
use proto::mapping::v1 as wire;
use proto::mapping::v1::mapping_service_server::MappingService;
use runtime::grpc::status;
use tonic::{Request, Response, Status};

use crate::mappings;
use crate::normalize::Mapping;

/// May look at mappings, validate them and try them out; an admin may always.
const READ: &[Role] = &[Role::DataManager, Role::Observer];
/// May put and delete; an admin may always.
const WRITE: &[Role] = &[Role::DataManager];

/// The service.
pub(crate) struct Mappings {
    directory: Directory,
    /// What this replica has compiled.
    live: mappings::Mappings,
}

impl Mappings {
    pub(crate) fn new(directory: Directory, live: mappings::Mappings) -> Self {
        Self { directory, live }
    }

    /// The account that `parent` names, if the caller may.
    fn parent<T>(&self, request: &Request<T>, parent: &str, roles: &[Role]) -> Result<AccountNumber, Status> {
        let caller = self.directory.admit(request, roles)?;
        let account = name::account(parent).map_err(|error| status::invalid_argument("parent", error.to_string()))?;
        caller.require(account, roles)?;
        Ok(account)
    }

    /// The account and alias that `name` names, if the caller may.
    fn aliased<'a, T>(
        &self,
        request: &Request<T>,
        name: &'a str,
        collection: &'static str,
        roles: &[Role],
    ) -> Result<(AccountNumber, &'a str), Status> {
        let caller = self.directory.admit(request, roles)?;
        let (account, alias) = aliased(name, collection)?;
        caller.require(account, roles)?;
        Ok((account, alias))
    }

    /// One version of a mapping, or the live one.
    fn version(&self, account: AccountNumber, alias: &str, version: Option<u64>) -> Result<wire::Mapping, Status> {
        if version != Some(0) {
            return Ok(self.directory.mappings().get(account, alias, version)?.to_wire());
        }
        let (lql, mapping) = Mapping::built_in()
            .find(|(_, mapping)| mapping.alias() == alias)
            .ok_or_else(|| Status::not_found(format!("no mapping {alias} ships with the service")))?;
        Ok(wire::Mapping {
            name: name::format_child(account, name::MAPPINGS, alias),
            stream: mapping.stream().to_owned(),
            lql: lql.to_owned(),
            ..Default::default()
        })
    }
}

fn aliased<'a>(name: &'a str, collection: &'static str) -> Result<(AccountNumber, &'a str), Status> {
    name::aliased(name, collection).map_err(|error| status::invalid_argument("name", error.to_string()))
}

/// The page of a list, which is what `list` says: see [`Page::new`].
fn page(list: &[&str], size: u32, token: &str) -> Result<Page, Status> {
    Page::new(list, size, token).map_err(|error| status::invalid_argument("page_token", error.to_string()))
}

#[tonic::async_trait]
impl MappingService for Mappings {
    async fn put_mapping(
        &self,
        request: Request<wire::PutMappingRequest>,
    ) -> Result<Response<wire::PutMappingResponse>, Status> {
        let account = self.parent(&request, &request.get_ref().parent, WRITE)?;
        let wire::PutMappingRequest { lql, if_revision, .. } = request.into_inner();
        let new = statement::new(lql)?;
        let mappings = self.directory.mappings();
        let put = mappings.put(account, new, if_revision, Timestamp::now()).await?;
        tracing::info!(
            mapping = put.name(),
            version = put.version,
            "{} is at version {}",
            put.name(),
            put.version
        );
        Ok(Response::new(wire::PutMappingResponse {
            mapping: Some(put.to_wire()),
        }))
    }

    async fn get_mapping(
        &self,
        request: Request<wire::GetMappingRequest>,
    ) -> Result<Response<wire::GetMappingResponse>, Status> {
        let wire::GetMappingRequest { name, version } = request.get_ref();
        let (account, alias) = self.aliased(&request, name, name::MAPPINGS, READ)?;
        Ok(Response::new(wire::GetMappingResponse {
            mapping: Some(self.version(account, alias, *version)?),
        }))
    }

    async fn list_mappings(
        &self,
        request: Request<wire::ListMappingsRequest>,
    ) -> Result<Response<wire::ListMappingsResponse>, Status> {
        let wire::ListMappingsRequest {
            parent,
            page_size,
            page_token,
        } = request.get_ref();
        let account = self.parent(&request, parent, READ)?;
        let page = page(&["ListMappings", parent], *page_size, page_token)?;
        let listed = self.directory.mappings().list(account, &page)?;
        Ok(Response::new(wire::ListMappingsResponse {
            mappings: listed.items.iter().map(control::Mapping::to_wire).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn list_mapping_versions(
        &self,
        request: Request<wire::ListMappingVersionsRequest>,
    ) -> Result<Response<wire::ListMappingVersionsResponse>, Status> {
        let (account, alias) = self.aliased(&request, &request.get_ref().name, name::MAPPINGS, READ)?;
        let versions = self.directory.mappings().versions(account, alias)?;
        Ok(Response::new(wire::ListMappingVersionsResponse {
            mappings: versions.iter().map(control::Mapping::to_wire).collect(),
        }))
    }

    async fn delete_mapping(
        &self,
        request: Request<wire::DeleteMappingRequest>,
    ) -> Result<Response<wire::DeleteMappingResponse>, Status> {
        let wire::DeleteMappingRequest { name, if_revision } = request.get_ref();
        let (account, alias) = self.aliased(&request, name, name::MAPPINGS, WRITE)?;
        self.directory.mappings().delete(account, alias, *if_revision).await?;
        tracing::info!(mapping = name, "deleted {name}");
        Ok(Response::new(wire::DeleteMappingResponse {}))
    }

    async fn validate_mapping(
        &self,
        request: Request<wire::ValidateMappingRequest>,
    ) -> Result<Response<wire::ValidateMappingResponse>, Status> {
        let wire::ValidateMappingRequest { parent, lql } = request.get_ref();
        self.parent(&request, parent, READ)?;
        Ok(Response::new(statement::validated(lql)))
    }

    async fn test_mapping(
        &self,
        request: Request<wire::TestMappingRequest>,
    ) -> Result<Response<wire::TestMappingResponse>, Status> {
        let account = self.parent(&request, &request.get_ref().parent, READ)?;
        let request = request.get_ref();
        let mapping = match &request.mapping {
            Some(wire::test_mapping_request::Mapping::Lql(lql)) => statement::compile("lql", lql)?,
            Some(wire::test_mapping_request::Mapping::Name(name)) => {
                let (of, alias) = aliased(name, name::MAPPINGS)?;
                if of != account {
                    return Err(status::invalid_argument(
                        "name",
                        "must be a mapping of the account in parent",
                    ));
                }
                let kept = self.version(account, alias, request.version)?;
                statement::compile("name", &kept.lql)?.with_version(kept.version)
            }
            None => return Err(status::invalid_argument("lql", "is needed, or name: what to try out")),
        };
        let timestamp_field = Some(request.timestamp_field.as_str()).filter(|field| !field.is_empty());
        let now = Timestamp::now();
        let tested = tested::test(&mapping, account, &request.record, timestamp_field, now);
        Ok(Response::new(tested))
    }

    async fn put_shadow(
        &self,
        request: Request<wire::PutShadowRequest>,
    ) -> Result<Response<wire::PutShadowResponse>, Status> {
        let account = self.parent(&request, &request.get_ref().parent, WRITE)?;
        let wire::PutShadowRequest { lql, if_revision, .. } = request.into_inner();
        let new = statement::new(lql)?;
        let shadows = self.directory.shadows();
        let put = shadows.put(account, new, if_revision, Timestamp::now()).await?;
        tracing::info!(shadow = put.name(), "put {}", put.name());
        Ok(Response::new(wire::PutShadowResponse {
            shadow: Some(put.to_wire()),
        }))
    }

    async fn get_shadow(
        &self,
        request: Request<wire::GetShadowRequest>,
    ) -> Result<Response<wire::GetShadowResponse>, Status> {
        let (account, alias) = self.aliased(&request, &request.get_ref().name, name::SHADOWS, READ)?;
        let shadow = self.directory.shadows().get(account, alias)?;
        let runs = self.live.choose(account, &shadow.stream).shadow;
        let runs = runs.filter(|runs| runs.revision() == shadow.revision);
        Ok(Response::new(wire::GetShadowResponse {
            shadow: Some(shadow.to_wire()),
            report: runs.map(|runs| runs.report()),
        }))
    }

    async fn list_shadows(
        &self,
        request: Request<wire::ListShadowsRequest>,
    ) -> Result<Response<wire::ListShadowsResponse>, Status> {
        let wire::ListShadowsRequest {
            parent,
            page_size,
            page_token,
        } = request.get_ref();
        let account = self.parent(&request, parent, READ)?;
        let page = page(&["ListShadows", parent], *page_size, page_token)?;
        let listed = self.directory.shadows().list(account, &page)?;
        Ok(Response::new(wire::ListShadowsResponse {
            shadows: listed.items.iter().map(control::Shadow::to_wire).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn delete_shadow(
        &self,
        request: Request<wire::DeleteShadowRequest>,
    ) -> Result<Response<wire::DeleteShadowResponse>, Status> {
        let wire::DeleteShadowRequest { name, if_revision } = request.get_ref();
        let (account, alias) = self.aliased(&request, name, name::SHADOWS, WRITE)?;
        self.directory.shadows().delete(account, alias, *if_revision).await?;
        tracing::info!(shadow = name, "deleted {name}");
        Ok(Response::new(wire::DeleteShadowResponse {}))
    }
}
