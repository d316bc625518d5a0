//! Processor time for each row, over the floor's.

use std::path::Path;

use serde_json::json;
use shared_e2e::bench::{Book, Bound, Figure, Setup, process};
use shared_e2e::ingest::World;

use crate::bucket::Bucket;
use crate::files::Form;
use crate::job::{self, Jobs};

/// # Errors
/// When something does not work; a missed figure is no error.
pub(crate) async fn run(setup: &Setup, book: &mut Book) -> anyhow::Result<()> {
    let bucket = Bucket::start().await?;
    let world = job::world(setup, "cost", &bucket).await?;
    world.fill().await?;
    let jobs = Jobs::of(&world, &bucket).await?;
    for (form, shown, bound) in [
        (Form::Csv, "of a CSV in object storage over the floor", 1.40),
        (Form::Lines, "of NDJSON in gzip over the floor that inflates it", 1.50),
        (Form::Avro, "of Avro over the floor that reads it", 2.00),
    ] {
        let rows = setup.pick(500_000, 20_000);
        let file = setup.logs.join(format!("bench.{}", form.ending()));
        form.write(&file, rows)?;
        let mut noise = Vec::new();
        let (mut ratios, mut each) = (Vec::new(), Vec::new());
        for pair in 0..setup.pick(5, 1) {
            let (one, other) = (
                floor(&world, form, &file, rows).await?,
                floor(&world, form, &file, rows).await?,
            );
            noise.push(one / other);
            let key = format!("{}-{pair}.{}", form.name(), form.ending());
            let product = product(&world, &jobs, &bucket, &file, &key, rows).await?;
            let floor = floor(&world, form, &file, rows).await?;
            book.sample(form.name(), "product", json!({ "cpu_us_per_row": product }))?;
            book.sample(form.name(), "floor", json!({ "cpu_us_per_row": floor }))?;
            ratios.push(product / floor);
            each.push(product);
        }
        std::fs::remove_file(&file)?;
        let name = form.name();
        book.figure(&Figure::of(
            &format!("noise of {name}: processor time, floor over floor"),
            &noise,
            Bound::Shown,
        ))?;
        book.figure(&Figure::of(
            &format!("processor time per row {shown}"),
            &ratios,
            Bound::AtMost(bound),
        ))?;
        book.figure(&Figure::of(
            &format!("processor time per row of {name}, µs"),
            &each,
            Bound::Shown,
        ))?;
    }
    world.stop().await
}

/// The product's processor time for each row, in microseconds: from the wish to the end.
async fn product(
    world: &World,
    jobs: &Jobs,
    bucket: &Bucket,
    file: &Path,
    key: &str,
    rows: usize,
) -> anyhow::Result<f64> {
    std::fs::copy(file, bucket.path(key))?;
    let before = process::cpu(world.id()?)?;
    let job = jobs.create(key).await?;
    jobs.done(&job, rows as u64).await?;
    let used = process::cpu(world.id()?)? - before;
    std::fs::remove_file(bucket.path(key))?;
    Ok(used.as_secs_f64() * 1e6 / rows as f64)
}

/// The floor's.
async fn floor(world: &World, form: Form, file: &Path, rows: usize) -> anyhow::Result<f64> {
    let file = file.display().to_string();
    let mut floor = world.floor(&["file", "--form", form.name(), &file])?;
    floor.says().await?;
    let before = process::cpu(floor.id()?)?;
    floor.says().await?;
    let used = process::cpu(floor.id()?)? - before;
    floor.stop().await?;
    Ok(used.as_secs_f64() * 1e6 / rows as f64)
}
