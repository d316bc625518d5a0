//! `doctor`.

mod finding;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use control::sealing::Sealer;
use control::{Authorization, Directory};
use jiff::Timestamp;
use proto::authorization::v1::HealthStatus;
use runtime::exit::Failure;

use self::finding::{Finding, clock};
use super::output::Output;
use super::serve;
use crate::app;
use crate::config::Config;
use crate::health::{self, Health};

/// Said before the faults of a configuration. Whoever has a service that runs need not mend them: they look in the wrong place.
const NOT_THE_SERVICES: &str = "\
with this configuration no service runs. Let doctor have the one of yours: run it where the service runs, such as \
`docker compose exec export-svc export-svc doctor`, or say --config with the service's file, or set the EXPORT_SVC__ variables \
that it has. What is wrong with this one:";
/// How long Kafka may take to answer.
const OPEN_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// TOML file with settings, as for `serve`. The environment wins.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How the findings are shown.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let mut config = serve::load(self.config.as_ref()).inspect_err(|_| eprintln!("{NOT_THE_SERVICES}"))?;
        config.kafka.open_timeout = config.kafka.open_timeout.min(OPEN_MAX);
        let mut findings = vec![Finding::ok("configuration", "it is good")];
        examine(&config, &mut findings).await;
        finding::print(self.output, &findings);
        match findings.iter().filter(|finding| finding.is_wrong()).count() {
            0 => Ok(()),
            1 => Err(Failure::call(anyhow!("1 thing is wrong"))),
            several => Err(Failure::call(anyhow!("{several} things are wrong"))),
        }
    }
}

/// Everything, as far as one thing can be looked at without another.
async fn examine(config: &Config, findings: &mut Vec<Finding>) {
    let brokers = &config.kafka.brokers;
    let mut examined = kafka::topics::examine(&config.kafka, &[]).await;
    match &examined {
        Ok(_) => findings.push(Finding::ok("kafka", format!("{brokers} answers"))),
        Err(error) => {
            findings.push(Finding::wrong("kafka", runtime::error::chain(error)).fix(format!(
                "see that Kafka runs at {brokers}, and kafka.brokers and kafka.security are right"
            )));
            return;
        }
    }
    let directory = Directory::open(&config.kafka, &config.auth).await;
    let known = directory
        .map_err(|error| runtime::error::chain(&error))
        .and_then(|directory| control(&directory));
    let authorizations = match known {
        Ok((accounts, authorizations)) => {
            let text = format!("{} accounts, {} authorizations", accounts.len(), authorizations.len());
            findings.push(Finding::ok("control table", text));
            if !accounts.is_empty() {
                examined = kafka::topics::examine(&config.kafka, &accounts).await;
            }
            authorizations
        }
        Err(problem) => {
            let problem = Finding::wrong("control table", problem);
            findings.push(problem.fix("see below what is wrong with its topic, or above with Kafka"));
            Vec::new()
        }
    };
    findings.extend(examined.iter().flatten().flat_map(finding::topic));
    braze(config, &authorizations, findings).await;
}

/// Numbers of the accounts, and the authorizations.
fn control(directory: &Directory) -> Result<(Vec<u64>, Vec<Authorization>), String> {
    let accounts = directory.accounts().all().map_err(|error| error.to_string())?;
    let authorizations = directory.authorizations().all().map_err(|error| error.to_string())?;
    Ok((
        accounts.iter().map(|account| account.number.get()).collect(),
        authorizations,
    ))
}

/// Keys, whether Braze takes them, and the clock that its answers show.
async fn braze(config: &Config, authorizations: &[Authorization], findings: &mut Vec<Finding>) {
    let parts = app::braze_client(config).and_then(|client| Ok((client, Sealer::from_config(&config.secrets.keys)?)));
    let (client, sealer) = match parts {
        Ok((client, sealer)) => (client, Arc::new(sealer)),
        Err(error) => {
            findings.push(Finding::wrong("braze", format!("{error:#}")).fix("see sections `braze` and `secrets`"));
            return;
        }
    };
    let health = Health::new(client.clone(), Arc::clone(&sealer));
    let mut asked = None;
    for authorization in authorizations {
        let (name, label) = (authorization.name(), &authorization.label);
        let credential = match health::credential(authorization, &sealer) {
            Ok(credential) => credential,
            Err(problem) => {
                let problem = Finding::wrong("key", format!("{name} (\"{label}\"): {problem}"));
                findings.push(problem.fix("put the sealing key back into secrets.keys, or give a new one with `export-svc authorizations rotate-key`"));
                continue;
            }
        };
        let seen = health.check(authorization).await;
        let told = format!("{name} (\"{label}\")");
        let optional = seen.uses.iter().filter(|used_for| used_for.optional);
        let missing = optional.filter(|_| seen.status() == HealthStatus::Healthy);
        for used_for in missing.filter(|used_for| used_for.status() == HealthStatus::Unhealthy) {
            let finding = Finding::unusual("key", format!("{told}: {}", used_for.reason));
            findings.push(finding.fix(format!("without {} everything else works", used_for.permission)));
        }
        findings.push(match seen.status() {
            HealthStatus::Healthy => Finding::ok("key", format!("{told}: Braze takes it")),
            HealthStatus::Unhealthy => Finding::wrong("key", format!("{told}: {}", seen.reason))
                .fix(format!("create a key with that permission at Braze, then `export-svc authorizations rotate-key {name} --key-file FILE`")),
            HealthStatus::Unknown | HealthStatus::Unspecified => {
                let host = credential.endpoint.host_str().unwrap_or_default().to_owned();
                Finding::unusual("key", format!("{told}: Braze could not be asked"))
                    .fix(format!("see that {host} can be reached from here, by a proxy if there is one"))
            }
        });
        asked.get_or_insert(credential);
    }
    let Some(credential) = asked else {
        findings.push(Finding::unusual(
            "clock",
            "not compared: there is no authorization whose Braze could be asked",
        ));
        return;
    };
    let begun = Timestamp::now();
    let told = client.server_time(&credential.endpoint).await;
    findings.push(clock(begun, Timestamp::now(), told));
}
