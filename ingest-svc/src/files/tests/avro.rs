//! Avro, as the library of the Avro project writes it, and as nobody should.

use apache_avro::types::Value as Avro;
use apache_avro::{Codec, DeflateSettings, Schema, Writer};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::normalize::{CURRENTS_STREAM, Mapping, Normalized, RawRecord, Reason, normalize};

const EVENTS: &str = include_str!("../../../tests/fixtures/currents/events.ndjson");
const MARKER: [u8; 16] = *b"0123456789abcdef";

fn codecs() -> [Codec; 3] {
    [Codec::Null, Codec::Deflate(DeflateSettings::default()), Codec::Snappy]
}

/// A file of these rows, so many in a block.
fn file(schema: &Value, rows: &[Avro], in_block: usize, codec: Codec) -> Vec<u8> {
    let schema = Schema::parse(schema).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), codec);
    for block in rows.chunks(in_block) {
        for row in block {
            writer.append(row.clone()).unwrap();
        }
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

fn long(value: i64) -> Vec<u8> {
    let mut zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(zigzag & 0x7f).unwrap();
        zigzag >>= 7;
        bytes.push(if zigzag == 0 { low } else { low | 0x80 });
        if zigzag == 0 {
            return bytes;
        }
    }
}

fn size(bytes: &[u8]) -> Vec<u8> {
    long(i64::try_from(bytes.len()).unwrap())
}

/// A file by hand: blocks of so many rows and these bytes.
fn container(schema: &Value, codec: &str, blocks: &[(i64, &[u8])]) -> Vec<u8> {
    let schema = schema.to_string();
    let sized = |bytes: &[u8]| [size(bytes), bytes.to_vec()].concat();
    let mut file = b"Obj\x01".to_vec();
    file.extend(long(2));
    for part in ["avro.schema", &schema, "avro.codec", codec] {
        file.extend(sized(part.as_bytes()));
    }
    file.extend(long(0));
    file.extend(MARKER);
    for (rows, bytes) in blocks {
        file.extend([long(*rows), sized(bytes), MARKER.to_vec()].concat());
    }
    file
}

/// A record of one field.
fn of_field(of: &Value) -> Value {
    json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": of}]})
}

async fn broken(file: &[u8]) -> (usize, String) {
    let (rows, fault) = read_pieces("a.avro", file, 1_000, Options::default()).await;
    match fault {
        Some(Fault::Broken { place, problem }) => {
            assert_eq!(place.rows, rows.len() as u64);
            (rows.len(), problem)
        }
        other => panic!("{other:?}"),
    }
}

