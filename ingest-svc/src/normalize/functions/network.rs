//! Who sent a request: user agents and addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::expression::Arguments;
use super::{Function, Kind, Value, filled};

pub(super) const FUNCTIONS: &[Function] = &[
    // `useragent(text, "browser")`: one of its parts; an unknown one gives no value.
    Function::new("useragent", (2, 2), Kind::Text, |arguments| {
        let (agent, part) = (filled(&arguments, 0)?, arguments.text(1)?.to_ascii_lowercase());
        let mut parts = agent_parts(&agent).into_iter();
        let (_, value) = parts.find(|(name, _)| *name == part)?;
        Some(value.into())
    }),
    Function::new("useragent.map", (1, 1), Kind::TextMap, |arguments| {
        let parts = agent_parts(&filled(&arguments, 0)?);
        Value::map(parts.map(|(name, value)| (name.into(), value.into())))
    }),
    Function::new("ipfilter", (2, 2), Kind::Bool, ip_filter),
];

/// `ipfilter(address, "10.0.0.0/8")`: whether the network has the address.
fn ip_filter(arguments: Arguments<'_>) -> Option<Value<'_>> {
    let address: IpAddr = arguments.text(0)?.trim().parse().ok()?;
    let network: IpNet = arguments.text(1)?.trim().parse().ok()?;
    Some(Value::Bool(network.contains(&address)))
}

/// The parts of a user agent. What it is called, and whether it is a phone or a bot, says the library; the others are read
/// from its form, `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.11 (…) …`, for no library gives them.
fn agent_parts(agent: &str) -> [(&'static str, String); 9] {
    let known = woothee::parser::Parser::new().parse(agent).unwrap_or_default();
    let told = |part: &str| {
        if part == "UNKNOWN" {
            String::new()
        } else {
            part.to_owned()
        }
    };
    let comment = agent.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let comment: Vec<&str> = comment.map_or_else(Vec::new, |(comment, _)| comment.split(';').map(str::trim).collect());
    let (engine, engine_version) = ENGINES
        .iter()
        .find_map(|engine| Some((*engine, version_of(agent, engine)?)))
        .unwrap_or_default();
    let os = SYSTEMS
        .iter()
        .find_map(|system| comment.iter().find(|part| part.contains(system)));
    [
        ("os", os.map_or_else(|| told(known.os), |os| (*os).to_owned())),
        ("bot", (known.category == "crawler").to_string()),
        (
            "mobile",
            matches!(known.category, "smartphone" | "mobilephone").to_string(),
        ),
        ("mozilla", version_of(agent, "Mozilla").unwrap_or_default().to_owned()),
        ("platform", comment.first().copied().unwrap_or_default().to_owned()),
        ("engine", engine.to_owned()),
        ("engine_version", engine_version.to_owned()),
        ("browser", told(known.name)),
        ("browser_version", told(known.version)),
    ]
}

/// The names of layout engines; where several stand, the earlier counts.
const ENGINES: [&str; 4] = ["AppleWebKit", "Trident", "Presto", "Gecko"];

/// What the part of the comment that names the system has in it; where several stand, the earlier counts. Windows is not
/// here: its numbers are not its names, and the library knows these.
const SYSTEMS: [&str; 5] = ["Android", " OS ", "CrOS", "Linux", "BSD"];

/// What stands behind `name/`.
fn version_of<'a>(agent: &'a str, name: &str) -> Option<&'a str> {
    let behind = agent.split_once(name)?.1.strip_prefix('/')?;
    Some(behind.split([' ', ';', ')']).next().unwrap_or_default())
}
