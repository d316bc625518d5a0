#![doc = include_str!("../README.md")]

mod account;
mod address;
mod auth;
mod authorization;
mod caller;
mod directory;
mod error;
mod export_job;
mod exported;
mod grpc;
mod id;
mod import_job;
mod mapping;
mod page;
mod record;
pub mod sealing;
mod shadow;
mod storage;
mod token;
mod workspace;

pub use account::{Account, Accounts, NewAccount};
pub use address::{AllowedSource, Network, ParseNetworkError, ParseSourceError};
pub use auth::Auth;
pub use authorization::{Authorization, AuthorizationSettings, Authorizations, Budget, NewAuthorization, PROVIDER};
pub use caller::{AuthError, Caller, Forbidden, UsedToken};
pub use directory::Directory;
pub use error::Error;
pub use export_job::{
    ATTRIBUTE, Addition, Alias, AllExportJobs, AudienceEvents, Coalesce, CustomEvents, EVENT_NAME, ExportJob,
    ExportJobEdit, ExportJobs, Guard, Hold, Identifiers, Move, NewExportJob, NewRedrive, NewReset, Options,
    OptionsEdit, Purchases, QuietError, QuietWindow, Redrive, Removal, Removed, Reset, Source, UserCap, Writes,
};
pub use id::new_id;
pub use import_job::{
    AllImportJobs, FileFormat, FormatError, ImportJob, ImportJobEdit, ImportJobs, ImportMove, ImportSchedule,
    ImportSource, NewImportJob, ScheduleError, SegmentFiles, StorageFiles, UploadedFile,
};
pub use mapping::{Mapping, Mappings, NewMapping};
pub use page::{Listed, Page, PageError};
pub use shadow::{Shadow, Shadows};
pub use storage::{
    NewStorageAuthorization, Storage, StorageAuthorization, StorageAuthorizations, StorageSecret, StorageSettings,
};
pub use token::{ApiToken, ApiTokenSettings, ApiTokens, Limits};
pub use workspace::Workspace;