fn optional(value: &Value) -> (Value, Avro) {
    let (of, value) = match value {
        Value::Null => return (json!(["null", "string"]), Avro::Union(0, Box::new(Avro::Null))),
        Value::Bool(value) => (json!("boolean"), Avro::Boolean(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => (json!("long"), Avro::Long(number)),
            None => (json!("double"), Avro::Double(number.as_f64().unwrap())),
        },
        Value::Array(items) => {
            let items = items.iter().map(|item| Avro::String(item.as_str().unwrap().to_owned()));
            (
                json!({"type": "array", "items": "string"}),
                Avro::Array(items.collect()),
            )
        }
        Value::String(text) => (json!("string"), Avro::String(text.clone())),
        other => (json!("string"), Avro::String(other.to_string())),
    };
    (json!(["null", of]), Avro::Union(1, Box::new(value)))
}

/// An event of Currents as it is stored: flat, all fields optional but its own.
fn stored(event: &Value) -> (Value, Avro) {
    let mut schemas = vec![json!({"name": "never", "type": ["null", "string"], "default": null})];
    let mut fields = vec![("never".to_owned(), Avro::Union(0, Box::new(Avro::Null)))];
    let mut add = |name: &str, (schema, value): (Value, Avro)| {
        schemas.push(json!({"name": name, "type": schema}));
        fields.push((name.to_owned(), value));
    };
    let time = i32::try_from(event["time"].as_i64().unwrap()).unwrap();
    add(
        "id",
        (json!("string"), Avro::String(event["id"].as_str().unwrap().to_owned())),
    );
    add("time", (json!("int"), Avro::Int(time)));
    for part in ["user", "properties"] {
        for (name, value) in event[part].as_object().into_iter().flatten() {
            let name = match name.as_str() {
                "custom_properties" | "purchase_properties" => "properties",
                name => name,
            };
            add(name, optional(value));
        }
    }
    let (namespace, name) = event["event_type"].as_str().unwrap().rsplit_once('.').unwrap();
    let namespace = format!("dataexport.S3.inner.{namespace}");
    let schema = json!({"type": "record", "name": name, "namespace": namespace, "fields": schemas});
    (schema, Avro::Record(fields))
}

/// What becomes of an event, the rest of its activity apart.
fn normalized(json: &[u8]) -> Result<(Normalized, Value), Reason> {
    let raw = RawRecord {
        account: 7,
        stream: CURRENTS_STREAM,
        json,
        timestamp_field: None,
    };
    let mut normalized = normalize(Mapping::braze_currents(), &raw, Timestamp::UNIX_EPOCH)?;
    let rest = normalized
        .event
        .activity
        .as_mut()
        .map(|activity| std::mem::take(&mut activity.rest));
    let mut rest: Value = serde_json::from_str(&rest.unwrap_or_default()).unwrap_or_default();
    // What is null over HTTP is not there.
    for part in ["user", "properties"] {
        if let Some(members) = rest.get_mut(part).and_then(Value::as_object_mut) {
            members.retain(|_, value| !value.is_null());
        }
    }
    Ok((normalized, rest))
}

#[tokio::test]
async fn an_event_of_every_type_is_the_one_that_comes_over_http_with_the_same_id() {
    let mut types = 0;
    for line in EVENTS.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let event = &line["event"];
        if event["event_type"].as_str().is_none_or(|name| !name.contains('.')) || event["id"].as_str().is_none() {
            continue;
        }
        types += 1;
        let (schema, row) = stored(event);
        for codec in codecs() {
            let file = file(&schema, std::slice::from_ref(&row), 1, codec);
            let rows = read("a.avro", &file, Options::default()).await;
            let [(1, Ok(found))] = &rows[..] else {
                panic!("{rows:?}")
            };
            assert_eq!(
                normalized(found.as_bytes()),
                normalized(event.to_string().as_bytes()),
                "{found}"
            );
        }
    }
    assert!(types >= 94, "{types}");
}

