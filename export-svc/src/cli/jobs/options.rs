//! What a job does otherwise than others.

use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;
use proto::export::v1 as wire;

use super::FlushAfter;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Attribute of Braze's users that holds the slugs; without it, lytics_segments. Set its type to array at Braze. It cannot be
    /// changed later. An audience may go to several attributes, by a job each.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    attribute: String,
    /// Create no users at Braze: whoever Braze does not know when an enter is sent gets no slug, and Braze does not say so.
    /// Without it, an unknown external id, e-mail address or phone number makes a user, which may cost.
    #[arg(long)]
    update_existing_only: bool,
    /// Hold changes at this time of the day, such as "22:00-06:00 Europe/Berlin", by a clock in that time zone, in summer as in
    /// winter. They are sent afterwards.
    #[arg(long, value_name = "FROM-TO ZONE")]
    quiet: Option<OrNone<Quiet>>,
    /// When the job is completed, such as 2027-01-01T00:00:00+01:00. From then on nothing is read or sent; `jobs update` with a
    /// later time lets it go on where it was.
    #[arg(long, value_name = "TIME")]
    expires: Option<OrNone<Timestamp>>,
    /// How many enters may be sent in a while, such as 10000/24h. Beyond that changes are held, and go on with the next period; the
    /// first begins now. If they wait longer than the membership topic keeps every record, the job is in fault.
    #[arg(long, value_name = "NUMBER/TIME")]
    user_cap: Option<OrNone<Cap>>,
}

impl Options {
    /// Writes them into a job.
    pub(super) fn write(self, job: &mut wire::ExportJob) {
        job.attribute = self.attribute;
        job.update_existing_only = self.update_existing_only;
        job.quiet_window = self.quiet.and_then(OrNone::<Quiet>::into_wire);
        job.expire_time = self.expires.and_then(OrNone::<Timestamp>::into_wire);
        job.user_cap = self.user_cap.and_then(OrNone::<Cap>::into_wire);
    }
}

/// Something, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrNone<T>(Option<T>);

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            text => text.parse().map(|given| Self(Some(given))),
        }
    }
}

impl OrNone<Quiet> {
    pub(super) fn into_wire(self) -> Option<wire::QuietWindow> {
        self.0.map(|Quiet(window)| window)
    }
}

impl OrNone<Timestamp> {
    pub(super) fn into_wire(self) -> Option<prost_types::Timestamp> {
        self.0.map(model::time::to_wire)
    }
}

impl OrNone<Cap> {
    pub(super) fn into_wire(self) -> Option<wire::UserCap> {
        self.0.map(|Cap(cap)| cap)
    }
}

/// `22:00-06:00 Europe/Berlin`. Whether there are such times and such a zone is for the service to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quiet(wire::QuietWindow);

impl FromStr for Quiet {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.trim().split_once(' ').and_then(|(times, zone)| {
            let (start, end) = times.split_once('-')?;
            Some(Self(wire::QuietWindow {
                start: start.to_owned(),
                end: end.to_owned(),
                time_zone: zone.trim().to_owned(),
            }))
        });
        parsed.ok_or("write it as \"22:00-06:00 Europe/Berlin\"")
    }
}

/// `10000/24h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cap(wire::UserCap);

impl FromStr for Cap {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(adds_max, period)| {
            let FlushAfter(period) = period.parse().ok()?;
            Some(Self(wire::UserCap {
                adds_max: adds_max.parse().ok()?,
                period: Some(prost_types::Duration::try_from(period).ok()?),
            }))
        });
        parsed.ok_or("write it as 10000/24h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_written_in_one_argument_each_and_none_is_none() {
        let quiet: OrNone<Quiet> = "22:00-06:00 Europe/Berlin".parse().unwrap();
        let quiet = quiet.into_wire().unwrap();
        assert_eq!(
            (&*quiet.start, &*quiet.end, &*quiet.time_zone),
            ("22:00", "06:00", "Europe/Berlin")
        );
        let cap = "10000/24h".parse::<OrNone<Cap>>().unwrap().into_wire().unwrap();
        assert_eq!(
            (cap.adds_max, cap.period.map(|period| period.seconds)),
            (10_000, Some(86_400))
        );
        let time: OrNone<Timestamp> = "2027-01-01T00:00:00+01:00".parse().unwrap();
        assert_eq!(time.into_wire().map(|time| time.seconds), Some(1_798_758_000));
        assert_eq!("none".parse::<OrNone<Quiet>>().unwrap().into_wire(), None);
        for bad in ["22:00-06:00", "22:00 Europe/Berlin", ""] {
            assert!(bad.parse::<OrNone<Quiet>>().is_err(), "{bad}");
        }
        for bad in ["10000", "10000/day", "-1/24h", "/24h"] {
            assert!(bad.parse::<OrNone<Cap>>().is_err(), "{bad}");
        }
    }
}
