use super::*;

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What `origin` finds behind `proxies`, with these headers.
fn from(peer: &str, forwarded: &[&str], proxies: &[&str]) -> Option<String> {
    let mut headers = HeaderMap::new();
    for value in forwarded {
        headers.append(FORWARDED_FOR, value.parse().unwrap());
    }
    let proxies: Vec<_> = proxies.iter().map(|text| network(text)).collect();
    origin(address(peer), &headers, &proxies).map(|address| address.to_string())
}

#[test]
fn a_network_is_read_and_written_as_people_write_it() {
    for text in [
        "203.0.113.7",
        "10.1.0.0/16",
        "0.0.0.0/0",
        "2001:db8::/32",
        "2001:db8::1",
    ] {
        assert_eq!(network(text).to_string(), text);
    }
    assert_eq!(network("203.0.113.7/32").to_string(), "203.0.113.7");
    assert_eq!(network("::ffff:203.0.113.7").to_string(), "203.0.113.7");
    assert!(network("10.1.0.0/16").contains(address("10.1.255.255")));
    assert!(!network("10.1.0.0/16").contains(address("10.2.0.0")));
    assert!(!network("0.0.0.0/0").contains(address("::1")));
}

#[test]
fn what_is_no_network_is_refused_with_the_fix() {
    for bad in [
        "",
        "10.1.0.0/33",
        "10.1",
        "localhost",
        "10.1.0.0/16 ",
        "::ffff:10.0.0.0/104",
    ] {
        assert_eq!(bad.parse::<Network>(), Err(ParseNetworkError::Form), "{bad}");
    }
    let error = "10.1.2.3/16".parse::<Network>().unwrap_err().to_string();
    assert!(error.ends_with("write 10.1.2.3, or the network 10.1.0.0/16"), "{error}");
}

#[test]
fn brazes_addresses_are_known_by_the_name_of_the_instance() {
    let source: AllowedSource = "braze:us-03".parse().unwrap();
    assert_eq!(source.to_string(), "braze:US-03");
    assert!(source.contains(address("23.21.118.191")) && source.contains(address("18.205.178.15")));
    assert!(!source.contains(address("52.58.142.242")), "one of EU-01");
    for (instance, count) in [
        ("US-01", 8),
        ("US-07", 8),
        ("US-08", 18),
        ("US-10", 6),
        ("EU-01", 9),
        ("EU-02", 9),
        ("AU-01", 6),
        ("ID-01", 6),
    ] {
        assert_eq!(braze::find(instance).unwrap().1.len(), count, "{instance}");
    }
    for unknown in ["braze:JP-01", "braze:", "braze:US-09"] {
        let error = unknown.parse::<AllowedSource>().unwrap_err();
        assert!(error.to_string().contains("US-01, US-02"), "{error}");
    }
    let error = "Braze".parse::<AllowedSource>().unwrap_err().to_string();
    assert!(
        error.contains("203.0.113.7") && error.contains("braze:US-03"),
        "{error}"
    );
}

#[test]
fn without_trusted_proxies_only_the_connection_counts() {
    assert_eq!(from("192.0.2.1", &["10.0.0.1"], &[]).as_deref(), Some("192.0.2.1"));
    assert_eq!(from("::ffff:192.0.2.1", &[], &[]).as_deref(), Some("192.0.2.1"));
}

#[test]
fn a_trusted_proxy_tells_who_called_it_and_a_stranger_tells_nothing() {
    let proxies = ["10.0.0.0/8", "2001:db8::/32"];
    let of = |peer: &str, forwarded: &[&str]| from(peer, forwarded, &proxies);
    assert_eq!(of("10.0.0.1", &["192.0.2.1"]).as_deref(), Some("192.0.2.1"));
    assert_eq!(
        of("10.0.0.1", &["203.0.113.7, 192.0.2.1"]).as_deref(),
        Some("192.0.2.1"),
        "what the caller wrote itself does not count"
    );
    assert_eq!(
        of("10.0.0.1", &["203.0.113.7", "192.0.2.1, 10.0.0.2"]).as_deref(),
        Some("192.0.2.1"),
        "through two proxies, over two headers"
    );
    assert_eq!(of("192.0.2.9", &["203.0.113.7"]).as_deref(), Some("192.0.2.9"));
    assert_eq!(of("10.0.0.1", &[]).as_deref(), Some("10.0.0.1"), "the proxy's own call");
    assert_eq!(of("10.0.0.1", &["192.0.2.1:4711"]).as_deref(), Some("192.0.2.1"));
    assert_eq!(of("10.0.0.1", &["[2001:4860::1]:80"]).as_deref(), Some("2001:4860::1"));
    assert_eq!(
        of("::ffff:10.0.0.1", &["::ffff:192.0.2.1"]).as_deref(),
        Some("192.0.2.1")
    );
}

#[test]
fn a_proxy_that_does_not_tell_an_address_leaves_it_unknown() {
    for hop in ["unknown", "", "192.0.2.1,", "_hidden"] {
        assert_eq!(from("10.0.0.1", &[hop], &["10.0.0.0/8"]), None, "{hop:?}");
    }
}
