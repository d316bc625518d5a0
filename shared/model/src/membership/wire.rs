//! A `MembershipChange` read where it lies, without a copy: the export decodes one for every record. What the generated decoder
//! takes is read as it reads it; but groups, which proto3 does not write, are refused, and a text is looked into only where it is
//! used.

/// The bytes are no `MembershipChange`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// The fields that matter here, unchecked.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    pub(super) account: u64,
    pub(super) audience_slug: &'a [u8],
    pub(super) profile_id: &'a [u8],
    pub(super) action: i32,
    pub(super) fields: Entries<'a>,
    pub(super) previous_fields: Entries<'a>,
}

impl<'a> Change<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut change = Self::default();
        let mut fields = Reader(bytes);
        loop {
            let before = fields.0;
            let (number, value) = match fields.short() {
                Some((number, bytes)) => (number, Value::Bytes(bytes)),
                None => match fields.next()? {
                    Some(field) => field,
                    None => return Ok(change),
                },
            };
            match number {
                1 => change.account = value.varint()?,
                // The id of the audience; nobody needs it.
                2 => {
                    value.bytes()?;
                }
                3 => change.audience_slug = value.bytes()?,
                4 => change.profile_id = value.bytes()?,
                5 => change.action = value.enumeration()?,
                6 => timestamp(value.bytes()?)?,
                7 => {
                    entry(value.bytes()?)?;
                    change.fields.found(number, before, fields.0.len());
                }
                8 => {
                    entry(value.bytes()?)?;
                    change.previous_fields.found(number, before, fields.0.len());
                }
                _ => {}
            }
        }
    }
}

/// The entries of a map of texts, where they lie in their message. Nearly always they stand together, and one is asked for once: so
/// they are found anew rather than listed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entries<'a> {
    /// The map's field.
    number: u32,
    /// From the first entry on.
    from: &'a [u8],
    /// Up to the last entry. Other fields may stand between.
    length: usize,
}

impl<'a> Entries<'a> {
    /// There is one at the beginning of `at`, of which `left` bytes are left behind it.
    #[inline]
    fn found(&mut self, number: u32, at: &'a [u8], left: usize) {
        if self.number == 0 {
            (self.number, self.from) = (number, at);
        }
        self.length = self.from.len() - left;
    }

    pub(super) fn is_empty(self) -> bool {
        self.number == 0
    }

    /// They have been read once, so they are well-formed.
    pub(super) fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut fields = Reader(&self.from[..self.length]);
        std::iter::from_fn(move || {
            loop {
                let (number, value) = match fields.short() {
                    Some(field) => field,
                    None => {
                        let (number, value) = fields.next().ok()??;
                        (number, value.bytes().unwrap_or_default())
                    }
                };
                if number == self.number {
                    return entry(value).ok();
                }
            }
        })
    }
}

/// A text, which may be known already: then nobody has to look into it.
pub(super) fn text<'a>(bytes: &'a [u8], known: Option<&'a str>) -> Result<&'a str, Malformed> {
    match known.filter(|known| known.as_bytes() == bytes) {
        Some(known) => Ok(known),
        None => std::str::from_utf8(bytes).map_err(|_| Malformed("a text is no UTF-8")),
    }
}

/// One entry of a map of texts.
fn entry(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut key, mut text) = (&[][..], &[][..]);
    let mut fields = Reader(bytes);
    // As nearly every entry is.
    if let Some((1, first)) = fields.short()
        && let Some((2, second)) = fields.short()
        && fields.0.is_empty()
    {
        return Ok((first, second));
    }
    fields = Reader(bytes);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.bytes()?,
            2 => text = value.bytes()?,
            _ => {}
        }
    }
    Ok((key, text))
}

/// When it happened decides nothing; it must be well-formed.
fn timestamp(bytes: &[u8]) -> Result<(), Malformed> {
    let mut fields = Reader(bytes);
    while let Some((number, value)) = fields.next()? {
        if matches!(number, 1 | 2) {
            value.varint()?;
        }
    }
    Ok(())
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// 32 or 64 bits: no field of ours.
    Fixed,
}

impl<'a> Reader<'a> {
    /// A text, bytes or a message whose key and length are one byte each, as nearly all are: its number and what it holds. `None`
    /// if what comes next is anything else.
    #[inline(always)]
    fn short(&mut self) -> Option<(u32, &'a [u8])> {
        let [key @ 0x08..0x80, length @ 0..0x80, rest @ ..] = self.0 else {
            return None;
        };
        if key & 7 != 2 {
            return None;
        }
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        self.0 = rest;
        Some((u32::from(key >> 3), value))
    }

    /// The next field's number and value.
    fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Malformed("a field's number is too large"))?;
        let number = key >> 3;
        if number == 0 {
            return Err(Malformed("a field has the number 0"));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed("a field's type is unknown")),
        };
        Ok(Some((number, value)))
    }

    #[inline(always)]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).ok();
        let (taken, rest) = length
            .and_then(|length| self.0.split_at_checked(length))
            .ok_or(Malformed("it ends in the middle of a field"))?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        // Nearly every number is a field's key or a length.
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            // Of the tenth byte there is room for one bit.
            if index == 9 && *byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(number);
            }
        }
        Err(Malformed("a number does not end"))
    }
}

