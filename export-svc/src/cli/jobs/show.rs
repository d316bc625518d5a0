//! An export job as something to show.

use jiff::Timestamp;
use proto::export::v1 as wire;
use proto::export::v1::purchase_value;
use serde_json::{Value, json};

use crate::cli::output::{Show, time};

impl Show for wire::ExportJob {
    const COLUMNS: &'static [&'static str] = &[
        "NAME",
        "LABEL",
        "TYPE",
        "STATE",
        "AUDIENCES",
        "ADDED",
        "REMOVED",
        "OMITTED",
        "REJECTED",
        "PENDING",
        "UNREAD",
        "OLDEST",
    ];

    fn row(&self) -> Vec<String> {
        let count =
            |of: fn(wire::ExportCounters) -> u64| self.counters.map_or_else(String::new, |all| of(all).to_string());
        vec![
            self.name.clone(),
            self.label.clone(),
            self.r#type.trim_start_matches("export_").to_owned(),
            state(self),
            self.audiences.join(","),
            count(|all| all.added),
            count(|all| all.removed),
            count(|all| all.omitted),
            count(|all| all.rejected),
            self.pending.to_string(),
            self.unread.map_or_else(String::new, |unread| unread.to_string()),
            age(self.oldest_unconfirmed_time, Timestamp::now()),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let counters = self.counters.map(counters);
        let quiet = self.quiet_window.as_ref();
        let quiet = quiet.map(|quiet| json!({"start": quiet.start, "end": quiet.end, "timeZone": quiet.time_zone}));
        let cap = self.user_cap.as_ref();
        let cap = cap.map(|cap| json!({"addsMax": cap.adds_max, "period": seconds(cap.period)}));
        vec![
            ("name", json!(self.name)),
            ("type", json!(self.r#type)),
            ("label", json!(self.label)),
            ("description", json!(self.description)),
            ("state", json!(state(self))),
            ("stateReason", json!(self.state_reason)),
            ("guarded", json!(self.guarded)),
            ("audiences", json!(self.audiences)),
            ("authorization", json!(self.authorization)),
            ("externalIdField", json!(self.external_id_field)),
            ("brazeIdField", json!(self.braze_id_field)),
            ("userAliasLabel", json!(self.user_alias_label)),
            ("userAliasField", json!(self.user_alias_field)),
            ("emailField", json!(self.email_field)),
            ("phoneField", json!(self.phone_field)),
            ("attribute", json!(self.attribute)),
            ("eventName", json!(self.event_name)),
            ("eventTimeField", json!(self.event_time_field)),
            ("purchaseProductId", value(self.purchase_product_id.as_ref())),
            ("purchasePrice", value(self.purchase_price.as_ref())),
            ("purchaseCurrency", value(self.purchase_currency.as_ref())),
            ("purchaseQuantity", value(self.purchase_quantity.as_ref())),
            ("purchaseTimeField", json!(self.purchase_time_field)),
            ("existingUsers", json!(self.existing_users)),
            ("updateExistingOnly", json!(self.update_existing_only)),
            ("flushAfter", seconds(self.flush_after)),
            ("batchUpdatesMax", json!(self.batch_updates_max)),
            (
                "audienceEvents",
                json!(word(self.audience_events().as_str_name(), "AUDIENCE_EVENTS_")),
            ),
            ("coalesce", json!(word(self.coalesce().as_str_name(), "COALESCE_"))),
            ("guardPercent", json!(self.guard_percent)),
            ("quietWindow", json!(quiet)),
            ("expireTime", time(self.expire_time)),
            ("userCap", json!(cap)),
            ("resumeTime", time(self.resume_time)),
            ("counters", json!(counters)),
            ("removals", removals(&self.removals)),
            ("pending", json!(self.pending)),
            ("unread", json!(self.unread)),
            ("unreadBeforeStart", json!(self.unread_before_start)),
            ("estimatedDuration", seconds(self.estimated_duration)),
            ("oldestUnconfirmedTime", time(self.oldest_unconfirmed_time)),
            ("createTime", time(self.create_time)),
            ("updateTime", time(self.update_time)),
            ("revision", json!(self.revision)),
        ]
    }
}

/// A value of a purchase: what it is, or where.
fn value(value: Option<&wire::PurchaseValue>) -> Value {
    match value.and_then(|value| value.source.as_ref()) {
        Some(purchase_value::Source::Constant(constant)) => json!({"constant": constant}),
        Some(purchase_value::Source::Field(field)) => json!({"field": field}),
        None => Value::Null,
    }
}

fn counters(counters: wire::ExportCounters) -> Value {
    let wire::ExportCounters {
        added,
        removed,
        omitted,
        rejected,
        identity_conflicts,
    } = counters;
    json!({
        "added": added,
        "removed": removed,
        "omitted": omitted,
        "rejected": rejected,
        "identityConflicts": identity_conflicts,
    })
}

/// Audiences whose slugs are removed.
fn removals(removals: &[wire::AudienceRemoval]) -> Value {
    let removal = |removal: &wire::AudienceRemoval| {
        json!({
            "audience": removal.audience,
            "done": removal.done,
            "counters": removal.counters.map(counters),
            "unread": removal.unread,
            "estimatedDuration": seconds(removal.estimated_duration),
        })
    };
    removals.iter().map(removal).collect()
}

pub(super) fn state(job: &wire::ExportJob) -> String {
    word(job.state().as_str_name(), "EXPORT_JOB_STATE_")
}

/// Lytics' word for it: `runnable`, not `EXPORT_JOB_STATE_RUNNABLE`.
pub(super) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

/// How long ago something was, in its largest unit: `42s`, `5m`, `3h`, `2d`.
fn age(time: Option<prost_types::Timestamp>, now: Timestamp) -> String {
    let Some(time) = time.as_ref().and_then(model::time::from_wire) else {
        return String::new();
    };
    let seconds = now.as_second().saturating_sub(time.as_second()).max(0);
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let largest = units.into_iter().find(|(length, _)| seconds >= *length);
    let (length, unit) = largest.unwrap_or((1, 's'));
    format!("{}{unit}", seconds / length)
}

/// Seconds, as in the JSON form of the contracts: `2s`, `0.5s`.
pub(super) fn seconds(duration: Option<prost_types::Duration>) -> Value {
    let duration = duration.and_then(|duration| std::time::Duration::try_from(duration).ok());
    duration.map_or(Value::Null, |duration| json!(format!("{}s", duration.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_shown_in_lytics_words_and_the_contracts_spelling() {
        let mut job = wire::ExportJob {
            flush_after: Some(prost_types::Duration {
                seconds: 0,
                nanos: 500_000_000,
            }),
            ..wire::ExportJob::default()
        };
        job.set_state(wire::ExportJobState::Sleeping);
        job.set_coalesce(wire::Coalesce::EveryEdge);
        job.oldest_unconfirmed_time = Some(prost_types::Timestamp::default());
        job.pending = 19_950;
        let fields = job.fields();
        let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).unwrap().1.clone();
        assert_eq!(field("state"), json!("sleeping"));
        assert_eq!(field("flushAfter"), json!("0.5s"));
        assert_eq!(field("coalesce"), json!("every_edge"));
        assert_eq!(field("oldestUnconfirmedTime"), json!("1970-01-01T00:00:00Z"));
        assert_eq!(field("pending"), json!(19_950));
        let mut columns = wire::ExportJob::COLUMNS.iter().zip(job.row());
        let pending = columns.find(|(column, _)| **column == "PENDING").unwrap();
        assert_eq!(pending.1, "19950");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let long_ago = Some(prost_types::Timestamp::default());
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7_199, "1h"),
            (200_000, "2d"),
            (-5, "0s"),
        ] {
            assert_eq!(age(long_ago, Timestamp::from_second(seconds).unwrap()), expected);
        }
        assert_eq!(age(None, Timestamp::UNIX_EPOCH), "");
    }
}
