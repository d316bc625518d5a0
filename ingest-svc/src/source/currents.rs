//! The body of Braze's Currents, `{"events": [event, …]}` → its events.
//!
//! Braze sends again in single events what was answered 400, and drops for good what gets a second one. So nothing of a body is
//! refused: whatever of it can be read is, event by event, and what cannot is kept as it came. For that the body is cut up by its
//! brackets and quotes alone; an event that is no JSON in itself, or no UTF-8, is for the mapping to refuse, and spoils no other.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr2;

use super::Raw;
use super::body::{BodyError, without_mark};

/// The events of a body, and behind them what could not be read, if there is such. None of an empty body, by which Braze checks a
/// connector's address and token.
///
/// # Errors
/// When there are more than `records_max`.
pub fn events(body: &Bytes, records_max: usize) -> Result<Vec<Raw>, BodyError> {
    let body = body.slice_ref(without_mark(body));
    let (mut events, mut count) = (Vec::new(), 0);
    let mut scan = Scan::new(&body);
    let read = scan.envelope(&mut |event| {
        count += 1;
        if count <= records_max {
            events.push(body.slice(event).into());
        }
    });
    if count > records_max {
        let records = count;
        return Err(BodyError::TooMany { records, records_max });
    }
    if let Err(problem) = read {
        let json = body.slice(scan.read_to..);
        if !json.trim_ascii().is_empty() {
            let unusable = Some(problem.to_owned());
            events.push(Raw { json, unusable });
        }
    }
    Ok(events)
}

/// Why a body could not be read to its end; written for the sender.
type Problem = &'static str;

const BROKEN: Problem = "the body is broken from here on, or ends too early";

/// Cuts a body up.
struct Scan<'b> {
    body: &'b [u8],
    at: usize,
    /// Behind the last event or their end; what comes before it is done with.
    read_to: usize,
}

impl<'b> Scan<'b> {
    fn new(body: &'b [u8]) -> Self {
        let (at, read_to) = (0, 0);
        Self { body, at, read_to }
    }

    /// Hands on the place of each event.
    fn envelope(&mut self, event: &mut impl FnMut(Range<usize>)) -> Result<(), Problem> {
        let mut has_events = false;
        if !self.takes(b'{') {
            return Err("a body of Currents is an object with `events`");
        }
        while !self.takes(b'}') {
            let name = self.value().filter(|_| self.takes(b':')).ok_or(BROKEN)?;
            if &self.body[name] == b"\"events\"" {
                self.list(event)?;
                has_events = true;
            } else {
                self.value().ok_or(BROKEN)?;
            }
            self.separator(b'}')?;
        }
        if !has_events {
            return Err("the body has no `events`");
        }
        self.read_to = self.at;
        let is_over = self.next().is_none();
        is_over.then_some(()).ok_or("the body goes on behind its end")
    }

    fn list(&mut self, event: &mut impl FnMut(Range<usize>)) -> Result<(), Problem> {
        if !self.takes(b'[') {
            return Err("`events` is no list");
        }
        while !self.takes(b']') {
            event(self.value().ok_or(BROKEN)?);
            self.read_to = self.at;
            self.separator(b']')?;
        }
        self.read_to = self.at;
        Ok(())
    }

