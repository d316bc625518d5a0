//! What a mapping makes of a record, for its author.

use jiff::Timestamp;
use model::AccountNumber;
use proto::mapping::v1 as wire;
use proto::mapping::v1::test_mapping_response::Outcome;
use proto::mapping::v1::tested_column::Outcome as ColumnOutcome;

use crate::normalize::{self, Mapping, Normalized, RawRecord, Reason, Tested, TestedColumn};

/// Tries a mapping out on a record of its stream that arrives now.
pub(super) fn test(
    mapping: &Mapping,
    account: AccountNumber,
    record: &[u8],
    timestamp_field: Option<&str>,
    now: Timestamp,
) -> wire::TestMappingResponse {
    let raw = RawRecord {
        account: account.get(),
        stream: mapping.stream(),
        json: record,
        timestamp_field,
    };
    let Tested { outcome, columns } = normalize::test(mapping, &raw, now);
    let (outcome, dropped) = match outcome {
        Ok(Normalized {
            event,
            identities_dropped,
        }) => (Outcome::Event(event), identities_dropped),
        Err(Reason::NotWanted) => (Outcome::NotWanted(true), 0),
        Err(reason) => (Outcome::RejectedReason(reason.to_string()), 0),
    };
    wire::TestMappingResponse {
        outcome: Some(outcome),
        columns: columns.into_iter().map(column).collect(),
        identities_dropped: u32::try_from(dropped).unwrap_or(u32::MAX),
    }
}

fn column(TestedColumn { field, value }: TestedColumn) -> wire::TestedColumn {
    let outcome = match value {
        Ok(value) => ColumnOutcome::Value(value),
        Err(nothing) => ColumnOutcome::NothingBecause(nothing.to_string()),
    };
    wire::TestedColumn {
        field,
        outcome: Some(outcome),
    }
}