#[tokio::test]
async fn the_type_is_in_the_records_name_else_in_the_path_and_what_has_none_is_a_flat_row() {
    let fields = json!([{"name": "id", "type": "string"}, {"name": "user_id", "type": "string"}, {"name": "new", "type": "int"}]);
    let row = Avro::Record(vec![
        ("id".to_owned(), Avro::String("1".to_owned())),
        ("user_id".to_owned(), Avro::String("u".to_owned())),
        ("new".to_owned(), Avro::Int(-7)),
    ]);
    let named = json!({"type": "record", "name": "New", "namespace": "dataexport.GCS.inner.users.messages.fax", "fields": fields});
    let unnamed = json!({"type": "record", "name": "Row", "fields": fields});
    let event = |name: &str| {
        format!(r#"{{"event_type":"{name}","id":"1","user":{{"user_id":"u"}},"properties":{{"new":-7}}}}"#)
    };
    let flat = r#"{"id":"1","user_id":"u","new":-7}"#.to_owned();
    for (schema, path, expected) in [
        (&named, "x.avro", event("users.messages.fax.New")),
        (
            &named,
            "c/event_type=users.messages.email.Open/date=2026-01-01-00/31/x.avro",
            event("users.messages.fax.New"),
        ),
        (
            &unnamed,
            "c/event_type=users.messages.email.Open/date=2026-01-01-00/31/x.avro",
            event("users.messages.email.Open"),
        ),
        (&unnamed, "x", flat.clone()),
    ] {
        let file = file(schema, std::slice::from_ref(&row), 1, Codec::Null);
        assert_eq!(
            read(path, &file, Options::default()).await,
            good(&[&expected]),
            "{path}"
        );
    }
    let file = file(&named, &[row], 1, Codec::Null);
    let mut said = Options::default();
    said.format.kind = Some(Kind::Plain);
    assert_eq!(read("x.avro", &file, said).await, good(&[&flat]));
}

#[tokio::test]
async fn every_kind_of_value_is_json_by_the_writers_schema() {
    let schema = json!({"type": "record", "name": "R", "namespace": "n", "fields": [
        {"name": "null", "type": "null"},
        {"name": "yes", "type": "boolean"},
        {"name": "int", "type": {"type": "int", "logicalType": "date"}},
        {"name": "long", "type": "long"},
        {"name": "float", "type": "float"},
        {"name": "double", "type": "double"},
        {"name": "nan", "type": "double"},
        {"name": "bytes", "type": "bytes"},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2}},
        {"name": "enum", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"]}},
        {"name": "again", "type": "n.E"},
        {"name": "list", "type": {"type": "array", "items": ["null", "int"]}},
        {"name": "map", "type": {"type": "map", "values": "string"}},
        {"name": "next", "type": ["null", "R"]},
    ]});
    let row = |next: Avro| {
        let text = |text: &str| Avro::String(text.to_owned());
        let fields = [
            ("null", Avro::Null),
            ("yes", Avro::Boolean(true)),
            ("int", Avro::Date(-3)),
            ("long", Avro::Long(i64::MIN)),
            ("float", Avro::Float(0.1)),
            ("double", Avro::Double(-2.5e30)),
            ("nan", Avro::Double(f64::NAN)),
            ("bytes", Avro::Bytes(vec![0xe9, b'"'])),
            ("fixed", Avro::Fixed(2, b"ab".to_vec())),
            ("enum", Avro::Enum(1, "Y".to_owned())),
            ("again", Avro::Enum(0, "X".to_owned())),
            (
                "list",
                Avro::Array(vec![
                    Avro::Union(1, Box::new(Avro::Int(4))),
                    Avro::Union(0, Box::new(Avro::Null)),
                ]),
            ),
            ("map", Avro::Map([("k\"".to_owned(), text("é\n"))].into())),
            ("next", next),
        ];
        Avro::Record(fields.map(|(name, value)| (name.to_owned(), value)).to_vec())
    };
    let last = row(Avro::Union(0, Box::new(Avro::Null)));
    let rows = [row(Avro::Union(1, Box::new(last)))];
    let mut expected = json!({
        "null": null, "yes": true, "int": -3, "long": i64::MIN, "float": 0.1, "double": -2.5e30, "nan": null, "bytes": "é\"",
        "fixed": "ab", "enum": "Y", "again": "X", "list": [4, null], "map": {"k\"": "é\n"}, "next": null,
    });
    let inner = expected.clone();
    expected["next"] = inner;
    let rows = read("a.avro", &file(&schema, &rows, 1, Codec::Null), Options::default()).await;
    let [(1, Ok(found))] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(serde_json::from_str::<Value>(found).unwrap(), expected);
}

