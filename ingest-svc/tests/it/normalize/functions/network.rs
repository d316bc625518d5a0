use super::{check, given};

const LINUX: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.11 (KHTML, like Gecko) Chrome/23.0.1271.97 Safari/537.11";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.1 Mobile/15E148 Safari/604.1";
const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:109.0) Gecko/20100101 Firefox/117.0";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile Safari/537.36";
const BOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

#[test]
fn a_user_agent_is_taken_apart() {
    let parts = [
        "os",
        "bot",
        "mobile",
        "mozilla",
        "platform",
        "engine",
        "engine_version",
        "browser",
        "browser_version",
    ];
    for (agent, expected) in [
        (
            LINUX,
            [
                "Linux x86_64",
                "false",
                "false",
                "5.0",
                "X11",
                "AppleWebKit",
                "537.11",
                "Chrome",
                "23.0.1271.97",
            ],
        ),
        (
            IPHONE,
            [
                "CPU iPhone OS 16_1 like Mac OS X",
                "false",
                "true",
                "5.0",
                "iPhone",
                "AppleWebKit",
                "605.1.15",
                "Safari",
                "16.1",
            ],
        ),
        (
            WINDOWS,
            [
                "Windows 10",
                "false",
                "false",
                "5.0",
                "Windows NT 10.0",
                "Gecko",
                "20100101",
                "Firefox",
                "117.0",
            ],
        ),
        (
            ANDROID,
            [
                "Android 13",
                "false",
                "true",
                "5.0",
                "Linux",
                "AppleWebKit",
                "537.36",
                "Chrome",
                "116.0.0.0",
            ],
        ),
        (BOT, ["", "true", "false", "5.0", "compatible", "", "", "Googlebot", ""]),
    ] {
        for (part, expected) in parts.into_iter().zip(expected) {
            assert_eq!(
                given(&format!("useragent({agent:?}, {part:?})")),
                expected,
                "{part} of {agent}"
            );
        }
        let map = given(&format!("useragent.map({agent:?})"));
        assert!(map.contains(&format!("bot={}", expected[1])), "{map}");
        assert_eq!(given(&format!("len(useragent.map({agent:?}))")), "9");
    }
    check(
        r#"
useragent("Mozilla/5.0", "MOZILLA") → 5.0
useragent("Mozilla/5.0", "colour") →
useragent("", "os")                →
useragent.map(missing)             →
"#,
    );
}

#[test]
fn an_address_is_in_a_network_or_not() {
    check(
        r#"
ipfilter("192.168.1.254", "192.168.1.0/24") → true
ipfilter("192.168.1.1", "192.168.1.7/24")  → true
ipfilter("192.168.2.1", "192.168.1.0/24")  → false
ipfilter("2001:db8::1", "2001:db8::/32")   → true
ipfilter("2001:db9::1", "2001:db8::/32")   → false
ipfilter("invalid.ip", "192.168.1.0/24")   →
ipfilter("192.168.1.1", "192.168.1.0/35")  →
ipfilter(missing, "192.168.1.0/24")        →
"#,
    );
}
