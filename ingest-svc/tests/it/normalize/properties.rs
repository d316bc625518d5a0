//! Whatever comes in, nothing panics, and what comes out keeps the contract.

use ingest_svc::normalize::{Mapping, RawRecord};
use jiff::Timestamp;
use proptest::prelude::*;
use proto::profile::v1::value::Kind;

use super::{RECEIVED, constant, normalize, of_text, run};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_as_a_statement_gives_a_mapping_or_problems_with_positions(
        text in prop_oneof![
            any::<String>(),
            "(SELECT|FROM|INTO|BY|OR|ALIAS|AS|KIND|MERGEOP|[a-z]{1,3}|todate|email|[\\[\\]`\"',()é -]|--|\n|[0-9.]+){0,30}",
        ]
    ) {
        if let Err(problems) = Mapping::parse(&text) {
            prop_assert!(!problems.is_empty());
            let lines = text.split('\n').count();
            for problem in problems {
                prop_assert!(problem.line >= 1 && problem.line <= lines, "{problem}");
                let width = text.split('\n').nth(problem.line - 1).map_or(0, |line| line.chars().count());
                prop_assert!(problem.column >= 1 && problem.column <= width + 1, "{problem}");
            }
        }
    }

    #[test]
    fn a_broken_mapping_tells_problems_and_never_panics(
        cut in 0_usize..1_400, length in 0_usize..12, insert in "[ -~\n]{0,3}"
    ) {
        let text = include_str!("../../../mappings/braze_users.lql");
        let from = text.floor_char_boundary(cut.min(text.len()));
        let to = text.floor_char_boundary((cut + length).min(text.len()).max(from));
        let _either = Mapping::parse(&format!("{}{insert}{}", &text[..from], &text[to..]));
    }

    #[test]
    fn any_text_as_a_date_is_a_moment_of_the_contract_or_nothing(
        text in prop_oneof![
            any::<String>(),
            "[0-9]{1,20}",
            "[0-9]{1,4}[-/.: ][0-9a-zA-Z]{1,4}[-/.: ][0-9]{1,4}[T, :]{0,2}[0-9:.]{0,12}[ +-Z]{0,2}[0-9:]{0,5}",
            "(now|NOW)[+-]?[0-9]{0,19}[yMwdhmsX]",
            "(Mon,? )?(Jan|nov[.]?|3rd?) [0-9a-z]{1,4},? [0-9':]{1,9}( AM|pm)?( [A-Z]{3}([+-][0-9]{2,4})?)?( [(].*)?",
        ]
    ) {
        if let Some(date) = of_text("todate(x)", &text) {
            let date: Timestamp = date.parse().unwrap();
            prop_assert!(date.as_second() >= -62_135_596_800);
        }
    }

    #[test]
    fn any_layout_with_any_text_is_read_without_panic(
        layout in prop_oneof![
            any::<String>(),
            "(2006|06|01|1|Jan|January|02|2|_2|__2|002|15|03|3|04|4|05|5|PM|pm|[.,][09]{1,4}|-0700|Z07:00|-07|MST|Mon|[ :/-]){0,8}",
        ],
        text in prop_oneof![any::<String>(), "[0-9:/ +.JanPMZ-]{0,24}"],
    ) {
        let record = serde_json::json!({"layout": layout, "x": text});
        let _either = super::evaluate("todate(layout, x)", "", &record);
    }

    #[test]
    fn a_date_survives_being_written_and_read_again(seconds in -62_135_596_799_i64..253_402_207_200, nanos in 0_i32..1_000_000_000) {
        let moment = Timestamp::new(seconds, nanos).unwrap();
        let written = moment.to_string();
        prop_assert_eq!(of_text("todate(x)", &written).unwrap().parse::<Timestamp>().unwrap(), moment);
        let by_layout = constant(&format!("todate(\"2006-01-02T15:04:05Z07:00\", {written:?})")).unwrap();
        prop_assert_eq!(by_layout.parse::<Timestamp>().unwrap(), moment);
    }

    #[test]
    fn any_bytes_as_a_record_give_an_event_of_the_contract_or_a_reason(
        json in prop_oneof![
            any::<Vec<u8>>(),
            "[{}\\[\\]\",:a-z0-9 \\\\]{0,40}".prop_map(String::into_bytes),
            object().prop_map(|object| object.to_string().into_bytes()),
        ]
    ) {
        let raw = RawRecord { account: 1, stream: "braze_users", json: &json, timestamp_field: None };
        match normalize(Mapping::braze_users(), &raw, RECEIVED) {
            Ok(normalized) => {
                let event = normalized.event;
                prop_assert!(!event.identities.is_empty());
                prop_assert!(event.identities.iter().all(|id| id.value.len() <= 256 && !id.value.trim().is_empty()));
                for field in event.fields {
                    match field.value.and_then(|value| value.kind) {
                        Some(Kind::StringValue(text)) => prop_assert!(!text.is_empty()),
                        Some(Kind::DateValue(_)) => {}
                        other => prop_assert!(false, "{} is {other:?}", field.name),
                    }
                }
            }
            Err(reason) => prop_assert!(!reason.to_string().is_empty() && !reason.code().is_empty()),
        }
    }

    #[test]
    fn a_record_keeps_its_id_however_its_blanks_are_set(object in object()) {
        let compact = run(Mapping::braze_users(), &object.to_string());
        let pretty = run(Mapping::braze_users(), &serde_json::to_string_pretty(&object).unwrap());
        prop_assert_eq!(compact, pretty);
    }
}

/// Objects that often have the fields of the mapping.
fn object() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[a-z]{1,5}@[a-z]{1,5}".prop_map(Into::into),
        "19[0-9]{6}".prop_map(Into::into),
        "x{250,260}".prop_map(Into::into),
    ];
    let value = scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map("[a-c]", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    let key = prop_oneof![
        Just("braze_id".to_owned()),
        Just("email".to_owned()),
        Just("date_of_birth".to_owned()),
        Just("twitter_handle".to_owned()),
        any::<String>(),
    ];
    proptest::collection::hash_map(key, value, 0..6).prop_map(|map| map.into_iter().collect())
}
