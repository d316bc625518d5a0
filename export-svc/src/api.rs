//! The gRPC services. Every method checks the token and its role first, then tells every fault of the request at once.

mod account;
mod audience;
mod authorization;
mod explain;
mod export_job;
mod export_log;
mod membership;
mod observed;
mod omitted;
mod providers;
mod tail;

use std::fmt::Display;
use std::sync::Arc;

use control::sealing::Sealer;
use control::{Caller, Directory, Page};
use kafka::Publisher;
use model::{AccountNumber, Role, name};
use proto::account::v1::account_service_server::AccountServiceServer;
use proto::authorization::v1::authorization_service_server::AuthorizationServiceServer;
use proto::export::v1::explain_service_server::ExplainServiceServer;
use proto::export::v1::export_job_service_server::ExportJobServiceServer;
use proto::export::v1::export_log_service_server::ExportLogServiceServer;
use proto::export::v1::export_plan_service_server::ExportPlanServiceServer;
use proto::export::v1::omitted_change_service_server::OmittedChangeServiceServer;
use proto::membership::v1::audience_membership_service_server::AudienceMembershipServiceServer;
use proto::membership::v1::audience_service_server::AudienceServiceServer;
use runtime::grpc::status::{Violations, invalid_argument};
use runtime::grpc::{MESSAGE_BYTES_MAX, Services};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::observed::Observer;
use self::tail::Tails;
use crate::engine::EngineHandle;
use crate::explain::Explainer;

/// May look at resources; an admin may always.
const READ: &[Role] = &[Role::DataManager, Role::Observer];
/// May change resources; an admin may always.
const WRITE: &[Role] = &[Role::DataManager];
/// May send data; an admin may always.
const SEND: &[Role] = &[Role::DataManager, Role::DataWrite];

/// What the services are built from.
pub struct Parts {
    /// Accounts, authorizations and jobs.
    pub directory: Directory,
    /// Seals Braze's keys.
    pub sealer: Arc<Sealer>,
    /// Partitions of `export-placement`, of which a new Braze workspace gets one.
    pub slots: i32,
    /// How to reach Kafka.
    pub kafka: kafka::Config,
    /// Whether a new account gets its membership topic from us.
    pub ensure_topics: bool,
    /// Publishes membership changes.
    pub publisher: Publisher,
    /// Changes of one call that may wait for Kafka at once.
    pub window_max: usize,
    /// Tells how jobs fare.
    pub engine: EngineHandle,
    /// Ends the calls that could go on for ever.
    pub drain: CancellationToken,
}

/// All services of export-svc, for [`runtime::grpc::Server::serve`].
pub fn services(parts: Parts) -> Services {
    let Parts {
        directory,
        sealer,
        slots,
        kafka,
        ensure_topics,
        publisher,
        window_max,
        engine,
        drain,
    } = parts;
    let accounts = account::Service {
        directory: directory.clone(),
        kafka: kafka.clone(),
        ensure_topics,
    };
    let authorizations = authorization::Service {
        directory: directory.clone(),
        sealer,
        slots,
        engine: engine.clone(),
    };
    let catalog = engine.catalog().clone();
    let audiences = audience::Service {
        directory: directory.clone(),
        catalog: catalog.clone(),
    };
    let explainer = Explainer {
        kafka: kafka.clone(),
        engine: engine.clone(),
        drain: drain.clone(),
    };
    let explain = explain::Service::new(directory.clone(), explainer);
    let observer = Observer(engine);
    let jobs = export_job::Service::new(
        directory.clone(),
        kafka.clone(),
        catalog,
        observer.clone(),
        drain.clone(),
    );
    let topics = kafka::Topics::new(&kafka);
    let tails = Tails::new(directory.clone(), kafka, drain.clone());
    let log = export_log::Service {
        directory: directory.clone(),
        tails: tails.clone(),
        topics: topics.clone(),
    };
    let omitted = omitted::Service {
        directory: directory.clone(),
        tails,
        topics: topics.clone(),
        observer,
    };
    let memberships = membership::Service {
        directory,
        publisher,
        topics,
        window_max,
        drain,
    };
    Services::new(proto::DESCRIPTORS)
        .add(AccountServiceServer::new(accounts).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(AuthorizationServiceServer::new(authorizations).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(ExportPlanServiceServer::new(jobs.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(ExportJobServiceServer::new(jobs).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(ExplainServiceServer::new(explain).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(ExportLogServiceServer::new(log).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(OmittedChangeServiceServer::new(omitted).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(AudienceServiceServer::new(audiences).max_decoding_message_size(MESSAGE_BYTES_MAX))
        .add(AudienceMembershipServiceServer::new(memberships).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// The account that a request's `parent` names, if the caller may use it.
fn parent(caller: &Caller, parent: &str, roles: &[Role]) -> Result<AccountNumber, Status> {
    let account = name::account(parent).map_err(|error| invalid_argument("parent", error.to_string()))?;
    caller.require(account, roles)?;
    Ok(account)
}

/// The account and id that a request's `name` names, if the caller may use that account.
fn child<'a>(
    caller: &Caller,
    name: &'a str,
    collection: &'static str,
    roles: &[Role],
) -> Result<(AccountNumber, &'a str), Status> {
    child_at(caller, "name", name, collection, roles)
}

/// As [`child`], of a name that the request has in another field.
fn child_at<'a>(
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
fn page(list: &[&str], size: u32, token: &str) -> Result<Page, Status> {
    Page::new(list, size, token).map_err(|error| invalid_argument("page_token", error.to_string()))
}

/// The revision that a request is based on, if it says so.
fn based_on(revision: u64) -> Option<u64> {
    (revision != 0).then_some(revision)
}

/// Notes what is wrong with a field, if something is.
fn check(violations: &mut Violations, field: &str, outcome: Result<(), impl Display>) {
    if let Err(problem) = outcome {
        violations.add(field, problem.to_string());
    }
}

/// Notes a field that must have one value and has another.
fn check_is(violations: &mut Violations, field: &str, given: &str, wanted: &str) {
    if given != wanted {
        violations.add(field, format!("must be {wanted}"));
    }
}
