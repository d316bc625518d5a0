//! `StorageAuthorizationService`: credentials for object storage, tried before they are kept.

mod parse;
mod trial;

use std::sync::Arc;

use control::sealing::Sealer;
use control::{Directory, Storage};
use jiff::Timestamp;
use model::name;
use proto::imports::v1 as wire;
use proto::imports::v1::storage_authorization_service_server::StorageAuthorizationService;
use runtime::grpc::status::{failed_precondition, invalid_argument};
use secrecy::SecretString;
use tonic::{Request, Response, Status};

use super::resource::{READ, WRITE, based_on, child, page, parent};
use crate::config;

/// What a secret cannot do without.
const NO_KEYS: &str = "there is no key to seal secrets with: set secrets.keys";

/// The service.
pub(crate) struct Storages {
    directory: Directory,
    sealer: Option<Arc<Sealer>>,
    imports: config::Imports,
}

impl Storages {
    /// `sealer` seals the secrets.
    pub(crate) fn new(directory: Directory, sealer: Option<Arc<Sealer>>, imports: config::Imports) -> Self {
        Self {
            directory,
            sealer,
            imports,
        }
    }

    fn sealer(&self) -> Result<&Arc<Sealer>, Status> {
        self.sealer.as_ref().ok_or_else(|| failed_precondition(NO_KEYS))
    }

    /// That the storage can be listed with the secret.
    async fn list(&self, storage: &Storage, secret: Option<SecretString>) -> Result<(), Status> {
        let listed = trial::list(storage, secret, &self.imports).await;
        listed.map_err(|error| trial::refused(&error))
    }
}

#[tonic::async_trait]
impl StorageAuthorizationService for Storages {
    async fn create_storage_authorization(
        &self,
        request: Request<wire::CreateStorageAuthorizationRequest>,
    ) -> Result<Response<wire::CreateStorageAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::CreateStorageAuthorizationRequest {
            parent: of,
            storage_authorization,
            secret,
        } = request.into_inner();
        let secret = SecretString::from(secret);
        let account = parent(&caller, &of, WRITE)?;
        let new = parse::parse(storage_authorization.unwrap_or_default(), secret, &self.imports)?;
        self.directory.account_number(model::AccountRef::Number(account))?;
        if new.secret.is_some() {
            self.sealer()?;
        }
        self.list(&new.storage, new.secret.clone()).await?;
        let (authorizations, sealer) = (self.directory.storage_authorizations(), self.sealer.as_deref());
        let created = authorizations.create(account, new, sealer, Timestamp::now()).await?;
        tracing::info!(%account, "created {}", created.name());
        Ok(Response::new(wire::CreateStorageAuthorizationResponse {
            storage_authorization: Some(created.to_wire()),
        }))
    }

    async fn get_storage_authorization(
        &self,
        request: Request<wire::GetStorageAuthorizationRequest>,
    ) -> Result<Response<wire::GetStorageAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let named = &request.get_ref().name;
        let (account, id) = child(&caller, "name", named, name::STORAGE_AUTHORIZATIONS, READ)?;
        let authorization = self.directory.storage_authorizations().get(account, id)?;
        Ok(Response::new(wire::GetStorageAuthorizationResponse {
            storage_authorization: Some(authorization.to_wire()),
        }))
    }

    async fn list_storage_authorizations(
        &self,
        request: Request<wire::ListStorageAuthorizationsRequest>,
    ) -> Result<Response<wire::ListStorageAuthorizationsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let list = ["ListStorageAuthorizations", &request.parent];
        let page = page(&list, request.page_size, &request.page_token)?;
        let listed = self.directory.storage_authorizations().list(account, &page)?;
        let authorizations = listed.items.iter().map(control::StorageAuthorization::to_wire);
        Ok(Response::new(wire::ListStorageAuthorizationsResponse {
            storage_authorizations: authorizations.collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn update_storage_authorization(
        &self,
        request: Request<wire::UpdateStorageAuthorizationRequest>,
    ) -> Result<Response<wire::UpdateStorageAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::UpdateStorageAuthorizationRequest {
            storage_authorization,
            update_mask,
        } = request.into_inner();
        let new = storage_authorization.unwrap_or_default();
        let field = "storage_authorization.name";
        let (account, id) = child(&caller, field, &new.name, name::STORAGE_AUTHORIZATIONS, WRITE)?;
        let edit = parse::edit(&new, &update_mask.unwrap_or_default())?;
        let authorizations = self.directory.storage_authorizations();
        let updated = authorizations
            .update(account, id, edit, based_on(new.revision), Timestamp::now())
            .await?;
        tracing::info!(%account, "changed {}", updated.name());
        Ok(Response::new(wire::UpdateStorageAuthorizationResponse {
            storage_authorization: Some(updated.to_wire()),
        }))
    }

    async fn rotate_storage_secret(
        &self,
        request: Request<wire::RotateStorageSecretRequest>,
    ) -> Result<Response<wire::RotateStorageSecretResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::RotateStorageSecretRequest {
            name,
            secret,
            access_key_id,
            revision,
        } = request.into_inner();
        let secret = SecretString::from(secret);
        let (account, id) = child(&caller, "name", &name, name::STORAGE_AUTHORIZATIONS, WRITE)?;
        let authorizations = self.directory.storage_authorizations();
        let known = authorizations.get(account, id)?;
        if !known.storage.needs_secret() {
            return Err(invalid_argument("name", "is a folder, which has no secret"));
        }
        let new = parse::rotation(&known.storage, secret, access_key_id)?;
        let sealer = self.sealer()?;
        let storage = known.storage.with_access_key(new.access_key_id.as_deref());
        self.list(&storage, Some(new.secret.clone())).await?;
        // What was tried is what is kept: with another access key meanwhile it would not be.
        let based_on = based_on(revision).or(Some(known.revision));
        let rotated = authorizations
            .rotate_secret(account, id, new, sealer, based_on, Timestamp::now())
            .await?;
        tracing::info!(%account, "{name} has a new secret");
        Ok(Response::new(wire::RotateStorageSecretResponse {
            storage_authorization: Some(rotated.to_wire()),
        }))
    }

    async fn check_storage_authorization(
        &self,
        request: Request<wire::CheckStorageAuthorizationRequest>,
    ) -> Result<Response<wire::CheckStorageAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let named = &request.get_ref().name;
        let (account, id) = child(&caller, "name", named, name::STORAGE_AUTHORIZATIONS, WRITE)?;
        let known = self.directory.storage_authorizations().get(account, id)?;
        let secret = if known.has_secret() {
            let opened = known.secret(self.sealer()?);
            opened.map_err(|error| failed_precondition(error.to_string()))?
        } else {
            None
        };
        let listed = trial::list(&known.storage, secret, &self.imports).await;
        Ok(Response::new(wire::CheckStorageAuthorizationResponse {
            problem: listed.err().map(|error| error.to_string()).unwrap_or_default(),
        }))
    }

    async fn delete_storage_authorization(
        &self,
        request: Request<wire::DeleteStorageAuthorizationRequest>,
    ) -> Result<Response<wire::DeleteStorageAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let wire::DeleteStorageAuthorizationRequest { name, revision } = request.get_ref();
        let (account, id) = child(&caller, "name", name, name::STORAGE_AUTHORIZATIONS, WRITE)?;
        let authorizations = self.directory.storage_authorizations();
        authorizations.delete(account, id, based_on(*revision)).await?;
        tracing::info!(%account, "deleted {name}");
        Ok(Response::new(wire::DeleteStorageAuthorizationResponse {}))
    }
}
