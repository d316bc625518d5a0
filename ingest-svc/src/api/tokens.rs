//! `ApiTokenService`: create, get, list and delete API tokens. Every method needs the role admin.

use control::{Directory, NewApiToken, Page};
use jiff::Timestamp;
use model::{AccountNumber, Role, name, text};
use proto::apitoken::v1 as wire;
use proto::apitoken::v1::api_token_service_server::ApiTokenService;
use runtime::grpc::status::{self, Violations};
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

    /// The account and id that `name` names, if the caller administers the account.
    fn child<'a, T>(&self, request: &Request<T>, name: &'a str) -> Result<(AccountNumber, &'a str), Status> {
        let caller = self.directory.admit(request, &[Role::Admin])?;
        let child = name::child(name, name::API_TOKENS);
        let (account, id) = child.map_err(|error| status::invalid_argument("name", error.to_string()))?;
        caller.require(account, &[Role::Admin])?;
        Ok((account, id))
    }
}

/// What the caller wants, with everything that is wrong with it at once.
fn wanted(token: Option<wire::ApiToken>, now: Timestamp) -> Result<NewApiToken, Status> {
    let token = token.unwrap_or_default();
    let mut violations = Violations::new();
    if !token.label.is_empty()
        && let Err(error) = text::label(&token.label)
    {
        violations.add("api_token.label", error.to_string());
    }
    if let Err(error) = text::description(&token.description) {
        violations.add("api_token.description", error.to_string());
    }
    let mut roles: Vec<Role> = token.roles.iter().filter_map(|role| Role::from_wire(*role)).collect();
    if roles.len() < token.roles.len() || roles.is_empty() {
        violations.add(
            "api_token.roles",
            "must be one or more of admin, data_manager, data_write, observer",
        );
    }
    roles.sort_unstable();
    roles.dedup();
    let expire_time = token.expire_time.as_ref().map(model::time::from_wire);
    if expire_time.is_some_and(|time| time.is_none_or(|time| time <= now)) {
        violations.add("api_token.expire_time", "must lie in the future");
    }
    violations.into_result()?;
    Ok(NewApiToken {
        label: token.label,
        description: token.description,
        roles,
        expire_time: expire_time.flatten(),
    })
}

#[tonic::async_trait]
impl ApiTokenService for Tokens {
    async fn create_api_token(
        &self,
        request: Request<wire::CreateApiTokenRequest>,
    ) -> Result<Response<wire::CreateApiTokenResponse>, Status> {
        let account = self.parent(&request, &request.get_ref().parent)?;
        let now = Timestamp::now();
        let new = wanted(request.into_inner().api_token, now)?;
        let (token, secret) = self.directory.api_tokens().create(account, new, now).await?;
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
        let (account, id) = self.child(&request, &request.get_ref().name)?;
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
        let page = Page::new(request.page_size, &request.page_token);
        let page = page.map_err(|error| status::invalid_argument("page_token", error.to_string()))?;
        let listed = self.directory.api_tokens().list(account, &page)?;
        Ok(Response::new(wire::ListApiTokensResponse {
            api_tokens: listed.items.iter().map(control::ApiToken::to_wire).collect(),
            next_page_token: listed.next_page_token,
        }))
    }

    async fn delete_api_token(
        &self,
        request: Request<wire::DeleteApiTokenRequest>,
    ) -> Result<Response<wire::DeleteApiTokenResponse>, Status> {
        let name = &request.get_ref().name;
        let (account, id) = self.child(&request, name)?;
        self.directory.api_tokens().delete(account, id).await?;
        tracing::info!(token = name, "revoked {name}");
        Ok(Response::new(wire::DeleteApiTokenResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn token() -> wire::ApiToken {
        wire::ApiToken {
            roles: vec![Role::DataManager.to_wire() as i32],
            ..Default::default()
        }
    }

    #[test]
    fn a_token_needs_a_role_and_nothing_else() {
        let new = wanted(Some(token()), NOW).unwrap();
        assert_eq!((new.roles, new.expire_time), (vec![Role::DataManager], None));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let bad = wire::ApiToken {
            label: " x".to_owned(),
            description: "x".repeat(2_001),
            roles: vec![1, 99],
            expire_time: Some(model::time::to_wire(NOW)),
            ..Default::default()
        };
        let message = wanted(Some(bad), NOW).unwrap_err().message().to_owned();
        for field in ["label", "description", "roles", "expire_time"] {
            assert!(
                message.contains(&format!("api_token.{field}: ")),
                "{field} in {message}"
            );
        }
        assert!(
            wanted(None, NOW)
                .unwrap_err()
                .message()
                .starts_with("api_token.roles: ")
        );
    }

    #[test]
    fn an_expiry_that_cannot_be_read_is_not_never() {
        let mut token = token();
        token.expire_time = Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        });
        assert!(wanted(Some(token), NOW).is_err());
    }
}
