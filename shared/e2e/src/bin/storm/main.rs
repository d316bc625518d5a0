//! `make storm`: replicas of export-svc as real processes over a real Kafka, with the Braze simulator in this process. While
//! changes flow, everything goes wrong that may: see [`schedule::Act`]. Afterwards, for every user and audience, the simulator must
//! hold what the last record of the log says, no call may have been overtaken by its opposite, every change must be counted once,
//! and no more may have been sent again than the guarantee allows.
//!
//! Everything is drawn from one seed, which is printed first. The log is believed, not the generator: Kafka may have taken a record
//! without saying so. What the storm compares with shares no code with export-svc.

mod braze;
mod calls;
mod calm;
mod changes;
mod control;
mod counts;
mod edges;
mod fleet;
mod log;
mod schedule;
mod storm;
mod timing;
mod verdict;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use runtime::exit::Failure;
use shared_e2e::Broker;

use self::braze::Braze;
use self::calm::Outcome;
use self::changes::Changes;
use self::control::ADMIN_TOKEN;
use self::fleet::Fleet;
use self::log::Log;
use self::schedule::{Plan, schedule};
use self::storm::Storm;
use self::world::{ACCOUNTS, audiences};

/// Partitions of the topics.
const PARTITIONS: i32 = 4;
/// Seals keys of a Braze that is gone with the process.
const SEALING_KEY: &str = "storm:dGhlIHN0b3JtIG9ubHksIG5vdCBhIHNlY3JldCEhISE=";

/// Kills, freezes and starves export-svc while changes flow, and compares what comes out with what must.
///
/// Exit code 0: everything is as it must be. 1: something is not.
#[derive(Parser)]
#[command(name = "storm")]
struct Options {
    /// How many membership changes are published.
    #[arg(long, default_value_t = 1_000_000)]
    changes: u64,
    /// How many users they are about; few of them are in most changes.
    #[arg(long, default_value_t = 50_000)]
    users: u32,
    /// At most so many changes in a second.
    #[arg(long, default_value_t = 4_000)]
    rate: u64,
    /// Decides everything that is left to chance; drawn if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many replicas of export-svc.
    #[arg(long, default_value_t = 2)]
    replicas: usize,
    /// Breaks a condition of the guarantee, to show that the storm notices.
    #[arg(long = "break", value_name = "WHAT")]
    sabotage: Option<Sabotage>,
    /// Starts, restarts and stops Kafka, unless KAFKA_BROKERS names one (which is never restarted).
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka/kafka.sh"))]
    kafka_script: PathBuf,
}

/// Something broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sabotage {
    /// Braze applies calls later after its 2xx than `engine.settle_gap`.
    Reorder,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    let seed = *options.seed.get_or_insert_with(|| u64::from(rand::random::<u32>()));
    println!("storm: seed={seed}");
    runtime::exit::run(async move { run(&options, seed).await.map_err(Failure::call) })
}

async fn run(options: &Options, seed: u64) -> anyhow::Result<()> {
    let broker = Broker::find(std::env::var("KAFKA_BROKERS").ok(), &options.kafka_script).await?;
    let storm = Arc::new(open(options, seed, broker).await?);
    let raged = rage(options, seed, &storm).await;
    let stopped = storm.broker.stop().await;
    let outcome = raged.with_context(|| format!("the storm of seed {seed} did not come to its end"))?;
    stopped?;
    for finding in &outcome.findings {
        println!("storm: {finding}");
    }
    let events = storm.fleet.events();
    println!(
        "storm: seed={seed} changes={} users={} requests={} updates={} kills={} terminations={} freezes={} interruptions={} \
         mismatches={} order_violations={} repeats={} repeats_allowed={} not_kept={} miscounted={} edges_missed={} compacted_away={} \
         bad_ends={}",
        options.changes,
        options.users,
        outcome.requests,
        outcome.updates,
        events.kills,
        events.terminations,
        events.freezes,
        events.interruptions.len(),
        outcome.mismatches,
        outcome.order_violations,
        outcome.repeats.repeats,
        outcome.repeats.allowed,
        outcome.not_kept,
        outcome.miscounted,
        outcome.edges_missed,
        outcome.compacted_away,
        outcome.bad_ends,
    );
    anyhow::ensure!(
        outcome.is_good(),
        "not everything is as it must be; again with: make storm ARGS=\"--seed {seed} --changes {}\"",
        options.changes
    );
    Ok(())
}

/// Prepares everything; nothing runs yet but Kafka and the simulator.
async fn open(options: &Options, seed: u64, broker: Broker) -> anyhow::Result<Storm> {
    let braze = Braze::start(seed, options.users, options.sabotage == Some(Sabotage::Reorder)).await?;
    // No two storms on one Kafka see each other.
    let run = format!("storm-{seed}-{:08x}", rand::random::<u32>());
    let kafka = kafka::Config {
        brokers: broker.brokers.clone(),
        topic_prefix: format!("{run}."),
        partitions_max: Some(PARTITIONS),
        ..kafka::Config::default()
    };
    let logs = directory(&run)?;
    println!("storm: the replicas' logs are in {}", logs.display());
    let fleet = Fleet::new(options.replicas, &environment(&kafka, &braze.url()), &logs)?;
    let log = Log::new(kafka, audiences())?;
    Ok(Storm::new(braze, broker, Arc::new(fleet), log, audiences()))
}

async fn rage(options: &Options, seed: u64, storm: &Arc<Storm>) -> anyhow::Result<Outcome> {
    let plan = Plan {
        seed,
        changes: options.changes,
        replicas: options.replicas,
        own_broker: storm.broker.is_ours(),
        freeze: timing::FREEZE,
    };
    let changes = Changes::new(seed, options.users)?;
    storm.fleet.start().await?;
    storm.set_up().await?;
    let whole = async {
        storm
            .rage(options.changes, changes, options.rate, schedule(plan))
            .await?;
        storm.calm().await
    };
    tokio::select! {
        outcome = whole => outcome,
        failed = storm.fleet.supervise() => failed.and_then(|()| anyhow::bail!("nobody watches the replicas")),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

/// Where the replicas' logs go: beside the program, below `target`.
fn directory(run: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program
        .parent()
        .and_then(Path::parent)
        .context("the program is nowhere")?;
    let directory = target.join("storm").join(run);
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// A replica's configuration.
fn environment(kafka: &kafka::Config, braze: &str) -> Vec<(String, String)> {
    let settings = [
        ("KAFKA__BROKERS", kafka.brokers.as_str()),
        ("KAFKA__TOPIC_PREFIX", &kafka.topic_prefix),
        ("KAFKA__PARTITIONS_MAX", &PARTITIONS.to_string()),
        ("AUTH__ADMIN_TOKEN", ADMIN_TOKEN),
        ("SECRETS__KEYS", SEALING_KEY),
        (
            "BOOTSTRAP__ACCOUNTS",
            &ACCOUNTS.map(|number| format!("{number}=Storm {number}")).join(","),
        ),
        ("BRAZE__ENDPOINT", braze),
        ("GRPC__LISTEN", "127.0.0.1:0"),
        ("ADMIN__LISTEN", "127.0.0.1:0"),
    ]
    .map(|(key, value)| (format!("EXPORT_SVC__{key}"), value.to_owned()));
    let mut environment = timing::settings();
    environment.extend(settings);
    environment
}
