//! The addresses that Braze's webhooks and Currents come from, per instance, as Braze's documentation lists them ("Data centers").
//! It lists none for JP-01 and KR-01. Braze changes them now and then: what is missing here is added to the token by its address.

use std::net::Ipv4Addr;

const fn ip(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

type List = (&'static [&'static str], &'static [Ipv4Addr]);

const LISTS: [List; 6] = [
    (
        &["US-01", "US-02", "US-03", "US-04", "US-05", "US-06", "US-07"],
        &[
            ip(23, 21, 118, 191),
            ip(34, 206, 23, 173),
            ip(50, 16, 249, 9),
            ip(52, 4, 160, 214),
            ip(54, 87, 8, 34),
            ip(54, 156, 35, 251),
            ip(52, 54, 89, 238),
            ip(18, 205, 178, 15),
        ],
    ),
    (
        &["US-08"],
        &[
            ip(52, 151, 246, 51),
            ip(52, 170, 163, 182),
            ip(40, 76, 166, 157),
            ip(40, 76, 166, 170),
            ip(40, 76, 166, 167),
            ip(40, 76, 166, 161),
            ip(40, 76, 166, 156),
            ip(40, 76, 166, 166),
            ip(40, 76, 166, 160),
            ip(40, 88, 51, 74),
            ip(52, 154, 67, 17),
            ip(40, 76, 166, 80),
            ip(40, 76, 166, 84),
            ip(40, 76, 166, 85),
            ip(40, 76, 166, 81),
            ip(40, 76, 166, 71),
            ip(40, 76, 166, 144),
            ip(40, 76, 166, 145),
        ],
    ),
    (
        &["US-10"],
        &[
            ip(100, 25, 232, 164),
            ip(35, 168, 86, 179),
            ip(52, 7, 44, 117),
            ip(3, 92, 153, 18),
            ip(35, 172, 3, 129),
            ip(50, 19, 162, 19),
        ],
    ),
    (
        &["EU-01", "EU-02"],
        &[
            ip(52, 58, 142, 242),
            ip(52, 29, 193, 121),
            ip(35, 158, 29, 228),
            ip(18, 157, 135, 97),
            ip(3, 123, 166, 46),
            ip(3, 64, 27, 36),
            ip(3, 65, 88, 25),
            ip(3, 68, 144, 188),
            ip(3, 70, 107, 88),
        ],
    ),
    (
        &["AU-01"],
        &[
            ip(13, 210, 1, 145),
            ip(13, 211, 70, 159),
            ip(13, 238, 45, 54),
            ip(52, 65, 73, 167),
            ip(54, 153, 242, 239),
            ip(54, 206, 45, 213),
        ],
    ),
    (
        &["ID-01"],
        &[
            ip(108, 136, 157, 246),
            ip(108, 137, 30, 207),
            ip(16, 78, 128, 71),
            ip(16, 78, 14, 134),
            ip(16, 78, 162, 208),
            ip(43, 218, 73, 35),
        ],
    ),
];

/// The instance as Braze spells it, and its addresses.
pub(super) fn find(instance: &str) -> Option<(&'static str, &'static [Ipv4Addr])> {
    LISTS.iter().find_map(|(instances, addresses)| {
        let name = instances.iter().find(|name| name.eq_ignore_ascii_case(instance))?;
        Some((*name, *addresses))
    })
}

/// The instances whose addresses are known.
pub(super) fn names() -> Vec<&'static str> {
    LISTS.iter().flat_map(|(instances, _)| *instances).copied().collect()
}
