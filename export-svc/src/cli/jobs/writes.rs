//! What a job writes to Braze.

use clap::{Args, ValueEnum};
use proto::export::v1 as wire;

#[derive(Debug, Args)]
pub(super) struct Writes {
    /// What the job writes to Braze. It cannot be changed later.
    #[arg(long = "type", value_enum, default_value_t = Type::Audiences)]
    of: Type,
    /// With --type events: name of the events; without it, lytics_audience. Their properties are audience, a slug, and action, entered or
    /// exited.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    event_name: String,
    /// With --type events: profile field that holds the time of the events, such as 2026-01-31T10:00:00Z, a date, or seconds since 1970.
    /// Without it, and for whoever has none there, it is the time of the change.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    event_time_field: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    /// The slugs of its audiences, into an attribute of users.
    Audiences,
    /// A custom event for each enter and each exit. Each costs a data point, and none is folded with another.
    Events,
}

impl Writes {
    /// Writes it into a job.
    pub(super) fn write(self, job: &mut wire::ExportJob) {
        job.r#type = match self.of {
            Type::Audiences => "export_audiences",
            Type::Events => "export_events",
        }
        .to_owned();
        job.event_name = self.event_name;
        job.event_time_field = self.event_time_field;
    }
}
