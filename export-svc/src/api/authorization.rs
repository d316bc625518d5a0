//! `lytics.authorization.v1.AuthorizationService`.

pub(super) mod parse;

use std::sync::Arc;

use control::Directory;
use control::sealing::Sealer;
use jiff::Timestamp;
use model::name;
use proto::authorization::v1::authorization_service_server::AuthorizationService;
use proto::authorization::v1::{
    Authorization, CheckAuthorizationRequest, CheckAuthorizationResponse, CreateAuthorizationRequest,
    CreateAuthorizationResponse, DeleteAuthorizationRequest, DeleteAuthorizationResponse, GetAuthorizationRequest,
    GetAuthorizationResponse, ListAuthorizationsRequest, ListAuthorizationsResponse, ListProvidersRequest,
    ListProvidersResponse, RotateAuthorizationKeyRequest, RotateAuthorizationKeyResponse, UpdateAuthorizationRequest,
    UpdateAuthorizationResponse,
};
use runtime::grpc::status::invalid_argument;
use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Response, Status};

use self::parse::{edit, key, parse};
use super::{READ, WRITE, based_on, child, page, parent, providers};
use crate::engine::EngineHandle;

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) sealer: Arc<Sealer>,
    pub(super) slots: i32,
    pub(super) engine: EngineHandle,
}

impl Service {
    /// The authorization with what has been seen of it.
    fn observed(&self, authorization: &control::Authorization) -> Authorization {
        let mut wire = authorization.to_wire();
        wire.health = Some(self.engine.health(authorization));
        wire
    }

    /// The same, with what Braze says now of the key that it has just got: nothing, if Braze is away.
    async fn checked(&self, authorization: &control::Authorization) -> Authorization {
        let mut wire = authorization.to_wire();
        wire.health = Some(self.engine.check(authorization).await);
        wire
    }
}

#[tonic::async_trait]
impl AuthorizationService for Service {
    async fn create_authorization(
        &self,
        request: Request<CreateAuthorizationRequest>,
    ) -> Result<Response<CreateAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let request = request.into_inner();
        let key = SecretString::from(request.rest_api_key);
        let account = parent(&caller, &request.parent, WRITE)?;
        let new = parse(request.authorization.unwrap_or_default(), key)?;
        let created = self
            .directory
            .authorizations()
            .create(account, new, self.slots, &self.sealer, Timestamp::now())
            .await?;
        tracing::info!(%account, "created {}", created.name());
        Ok(Response::new(CreateAuthorizationResponse {
            authorization: Some(self.checked(&created).await),
        }))
    }

    async fn get_authorization(
        &self,
        request: Request<GetAuthorizationRequest>,
    ) -> Result<Response<GetAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let (account, id) = child(&caller, &request.get_ref().name, name::AUTHORIZATIONS, READ)?;
        let authorization = self.directory.authorizations().get(account, id)?;
        Ok(Response::new(GetAuthorizationResponse {
            authorization: Some(self.observed(&authorization)),
        }))
    }

    async fn list_authorizations(
        &self,
        request: Request<ListAuthorizationsRequest>,
    ) -> Result<Response<ListAuthorizationsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let list = ["ListAuthorizations", &request.parent];
        let page = page(&list, request.page_size, &request.page_token)?;
        let listed = self.directory.authorizations().list(account, &page)?;
        let authorizations = listed.items.iter().map(|item| self.observed(item)).collect();
        Ok(Response::new(ListAuthorizationsResponse {
            authorizations,
            next_page_token: listed.next_page_token,
        }))
    }

    async fn update_authorization(
        &self,
        request: Request<UpdateAuthorizationRequest>,
    ) -> Result<Response<UpdateAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let UpdateAuthorizationRequest {
            authorization,
            update_mask,
        } = request.into_inner();
        let new = authorization.unwrap_or_default();
        let named = name::child(&new.name, name::AUTHORIZATIONS);
        let (account, id) = named.map_err(|error| invalid_argument("authorization.name", error.to_string()))?;
        caller.require(account, WRITE)?;
        let edit = edit(&new, &update_mask.unwrap_or_default())?;
        let based_on = based_on(new.revision);
        let authorizations = self.directory.authorizations();
        let updated = authorizations
            .update(account, id, based_on, edit, Timestamp::now())
            .await?;
        tracing::info!(%account, "changed {}", updated.name());
        Ok(Response::new(UpdateAuthorizationResponse {
            authorization: Some(self.observed(&updated)),
        }))
    }

    async fn rotate_authorization_key(
        &self,
        request: Request<RotateAuthorizationKeyRequest>,
    ) -> Result<Response<RotateAuthorizationKeyResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let RotateAuthorizationKeyRequest {
            name,
            rest_api_key,
            revision,
        } = request.into_inner();
        let new = SecretString::from(rest_api_key);
        let (account, id) = child(&caller, &name, name::AUTHORIZATIONS, WRITE)?;
        key(new.expose_secret()).map_err(|problem| invalid_argument("rest_api_key", problem))?;
        let authorizations = self.directory.authorizations();
        let rotated = authorizations
            .rotate_key(account, id, new, &self.sealer, based_on(revision), Timestamp::now())
            .await?;
        tracing::info!(%account, "{name} has a new key");
        Ok(Response::new(RotateAuthorizationKeyResponse {
            authorization: Some(self.checked(&rotated).await),
        }))
    }

    async fn check_authorization(
        &self,
        request: Request<CheckAuthorizationRequest>,
    ) -> Result<Response<CheckAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let (account, id) = child(&caller, &request.get_ref().name, name::AUTHORIZATIONS, WRITE)?;
        let authorization = self.directory.authorizations().get(account, id)?;
        let mut wire = authorization.to_wire();
        wire.health = Some(self.engine.check_now(&authorization).await);
        Ok(Response::new(CheckAuthorizationResponse {
            authorization: Some(wire),
        }))
    }

    async fn list_providers(
        &self,
        request: Request<ListProvidersRequest>,
    ) -> Result<Response<ListProvidersResponse>, Status> {
        self.directory.admit(&request, READ)?;
        Ok(Response::new(ListProvidersResponse {
            providers: providers::providers(),
        }))
    }

    async fn delete_authorization(
        &self,
        request: Request<DeleteAuthorizationRequest>,
    ) -> Result<Response<DeleteAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let DeleteAuthorizationRequest { name, revision } = request.get_ref();
        let (account, id) = child(&caller, name, name::AUTHORIZATIONS, WRITE)?;
        let removed = self.engine.removed(account);
        let authorizations = self.directory.authorizations();
        authorizations.delete(account, id, removed, based_on(*revision)).await?;
        tracing::info!(%account, "deleted {name}");
        Ok(Response::new(DeleteAuthorizationResponse {}))
    }
}
