//! Asks Braze for an export.

use std::sync::Arc;

use braze::{Client, Denial, Denied, OutputFormat, SegmentExport, StartedExport};
use control::sealing::Sealer;
use control::{Directory, SegmentFiles};
use jiff::{SignedDuration, Timestamp};
use model::AccountNumber;

use super::Asked;
use crate::imports::callback;
use crate::imports::key::{Key, key};

/// Whoever comes later than this after the intention was written may not be alone any more.
const LATE: SignedDuration = SignedDuration::from_mins(2);

/// What Braze is asked with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) directory: Directory,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) client: Client,
    /// Where Braze reaches this service.
    pub(crate) public_url: Arc<str>,
}

/// Asks once, and waits for the answer for 10 seconds at most.
///
/// # Errors
/// [`Denied`] if Braze has not begun, or that is not known. Neither the key nor the callback's address is in it.
pub(crate) async fn ask(
    asker: &Asker,
    (account, job): (AccountNumber, &str),
    files: &SegmentFiles,
    asked: Asked,
) -> Result<StartedExport, Denied> {
    if Timestamp::now().duration_since(asked.time) > LATE {
        return Err(Denied {
            denial: Denial::NotSent,
            message: "this process was held up before it could ask".to_owned(),
        });
    }
    if !asker.directory.is_fresh() {
        return Err(Denied {
            denial: Denial::NotSent,
            message: "the control table has not heard from Kafka for too long".to_owned(),
        });
    }
    let Key { base, key } = key(&asker.directory, &asker.sealer, &files.authorization).map_err(|message| Denied {
        denial: Denial::Unauthorized { status: None },
        message,
    })?;
    let callback = callback::address(&asker.public_url, &asker.sealer, (account, job), asked.number);
    let export = SegmentExport {
        segment_id: files.segment_id.clone(),
        fields: files.fields.clone(),
        custom_attributes: files.custom_attributes.clone(),
        callback: Some(callback),
        format: OutputFormat::Gzip,
    };
    asker.client.export_segment(&base, &key, &export).await
}
