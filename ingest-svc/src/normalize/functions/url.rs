//! Parts of URLs. A scheme may be missing, and is `http` then; a list counts by its first item.
//!
//! Hosts are in lower case and without their port, except where they are part of a longer result, which stays a working
//! address. Paths and parameters are decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use regex::{Regex, RegexBuilder};
use url::{Host, Url};

use super::super::expression::Arguments;
use super::super::value::Items;
use super::prepare::literal;
use super::{ANY, Expression, Function, Kind, Prepared, Value, filled};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("domain", (1, 1), Kind::Text, |arguments| {
        Some(domain(&filled(&arguments, 0)?)?.into())
    }),
    Function::new("domains", (1, ANY), Kind::Texts, |arguments| each(arguments, domain)),
    Function::new("host", (1, 1), Kind::Text, |arguments| {
        Some(host(&filled(&arguments, 0)?)?.into())
    }),
    Function::new("hosts", (1, ANY), Kind::Texts, |arguments| each(arguments, host)),
    Function::new("path", (1, 1), Kind::Text, |arguments| {
        let url = parse(&filled(&arguments, 0)?)?;
        Some(decoded(url.path())?.to_lowercase().into())
    }),
    // The older one: everything in lower case.
    Function::new("qs", (2, 2), Kind::Text, |arguments| {
        let (url, name) = (filled(&arguments, 0)?.to_lowercase(), arguments.text(1)?.to_lowercase());
        parameter(&url, &name)
    }),
    Function::new("qs2", (2, 2), Kind::Text, |arguments| {
        parameter(&filled(&arguments, 0)?, &arguments.text(1)?)
    }),
    Function::new("urldecode", (1, 1), Kind::Text, |arguments| {
        Some(query_decoded(&filled(&arguments, 0)?)?.into())
    }),
    Function::new("urlmain", (1, 1), Kind::Text, |arguments| {
        Some(main(&parse(&filled(&arguments, 0)?)?)?.into())
    }),
    Function::new("urlminusqs", (2, 2), Kind::Text, |arguments| {
        let mut url = parse(&filled(&arguments, 0)?)?;
        let name = filled(&arguments, 1)?;
        keep_parameters(&mut url, |other| other != name);
        url.set_fragment(None);
        Some(String::from(url).into())
    }),
    Function::new("url.matchqs", (1, ANY), Kind::Text, matching_parameters).prepared(patterns),
];

/// Bytes of a compiled pattern, at most.
const PATTERN_BYTES_MAX: usize = 1 << 16;

/// An address, if it is one. A path alone is one of no host.
fn parse(text: &str) -> Option<Url> {
    let text = text.trim();
    if text.starts_with('/') && !text.starts_with("//") {
        return Url::parse(&format!("file://{text}")).ok();
    }
    if text.contains("://") {
        return Url::parse(text).ok();
    }
    Url::parse(&format!("http://{text}")).ok()
}

fn host(text: &str) -> Option<String> {
    Some(parse(text)?.host_str()?.to_lowercase()).filter(|host| !host.is_empty())
}

/// The part of the host that somebody registered, by the list of public suffixes.
fn domain(text: &str) -> Option<String> {
    match parse(text)?.host()? {
        Host::Domain(host) => Some(psl::domain_str(&host.to_lowercase())?.to_owned()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// What can be read of all arguments, of lists their items.
fn each(arguments: Arguments<'_>, of: fn(&str) -> Option<String>) -> Option<Value<'_>> {
    let lists = arguments.each(0).flatten().filter_map(Value::into_list);
    let texts = lists.flat_map(Items::into_each).filter_map(Value::into_text);
    let found: Vec<_> = texts.filter_map(|text| of(&text)).map(Value::from).collect();
    (!found.is_empty()).then(|| Value::list(found))
}

/// Host, port and path.
fn main(url: &Url) -> Option<String> {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    Some(format!("{host}{port}{}", decoded(url.path())?))
}

fn parameter<'e>(url: &str, name: &str) -> Option<Value<'e>> {
    let url = parse(url)?;
    let (_, value) = url.query_pairs().find(|(other, _)| other == name)?;
    (!value.is_empty()).then(|| value.into_owned().into())
}

/// Takes the other parameters out of an address; the order of those that stay is kept.
fn keep_parameters(url: &mut Url, keep: impl Fn(&str) -> bool) {
    let all = url.query_pairs().into_owned();
    let (kept, dropped): (Vec<_>, Vec<_>) = all.partition(|(name, _)| keep(name));
    if kept.is_empty() {
        url.set_query(None);
    } else if !dropped.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
}

fn matching_parameters(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let mut url = parse(&filled(&arguments, 0)?)?;
    let Prepared::Patterns(patterns) = arguments.prepared else {
        return None;
    };
    keep_parameters(&mut url, |name| patterns.iter().any(|pattern| pattern.is_match(name)));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", main(&url)?).into())
}

fn patterns(_place: usize, arguments: &[Expression]) -> Result<Prepared, String> {
    let pattern = |index| -> Result<Regex, String> {
        let pattern = literal(arguments, index, "each pattern of `url.matchqs`")?;
        if pattern.is_empty() {
            return Err("a pattern of `url.matchqs` is empty, and would match everything".to_owned());
        }
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        compiled.map_err(|error| {
            let message = error.to_string();
            let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the pattern `{pattern}` of `url.matchqs` cannot be read: {reason}")
        })
    };
    (1..arguments.len())
        .map(pattern)
        .collect::<Result<_, _>>()
        .map(Prepared::Patterns)
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// As in a query: a plus is a blank. A percent sign without two hexadecimal digits is no encoding.
fn query_decoded(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    let is_hex = |escape: &str| escape.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.into_iter().all(is_hex) {
        return None;
    }
    Some(decoded(&text.replace('+', " "))?.into_owned())
}
