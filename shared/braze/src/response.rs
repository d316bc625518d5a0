//! How a call ended, read from every shape of answer that Braze is known to give.

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;

use crate::array::{Array, Counts};
use crate::redact::redact;
use crate::{End, RateHints, Reason, Refusal, Verdict};

/// One answer. The body is `None` if it did not arrive whole.
pub(crate) struct Answer<'a> {
    pub(crate) status: StatusCode,
    pub(crate) rate: RateHints,
    pub(crate) body: Option<&'a [u8]>,
    /// Objects in the request.
    pub(crate) counts: Counts,
    /// The key that was sent, to be kept out of all texts.
    pub(crate) key: &'a SecretString,
}

impl Answer<'_> {
    pub(crate) fn end(&self) -> End {
        let json = self
            .body
            .and_then(|body| serde_json::from_slice::<Value>(body).ok())
            .filter(Value::is_object);
        match self.status.as_u16() {
            200..=299 => self.accepted(json.as_ref()),
            // 408 and 425 come from something in between, which may have passed the request on before it lost patience.
            408 | 425 | 500.. => self.unknown(json.as_ref()),
            400 => self.bad_request(json.as_ref()),
            413 => self.whole(Refusal::TooLarge, json.as_ref()),
            429 => self.refused(
                Refusal::RateLimited {
                    retry_after: self.rate.wait(),
                },
                json.as_ref(),
            ),
            401 | 403 => self.refused(
                Refusal::Unauthorized {
                    status: Some(self.status.as_u16()),
                },
                json.as_ref(),
            ),
            status => self.refused(Refusal::Other { status }, json.as_ref()),
        }
    }

    /// A 2xx. It counts only if it says so in JSON: what a proxy in between answers is not Braze's word.
    fn accepted(&self, json: Option<&Value>) -> End {
        let processed = |array: Array| json?.get(array.processed())?.as_u64();
        let success = json.and_then(|json| json.get("message")).and_then(Value::as_str);
        let counted = self.counts.sent().any(|array| processed(array).is_some());
        if !counted && !success.is_some_and(|message| message.eq_ignore_ascii_case("success")) {
            return self.unknown(json);
        }
        let mut faults = json.map_or_else(|| Faults::none(self.counts), |json| self.faults(json));
        for array in self.counts.sent() {
            let of_it = &faults.by_object[self.counts.range(array)];
            let expected = of_it.iter().filter(|verdict| verdict.is_none()).count();
            // Some object that no error names is missing, but which one cannot be told.
            let counted = processed(array);
            let at_least =
                |objects| counted.is_some_and(|counted| counted >= u64::try_from(objects).unwrap_or(u64::MAX));
            // What may be about any array is not about one of which Braze counts all.
            faults.unplaced[array as usize] |= faults.anywhere && !at_least(of_it.len());
            if counted.is_some() && !at_least(expected) {
                faults.unplaced[array as usize] = true;
            }
        }
        let split = faults.is_unplaced();
        End::Accepted {
            verdicts: faults.verdicts(self.counts, &Verdict::Accepted),
            split,
        }
    }

    /// A 400. Braze refuses all objects with one if each is bad, so that a lone bad object must not condemn the others.
    fn bad_request(&self, json: Option<&Value>) -> End {
        if self.body.is_none() {
            // The reason is lost: ask again rather than guess.
            return self.unknown(None);
        }
        let Some(json) = json.filter(|json| is_brazes(json)) else {
            // The page of a proxy: no word about our objects, and nothing a smaller request would change.
            return self.refused(Refusal::Other { status: 400 }, json);
        };
        let message = self.message(Some(json)).to_ascii_lowercase();
        if message.contains("max input length") {
            return self.whole(Refusal::TooManyObjects, Some(json));
        }
        if message.contains("too large") {
            return self.whole(Refusal::TooLarge, Some(json));
        }
        let mut faults = self.faults(json);
        if faults.anywhere {
            faults.unplaced = [true; 3];
        }
        if faults.by_object.iter().all(Option::is_none) {
            return self.whole(Refusal::Malformed, Some(json));
        }
        End::Refused {
            refusal: Refusal::Objects,
            split: faults.is_unplaced(),
            verdicts: faults.verdicts(self.counts, &Verdict::Retry { message: None }),
            message: self.message(Some(json)),
        }
    }

    /// A refusal of the request as a whole: to be split, and with one object left the fault of that object.
    fn whole(&self, refusal: Refusal, json: Option<&Value>) -> End {
        let message = self.message(json);
        if self.counts.total() == 1 {
            let verdicts = vec![Verdict::Rejected {
                reason: Reason::Unusable,
                message: message.clone(),
            }];
            return End::Refused {
                refusal,
                verdicts,
                split: false,
                message,
            };
        }
        End::Refused {
            refusal,
            verdicts: self.retry_all(),
            split: true,
            message,
        }
    }

    /// A refusal that says nothing about the objects.
    fn refused(&self, refusal: Refusal, json: Option<&Value>) -> End {
        End::Refused {
            refusal,
            verdicts: self.retry_all(),
            split: false,
            message: self.message(json),
        }
    }

    fn unknown(&self, json: Option<&Value>) -> End {
        End::Unknown {
            status: Some(self.status.as_u16()),
            message: self.message(json),
        }
    }

    fn retry_all(&self) -> Vec<Verdict> {
        vec![Verdict::Retry { message: None }; self.counts.total()]
    }

    /// Braze's words about the request: `message`, or `error` where it could not parse it, or the body as it is.
    fn message(&self, json: Option<&Value>) -> String {
        let field = json.and_then(|json| text_at(json, "message").or_else(|| text_at(json, "error")));
        let text = match (field, self.body) {
            (Some(text), _) => text.to_owned(),
            (None, Some(body)) => String::from_utf8_lossy(body).into_owned(),
            (None, None) => "the answer did not arrive whole".to_owned(),
        };
        if text.trim().is_empty() {
            return format!("status {} without a word", self.status.as_u16());
        }
        redact(&text, self.key)
    }

    /// Sorts the entries of `errors` onto the objects they name.
    fn faults(&self, json: &Value) -> Faults {
        let mut faults = Faults::none(self.counts);
        let entries: &[Value] = match json.get("errors") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(entries)) => entries,
            Some(entry) => std::slice::from_ref(entry),
        };
        for entry in entries {
            match place(entry, self.counts) {
                Place::Object(number) => faults.put(number, verdict(&redact(&words(entry), self.key))),
                Place::In(array) => faults.unplaced[array as usize] = true,
                Place::Anywhere => faults.anywhere = true,
            }
        }
        faults
    }
}

