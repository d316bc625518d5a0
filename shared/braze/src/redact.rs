//! Keeps our key out of every text that leaves this crate: Braze's 401 echoes it.

use secrecy::{ExposeSecret, SecretString};

/// What stands in place of the key.
const REDACTED: &str = "[redacted]";
/// The shortest part of a URL that may be what makes it unguessable.
const PART_CHARS_MIN: usize = 16;
/// Characters of a foreign text that we keep.
const CHARS_MAX: usize = 500;

/// A foreign text, fit for logs and records: without the key in plain, JSON-escaped or percent-encoded form, and short.
pub(crate) fn redact(text: &str, key: &SecretString) -> String {
    redact_all(text, &[key])
}

/// As [`redact`], without any of these.
pub(crate) fn redact_all(text: &str, secrets: &[&SecretString]) -> String {
    let clean = secrets
        .iter()
        .fold(text.to_owned(), |text, secret| without(text, secret));
    shorten(&clean)
}

/// What makes a URL unguessable also says enough alone: what stands between two separators behind its host, if it is long.
pub(crate) fn parts(url: &SecretString) -> Vec<SecretString> {
    let url = url.expose_secret();
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let behind_host = behind_scheme.split_once(['/', '?', '#']).map_or("", |(_, rest)| rest);
    behind_host
        .split(['/', '?', '#', '&', '='])
        .filter(|part| part.chars().count() >= PART_CHARS_MIN)
        .map(SecretString::from)
        .collect()
}

fn without(text: String, key: &SecretString) -> String {
    let key = key.expose_secret();
    if key.is_empty() {
        return text;
    }
    let escaped = serde_json::to_string(key).unwrap_or_default();
    let mut clean = text.replace(key, REDACTED);
    for form in [
        escaped.trim_matches('"'),
        &percent_encoded(key, false),
        &percent_encoded(key, true),
    ] {
        if form != key && !form.is_empty() {
            clean = clean.replace(form, REDACTED);
        }
    }
    clean
}

/// Cut only after redaction: half a key would not be recognised.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn percent_encoded(key: &str, upper: bool) -> String {
    key.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if upper => format!("%{byte:02X}"),
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_replaced_in_every_form() {
        let key = SecretString::from("0f3c/a+b\"c");
        for (text, clean) in [
            ("Invalid API key: 0f3c/a+b\"c", "Invalid API key: [redacted]"),
            ("0f3c/a+b\"c and 0f3c/a+b\"c", "[redacted] and [redacted]"),
            (r#"{"key":"0f3c/a+b\"c"}"#, r#"{"key":"[redacted]"}"#),
            ("?key=0f3c%2Fa%2Bb%22c&x", "?key=[redacted]&x"),
            ("?key=0f3c%2fa%2bb%22c&x", "?key=[redacted]&x"),
            ("nothing secret", "nothing secret"),
        ] {
            assert_eq!(redact(text, &key), clean);
        }
    }

    #[test]
    fn a_long_text_is_cut_after_the_key_was_replaced() {
        let key = SecretString::from("s".repeat(40));
        let text = format!("{}{}", "ä".repeat(CHARS_MAX - 10), "s".repeat(40));
        assert_eq!(redact(&text, &key), format!("{}{REDACTED}", "ä".repeat(CHARS_MAX - 10)));
        assert_eq!(
            redact(&"x".repeat(CHARS_MAX + 1), &key),
            format!("{}…", "x".repeat(CHARS_MAX))
        );
    }

    #[test]
    fn the_long_parts_of_a_url_behind_its_host_are_secrets_of_their_own() {
        let token = "Zk3_0123456789-0123456789";
        for (url, secret) in [
            (format!("https://import.example.net/imports/1234/{token}"), vec![token]),
            (
                format!("https://import.example.net/done?job=7&token={token}#x"),
                vec![token],
            ),
            (format!("https://h/{token}/{token}/"), vec![token, token]),
            ("https://a-host-that-is-long.example.net".to_owned(), vec![]),
            ("https://h/short/parts/only".to_owned(), vec![]),
        ] {
            let url = SecretString::from(url);
            let parts = parts(&url);
            let parts: Vec<_> = parts.iter().map(|part| part.expose_secret()).collect();
            assert_eq!(parts, secret);
        }
    }

    #[test]
    fn an_empty_key_changes_nothing() {
        assert_eq!(redact("abc", &SecretString::from("")), "abc");
    }
}