#[tokio::test]
async fn blocks_are_read_one_by_one_however_the_file_is_packed_and_cut_and_from_any_row() {
    let rows: Vec<_> = (0..25)
        .map(|row| Avro::Record(vec![("a".to_owned(), Avro::Long(row))]))
        .collect();
    let expected: Vec<_> = (0..25).map(|row| format!("{{\"a\":{row}}}")).collect();
    let expected = good(&expected.iter().map(String::as_str).collect::<Vec<_>>());
    for codec in codecs() {
        let file = file(&of_field(&json!("long")), &rows, 10, codec);
        let zip = zip(&[("x", &file)], deflated());
        for (name, file) in [("a.avro", &file), ("a.avro.gz", &gzip(&file).await), ("a.zip", &zip)] {
            for piece in [1, 7, 10_000] {
                let (rows, fault) = read_pieces(name, file, piece, Options::default()).await;
                assert!(fault.is_none(), "{name}: {fault:?}");
                assert_eq!(short(&rows), expected, "{name} {piece}");
            }
        }
        let from = Options {
            from_row: 14,
            ..Options::default()
        };
        assert_eq!(read("a.avro", &file, from).await, expected[13..]);
        // Wherever it is cut off, whole blocks stand.
        let mut whole = 0;
        for cut in 0..file.len() {
            let (rows, problem) = match read_pieces("a.avro", &file[..cut], 1_000, Options::default()).await {
                (rows, Some(fault)) => (rows.len(), fault.to_string()),
                (rows, None) => {
                    whole += 1;
                    (rows.len(), String::new())
                }
            };
            assert!([0, 10, 20].contains(&rows), "{cut}: {rows}");
            assert!(
                problem.is_empty() || problem.contains("it is cut off within"),
                "{problem}"
            );
            let block = format!("within block {}", rows / 10 + 1);
            assert!(
                rows == 0 || problem.is_empty() || problem.ends_with(&block),
                "{problem}"
            );
        }
        // It may end behind its header and behind any block, and nowhere else.
        assert_eq!(whole, 3);
    }
}

#[tokio::test]
async fn a_block_that_is_broken_is_told_with_its_number_and_the_rows_before_it_stand() {
    let text = of_field(&json!("string"));
    let good: &[u8] = b"\x02x";
    for (second, problem) in [
        (
            container(&text, "null", &[(1, good), (1, b"\x04x")]),
            "block 2: a row goes beyond its end",
        ),
        (
            container(&text, "null", &[(1, good), (1, b"\x02xy")]),
            "block 2: it goes on behind its rows",
        ),
        (
            container(&text, "null", &[(1, good), (1, b"\x01")]),
            "block 2: a size is negative",
        ),
        (
            container(&text, "null", &[(1, good), (-1, good)]),
            "block 2: its number of rows is negative",
        ),
        (
            container(&text, "null", &[(1, good), (0, good)]),
            "block 2: it goes on behind its rows",
        ),
        (
            container(&text, "null", &[(1, good), (1, &[0xff; 11])]),
            "block 2: a number is too long",
        ),
    ] {
        assert_eq!(broken(&second).await, (1, problem.to_owned()));
    }
    let mut damaged = container(&text, "null", &[(1, good), (1, good)]);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(
        broken(&damaged).await,
        (1, "block 2: what must stand behind it does not".to_owned())
    );
    for (codec, problem) in [
        ("deflate", "block 1: it is not deflated as it should be"),
        ("snappy", "block 1: it is not compressed with snappy as it should be"),
        ("zstandard", "its codec zstandard is none of null, deflate and snappy"),
    ] {
        assert_eq!(
            broken(&container(&text, codec, &[(1, b"\xff\xff")])).await,
            (0, problem.to_owned())
        );
    }
    let packed = snap::raw::Encoder::new().compress_vec(good).unwrap();
    let checked = |checksum: u32| [packed.clone(), checksum.to_be_bytes().to_vec()].concat();
    let checksum = crc32fast::hash(good);
    let whole = container(&text, "snappy", &[(1, &checked(checksum))]);
    assert_eq!(read("a.avro", &whole, Options::default()).await.len(), 1);
    let damaged = container(&text, "snappy", &[(1, &checked(!checksum))]);
    assert_eq!(broken(&damaged).await.1, "block 1: it is not what its checksum says");
    for (schema, problem) in [
        (json!("string"), "the schema is no record's"),
        (of_field(&json!("n.Nothing")), "the schema names no type `n.Nothing`"),
        (
            of_field(&json!({"type": "array"})),
            "a type of the schema has no `items`",
        ),
    ] {
        assert_eq!(broken(&container(&schema, "null", &[])).await, (0, problem.to_owned()));
    }
}

