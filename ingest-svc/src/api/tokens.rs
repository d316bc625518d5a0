//! `ApiTokenService`: create, get, list, change and delete API tokens. Every method needs the role admin.

mod settings;

use control::{Directory, Page};
use jiff::Timestamp;
use model::{AccountNumber, Role, name};
use proto::apitoken::v1 as wire;
use proto::apitoken::v1::api_token_service_server::ApiTokenService;
use runtime::grpc::status;
use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Response, Status};

use crate::normalize::Mapping;

/// The service.
pub(crate) struct Tokens {
    directory: Directory,
    public_url: String,
}

impl Tokens {
    pub(crate) fn new(directory: Directory, public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { directory, public_url }
    }

    fn webhook_url(&self, account: AccountNumber, token: &SecretString) -> String {
        let (stream, token) = (Mapping::braze_users().stream(), token.expose_secret());
        format!("{}/c/{account}/{stream}?key={token}", self.public_url)
    }

    /// The account that `parent` names, if the caller administers it.
    fn parent<T>(&self, request: &Request<T>, parent: &str) -> Result<AccountNumber, Status> {
        let caller = self.directory.admit(request, &[Role::Admin])?;
        let account = name::account(parent).map_err(|error| status::invalid_argument("parent", error.to_string()))?;
        caller.require(account, &[Role::Admin])?;
        Ok(account)
    }

    /// The account and id that `name` names, if the caller administers the account; `field` is where the request has it.
    fn child<'a, T>(
        &self,
        request: &Request<T>,
        field: &str,
        name: &'a str,
    ) -> Result<(AccountNumber, &'a str), Status> {
        let caller = self.directory.admit(request, &[Role::Admin])?;
        let child = name::child(name, name::API_TOKENS);
        let (account, id) = child.map_err(|error| status::invalid_argument(field, error.to_string()))?;
        caller.require(account, &[Role::Admin])?;
        Ok((account, id))
    }
}

#[tonic::async_trait]
impl ApiTokenService for Tokens {
    async fn create_api_token(
        &self,
        request: Request<wire::CreateApiTokenRequest>,
    ) -> Result<Response<wire::CreateApiTokenResponse>, Status> {
        let account = self.parent(&request, &request.get_ref().parent)?;
        let now = Timestamp::now();
        let (settings, expire_time) = settings::wanted(&request.into_inner().api_token.unwrap_or_default(), now)?;
        let tokens = self.directory.api_tokens();
        let (token, secret) = tokens.create(account, settings, expire_time, now).await?;
        tracing::info!(token = token.name(), "created {}", token.name());
        Ok(Response::new(wire::CreateApiTokenResponse {
            api_token: Some(token.to_wire()),
            token: secret.expose_secret().to_owned(),
            webhook_url: self.webhook_url(account, &secret),
        }))
    }

    async fn get_api_token(
        &self,
        request: Request<wire::GetApiTokenRequest>,
    ) -> Result<Response<wire::GetApiTokenResponse>, Status> {
        let (account, id) = self.child(&request, "name", &request.get_ref().name)?;
        let token = self.directory.api_tokens().get(account, id)?;
        Ok(Response::new(wire::GetApiTokenResponse {
            api_token: Some(token.to_wire()),
        }))
    }

    async fn list_api_tokens(
        &self,
        request: Request<wire::ListApiTokensRequest>,
    ) -> Result<Response<wire::ListApiTokensResponse>, Status> {
        let account = self.parent(&request, &request.get_ref().parent)?;
        let request = request.get_ref();
        let list = ["ListApiTokens", &request.parent];
        let page = Page::new(&list, request.page_size, &request.page_token);
        let page = page.map_err(|error| status::invalid_argument("page_token", error.to_string()))?;
        let listed = self.directory.api_tokens().list(account, &page)?;
        Ok(Response::new(wire::ListApiTokensResponse {
            api_tokens: listed.items.iter().map(control::ApiToken::to_wire).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn update_api_token(
        &self,
        request: Request<wire::UpdateApiTokenRequest>,
    ) -> Result<Response<wire::UpdateApiTokenResponse>, Status> {
        let wire::UpdateApiTokenRequest { api_token, update_mask } = request.get_ref();
        let new = api_token.clone().unwrap_or_default();
        let (account, id) = self.child(&request, "api_token.name", &new.name)?;
        let edit = settings::edit(&new, &update_mask.clone().unwrap_or_default())?;
        let based_on = (new.revision != 0).then_some(new.revision);
        let tokens = self.directory.api_tokens();
        let token = tokens.update(account, id, based_on, edit, Timestamp::now()).await?;
        tracing::info!(token = token.name(), "changed {}", token.name());
        Ok(Response::new(wire::UpdateApiTokenResponse {
            api_token: Some(token.to_wire()),
        }))
    }

    async fn delete_api_token(
        &self,
        request: Request<wire::DeleteApiTokenRequest>,
    ) -> Result<Response<wire::DeleteApiTokenResponse>, Status> {
        let wire::DeleteApiTokenRequest { name, revision } = request.get_ref();
        let (account, id) = self.child(&request, "name", name)?;
        let based_on = (*revision != 0).then_some(*revision);
        self.directory.api_tokens().delete(account, id, based_on).await?;
        tracing::info!(token = name, "revoked {name}");
        Ok(Response::new(wire::DeleteApiTokenResponse {}))
    }
}
