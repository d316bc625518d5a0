//! The two spellings of an account.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// An account is written as a decimal number or as 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseAccountError {
    /// Not a decimal number from 1 to 2⁶⁴−1 without leading zeros.
    #[error("not an account number: a decimal number from 1, without leading zeros, such as 1234")]
    Number,
    /// Not 32 hexadecimal digits.
    #[error("not an account id: 32 hexadecimal digits")]
    Hex,
    /// Neither.
    #[error("not an account: a decimal number such as 1234, or 32 hexadecimal digits")]
    Neither,
}

/// The decimal number of an account, never 0: the form in webhook URLs, topic names and resource names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountNumber(NonZeroU64);

impl AccountNumber {
    /// `None` for 0, which no account has.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number itself.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AccountNumber {
    type Err = ParseAccountError;

    fn from_str(text: &str) -> Result<Self, ParseAccountError> {
        let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = if canonical { text.parse().ok() } else { None };
        number.map(Self).ok_or(ParseAccountError::Number)
    }
}

/// The account's id of 32 hexadecimal digits; kept in lower case, accepted in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountHex(u128);

impl AccountHex {
    /// The id with these bits.
    pub fn new(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for AccountHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for AccountHex {
    type Err = ParseAccountError;

    fn from_str(text: &str) -> Result<Self, ParseAccountError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = if digits {
            u128::from_str_radix(text, 16).ok()
        } else {
            None
        };
        bits.map(Self).ok_or(ParseAccountError::Hex)
    }
}

/// An account as somebody named it. No text is both: a number has at most 20 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountRef {
    /// By number.
    Number(AccountNumber),
    /// By its 32 hexadecimal digits.
    Hex(AccountHex),
}

impl FromStr for AccountRef {
    type Err = ParseAccountError;

    fn from_str(text: &str) -> Result<Self, ParseAccountError> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        text.parse().map(Self::Hex).map_err(|_| ParseAccountError::Neither)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!("1234".parse::<AccountNumber>().unwrap().get(), 1234);
        assert_eq!("18446744073709551615".parse::<AccountNumber>().unwrap().get(), u64::MAX);
        for bad in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "18446744073709551616",
            "١",
        ] {
            assert_eq!(bad.parse::<AccountNumber>(), Err(ParseAccountError::Number), "{bad}");
        }
    }

    #[test]
    fn either_spelling_is_an_account_and_nothing_else_is() {
        let hex = "0123456789ABCDEF0123456789abcdef";
        assert_eq!("7".parse(), Ok(AccountRef::Number(AccountNumber::new(7).unwrap())));
        let AccountRef::Hex(parsed) = hex.parse().unwrap() else {
            panic!("{hex} is no number")
        };
        assert_eq!(parsed.to_string(), hex.to_lowercase());
        // 32 decimal digits are too long for a number, so they are the other spelling.
        assert!(matches!(
            "00000000000000000000000000001234".parse(),
            Ok(AccountRef::Hex(_))
        ));
        for bad in [
            "",
            "acme",
            &hex[1..],
            "0123456789abcdef0123456789abcdeg",
            "+123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(bad.parse::<AccountRef>(), Err(ParseAccountError::Neither), "{bad}");
        }
    }
}
