//! The fields of a protobuf message, one after the other.

/// The bytes are no `MembershipChange`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) &'static str);

/// What is left of a message.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// 32 or 64 bits: no field of ours.
    Fixed,
}

impl<'a> Reader<'a> {
    /// A text, bytes or a message whose key and length are one byte each, as nearly all are: its number and what it holds. `None`
    /// if what comes next is anything else.
    #[inline(always)]
    pub(super) fn short(&mut self) -> Option<(u32, &'a [u8])> {
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

    /// What the field with this key holds; nothing if another field comes. `None` if its length takes more than a byte.
    #[inline(always)]
    pub(super) fn usual_bytes(&mut self, key: u8) -> Option<&'a [u8]> {
        match self.0 {
            [next, length @ 0..0x80, rest @ ..] if *next == key => {
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                self.0 = rest;
                Some(value)
            }
            [next, ..] if *next == key => None,
            _ => Some(&[]),
        }
    }

    /// The number of the field with this key; 0 if another field comes. `None` if it takes more than two bytes.
    #[inline(always)]
    pub(super) fn usual_number(&mut self, key: u8) -> Option<u64> {
        match self.0 {
            [next, low @ 0..0x80, rest @ ..] if *next == key => {
                self.0 = rest;
                Some(u64::from(*low))
            }
            [next, low, high @ 0..0x80, rest @ ..] if *next == key => {
                self.0 = rest;
                Some(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            [next, ..] if *next == key => None,
            _ => Some(0),
        }
    }

    /// The next field's number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
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
    pub(super) fn varint(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Bytes(_) | Self::Fixed => Err(Malformed("a number is of another type")),
        }
    }

    /// The low 32 bits, as the generated decoder has it.
    pub(super) fn enumeration(self) -> Result<i32, Malformed> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(i32::from_le_bytes([a, b, c, d]))
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed => Err(Malformed("a text or message is of another type")),
        }
    }
}
