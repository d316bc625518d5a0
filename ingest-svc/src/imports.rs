//! Import jobs: which files there are, who reads which, and how far each is.
//!
//! ```text
//! [control] job ─▶ plan ─▶ look ─▶ [import-progress] file ─▶ worker: read ─▶ normalize ─▶ publish ─▶ [profile-events]
//!                   ▲                     │                       └▶ next row, done ─▶ [import-progress]
//!                   └─────── view ◀───────┘
//! ```
//!
//! * The replicas share the slots of `import-placement`. The slot of a job's name says who *coordinates* it: looks for files, and writes
//!   down which there are, by compare-and-set. The slot of a file says who reads it.
//! * What a file's reader writes down is where to go on. Its end has a key of its own, so a late word of a reader that was frozen does not
//!   undo it.

pub(crate) mod callback;
mod coordinate;
mod diff;
mod export;
mod id;
mod key;
mod observe;
mod open;
mod options;
mod placement;
mod plan;
mod progress;
mod rate;
mod read;
pub(crate) mod segments;
mod view;
mod worker;

use std::convert::Infallible;
use std::sync::Arc;

use control::Directory;
use control::sealing::Sealer;
use kafka::{Member, Topics};
use runtime::background::Background;
use runtime::window::WINDOW_BYTES;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::export::Asker;
pub(crate) use self::observe::{Observed, files};
use self::open::Opener;
use self::placement::Placement;
pub(crate) use self::progress::Progress;
use self::worker::Parts;
use crate::config;
use crate::mappings::Mappings;
use crate::publish::Publish;
use crate::uploads::Uploads;

/// The consumer group of `import-placement`, without the prefix.
const GROUP: &str = "import-placement";

/// What runs import jobs at a replica.
pub(crate) struct Imports {
    placement: Placement,
}

/// What it is made of.
pub(crate) struct ImportParts {
    pub(crate) directory: Directory,
    pub(crate) mappings: Mappings,
    /// By a producer of their own, so that files never fill the queue of anything else.
    pub(crate) publish: Publish,
    /// Bytes that this producer queues, at most.
    pub(crate) queue_bytes_max: usize,
    pub(crate) progress: Progress,
    /// Opens secrets; `None`: there are no keys.
    pub(crate) sealer: Option<Arc<Sealer>>,
    pub(crate) config: config::Imports,
    /// Asks Braze for exports.
    pub(crate) braze: braze::Client,
    /// Where Braze reaches this service.
    pub(crate) public_url: Arc<str>,
    /// `None`: nothing can be uploaded here.
    pub(crate) uploads: Option<Uploads>,
    /// Of `import-placement`.
    pub(crate) slots: i32,
    /// Reads files, so that webhooks do not wait for that.
    pub(crate) background: Background,
}

impl Imports {
    /// Joins the group whose members share the jobs and files.
    ///
    /// # Errors
    /// As of [`Member::join`].
    pub(crate) fn new(kafka: &kafka::Config, parts: ImportParts) -> Result<Self, kafka::Error> {
        let member = Member::join(kafka, GROUP, &Topics::new(kafka).import_placement(), parts.slots)?;
        let files_max = parts.config.files_max;
        // An event may be twice as long as its row.
        let windows = (parts.queue_bytes_max / (2 * WINDOW_BYTES)).max(1);
        let asker = parts.sealer.clone().map(|sealer| Asker {
            directory: parts.directory.clone(),
            sealer,
            client: parts.braze,
            public_url: parts.public_url,
        });
        let workers = Parts {
            opener: Opener {
                directory: parts.directory,
                sealer: parts.sealer,
                uploads: parts.uploads,
                config: parts.config,
            },
            mappings: parts.mappings,
            publish: parts.publish,
            progress: parts.progress,
            room: Arc::new(Semaphore::new(windows)),
        };
        let placement = Placement::new(workers, asker, member, parts.slots, files_max, parts.background);
        Ok(Self { placement })
    }

    /// Runs until the drain; then every file has been left where it can be gone on with.
    pub(crate) async fn run(self, drain: CancellationToken) -> Result<(), Infallible> {
        self.placement.run(drain).await;
        Ok(())
    }
}
