//! The gRPC edge: tokens in metadata, errors as statuses.

use jiff::Timestamp;
use model::{AccountNumber, Role};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::{AuthError, Caller, Directory, Error, Forbidden};

impl Directory {
    /// Who sends this request, by the token in its metadata `authorization` (bare, or after `Bearer`).
    ///
    /// # Errors
    /// UNAUTHENTICATED without a good token; PERMISSION_DENIED from an address that it may not be used from; UNAVAILABLE when
    /// tokens cannot be checked.
    pub fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        let token = token(request.metadata()).ok_or(AuthError::Missing)?;
        let peer = request.remote_addr().map(|peer| peer.ip());
        let from = self.origin(peer, request.metadata().as_ref());
        Ok(self.authenticate(token, from, Timestamp::now())?)
    }

    /// Who sends this request, once it is sure that the token is good and has one of `roles`; for which account is asked with
    /// [`Caller::require`] as soon as the request says it.
    ///
    /// # Errors
    /// As [`Directory::caller`]; PERMISSION_DENIED for another role.
    pub fn admit<T>(&self, request: &Request<T>, roles: &[Role]) -> Result<Caller, Status> {
        let caller = self.caller(request)?;
        caller.require_role(roles)?;
        Ok(caller)
    }

    /// That the sender of this request has one of `roles` in `account`.
    ///
    /// # Errors
    /// As [`Directory::caller`]; PERMISSION_DENIED for another account or role.
    pub fn authorize<T>(&self, request: &Request<T>, account: AccountNumber, roles: &[Role]) -> Result<Caller, Status> {
        let caller = self.caller(request)?;
        caller.require(account, roles)?;
        Ok(caller)
    }
}

fn token(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?.trim();
    let bare = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => value,
    };
    (!bare.is_empty()).then_some(bare)
}

impl From<AuthError> for Status {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => {
                Self::unauthenticated("no API token was sent; send one in the metadata `authorization`")
            }
            AuthError::Unknown | AuthError::Expired => Self::unauthenticated(error.to_string()),
            AuthError::Source(_) => Self::permission_denied(error.to_string()),
            AuthError::Unavailable => Self::unavailable(error.to_string()),
        }
    }
}

impl From<Forbidden> for Status {
    fn from(error: Forbidden) -> Self {
        Self::permission_denied(error.to_string())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound(_) => Self::not_found(text),
            Error::AlreadyExists(_) => Self::already_exists(text),
            Error::FailedPrecondition(_) => Self::failed_precondition(text),
            Error::Aborted | Error::Stale(_) => Self::aborted(text),
            Error::TooLarge { .. } => Self::invalid_argument(text),
            Error::Refused(_) => Self::failed_precondition(text),
            Error::Unknown(source) => {
                tracing::warn!(error = &source as &dyn std::error::Error, "control table: {text}");
                Self::deadline_exceeded(text)
            }
            Error::Unavailable(source) => {
                if let Some(source) = source {
                    tracing::warn!(error = &source as &dyn std::error::Error, "control table: {text}");
                }
                Self::unavailable(text)
            }
            Error::Corrupt { .. } | Error::Sealing(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "control plane: {text}");
                Self::internal(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn sent(value: &'static str) -> Option<String> {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", value.parse().unwrap());
        token(&metadata).map(str::to_owned)
    }

    #[test]
    fn a_token_is_taken_bare_or_after_bearer() {
        for value in ["lb_7_a_b", "Bearer lb_7_a_b", "bearer  lb_7_a_b "] {
            assert_eq!(sent(value).as_deref(), Some("lb_7_a_b"), "{value}");
        }
        assert_eq!(sent(""), None);
        assert_eq!(
            sent("Bearer "),
            Some("Bearer".to_owned()),
            "a word alone is a token, and an unknown one"
        );
        assert_eq!(token(&MetadataMap::new()), None);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_never_a_wrong_token() {
        assert_eq!(Status::from(AuthError::Unavailable).code(), Code::Unavailable);
        assert_eq!(Status::from(AuthError::Unknown).code(), Code::Unauthenticated);
        assert_eq!(Status::from(Error::Unavailable(None)).code(), Code::Unavailable);
    }
}
