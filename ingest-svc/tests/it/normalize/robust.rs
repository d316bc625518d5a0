//! Whatever functions and operators are given, nothing panics, nothing grows without end, and what comes out keeps the contract.

use ingest_svc::normalize::{Mapping, RawRecord, test};
use proptest::prelude::*;
use proto::profile::v1::value::Kind;

use super::RECEIVED;
use super::functions::FUNCTIONS;

const OPERATORS: [&str; 18] = [
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "LIKE",
    "CONTAINS",
    "IN",
    "NOT IN",
    "INTERSECTS",
    "AND",
    "OR",
    "+",
    "-",
    "*",
    "/",
    "%",
];

const KINDS: [&str; 8] = [
    "",
    "KIND string",
    "KIND int",
    "KIND date",
    "KIND []string",
    "KIND []time",
    "KIND map[string]number",
    "KIND map[string]string",
];

/// Texts that functions look for something in.
fn content() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>(),
        1 => "(https?://)?[a-zA-Z0-9.é%-]{0,12}(:[0-9]{1,6})?[/?&=#+%a-z0-9.]{0,24}",
        1 => "(Mozilla/5.0|Opera|DoCoMo|)[/ ]?\\([a-zA-Z0-9 ;._é/]{0,40}\\)? ?(AppleWebKit/|Gecko|Chrome/|Version/)?[0-9.é]{0,8}.{0,10}",
        1 => "[a-z\"<(@. ]{0,16}@?[a-z.>)\\]]{0,12}",
        1 => "(now|M)?[+-]?[0-9]{0,19}[:.yMwdhms-]?[0-9]{0,3}",
        1 => "[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}( [0-9:.]{0,12})?",
        1 => "[\\[\\]{}\",:a-c0-9 ]{0,24}",
        1 => "[0-9.]{1,15}(/[0-9]{1,3})?",
        1 => "[A-Za-z0-9+/]{0,12}={0,2}",
        1 => "%[-_0^#]?[0-9]{0,3}[a-zA-Z%.:]{0,3}",
        1 => Just("Europe/Lisbon".to_owned()),
        1 => Just("time".to_owned()),
        1 => "[@\\[\\]a-c.*|?,' ]{0,12}",
    ]
}

fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => Just("a".to_owned()),
        2 => Just("b".to_owned()),
        1 => Just("missing".to_owned()),
        3 => content().prop_map(|text| literal(&text)),
        1 => any::<i64>().prop_map(|int| int.to_string()),
        1 => (-50_i64..50).prop_map(|int| int.to_string()),
        1 => Just("-2147483648".to_owned()),
        1 => Just("9223372036854775807".to_owned()),
        1 => Just("1.5".to_owned()),
        1 => Just("NULL".to_owned()),
        1 => Just("now()".to_owned()),
        1 => Just("match(\"m.\", \"\")".to_owned()),
        1 => prop::collection::vec(content(), 1..4)
            .prop_map(|texts| format!("[{}]", texts.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", "))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            4 => (prop::sample::select(&FUNCTIONS[..]), prop::collection::vec(inner.clone(), 0..4))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
            1 => (inner.clone(), prop::sample::select(&OPERATORS[..]), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            1 => (prop::sample::select(&["NOT ", "-", "EXISTS "][..]), inner.clone())
                .prop_map(|(operator, operand)| format!("{operator}({operand})")),
            1 => [inner.clone(), inner.clone(), inner].prop_map(|[a, b, c]| format!("({a} BETWEEN {b} AND {c})")),
        ]
    })
}

