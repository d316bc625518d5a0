//! As much as Braze takes: 75,000 updates a second over TLS, against the simulator's limiter, at 100 ms latency.

use std::time::Duration;

use anyhow::Context as _;
use braze_sim::{Fault, Options, Settings, Sim, SimHandle, Tls};
use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, process};
use tokio::time::Instant;

use crate::load::Load;
use crate::world::World;

const AUDIENCE: &str = "big-spenders";
const FLUSH_AFTER: Duration = Duration::from_secs(2);
const LATENCY: Duration = Duration::from_millis(100);
/// Requests per second that Braze allows: 3,000 within any 3 s.
const ALLOWED: u64 = 1_000;
/// Until every connection is made.
const WARM_UP: Duration = Duration::from_secs(3);

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let ca = setup.logs.join("bench-ca.pem");
    std::fs::write(&ca, made.cert.pem())?;
    let options = Options {
        settings: Settings {
            journal_body_bytes_max: 0,
            journal_bytes_max: usize::MAX,
            ..Settings::default()
        },
        tls: Some(Tls {
            certificate: made.cert.der().to_vec(),
            key: made.signing_key.serialize_der(),
        }),
        ..Options::default()
    };
    let sim = Sim::start(options).await.context("the simulator")?;
    let handle = sim.handle();
    handle.inject(Fault::delay(LATENCY));
    let settings = [
        ("BRAZE__CA_FILE", ca.to_str().context("a path in UTF-8")?),
        ("ENGINE__REQUESTS_PER_SECOND", &ALLOWED.to_string()),
        // 100 are in flight at this rate and latency.
        ("ENGINE__IN_FLIGHT_MAX", "150"),
        // One job alone fills half of it: as much as is in flight, and what is read meanwhile.
        ("ENGINE__PENDING_MAX", "40000"),
    ];
    let mut world = World::start(setup, "ceiling", &sim.base_url(), &settings).await?;
    let authorization = world.authorize().await?;
    let time = setup.pick(Duration::from_secs(60), Duration::from_secs(10));
    let seconds = (time + 2 * WARM_UP).as_secs();
    Load::new(&world.kafka)?
        .enter(AUDIENCE, 0..seconds * ALLOWED * 75)
        .await?;
    world.create_job(&authorization, AUDIENCE, FLUSH_AFTER).await?;
    handle.until_arrivals(1).await;
    tokio::time::sleep(WARM_UP).await;

    let (first, at) = (handle.arrivals(), Instant::now());
    let (cpu, cpu_of_us) = (process::cpu(world.id()?)?, process::cpu(std::process::id())?);
    tokio::time::sleep(time).await;
    let (last, seconds) = (handle.arrivals(), at.elapsed().as_secs_f64());
    let cores = |before: Duration, after: Duration| (after - before).as_secs_f64() / seconds;
    let cores_of_us = cores(cpu_of_us, process::cpu(std::process::id())?);
    let cores = cores(cpu, process::cpu(world.id()?)?);
    let Calls {
        refused,
        updates,
        seconds_each,
    } = Calls::of(&handle, first, last);
    let allowed = seconds * ALLOWED as f64;
    let share = (last - first) as f64 / allowed;
    let values = json!({
        "requests": last - first,
        "seconds": seconds,
        "updates": updates,
        "status_429": refused,
        "cores": cores,
        // The simulator's, who is in this process; with Kafka it has one core.
        "simulator_cores": cores_of_us,
        "seconds_from_head_to_answer": seconds_each,
    });
    book.sample("ceiling", "product", values)?;
    book.figure(&Figure::single(
        "requests over those that Braze allows",
        share,
        Bound::AtLeast(0.98),
    ))?;
    book.figure(&Figure::single(
        "calls that Braze answers with 429",
        refused as f64,
        Bound::AtMost(0.0),
    ))?;
    let batch = updates as f64 / (last - first) as f64;
    book.figure(&Figure::single(
        "updates in a request, on average",
        batch,
        Bound::AtLeast(74.5),
    ))?;
    book.figure(&Figure::single(
        "cores used at Braze's limit",
        cores,
        Bound::AtMost(0.15),
    ))?;
    world.stop().await
}

/// What the simulator's journal says.
struct Calls {
    /// Answered with 429 since the start.
    refused: usize,
    /// In the calls between two arrivals.
    updates: usize,
    /// How long one of those took, on average, as the simulator sees it.
    seconds_each: f64,
}

impl Calls {
    fn of(handle: &SimHandle, first: u64, last: u64) -> Self {
        let journal = handle.journal();
        let refused = journal.iter().filter(|call| call.status == Some(429)).count();
        let measured = journal.iter().filter(|call| (first + 1..=last).contains(&call.arrival));
        let ended = measured
            .clone()
            .filter_map(|call| Some((call.arrived_at, call.ended_at?)));
        let (mut seconds, mut calls) = (0.0, 0.0);
        for (arrived, ended) in ended {
            seconds += ended.duration_since(arrived).as_secs_f64();
            calls += 1.0;
        }
        Self {
            refused,
            updates: measured.map(|call| call.users.len()).sum(),
            seconds_each: seconds / calls,
        }
    }
}
