//! What the services of storage authorizations and import jobs have in common.

use std::fmt::Display;

use control::{Caller, Page};
use model::{AccountNumber, Role, name};
use runtime::grpc::status::{Violations, invalid_argument};
use tonic::Status;

/// May look at resources; an admin may always.
pub(super) const READ: &[Role] = &[Role::DataManager, Role::Observer];
/// May change resources; an admin may always.
pub(super) const WRITE: &[Role] = &[Role::DataManager];

/// The account that `parent` names, if the caller may.
pub(super) fn parent(caller: &Caller, parent: &str, roles: &[Role]) -> Result<AccountNumber, Status> {
    let account = name::account(parent).map_err(|error| invalid_argument("parent", error.to_string()))?;
    caller.require(account, roles)?;
    Ok(account)
}

/// The account and id that `name` names, if the caller may; `field` is where the request has it.
pub(super) fn child<'a>(
    caller: &Caller,
    field: &str,
    name: &'a str,
    collection: &'static str,
    roles: &[Role],
) -> Result<(AccountNumber, &'a str), Status> {
    let (account, id) = name::child(name, collection).map_err(|error| invalid_argument(field, error.to_string()))?;
    caller.require(account, roles)?;
    Ok((account, id))
}

/// The page of a list, which is what `list` says: see [`Page::new`].
pub(super) fn page(list: &[&str], size: u32, token: &str) -> Result<Page, Status> {
    Page::new(list, size, token).map_err(|error| invalid_argument("page_token", error.to_string()))
}

/// The revision that a request is based on, if it says so.
pub(super) fn based_on(revision: u64) -> Option<u64> {
    (revision != 0).then_some(revision)
}

/// Notes what is wrong with a field, if something is.
pub(super) fn check(violations: &mut Violations, field: &str, outcome: Result<(), impl Display>) {
    if let Err(problem) = outcome {
        violations.add(field, problem.to_string());
    }
}

/// What is wrong with the mask of an edit that can change `fields` of the resource in `resource`, where nothing is to change if `is_empty`.
pub(super) fn check_mask(
    violations: &mut Violations,
    paths: &[String],
    fields: &[&str],
    resource: &str,
    is_empty: bool,
) {
    // Nor is `*` known: it would take back what a client of an earlier version cannot have meant.
    if let Some(path) = paths.iter().find(|path| !fields.contains(&path.as_str())) {
        let all = fields.join(", ");
        violations.add("update_mask", format!("{path:?} cannot be changed; what can: {all}"));
    } else if is_empty {
        violations.add(
            "update_mask",
            format!("names nothing, and nothing is set in {resource}"),
        );
    }
}
