//! The most memory, which must not grow with the rows.

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, process};

use crate::bucket::Bucket;
use crate::files::Form;
use crate::job::{self, Jobs};

const MIB: f64 = 1_048_576.0;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let few = setup.pick(500_000, 50_000);
    let (mut peaks, mut of_floor) = (Vec::new(), 0.0);
    for rows in [few, 10 * few] {
        let bucket = Bucket::start().await?;
        Form::Csv.write(&bucket.path("rows.csv"), rows)?;
        let world = job::world(setup, "memory", &bucket).await?;
        world.fill().await?;
        let jobs = Jobs::of(&world, &bucket).await?;
        let job = jobs.create("rows.csv").await?;
        jobs.done(&job, rows as u64).await?;
        let peak = process::memory_peak(world.id()?)? as f64;
        book.sample(
            "memory",
            "product",
            json!({ "rows": rows, "peak_mib": (peak / MIB).round() }),
        )?;
        peaks.push(peak);
        let file = bucket.path("rows.csv").display().to_string();
        let mut floor = world.floor(&["file", "--form", "csv", &file])?;
        floor.says().await?;
        floor.says().await?;
        of_floor = process::memory_peak(floor.id()?)? as f64;
        book.sample(
            "memory",
            "floor",
            json!({ "rows": rows, "peak_mib": (of_floor / MIB).round() }),
        )?;
        floor.stop().await?;
        world.stop().await?;
    }
    book.figure(&Figure::single(
        "peak memory of an import at ten times as many rows",
        peaks[1] / peaks[0],
        Bound::AtMost(1.05),
    ))?;
    book.figure(&Figure::single(
        "peak memory of an import beyond the floor's, MiB",
        (peaks[1] - of_floor) / MIB,
        Bound::AtMost(32.0),
    ))
}
