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

mod id;
mod observe;
mod plan;
mod progress;
mod rate;
mod view;

pub(crate) use self::observe::{Observed, files};
pub(crate) use self::progress::Progress;
pub(crate) use self::view::JobView;
