//! How import jobs and their files are printed.

use proto::imports::v1 as wire;
use proto::imports::v1::import_source::Source;
use serde_json::{Value, json};

/// RFC 3339.
pub(in crate::cli) fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = time.and_then(model::time::from_wire);
    time.map(|time| time.to_string())
}

/// The words of the contracts, without what all have in front.
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

pub(super) fn state(job: &wire::ImportJob) -> String {
    word(job.state().as_str_name(), "IMPORT_JOB_STATE_")
}

/// One JSON object on one line: control characters of anybody's are escaped in it.
pub(super) fn job(job: &wire::ImportJob) -> String {
    json!({
        "name": job.name,
        "label": job.label,
        "description": job.description,
        "stream": job.stream,
        "mapping": job.mapping,
        "state": state(job),
        "state_reason": job.state_reason,
        "resume_time": time(job.resume_time.as_ref()),
        "source": job.source.as_ref().and_then(|source| source.source.as_ref()).map(source),
        "schedule": job.schedule.as_ref().and_then(|schedule| schedule.schedule.as_ref()).map(schedule),
        "drop_errors": job.drop_errors,
        "skip_bad_files": job.skip_bad_files,
        "diff": job.diff,
        "counters": job.counters.as_ref().map(counters),
        "create_time": time(job.create_time.as_ref()),
        "update_time": time(job.update_time.as_ref()),
        "revision": job.revision,
    })
    .to_string()
}

fn source(source: &Source) -> Value {
    match source {
        Source::Storage(files) => json!({
            "storage": { "authorization": files.authorization, "prefix": files.prefix, "pattern": files.pattern },
        }),
        Source::SegmentExport(files) => json!({ "segment_export": {
            "authorization": files.authorization, "storage_authorization": files.storage_authorization,
            "segment_id": files.segment_id, "fields": files.fields, "custom_attributes": files.custom_attributes,
        } }),
        Source::Upload(file) => json!({
            "upload": { "upload": file.upload, "file_name": file.file_name, "size": file.size },
        }),
    }
}

fn schedule(schedule: &wire::import_schedule::Schedule) -> Value {
    match schedule {
        wire::import_schedule::Schedule::Every(every) => json!({ "every_seconds": every.seconds }),
        wire::import_schedule::Schedule::Daily(daily) => json!({ "daily": daily.time, "time_zone": daily.time_zone }),
    }
}

fn counters(counters: &wire::ImportCounters) -> Value {
    json!({
        "files": counters.files, "files_done": counters.files_done, "files_bad": counters.files_bad,
        "bytes": counters.bytes, "bytes_read": counters.bytes_read, "rows": counters.rows, "sent": counters.sent,
        "rejected": counters.rejected, "dropped": counters.dropped, "unchanged": counters.unchanged,
    })
}

/// One JSON object on one line.
pub(super) fn file(file: &wire::ImportFile) -> String {
    let counters = file.counters.unwrap_or_default();
    json!({
        "key": file.key,
        "state": word(file.state().as_str_name(), "IMPORT_FILE_STATE_"),
        "state_reason": file.state_reason,
        "size": file.size,
        "modify_time": time(file.modify_time.as_ref()),
        "etag": file.etag,
        "rows": counters.rows,
        "sent": counters.sent,
        "rejected": counters.rejected,
        "dropped": counters.dropped,
        "unchanged": counters.unchanged,
    })
    .to_string()
}

/// One JSON object on one line.
pub(super) fn segment(segment: &wire::Segment) -> String {
    json!({ "id": segment.id, "name": segment.name }).to_string()
}

/// What a job is doing, in a line.
pub(super) fn line(job: &wire::ImportJob) -> String {
    let counters = job.counters.unwrap_or_default();
    let wire::ImportCounters {
        files,
        files_done,
        files_bad,
        rows,
        sent,
        rejected,
        dropped,
        unchanged,
        ..
    } = counters;
    let mut line = format!(
        "{}  files {files_done}/{files}  rows {rows}  sent {sent}  rejected {rejected}",
        state(job)
    );
    for (name, count) in [("bad files", files_bad), ("dropped", dropped), ("unchanged", unchanged)] {
        if count > 0 {
            line.push_str(&format!("  {name} {count}"));
        }
    }
    if !job.state_reason.is_empty() {
        line.push_str("  ");
        line.push_str(&plain(&job.state_reason));
    }
    line
}

/// What stands in somebody's file or bucket must not move the cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_there_is_to_tell_and_moves_no_cursor() {
        let mut job = wire::ImportJob {
            counters: Some(wire::ImportCounters {
                files: 3,
                files_done: 1,
                rows: 10,
                sent: 9,
                rejected: 1,
                dropped: 2,
                ..Default::default()
            }),
            state_reason: "a\u{1b}[2Jb".to_owned(),
            ..Default::default()
        };
        job.set_state(wire::ImportJobState::Runnable);
        let expected = "runnable  files 1/3  rows 10  sent 9  rejected 1  dropped 2  a\u{fffd}[2Jb";
        assert_eq!(line(&job), expected);
        assert!(!super::job(&job).contains('\u{1b}'));
    }
}