/// What `errors` says of each object.
struct Faults {
    by_object: Vec<Option<Verdict>>,
    /// By array: an entry names an object of it, but not which one.
    unplaced: [bool; 3],
    /// An entry names nothing.
    anywhere: bool,
}

impl Faults {
    fn none(counts: Counts) -> Self {
        Self {
            by_object: vec![None; counts.total()],
            unplaced: [false; 3],
            anywhere: false,
        }
    }

    fn is_unplaced(&self) -> bool {
        self.unplaced.contains(&true)
    }

    /// Of several entries for one object the first permanent one counts.
    fn put(&mut self, number: usize, verdict: Verdict) {
        if !matches!(self.by_object[number], Some(Verdict::Rejected { .. })) {
            self.by_object[number] = Some(verdict);
        }
    }

    /// What is said of no object is `unnamed`, unless it may be about any object of its array.
    fn verdicts(self, counts: Counts, unnamed: &Verdict) -> Vec<Verdict> {
        let mut verdicts = self.by_object;
        for array in counts.sent() {
            let unnamed = if self.unplaced[array as usize] {
                &Verdict::Retry { message: None }
            } else {
                unnamed
            };
            for verdict in &mut verdicts[counts.range(array)] {
                verdict.get_or_insert_with(|| unnamed.clone());
            }
        }
        verdicts.into_iter().flatten().collect()
    }
}

/// What an entry of `errors` is about.
enum Place {
    /// The object of that number, among all of the request.
    Object(usize),
    /// Some object of this array.
    In(Array),
    /// Some object.
    Anywhere,
}

/// What an entry is about: its index counts within the array that it names. If it names none, that is the only one of the request.
fn place(entry: &Value, counts: Counts) -> Place {
    if counts.total() == 1 {
        return Place::Object(0);
    }
    let array = match text_at(entry, "input_array") {
        Some(named) => counts.sent().find(|array| array.as_str() == named),
        None => {
            let mut sent = counts.sent();
            sent.next().filter(|_| sent.next().is_none())
        }
    };
    // An array that we have not sent is none of ours.
    let Some(array) = array else {
        return Place::Anywhere;
    };
    let index = match entry.get("index") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(index) => index.as_u64().and_then(|index| usize::try_from(index).ok()),
        None => None,
    };
    let number = index.and_then(|index: usize| counts.range(array).nth(index));
    number.map_or(Place::In(array), Place::Object)
}

/// The code or sentence of an entry, which may also be a plain string.
fn words(entry: &Value) -> String {
    let text = entry
        .as_str()
        .or_else(|| text_at(entry, "type"))
        .or_else(|| text_at(entry, "message"));
    text.map_or_else(|| entry.to_string(), str::to_owned)
}

/// Whether a refusal has one of the forms in which Braze refuses.
fn is_brazes(json: &Value) -> bool {
    text_at(json, "message").or_else(|| text_at(json, "error")).is_some() || json.get("errors").is_some()
}

fn text_at<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Value::as_str)
}

/// Known codes and sentences are faults of the object and permanent; anything else may pass next time.
fn verdict(words: &str) -> Verdict {
    let lower = words.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    let reason = if has("external_user_id_too_large") || has("fewer than 988 bytes") {
        Reason::ExternalIdTooLong
    } else if has("blacklisted") {
        Reason::Blocked
    } else if has("must specify only one of") || (has("'external_id'") && has("is required")) {
        Reason::Identifier
    } else if is_code_of_a_bad_value(words)
        || has("' must be ")
        || has("' is required")
        || has("is not a valid ")
        || has("is not valid")
    {
        Reason::Value
    } else {
        return Verdict::Retry {
            message: Some(words.to_owned()),
        };
    };
    Verdict::Rejected {
        reason,
        message: words.to_owned(),
    }
}

/// `BAD_…`, `EMAIL_BAD_FORMAT`, `INVALID_ATTRIBUTE_…`: all codes that Braze documents beside those of the external id.
fn is_code_of_a_bad_value(words: &str) -> bool {
    words.starts_with("BAD_") || words.starts_with("EMAIL_BAD_") || words.starts_with("INVALID_ATTRIBUTE_")
}

#[cfg(test)]
mod tests;