/// What every value of an event keeps to.
fn keeps_the_contract(value: Kind) -> bool {
    let moment = |date: &prost_types::Timestamp| {
        date.seconds >= -62_135_596_800 && date.seconds < 253_402_300_800 && (0..1_000_000_000).contains(&date.nanos)
    };
    let texts = |values: &[String]| {
        let distinct: std::collections::HashSet<_> = values.iter().collect();
        (1..=1_000).contains(&values.len())
            && distinct.len() == values.len()
            && values.iter().all(|text| !text.is_empty() && text.len() <= 2 << 20)
    };
    match value {
        Kind::StringValue(text) => texts(&[text]),
        Kind::BoolValue(_) | Kind::IntValue(_) => true,
        Kind::NumberValue(number) => number.is_finite(),
        Kind::DateValue(date) => moment(&date),
        Kind::StringList(list) | Kind::TimedStringList(list) => texts(&list.values),
        Kind::TimeList(list) => !list.values.is_empty() && list.values.iter().all(moment),
        Kind::IntMap(map) | Kind::IntSumMap(map) => !map.values.is_empty(),
        Kind::NumberMap(map) => !map.values.is_empty() && map.values.values().all(|number| number.is_finite()),
        Kind::StringMap(map) => !map.values.is_empty() && map.values.values().all(|text| !text.is_empty()),
        Kind::TimeMap(map) => !map.values.is_empty() && map.values.values().all(moment),
        Kind::BoolMap(map) => !map.values.is_empty(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_expression_of_any_record_keeps_the_contract(
        expression in expression(), kind in prop::sample::select(&KINDS[..]), a in content(), b in content()
    ) {
        let text = format!("SELECT \"me\" AS id, {expression} AS v {kind} FROM s INTO user BY id ALIAS q");
        // What does not compile has said why.
        let Ok(mapping) = Mapping::parse(&text) else { return Ok(()) };
        let record = serde_json::json!({"a": a, "b": [b, "x"], "m": {"k": a, "n": 1.5}}).to_string();
        let raw = RawRecord { account: 1, stream: "s", json: record.as_bytes(), timestamp_field: None };
        let tested = test(&mapping, &raw, RECEIVED);
        let event = tested.outcome.unwrap().event;
        match &tested.columns[1].value {
            Ok(value) => {
                prop_assert_eq!(event.fields[1].value.as_ref(), Some(value));
                let kind = value.kind.clone().unwrap();
                prop_assert!(keeps_the_contract(kind), "{}: {:?}", expression, value);
            }
            Err(nothing) => {
                prop_assert_eq!(event.fields.len(), 1);
                prop_assert!(!nothing.to_string().is_empty());
            }
        }
        prop_assert_eq!(test(&mapping, &raw, RECEIVED).outcome.unwrap().event, event, "the same again");
    }

    #[test]
    fn any_text_as_the_argument_of_any_function_keeps_the_contract(
        name in prop::sample::select(&FUNCTIONS[..]), a in content(), b in content()
    ) {
        for call in [format!("{name}(a)"), format!("{name}(a, b)"), format!("{name}({}, {})", literal(&a), literal(&b))] {
            let text = format!("SELECT \"me\" AS id, {call} AS v FROM s INTO user BY id ALIAS q");
            let Ok(mapping) = Mapping::parse(&text) else { continue };
            let record = serde_json::json!({"a": a, "b": b}).to_string();
            let raw = RawRecord { account: 1, stream: "s", json: record.as_bytes(), timestamp_field: None };
            let value = test(&mapping, &raw, RECEIVED).columns.remove(1).value;
            prop_assert!(value.is_err() || keeps_the_contract(value.unwrap().kind.unwrap()), "{}", call);
        }
    }
}

#[test]
fn large_records_stay_within_bounds() {
    let many = vec!["x,y"; 5_000].join(",");
    let record = serde_json::json!({"a": many, "b": vec!["é"; 2_000], "m": {"k": many}}).to_string();
    let raw = RawRecord {
        account: 1,
        stream: "s",
        json: record.as_bytes(),
        timestamp_field: None,
    };
    for name in FUNCTIONS {
        for arguments in [
            "a",
            "b",
            "match(\"\")",
            "a, a",
            "b, b",
            "split(a, \",\"), a",
            "a, a, a",
            "a, \"x\", a",
        ] {
            let text = format!("SELECT \"me\" AS id, {name}({arguments}) AS v FROM s INTO user BY id ALIAS q");
            let Ok(mapping) = Mapping::parse(&text) else { continue };
            let value = test(&mapping, &raw, RECEIVED).columns.remove(1).value;
            assert!(
                value.is_err() || keeps_the_contract(value.unwrap().kind.unwrap()),
                "{name}({arguments})"
            );
        }
    }
}
