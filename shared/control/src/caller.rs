//! Who calls, and what that lets them do.

use std::net::IpAddr;
use std::sync::Arc;

use model::{AccountNumber, Role};

use crate::Limits;

/// A token proves nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// None was sent.
    #[error("no API token was sent")]
    Missing,
    /// Not one that was given out, or revoked.
    #[error("the API token is not known; it may have been revoked")]
    Unknown,
    /// Past its expiry.
    #[error("the API token has expired")]
    Expired,
    /// It may be used from some addresses only, and not from this one; `None` if nobody knows from which it is.
    #[error("the API token may not be used from {}", address(.0))]
    Source(Option<IpAddr>),
    /// The control table is too old to tell: to be answered with UNAVAILABLE or 503, never as if the token were wrong.
    #[error("the API token cannot be checked now, because Kafka is not available; try again")]
    Unavailable,
}

/// The caller is known and may not do this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The token belongs to another account.
    #[error("the API token belongs to another account")]
    Account,
    /// The token has none of the roles that would do.
    #[error("this needs the role {}", one_of(.needed))]
    Role {
        /// Any of these would do.
        needed: Vec<Role>,
    },
    /// Only the installation's own admin token may do this.
    #[error("this needs the admin token of the installation")]
    Installation,
}

fn address(from: &Option<IpAddr>) -> String {
    from.map_or_else(|| "an unknown address".to_owned(), |from| from.to_string())
}

fn one_of(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ")
}

/// Somebody whose token was checked. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    account: Option<AccountNumber>,
    roles: Arc<[Role]>,
    token: Option<Arc<UsedToken>>,
}

/// The token that proved a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedToken {
    /// Its name.
    pub name: String,
    /// How much may be sent with it.
    pub limits: Limits,
}

impl Caller {
    /// The holder of the installation's admin token: every account, every role.
    pub fn installation() -> Self {
        Self {
            account: None,
            roles: Arc::new([Role::Admin]),
            token: None,
        }
    }

    /// The holder of a token of one account.
    pub(crate) fn with(account: AccountNumber, roles: Vec<Role>, token: UsedToken) -> Self {
        Self {
            account: Some(account),
            roles: roles.into(),
            token: Some(Arc::new(token)),
        }
    }

    /// The token of the control table; `None` for the installation's admin token, which has no limits.
    pub fn token(&self) -> Option<&UsedToken> {
        self.token.as_deref()
    }

    /// The account of the token; `None` for the installation's admin token.
    pub fn account(&self) -> Option<AccountNumber> {
        self.account
    }

    /// That the caller has one of `roles` in `account`. An admin of the account has them all.
    ///
    /// # Errors
    /// When the token belongs to another account, or has no such role.
    pub fn require(&self, account: AccountNumber, roles: &[Role]) -> Result<(), Forbidden> {
        if self.account.is_some_and(|own| own != account) {
            return Err(Forbidden::Account);
        }
        self.require_role(roles)
    }

    /// That the caller has one of `roles`, wherever. An admin has them all.
    ///
    /// # Errors
    /// When the token has no such role.
    pub fn require_role(&self, roles: &[Role]) -> Result<(), Forbidden> {
        if self
            .roles
            .iter()
            .any(|role| *role == Role::Admin || roles.contains(role))
        {
            return Ok(());
        }
        let mut needed = vec![Role::Admin];
        needed.extend(roles.iter().copied().filter(|role| *role != Role::Admin));
        Err(Forbidden::Role { needed })
    }

    /// That the caller holds the installation's admin token.
    ///
    /// # Errors
    /// When the token belongs to an account.
    pub fn require_installation(&self) -> Result<(), Forbidden> {
        if self.account.is_some() {
            Err(Forbidden::Installation)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> AccountNumber {
        AccountNumber::new(n).unwrap()
    }

    fn of(account: AccountNumber, roles: Vec<Role>) -> Caller {
        let token = UsedToken {
            name: format!("accounts/{account}/apiTokens/a"),
            limits: Limits::default(),
        };
        Caller::with(account, roles, token)
    }

    #[test]
    fn a_role_counts_in_its_own_account_only() {
        let caller = of(number(1), vec![Role::DataManager]);
        assert_eq!(caller.require(number(1), &[Role::DataManager, Role::DataWrite]), Ok(()));
        assert_eq!(caller.require(number(2), &[Role::DataManager]), Err(Forbidden::Account));
        assert_eq!(caller.require_installation(), Err(Forbidden::Installation));
    }

    #[test]
    fn an_observer_may_not_write_and_is_told_who_may() {
        let caller = of(number(1), vec![Role::Observer]);
        let error = caller
            .require(number(1), &[Role::DataManager, Role::DataWrite])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "this needs the role admin or data_manager or data_write"
        );
    }

    #[test]
    fn an_admin_has_every_role_in_its_account_and_the_installation_everywhere() {
        let admin = of(number(1), vec![Role::Admin]);
        assert_eq!(admin.require(number(1), &[Role::DataWrite]), Ok(()));
        assert_eq!(admin.require(number(2), &[Role::DataWrite]), Err(Forbidden::Account));
        assert_eq!(Caller::installation().require(number(2), &[Role::DataWrite]), Ok(()));
        assert_eq!(Caller::installation().require_installation(), Ok(()));
    }
}
