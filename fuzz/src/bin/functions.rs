//! Every function and operator, with any texts as constants and as fields.
#![no_main]

use fuzz::map_json;
use ingest_svc::normalize::{Mapping, function_names};
use libfuzzer_sys::fuzz_target;

// The bytes are: which function, and texts, each closed by a zero. The first letter of a text says what stands for it.
fuzz_target!(|bytes: &[u8]| {
    let [function, bytes @ ..] = bytes else { return };
    let names: Vec<_> = function_names().collect();
    let name = names[usize::from(*function) % names.len()];
    let texts = bytes.split(|byte| *byte == 0).take(6).map(String::from_utf8_lossy);
    let (mut fields, mut arguments) = (Vec::new(), Vec::new());
    for (index, text) in texts.enumerate() {
        let (way, text) = text.split_at_checked(1).unwrap_or(("", &text));
        match way {
            // A constant, a list, a number, a field of any JSON.
            "\"" => arguments.push(literal(text)),
            "[" => arguments.push(format!(
                "[{}]",
                text.split(',').map(literal).collect::<Vec<_>>().join(", ")
            )),
            "#" => arguments.push(text.to_owned()),
            "{" => {
                fields.push(format!("\"f{index}\":{text}"));
                arguments.push(format!("f{index}"));
            }
            _ => {
                fields.push(format!("\"f{index}\":{}", json(text)));
                arguments.push(format!("f{index}"));
            }
        }
    }
    let call = format!("{name}({})", arguments.join(", "));
    let statement =
        format!("SELECT \"me\" AS id, {call} AS value, {call} AS other KIND []string FROM s INTO user BY id ALIAS a");
    if let Ok(mapping) = Mapping::parse(&statement) {
        map_json(&mapping, format!("{{{}}}", fields.join(",")).as_bytes());
    }
});

/// A text as a mapping spells it.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text as JSON spells it.
fn json(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c) & 0xffff))
        .collect();
    format!("\"{escaped}\"")
}
