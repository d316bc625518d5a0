//! What a job does otherwise than others, if somebody wants that.

use std::time::Duration;

use jiff::Timestamp;
use proto::export::v1 as wire;

use super::{ExportJob, QuietWindow, Writes};

/// The attribute of a Braze user that holds the slugs of its audiences, unless a job names another one.
pub const ATTRIBUTE: &str = "lytics_segments";

/// What a job does otherwise than others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What it writes.
    pub writes: Writes,
    /// The attribute that holds the slugs, if it writes one: one that Braze takes.
    pub attribute: String,
    /// An enter creates no user at Braze.
    pub update_existing_only: bool,
    /// The time of day at which changes are held.
    pub quiet_window: Option<QuietWindow>,
    /// When it is completed: from then on nothing is read or sent.
    pub expire_time: Option<Timestamp>,
    /// How many enters may reach Braze in a while.
    pub user_cap: Option<UserCap>,
}

/// At most so many enters in each period; the first period begins when the job is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserCap {
    /// Enters that Braze may be sent, each change counted once.
    pub adds_max: u64,
    /// How long a period is; not zero.
    pub period: Duration,
}

/// Why a job is not served for now, going by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// It is completed, since then.
    Expired(Timestamp),
    /// Its changes are held until then.
    Quiet(Timestamp),
}

/// Other options, of those that can be changed; what is `None` stays, and `Some(None)` is none any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionsEdit {
    /// See [`Options::quiet_window`].
    pub quiet_window: Option<Option<QuietWindow>>,
    /// See [`Options::expire_time`].
    pub expire_time: Option<Option<Timestamp>>,
    /// See [`Options::user_cap`].
    pub user_cap: Option<Option<UserCap>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            writes: Writes::default(),
            attribute: ATTRIBUTE.to_owned(),
            update_existing_only: false,
            quiet_window: None,
            expire_time: None,
            user_cap: None,
        }
    }
}

impl Options {
    /// Takes over what is to be different.
    pub(super) fn edit(&mut self, edit: &OptionsEdit) {
        let OptionsEdit {
            quiet_window,
            expire_time,
            user_cap,
        } = edit.clone();
        self.quiet_window = quiet_window.unwrap_or(self.quiet_window.take());
        self.expire_time = expire_time.unwrap_or(self.expire_time);
        self.user_cap = user_cap.unwrap_or(self.user_cap);
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expire_time.is_some_and(|expires| expires <= now)
    }

    /// Why the job is not served now, going by the clock, and when that is to be asked again, if ever.
    pub fn hold(&self, now: Timestamp) -> (Option<Hold>, Option<Timestamp>) {
        if let Some(expired) = self.expire_time.filter(|_| self.is_expired(now)) {
            return (Some(Hold::Expired(expired)), None);
        }
        let Some(window) = &self.quiet_window else {
            return (None, self.expire_time);
        };
        let change = window.next_change(now);
        let quiet = window.is_quiet(now).then_some(Hold::Quiet(change));
        (quiet, self.expire_time.into_iter().chain([change]).min())
    }

    pub(super) fn write(&self, job: &mut wire::ExportJob) {
        self.writes.write(job);
        if self.writes.is_attribute() {
            job.attribute.clone_from(&self.attribute);
        }
        job.update_existing_only = self.update_existing_only;
        job.quiet_window = self.quiet_window.as_ref().map(QuietWindow::to_wire);
        job.expire_time = self.expire_time.map(model::time::to_wire);
        job.user_cap = self.user_cap.map(UserCap::to_wire);
    }

    /// `None`: nothing that this version knows. Jobs of older versions have none of them.
    pub(super) fn read(job: &wire::ExportJob) -> Option<Self> {
        let attribute = match job.attribute.as_str() {
            "" => ATTRIBUTE,
            named => named,
        };
        let window = job.quiet_window.as_ref().map(QuietWindow::from_wire);
        let cap = job.user_cap.as_ref().map(UserCap::from_wire);
        Some(Self {
            writes: Writes::read(job)?,
            attribute: attribute.to_owned(),
            update_existing_only: job.update_existing_only,
            quiet_window: window.transpose().ok()?,
            expire_time: match &job.expire_time {
                Some(time) => Some(model::time::from_wire(time)?),
                None => None,
            },
            user_cap: match cap {
                Some(cap) => Some(cap?),
                None => None,
            },
        })
    }
}

impl UserCap {
    /// As the contracts write it.
    pub fn to_wire(self) -> wire::UserCap {
        wire::UserCap {
            adds_max: self.adds_max,
            period: prost_types::Duration::try_from(self.period).ok(),
        }
    }

    /// As the contracts write it. `None`: it lets nothing through, or has no period.
    pub fn from_wire(cap: &wire::UserCap) -> Option<Self> {
        let period = cap.period.and_then(|period| Duration::try_from(period).ok());
        let period = period.filter(|period| !period.is_zero())?;
        (cap.adds_max > 0).then_some(Self {
            adds_max: cap.adds_max,
            period,
        })
    }
}

impl ExportJob {
    /// When the period of its cap began that is under way, and when it ends, in milliseconds since 1970.
    pub fn period(&self, cap: UserCap, now_millis: i64) -> (i64, i64) {
        let length = i64::try_from(cap.period.as_millis()).unwrap_or(i64::MAX).max(1);
        let first = self.create_time.as_millisecond();
        let begin = first.saturating_add(
            (now_millis.saturating_sub(first))
                .div_euclid(length)
                .saturating_mul(length),
        );
        (begin, begin.saturating_add(length))
    }
}
