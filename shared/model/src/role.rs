//! What an API token may do.

use std::fmt;
use std::str::FromStr;

use proto::apitoken::v1 as wire;

/// A role of an API token. Roles add up; an admin may do everything in its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// May do everything in its account.
    Admin,
    /// May send and read data and set up exports.
    DataManager,
    /// May only send data.
    DataWrite,
    /// May look at resources, not at profile data.
    Observer,
}

/// Not the name of a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a role: one of admin, data_manager, data_write, observer")]
pub struct ParseRoleError;

impl Role {
    /// Every role, strongest first.
    pub const ALL: [Self; 4] = [Self::Admin, Self::DataManager, Self::DataWrite, Self::Observer];

    /// As people and command lines write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::DataManager => "data_manager",
            Self::DataWrite => "data_write",
            Self::Observer => "observer",
        }
    }

    /// The role that a contract names; `None` for an unspecified or unknown one.
    pub fn from_wire(value: i32) -> Option<Self> {
        match wire::Role::try_from(value).ok()? {
            wire::Role::Unspecified => None,
            wire::Role::Admin => Some(Self::Admin),
            wire::Role::DataManager => Some(Self::DataManager),
            wire::Role::DataWrite => Some(Self::DataWrite),
            wire::Role::Observer => Some(Self::Observer),
        }
    }

    /// As the contracts write it.
    pub fn to_wire(self) -> wire::Role {
        match self {
            Self::Admin => wire::Role::Admin,
            Self::DataManager => wire::Role::DataManager,
            Self::DataWrite => wire::Role::DataWrite,
            Self::Observer => wire::Role::Observer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(ParseRoleError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_survives_both_round_trips() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(Role::from_wire(role.to_wire() as i32), Some(role));
        }
        assert_eq!("root".parse::<Role>(), Err(ParseRoleError));
        assert_eq!(Role::from_wire(0), None);
        assert_eq!(Role::from_wire(99), None);
    }
}
