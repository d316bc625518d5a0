//! `lytics.authorization.v1.AuthorizationService`.

use std::sync::Arc;

use control::sealing::Sealer;
use control::{Directory, NewAuthorization, PROVIDER};
use jiff::Timestamp;
use model::{name, text};
use proto::authorization::v1::authorization_service_server::AuthorizationService;
use proto::authorization::v1::{
    Authorization, CreateAuthorizationRequest, CreateAuthorizationResponse, DeleteAuthorizationRequest,
    DeleteAuthorizationResponse, GetAuthorizationRequest, GetAuthorizationResponse, ListAuthorizationsRequest,
    ListAuthorizationsResponse, RotateAuthorizationKeyRequest, RotateAuthorizationKeyResponse,
};
use runtime::grpc::status::{Violations, invalid_argument};
use secrecy::{ExposeSecret, SecretString};
use tonic::{Request, Response, Status};

use super::{READ, WRITE, check, check_is, child, page, parent};

/// Bound of a workspace's name, in bytes: it becomes part of Kafka's transactional ids and consumer groups.
const WORKSPACE_BYTES_MAX: usize = 100;
/// Bound of a REST API key, in bytes. Braze's have 36.
const KEY_BYTES_MAX: usize = 1_000;

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) sealer: Arc<Sealer>,
    pub(super) slots: i32,
}

/// The authorization that a request asks to create, or everything that is wrong with it.
fn parse(authorization: Authorization, rest_api_key: SecretString) -> Result<NewAuthorization, Status> {
    let mut violations = Violations::new();
    check_is(
        &mut violations,
        "authorization.provider",
        &authorization.provider,
        PROVIDER,
    );
    check_is(&mut violations, "authorization.method", &authorization.method, PROVIDER);
    check(
        &mut violations,
        "authorization.label",
        text::label(&authorization.label),
    );
    check(
        &mut violations,
        "authorization.description",
        text::description(&authorization.description),
    );
    check(
        &mut violations,
        "authorization.workspace",
        workspace(&authorization.workspace),
    );
    check(&mut violations, "rest_api_key", key(rest_api_key.expose_secret()));
    let instance = instance(&authorization.instance);
    check(&mut violations, "authorization.instance", instance.as_ref().map(|_| ()));
    violations.into_result()?;
    Ok(NewAuthorization {
        label: authorization.label,
        description: authorization.description,
        instance: instance.unwrap_or_default(),
        workspace: Some(authorization.workspace).filter(|workspace| !workspace.is_empty()),
        rest_api_key,
    })
}

