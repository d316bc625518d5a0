//! The floor under export-svc, which `make bench-export` compares it with: the least that anybody must do who takes changes out
//! of Kafka and posts 75 at a time to Braze. It reads the topic with the settings of the product's reader, counts to 75, and posts
//! one prebuilt body of 75 updates through the product's client, with the product's bound on calls in flight; same allocator,
//! same runtime. It decodes nothing, folds nothing, keeps no order and no progress. Where a take-over is measured, it is a member
//! of a consumer group first, with the settings of the product's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use braze::{AttributeName, Clause, Client, ClientOptions, End, Identifier, Track, TrackBuilder};
use clap::Parser;
use kafka::{BareReader, Disposition, Member, ReaderOptions};
use secrecy::SecretString;
use tokio::sync::Semaphore;

// librdkafka allocates too; an unprefixed jemalloc serves both.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long a poll waits, as the product's does while it is busy.
const POLL: Duration = Duration::from_millis(5);

/// Reads a topic from its beginning until it is killed.
#[derive(Parser)]
#[command(name = "floor")]
struct Options {
    /// Where Kafka is.
    #[arg(long)]
    brokers: String,
    /// What is read.
    #[arg(long)]
    topic: String,
    /// Where Braze is; without it every record is dropped.
    #[arg(long)]
    endpoint: Option<braze::Url>,
    /// Begins once it holds a partition of this topic, as a member of a group of the same name.
    #[arg(long, value_name = "TOPIC")]
    member_of: Option<String>,
    /// Calls in flight.
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let config = kafka::Config {
        brokers: options.brokers,
        ..kafka::Config::default()
    };
    let member = options
        .member_of
        .map(|topic| Member::join(&config, &topic, &topic, 1))
        .transpose()?;
    if let Some(member) = &member {
        let mut held = member.held();
        runtime.block_on(held.wait_for(|held| !held.owned.is_empty()))?;
    }
    let reader = BareReader::open(&config, &ReaderOptions::default(), &options.topic)?;
    let Some(endpoint) = options.endpoint else {
        loop {
            take(&reader)?;
        }
    };
    let client = Client::new(ClientOptions {
        endpoint_override: Some(endpoint.clone()),
        ..ClientOptions::default()
    })?;
    let call = Arc::new(Call {
        client,
        endpoint,
        key: SecretString::from("sim-key"),
        track: prebuilt()?,
    });
    let permits = Arc::new(Semaphore::new(options.in_flight));
    let mut counted = 0;
    loop {
        counted += usize::from(take(&reader)?);
        if counted == braze::OBJECTS_MAX {
            counted = 0;
            let permit = runtime.block_on(Arc::clone(&permits).acquire_owned())?;
            let call = Arc::clone(&call);
            runtime.spawn(async move {
                let attempt = call.client.track(&call.endpoint, &call.key, &call.track).await;
                if !matches!(attempt.end, End::Accepted { .. }) {
                    eprintln!("floor: a call did not end well: {:?}", attempt.end);
                }
                drop(permit);
            });
        }
    }
}

struct Call {
    client: Client,
    endpoint: braze::Url,
    key: SecretString,
    track: Track,
}

/// Whether there was a record.
fn take(reader: &BareReader) -> anyhow::Result<bool> {
    match reader.poll(POLL) {
        Err(error) if error.disposition() != Disposition::Retry => Err(error.into()),
        polled => Ok(polled.unwrap_or(false)),
    }
}

fn prebuilt() -> anyhow::Result<Track> {
    let enters = Clause::new(&AttributeName::new("lytics_segments")?, ["big-spenders"], []);
    let mut builder = TrackBuilder::new(braze::OBJECTS_MAX, braze::BODY_BYTES_MAX);
    for number in 0..braze::OBJECTS_MAX {
        let identifier = Identifier::ExternalId(format!("cust-{number:08}"));
        let pushed = builder.push(&identifier, &enters);
        pushed.context("75 short updates fit")?;
    }
    Ok(builder.finish())
}