    /// A comma, or the end of what it would go on with, which stays.
    fn separator(&mut self, end: u8) -> Result<(), Problem> {
        let is_there = self.takes(b',') || self.next() == Some(end);
        is_there.then_some(()).ok_or(BROKEN)
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.next() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// The next byte that is not blank.
    fn next(&mut self) -> Option<u8> {
        let blanks = self.body[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace());
        self.at += blanks.count();
        self.body.get(self.at).copied()
    }

    /// The place of the value that comes next.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.next()?;
        let from = self.at;
        self.at = match first {
            b'"' => self.text_end(from)?,
            b'{' | b'[' => self.nested_end(from)?,
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",:{}[]\"".contains(byte);
                from + self.body[from..].iter().take_while(|byte| !ends(byte)).count()
            }
        };
        (self.at > from).then_some(from..self.at)
    }

    fn text_end(&self, from: usize) -> Option<usize> {
        let mut at = from + 1;
        loop {
            at += memchr2(b'"', b'\\', self.body.get(at..)?)?;
            if self.body[at] == b'"' {
                return Some(at + 1);
            }
            // Whatever is escaped does not end the text.
            at += 2;
        }
    }

    fn nested_end(&self, from: usize) -> Option<usize> {
        let (mut at, mut depth) = (from, 0_usize);
        loop {
            match *self.body.get(at)? {
                b'"' => {
                    at = self.text_end(at)?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    const MAX: usize = 1_000;

    /// The events, and what could not be read.
    fn read(body: impl Into<Bytes>) -> (Vec<Bytes>, Option<(Bytes, String)>) {
        let mut events = events(&body.into(), MAX).unwrap();
        let unread = events.pop_if(|last| last.unusable.is_some());
        (
            events.into_iter().map(|event| event.json).collect(),
            unread.map(|unread| (unread.json, unread.unusable.unwrap())),
        )
    }

    fn whole(body: &'static str) -> Vec<Bytes> {
        let (events, unread) = read(body);
        assert_eq!(unread, None, "{body}");
        events
    }

    #[test]
    fn an_empty_body_and_an_empty_list_hold_no_events() {
        for body in ["", " \r\n", "\u{feff}", r#"{"events":[]}"#, r#" { "events" : [ ] } "#] {
            assert!(whole(body).is_empty(), "{body}");
        }
    }

    #[test]
    fn events_are_handed_on_as_they_were_written_and_other_members_are_passed_over() {
        assert_eq!(
            whole(
                "\u{feff}{\"v\": {\"events\": [0]}, \"events\" : [ {\"a\": \"]}\\\"\"} ,7,\"x\", [{}]\n], \"n\": 1.5e3 }\n"
            ),
            ["{\"a\": \"]}\\\"\"}", "7", "\"x\"", "[{}]"]
        );
    }

    #[test]
    fn what_comes_before_the_break_is_used_and_the_rest_is_kept_as_it_came() {
        for (body, count, kept) in [
            (r#"{"events":[{"a":1},{"b":"#, 1, r#",{"b":"#),
            (r#"{"events":[{"a":1} {"b":2}]}"#, 1, r#" {"b":2}]}"#),
            (r#"{"events":[{"a":1},{"b":"x}]}"#, 1, r#",{"b":"x}]}"#),
            (r#"{"events":[{"a":1},,{"b":2}]}"#, 1, r#",,{"b":2}]}"#),
            (r#"{"events":[{"a":1}],"v" 2}"#, 1, r#","v" 2}"#),
            (r#"{"events":[{"a":1}]} x"#, 1, r#" x"#),
            (r#"{"events":[{"a":"#, 0, r#"{"events":[{"a":"#),
            (r#"{"events":{"a":1}}"#, 0, r#"{"events":{"a":1}}"#),
            (r#"{"event":[{"a":1}]}"#, 0, r#"{"event":[{"a":1}]}"#),
            (r#"{"v" "events":[{"a":1}]}"#, 0, r#"{"v" "events":[{"a":1}]}"#),
            (r#"[{"a":1}]"#, 0, r#"[{"a":1}]"#),
            ("{}", 0, "{}"),
            ("a=1", 0, "a=1"),
        ] {
            let (events, unread) = read(body);
            let (unread, problem) = unread.unwrap_or_else(|| panic!("{body}"));
            assert_eq!((events.len(), &*unread), (count, kept.as_bytes()), "{body}");
            assert!(!problem.is_empty());
        }
        // Nothing is missing but the ends of what was read.
        assert_eq!(whole(r#"{"events":[{"a":1}]"#).len(), 1);
        assert_eq!(whole(r#"{"events":[{"a":1}"#).len(), 1);
    }

    #[test]
    fn an_event_that_is_broken_in_itself_spoils_no_other() {
        let body = Bytes::from_static(b"{\"events\":[{\"a\":nope},{\"b\":\"\xff\"},{\"c\":1}]}");
        let (events, unread) = read(body);
        assert_eq!((events.len(), unread), (3, None));
        assert_eq!(events[1], &b"{\"b\":\"\xff\"}"[..]);
    }

    #[test]
    fn events_are_bounded_in_number() {
        let body = |count| Bytes::from(format!("{{\"events\":[{}0]}}", "0,".repeat(count - 1)));
        assert_eq!(events(&body(MAX), MAX).unwrap().len(), MAX);
        let error = events(&body(MAX + 2), MAX).unwrap_err();
        assert!(matches!(error, BodyError::TooMany { records: 1_002, .. }));
    }

    /// JSON of any shape, blanks between its tokens.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
            any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
            Just("null".to_owned()),
        ];
        let blank = "[ \t\r\n]{0,2}";
        leaf.prop_recursive(4, 16, 4, move |inner| {
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..4), blank)
                    .prop_map(|(items, blank)| format!("[{blank}{}{blank}]", items.join(&format!("{blank},")))),
                (prop::collection::vec((any::<String>(), inner), 0..4), blank).prop_map(|(members, blank)| {
                    let members = members
                        .iter()
                        .map(|(name, value)| format!("{}{blank}:{value}", serde_json::json!(name)));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(&format!("{blank},")))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_event_of_a_body_in_order_is_found(events in prop::collection::vec(json(), 0..8), other in json()) {
            let list = format!("[{}]", events.join(" , "));
            let body = format!("{{\"v\":{other},\"events\":{list},\"w\":{other}}}");
            let (found, unread) = read(body);
            prop_assert_eq!(unread, None);
            let expected: Vec<&RawValue> = serde_json::from_str(&list).unwrap();
            prop_assert_eq!(found, expected.iter().map(|event| event.get().as_bytes()).collect::<Vec<_>>());
        }

        #[test]
        fn wherever_a_body_breaks_off_each_byte_is_used_or_kept(events in prop::collection::vec(json(), 1..4), cut in 0_usize..400) {
            let body = format!("{{\"events\":[{}]}}", events.join(","));
            let cut = cut.min(body.len());
            let begun = Bytes::copy_from_slice(&body.as_bytes()[..cut]);
            let (found, unread) = read(begun.clone());
            for (found, event) in found.iter().zip(&events) {
                // A number may have been longer.
                prop_assert!(event.as_bytes().starts_with(found), "{event}");
            }
            let used: usize = found.iter().map(|event| event.len() + 1).sum();
            let behind = begun.slice(if used == 0 { 0 } else { "{\"events\":[".len() + used - 1 }..);
            match unread {
                Some((unread, _)) => prop_assert_eq!(unread, behind),
                None => prop_assert!(matches!(&*behind, b"" | b"]" | b"]}"), "{behind:?}"),
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic_and_each_lies_in_the_body(body in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&b"{}[]\",:\\ "[..])], 0..60
        ), prefix in prop::sample::select(&["", "{", "{\"events\":[", "{\"events\":[{},"][..])) {
            let body = Bytes::from([prefix.as_bytes(), &body].concat());
            let bytes: usize = events(&body, MAX).unwrap().iter().map(|raw| raw.json.len()).sum();
            prop_assert!(bytes <= body.len());
        }
    }
}
