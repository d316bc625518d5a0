//! What becomes of a job that is new, or edited, while it is looked for what may be wrong with it.

use std::future::Future;

/// Waits for the job and for its warnings at once, and notes the job as soon as it is written: it is served so from then on, and
/// warnings take longer.
pub(super) async fn noted<J, N, E, W>(
    create: impl Future<Output = Result<J, E>>,
    note: impl FnOnce(J) -> N,
    warnings: impl Future<Output = W>,
) -> Result<(N, W), E> {
    let noted = async { create.await.map(note) };
    let (noted, warnings) = futures::join!(noted, warnings);
    Ok((noted?, warnings))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures::future::ready;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_job_is_noted_before_its_warnings_are_known() {
        let (note, is_noted) = oneshot::channel();
        let create = ready(Ok::<_, Infallible>("job"));
        let created = noted(create, |job| note.send(job), is_noted);
        let created = timeout(Duration::from_secs(60), created).await;
        let (_, warnings) = created.expect("it is noted").unwrap();
        assert_eq!(warnings, Ok("job"));
    }
}
