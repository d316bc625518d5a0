//! What the benches share: how they are called, what they write, and how samples are taken.

mod figure;
mod floor;
pub mod http;
mod page;
pub mod process;
mod sample;
mod stats;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use runtime::exit::Failure;

pub use self::figure::{Book, Bound, Figure};
pub use self::floor::Floor;
pub use self::sample::{Counts, Sample, reach, take};
pub use self::stats::{Median, median, percentile};
use crate::Broker;

/// The core of whoever is measured; everybody else has the others.
pub const CORE: usize = 0;
/// Where the samples go.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench");
/// What is made of them.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance.md");

/// A bench, by the service that it measures.
#[derive(Clone, Copy, Debug)]
pub struct Bench(pub &'static str);

/// How a bench is called.
#[derive(Args)]
pub struct Call {
    /// Small numbers and few samples, to see whether it works.
    #[arg(long)]
    quick: bool,
    /// Writes what was measured last into docs/performance.md instead.
    #[arg(long)]
    page: bool,
    /// Starts and stops Kafka, unless KAFKA_BROKERS names one.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka/kafka.sh"))]
    kafka_script: PathBuf,
}

/// What all measurements share.
pub struct Setup {
    /// Where Kafka is.
    pub brokers: String,
    /// Kafka's process, if it is known.
    pub broker: Option<u32>,
    /// Where logs go.
    pub logs: PathBuf,
    /// The short form: small numbers, to try whether it works.
    pub quick: bool,
}

impl Setup {
    /// One of two numbers.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

impl Bench {
    /// Runs what was called for. `more`: it adds to what was measured before.
    pub fn run(
        self,
        call: Call,
        more: bool,
        measure: impl AsyncFnOnce(&Setup, &mut Book) -> anyhow::Result<()>,
    ) -> ExitCode {
        let samples = Path::new(SAMPLES).join(format!("{}.jsonl", self.0));
        runtime::exit::run(async move {
            let done = if call.page {
                page::write(self, &samples, Path::new(PAGE))
            } else {
                on_kafka(&call, &samples, more, measure).await
            };
            done.map_err(Failure::call)
        })
    }
}

async fn on_kafka(
    call: &Call,
    samples: &Path,
    more: bool,
    measure: impl AsyncFnOnce(&Setup, &mut Book) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let broker = Broker::find(std::env::var("KAFKA_BROKERS").ok(), &call.kafka_script).await?;
    let measured = async {
        let mut book = Book::open(samples, &process::machine(), call.quick, more)?;
        let setup = Setup {
            brokers: broker.brokers.clone(),
            broker: broker.id().await,
            logs: PathBuf::from(SAMPLES),
            quick: call.quick,
        };
        measure(&setup, &mut book).await
    };
    let measured = measured.await;
    let stopped = broker.stop().await;
    measured?;
    stopped
}
