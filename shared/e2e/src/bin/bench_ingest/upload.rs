//! A CSV through `/collect/bulk`: processor time over the floor's, and memory, which must not grow with the rows.

use std::path::Path;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, process};
use shared_e2e::ingest::{Connection, World, requests};

const MIB: f64 = 1_048_576.0;

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let rows = setup.pick(500_000, 50_000);
    let (header, text) = requests::csv(rows);
    let file = setup.logs.join("bench.csv");
    std::fs::write(&file, format!("{header}{text}"))?;
    let world = World::start(setup, "upload", &[]).await?;
    world.fill().await?;
    let mut ratios = Vec::new();
    for _ in 0..setup.pick(5, 1) {
        let before = process::cpu(world.id()?)?;
        upload(&world, &header, &text, rows, 1).await?;
        let product = (process::cpu(world.id()?)? - before).as_secs_f64() * 1e6 / rows as f64;
        let floor = floor(&world, &file, rows).await?;
        book.sample("upload", "product", json!({ "cpu_us_per_row": product }))?;
        book.sample("upload", "floor", json!({ "cpu_us_per_row": floor }))?;
        ratios.push(product / floor);
    }
    world.stop().await?;
    std::fs::remove_file(&file)?;
    let shown = if setup.quick { "short" } else { "500,000 rows" };
    book.figure(&Figure::of(
        &format!("processor time per row of a CSV ({shown}) over the floor"),
        &ratios,
        Bound::AtMost(1.40),
    ))?;
    let mut peaks = Vec::new();
    for times in [1, 10] {
        let world = World::start(setup, "upload", &[]).await?;
        upload(&world, &header, &text, rows, times).await?;
        let peak = process::memory_peak(world.id()?)? as f64;
        let values = json!({ "rows": rows * times, "peak_mib": (peak / MIB).round() });
        book.sample("memory", "product", values)?;
        peaks.push(peak);
        world.stop().await?;
    }
    book.figure(&Figure::single(
        "peak memory at ten times as many rows",
        peaks[1] / peaks[0],
        Bound::AtMost(1.05),
    ))
}

/// Sends the rows so many times, in one upload.
async fn upload(world: &World, header: &str, text: &str, rows: usize, times: usize) -> anyhow::Result<()> {
    let mut connection = Connection::open(world.http()).await?;
    let length = header.len() + times * text.len();
    let head = requests::head(&world.path("/collect/bulk"), "text/csv", length);
    connection.write(&head).await?;
    connection.write(header.as_bytes()).await?;
    for _ in 0..times {
        connection.write(text.as_bytes()).await?;
    }
    let (status, said) = connection.answer().await?;
    let whole = format!(r#""message_count":{},"#, rows * times);
    anyhow::ensure!(
        status == 200 && said.contains(&whole),
        "an upload is answered {status}: {said}"
    );
    Ok(())
}

/// The floor's processor time for each row, in microseconds.
async fn floor(world: &World, file: &Path, rows: usize) -> anyhow::Result<f64> {
    let file = file.display().to_string();
    let mut floor = world.floor(&["file", &file])?;
    floor.says().await?;
    let before = process::cpu(floor.id()?)?;
    floor.says().await?;
    let used = process::cpu(floor.id()?)? - before;
    floor.stop().await?;
    Ok(used.as_secs_f64() * 1e6 / rows as f64)
}
