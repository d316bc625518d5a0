//! Who sends, and whether they may.

use std::fmt::Display;

use control::{AuthError, Caller};
use http::StatusCode;
use jiff::Timestamp;
use model::{AccountNumber, AccountRef};
use secrecy::ExposeSecret;

use super::refused::Refused;
use super::take::Request;
use super::{Parts, SENDERS};

impl Parts {
    /// The sender and the account, if the token may send data to it; if none is named, the token's own. Nothing that was not read
    /// from a fresh table is a reason to refuse for good.
    pub(super) fn authorize(&self, request: &Request<'_>) -> Result<(Caller, AccountNumber), Refused> {
        if !self.directory.is_fresh() {
            return Err(Refused::unavailable(
                "table_old",
                "tokens cannot be checked now; send it again later",
            ));
        }
        let token = request.parameters.token.as_ref();
        let token = token.map_or("", |token| token.expose_secret());
        let from = self.directory.origin(request.peer, request.headers);
        let caller = self
            .directory
            .authenticate(token, from, Timestamp::now())
            .map_err(|error| match error {
                AuthError::Unavailable => Refused::unavailable("table_old", &error.to_string()),
                AuthError::Missing => unauthorized("no_token", &error),
                AuthError::Unknown => unauthorized("unknown_token", &error),
                AuthError::Expired => unauthorized("expired_token", &error),
                AuthError::Source(_) => forbidden("source", &error),
            })?;
        let unknown = || {
            let own = || caller.account().map(|own| own.to_string());
            let account = request.account.map(str::to_owned).or_else(own).unwrap_or_default();
            Refused {
                status: StatusCode::NOT_FOUND,
                reason: "unknown_account",
                message: format!("account {account:?} does not exist"),
            }
        };
        let account = match (request.account, caller.account()) {
            (Some(named), _) => named.parse().map_err(|_| unknown())?,
            (None, Some(own)) => AccountRef::Number(own),
            (None, None) => {
                return Err(Refused {
                    status: StatusCode::BAD_REQUEST,
                    reason: "parameter",
                    message: "the token is good for every account: name one in the parameter `account_id`".to_owned(),
                });
            }
        };
        let number = self.directory.account_number(account).map_err(|error| match error {
            control::Error::NotFound(_) => unknown(),
            error => Refused::unavailable("table_old", &error.to_string()),
        })?;
        let allowed = caller.require(number, &SENDERS);
        allowed.map_err(|error| forbidden("forbidden", &error))?;
        Ok((caller, number))
    }
}

fn forbidden(reason: &'static str, error: &dyn Display) -> Refused {
    Refused {
        status: StatusCode::FORBIDDEN,
        reason,
        message: format!("Not permitted: {error}"),
    }
}

fn unauthorized(reason: &'static str, error: &AuthError) -> Refused {
    Refused {
        status: StatusCode::UNAUTHORIZED,
        reason,
        message: format!("Not authorized: {error}"),
    }
}
