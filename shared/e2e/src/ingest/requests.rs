//! Requests as they go over the wire, built before anything is measured.

use std::fmt::Write as _;

/// Users that the requests are about, in turn.
pub const USERS: usize = 1_000;

/// Requests with as many events each.
pub struct Requests {
    pub events_each: u64,
    /// Each is a whole request.
    pub bytes: Vec<Vec<u8>>,
}

impl Requests {
    /// As Braze's dashboard proposes them, with so many of [`USERS`] in each; one is an object, several are an array.
    pub fn new(path: &str, events_each: usize) -> Self {
        let users: Vec<_> = (0..USERS).map(user).collect();
        let request = |users: &[String]| {
            let body = match users {
                [one] => one.clone(),
                many => format!("[{}]", many.join(",")),
            };
            let mut head = head(path, "application/json", body.len());
            head.extend(body.as_bytes());
            head
        };
        Self {
            events_each: events_each as u64,
            bytes: users.chunks(events_each).map(request).collect(),
        }
    }
}

/// A head of a request, its end included.
pub fn head(path: &str, content_type: &str, length: usize) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

/// The fields of the webhook that Braze's dashboard proposes, and what a user has of them.
pub fn fields(number: usize) -> [(&'static str, String); 12] {
    [
        ("city", "Bangkok".to_owned()),
        ("country", "United States".to_owned()),
        ("first_name", "Anong".to_owned()),
        ("gender", "male".to_owned()),
        ("language", "th".to_owned()),
        ("last_name", "Saetang".to_owned()),
        ("date_of_birth", "19820101".to_owned()),
        ("phone_number", format!("+6621{number:07}")),
        ("time_zone", "GMT+7".to_owned()),
        ("twitter_handle", String::new()),
        ("email", format!("Anong.S{number}@Example.com")),
        ("braze_id", format!("{number:024x}")),
    ]
}

fn user(number: usize) -> String {
    let members = fields(number).map(|(name, value)| format!("  \"{name}\": \"{value}\""));
    format!("{{\n{}\n}}", members.join(",\n"))
}

/// A CSV of so many rows: its header, and the rows.
pub fn csv(rows: usize) -> (String, String) {
    let mut text = String::new();
    for number in 0..rows {
        for (index, (_, value)) in fields(number).iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // A text takes whatever is written to it.
            write!(text, "{comma}{value}").unwrap_or_default();
        }
        text.push('\n');
    }
    let header = fields(0).map(|(name, _)| name).join(",") + "\n";
    (header, text)
}