/// The instance as its table spells it, or as it was given if it is newer than the table.
fn instance(given: &str) -> Result<String, String> {
    let known = || {
        braze::INSTANCES
            .iter()
            .map(|instance| instance.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let endpoint = braze::endpoint(given).map_err(|error| format!("{error}; known: {}", known()))?;
    let row = braze::INSTANCES
        .iter()
        .find(|instance| endpoint.host_str() == Some(instance.rest));
    Ok(row.map_or_else(|| given.trim().to_owned(), |row| row.name.to_owned()))
}

fn workspace(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > WORKSPACE_BYTES_MAX || !name.bytes().all(good) {
        return Err(format!(
            "must be at most {WORKSPACE_BYTES_MAX} letters, digits, '-', '_' and '.'"
        ));
    }
    Ok(())
}

/// Never shows the key.
fn key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("must not be blank: the REST API key from Braze's settings, with the permission users.track");
    }
    if key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be at most 1000 visible ASCII characters without white space (the key is not shown here)");
    }
    Ok(())
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
            authorization: Some(created.to_wire()),
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
            authorization: Some(authorization.to_wire()),
        }))
    }

    async fn list_authorizations(
        &self,
        request: Request<ListAuthorizationsRequest>,
    ) -> Result<Response<ListAuthorizationsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let account = parent(&caller, &request.parent, READ)?;
        let page = page(request.page_size, &request.page_token)?;
        let listed = self.directory.authorizations().list(account, &page)?;
        let authorizations = listed.items.iter().map(control::Authorization::to_wire).collect();
        Ok(Response::new(ListAuthorizationsResponse {
            authorizations,
            next_page_token: listed.next_page_token,
        }))
    }

    async fn rotate_authorization_key(
        &self,
        request: Request<RotateAuthorizationKeyRequest>,
    ) -> Result<Response<RotateAuthorizationKeyResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let RotateAuthorizationKeyRequest { name, rest_api_key } = request.into_inner();
        let new = SecretString::from(rest_api_key);
        let (account, id) = child(&caller, &name, name::AUTHORIZATIONS, WRITE)?;
        key(new.expose_secret()).map_err(|problem| invalid_argument("rest_api_key", problem))?;
        let authorizations = self.directory.authorizations();
        let rotated = authorizations
            .rotate_key(account, id, new, &self.sealer, Timestamp::now())
            .await?;
        tracing::info!(%account, "{name} has a new key");
        Ok(Response::new(RotateAuthorizationKeyResponse {
            authorization: Some(rotated.to_wire()),
        }))
    }

    async fn delete_authorization(
        &self,
        request: Request<DeleteAuthorizationRequest>,
    ) -> Result<Response<DeleteAuthorizationResponse>, Status> {
        let caller = self.directory.admit(&request, WRITE)?;
        let name = &request.get_ref().name;
        let (account, id) = child(&caller, name, name::AUTHORIZATIONS, WRITE)?;
        self.directory.authorizations().delete(account, id).await?;
        tracing::info!(%account, "deleted {name}");
        Ok(Response::new(DeleteAuthorizationResponse {}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Authorization {
        Authorization {
            provider: "braze".to_owned(),
            method: "braze".to_owned(),
            label: "Sim".to_owned(),
            instance: "us-01".to_owned(),
            ..Authorization::default()
        }
    }

    #[test]
    fn a_good_one_is_taken_over_with_the_instance_as_braze_spells_it() {
        let new = parse(good(), SecretString::from("k-1")).unwrap();
        assert_eq!(
            (new.label.as_str(), new.instance.as_str(), new.workspace),
            ("Sim", "US-01", None)
        );
        let newer = Authorization {
            instance: "https://rest.us-11.braze.com".to_owned(),
            ..good()
        };
        assert_eq!(
            parse(newer, SecretString::from("k")).unwrap().instance,
            "https://rest.us-11.braze.com"
        );
    }

    #[test]
    fn every_fault_is_told_at_once_and_the_key_is_not_shown() {
        let bad = Authorization {
            provider: "iterable".to_owned(),
            method: String::new(),
            label: " ".to_owned(),
            description: "x".repeat(2_001),
            instance: "US-09".to_owned(),
            workspace: "a/b".to_owned(),
            ..Authorization::default()
        };
        let status = parse(bad, SecretString::from("top secret")).unwrap_err();
        for field in [
            "provider",
            "method",
            "label",
            "description",
            "instance",
            "workspace",
            "rest_api_key",
        ] {
            assert!(
                status.message().contains(field),
                "{field} is missing: {}",
                status.message()
            );
        }
        assert!(!status.message().contains("top secret"));
    }

    #[test]
    fn an_unknown_instance_is_answered_with_the_known_ones() {
        let message = instance("US-09").unwrap_err();
        assert!(
            message.contains("US-09") && message.contains("US-01") && message.contains("EU-02"),
            "{message}"
        );
    }

    #[test]
    fn a_key_is_one_visible_word() {
        for bad in ["", " ", "a b", "a\n", "ключ"] {
            assert!(key(bad).is_err(), "{bad:?}");
        }
        assert_eq!(key("b1946ac9-2f5a-4c0f-9c4e-000000000000"), Ok(()));
    }
}
