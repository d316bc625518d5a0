//! A `MembershipChange` read where it lies, without a copy: the export decodes one for every record. What the generated decoder
//! takes is read as it reads it; but groups, which proto3 does not write, are refused, and a text is looked into only where it is
//! used.

mod reader;

pub use self::reader::Malformed;
use self::reader::Reader;

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
    #[inline(always)]
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::usual(bytes).map_or_else(|| Self::any(bytes), Ok)
    }

    /// As every encoder that we know writes it: field after field, keys and lengths of one byte each. `None` if it is otherwise.
    #[inline(always)]
    fn usual(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Reader(bytes);
        let account = fields.usual_number(0x08)?;
        fields.usual_bytes(0x12)?;
        let mut change = Self {
            account,
            audience_slug: fields.usual_bytes(0x1a)?,
            profile_id: fields.usual_bytes(0x22)?,
            action: i32::try_from(fields.usual_number(0x28)?).ok()?,
            ..Self::default()
        };
        timestamp(fields.usual_bytes(0x32)?).ok()?;
        for (key, entries) in [(0x3a, &mut change.fields), (0x42, &mut change.previous_fields)] {
            while fields.0.first() == Some(&key) {
                let before = fields.0;
                let entry = entry(fields.usual_bytes(key)?).ok()?;
                entries.found(u32::from(key >> 3), entry, before, fields.0.len());
            }
        }
        fields.0.is_empty().then_some(change)
    }

    #[inline(never)]
    fn any(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut change = Self::default();
        let mut fields = Reader(bytes);
        loop {
            let before = fields.0;
            let Some((number, value)) = fields.next()? else {
                return Ok(change);
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
                7 => change
                    .fields
                    .found(number, entry(value.bytes()?)?, before, fields.0.len()),
                8 => {
                    let entry = entry(value.bytes()?)?;
                    change.previous_fields.found(number, entry, before, fields.0.len());
                }
                _ => {}
            }
        }
    }
}

/// The entries of a map of texts, where they lie in their message. Nearly always they stand together, and one is asked for once: so
/// they are found anew rather than listed, unless there is only one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entries<'a> {
    /// The map's field.
    number: u32,
    count: usize,
    last: (&'a [u8], &'a [u8]),
    /// From the first entry on.
    from: &'a [u8],
    /// Up to the last entry. Other fields may stand between.
    length: usize,
}

impl<'a> Entries<'a> {
    /// There is one at the beginning of `at`, of which `left` bytes are left behind it.
    #[inline(always)]
    fn found(&mut self, number: u32, entry: (&'a [u8], &'a [u8]), at: &'a [u8], left: usize) {
        if self.count == 0 {
            (self.number, self.from) = (number, at);
        }
        self.count += 1;
        self.last = entry;
        self.length = self.from.len() - left;
    }

    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The value of a name. Of a name that comes twice the last one counts.
    #[inline]
    pub(super) fn find(self, name: &[u8]) -> Option<&'a [u8]> {
        let (last, value) = self.last;
        if self.count > 0 && last == name {
            return Some(value);
        }
        if self.count < 2 {
            return None;
        }
        let same = self.iter().filter(|(known, _)| *known == name);
        same.last().map(|(_, value)| value)
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
        None => std::str::from_utf8(bytes).map_err(|_| NO_TEXT),
    }
}

/// A text that is only compared.
pub(super) fn opaque(bytes: &[u8]) -> Result<&[u8], Malformed> {
    if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
        Ok(bytes)
    } else {
        Err(NO_TEXT)
    }
}

const NO_TEXT: Malformed = Malformed("a text is no UTF-8");

/// One entry of a map of texts.
#[inline(always)]
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
#[inline(always)]
fn timestamp(bytes: &[u8]) -> Result<(), Malformed> {
    // Whole seconds, as nearly every event has them: one number of no more than eight bytes.
    if let [0x08, digits @ .., 0..0x80] = bytes
        && digits.len() < 8
        && digits.iter().all(|digit| *digit >= 0x80)
    {
        return Ok(());
    }
    any_timestamp(bytes)
}

#[inline(never)]
fn any_timestamp(bytes: &[u8]) -> Result<(), Malformed> {
    let mut fields = Reader(bytes);
    while let Some((number, value)) = fields.next()? {
        if matches!(number, 1 | 2) {
            value.varint()?;
        }
    }
    Ok(())
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
            prop_oneof![0..20_000_u64, any::<u64>()],
            "\\PC{0,8}",
            "[a-z/]{0,8}",
            prop_oneof![0..3, any::<i32>()],
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