#[tokio::test]
async fn what_is_made_to_exhaust_us_is_told_in_bounded_time_and_memory() {
    let zeros = vec![0; 32 << 20];
    let mut deflated = Vec::new();
    async_compression::tokio::bufread::DeflateEncoder::new(zeros.as_slice())
        .read_to_end(&mut deflated)
        .await
        .unwrap();
    let snappy = snap::raw::Encoder::new().compress_vec(&zeros).unwrap();
    let text = of_field(&json!("string"));
    let too_large = "block 1: it becomes larger than 16777216 bytes".to_owned();
    assert_eq!(
        broken(&container(&text, "deflate", &[(1, &deflated)])).await.1,
        too_large
    );
    assert_eq!(
        broken(&container(&text, "snappy", &[(1, &[snappy, vec![0; 4]].concat())]))
            .await
            .1,
        too_large
    );
    let mut huge = container(&text, "null", &[]);
    huge.extend([long(1), long(i64::MAX)].concat());
    assert_eq!(broken(&huge).await.1, "block 1: it is larger than 16777216 bytes");
    // A million million nothings.
    let nothings = of_field(&json!({"type": "array", "items": "null"}));
    let many = [long(1 << 40), long(0)].concat();
    assert_eq!(
        broken(&container(&nothings, "null", &[(1, &many)])).await.1,
        "block 1: a row has too many items"
    );
    let empty = json!({"type": "record", "name": "R", "fields": []});
    assert_eq!(
        broken(&container(&empty, "null", &[(1 << 40, b"")])).await.1,
        "block 1: its rows have no bytes"
    );
    // Of two nothings each, and so on, without a byte.
    let doubled = (0..22).fold(json!("null"), |of, level| {
        json!({"type": "record", "name": format!("R{level}"), "fields": [{"name": "a", "type": of}, {"name": "b", "type": if level == 0 { "null".to_owned() } else { format!("R{}", level - 1) }}]})
    });
    assert_eq!(
        broken(&container(&doubled, "null", &[(1, b"")])).await.1,
        "block 1: a row has too many items"
    );
    let long_name = json!({"type": "record", "name": "R", "namespace": "n".repeat(1_024), "fields": []});
    assert_eq!(
        broken(&container(&long_name, "null", &[(1, b"")])).await.1,
        "a name of the schema is longer than 1024 bytes"
    );
    let endless = json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": ["null", "R"]}]});
    assert_eq!(
        broken(&container(&endless, "null", &[(1, &[2; 1_000])])).await.1,
        "block 1: a value is nested too deep"
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_read_names_its_field_and_the_next_is_read() {
    let schema = json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}, {"name": "b", "type": "string"}]});
    let large = "x".repeat(ROW_BYTES_MAX);
    let large = [size(large.as_bytes()), large.into_bytes(), b"\x02y".to_vec()].concat();
    let block = [b"\x02x\x02y".as_slice(), b"\x02x\x02\xff", &large, b"\x02x\x02z"].concat();
    let rows = read(
        "a.avro",
        &container(&schema, "null", &[(4, &block)]),
        Options::default(),
    )
    .await;
    assert_eq!(
        rows,
        [
            (1, Ok(r#"{"a":"x","b":"y"}"#.to_owned())),
            (2, Err("field `b`: it is not UTF-8".to_owned())),
            (3, Err("field `a`: the record is larger than 1048576 bytes".to_owned())),
            (4, Ok(r#"{"a":"x","b":"z"}"#.to_owned())),
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_in_a_block_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), rows in 0_i64..5) {
        let schema = json!({"type": "record", "name": "R", "fields": [
            {"name": "a", "type": ["null", "string", {"type": "array", "items": ["int", "R"]}]},
            {"name": "b", "type": {"type": "map", "values": ["double", {"type": "enum", "name": "E", "symbols": ["X"]}]}},
        ]});
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let file = container(&schema, "null", &[(rows, &bytes)]);
        let (found, _) = runtime.block_on(read_pieces("a.avro", &file, 7, Options::default()));
        for (_, row) in short(&found) {
            if let Ok(json) = row {
                prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
            }
        }
    }
}