impl<'a> Value<'a> {
    fn varint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed => Err(Malformed("a number is of another type")),
        }
    }

    /// The low 32 bits, as the generated decoder has it.
    fn enumeration(self) -> Result<i32, Malformed> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(i32::from_le_bytes([a, b, c, d]))
    }

    fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(Malformed("a text or message is of another type")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use proto::membership::v1::MembershipChange;

    use super::super::Fields;
    use super::*;

    /// Reads the bytes as the generated decoder does.
    fn same(bytes: &[u8]) {
        let generated = MembershipChange::decode(bytes).ok();
        let ours = Change::read(bytes).ok();
        let (Some(ours), Some(theirs)) = (&ours, &generated) else {
            let good = ours.is_none() || texts_are_good(bytes, true) == Ok(false);
            assert!(good && generated.is_none(), "{bytes:02x?}");
            return;
        };
        let all = |account, slug, profile, action| (account, slug, profile, action);
        assert_eq!(
            all(ours.account, ours.audience_slug, ours.profile_id, ours.action),
            all(
                theirs.account,
                theirs.audience_slug.as_bytes(),
                theirs.profile_id.as_bytes(),
                theirs.action
            ),
            "{bytes:02x?}"
        );
        for (ours, theirs) in [
            (ours.fields, &theirs.fields),
            (ours.previous_fields, &theirs.previous_fields),
        ] {
            assert_eq!(Fields::from(ours), Fields::from(theirs), "{bytes:02x?}");
        }
    }

    /// Whether every text is UTF-8: the generated decoder looks into all of them. `whole`: a change, else an entry of a map.
    fn texts_are_good(bytes: &[u8], whole: bool) -> Result<bool, Malformed> {
        let mut good = true;
        let mut fields = Reader(bytes);
        while let Some((number, value)) = fields.next()? {
            good &= match (whole, number) {
                (true, 2..=4) | (false, 1 | 2) => std::str::from_utf8(value.bytes()?).is_ok(),
                (true, 7 | 8) => texts_are_good(value.bytes()?, false)?,
                _ => true,
            };
        }
        Ok(good)
    }

    fn texts() -> impl Strategy<Value = std::collections::HashMap<String, String>> {
        prop::collection::hash_map("[a-cä]{0,3}", "\\PC{0,8}", 0..6)
    }

    fn change() -> impl Strategy<Value = MembershipChange> {
        let time = prop::option::of((any::<i64>(), any::<i32>()));
        (
            any::<u64>(),
            "\\PC{0,8}",
            "[a-z/]{0,8}",
            any::<i32>(),
            time,
            texts(),
            texts(),
        )
            .prop_map(
                |(account, slug, profile, action, time, fields, previous_fields)| MembershipChange {
                    account,
                    audience_id: slug.clone(),
                    audience_slug: slug,
                    profile_id: profile,
                    action,
                    event_time: time.map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }),
                    fields,
                    previous_fields,
                },
            )
    }

    /// A field of any number and, but for groups, any type, perhaps with the wrong length.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![Just(0_u8), Just(1), Just(2), Just(5)];
        (0..10_u8, kind, prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(number, kind, rest)| {
            let mut bytes = vec![(number << 3) | kind];
            if kind == 2 && rest.first().is_none_or(|byte| byte % 4 > 0) {
                bytes.push(u8::try_from(rest.len()).expect("short"));
            }
            bytes.extend(rest);
            bytes
        })
    }

    proptest! {
        #[test]
        fn a_change_is_read_as_the_generated_decoder_reads_it(change in change(), cut in any::<prop::sample::Index>()) {
            let bytes = change.encode_to_vec();
            same(&bytes);
            if !bytes.is_empty() {
                same(&bytes[..cut.index(bytes.len())]);
            }
        }

        #[test]
        fn what_is_no_change_is_taken_and_refused_as_by_the_generated_decoder(
            before in change(),
            fields in prop::collection::vec(field(), 0..4),
        ) {
            let mut bytes = before.encode_to_vec();
            bytes.extend(fields.concat());
            if Change::read(&bytes).err() != Some(Malformed("a field's type is unknown")) {
                same(&bytes);
            }
        }
    }

    #[test]
    fn of_a_field_that_comes_twice_the_last_value_counts() {
        let one = MembershipChange {
            profile_id: "1".into(),
            fields: [("a".into(), "x".into()), ("b".into(), "y".into())].into(),
            ..MembershipChange::default()
        };
        let two = MembershipChange {
            profile_id: "2".into(),
            fields: [("a".into(), "z".into())].into(),
            ..MembershipChange::default()
        };
        let bytes = [one.encode_to_vec(), two.encode_to_vec()].concat();
        same(&bytes);
        let change = Change::read(&bytes).expect("well-formed");
        let fields = Fields::from(change.fields);
        assert_eq!(
            (change.profile_id, fields.get("a"), fields.get("b")),
            (&b"2"[..], Some("z"), Some("y"))
        );
    }
}
