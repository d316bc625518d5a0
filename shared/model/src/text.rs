//! Rules for short texts that people choose.

/// Bound of a label, an audience slug and a field name, in characters. Braze keeps at most 255 characters of a string.
pub const SHORT_CHARS_MAX: usize = 255;
/// Bound of a description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 2_000;

/// What is wrong with a text; to be read after the name of its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Empty, or only white space.
    #[error("must not be blank")]
    Blank,
    /// Too long.
    #[error("must be at most {chars_max} characters")]
    TooLong {
        /// The bound.
        chars_max: usize,
    },
    /// Control characters, or white space at an end: nobody sees them, and they make two equal-looking texts differ.
    #[error("must not hold control characters, nor begin or end with white space")]
    Invisible,
    /// A `/` in a slug.
    #[error("must not hold a /: it separates slug and profile id in the key of the membership topic")]
    Slash,
}

/// Whether there is nothing to see; not if it is no text.
pub fn is_blank(text: impl AsRef<[u8]>) -> bool {
    let bytes = text.as_ref();
    // The first that is no white space decides; nearly always it is the first of all.
    !bytes.first().is_some_and(u8::is_ascii_graphic)
        && std::str::from_utf8(bytes).is_ok_and(|text| text.trim_start().is_empty())
}

/// A label, or the name of a profile field.
///
/// # Errors
/// When it is blank, longer than 255 characters, or holds invisible characters.
pub fn label(text: &str) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Blank);
    }
    bounded(text, SHORT_CHARS_MAX)?;
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(TextError::Invisible);
    }
    Ok(())
}

/// The slug of an audience: what is written to Braze, and the first half of the membership topic's key.
///
/// # Errors
/// As for a [`label`], and when it holds a `/`.
pub fn slug(text: &str) -> Result<(), TextError> {
    // Nearly every slug, and every record has one.
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    if !text.is_empty() && text.len() <= SHORT_CHARS_MAX && text.as_bytes().iter().all(plain) {
        return Ok(());
    }
    label(text)?;
    if text.contains('/') {
        Err(TextError::Slash)
    } else {
        Ok(())
    }
}

/// A description: may be empty.
///
/// # Errors
/// When it is longer than 2,000 characters.
pub fn description(text: &str) -> Result<(), TextError> {
    bounded(text, DESCRIPTION_CHARS_MAX)
}

fn bounded(text: &str, chars_max: usize) -> Result<(), TextError> {
    if text.chars().count() > chars_max {
        Err(TextError::TooLong { chars_max })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_visible_and_bounded_in_characters() {
        assert_eq!(label("VIP to Braze – größte"), Ok(()));
        assert_eq!(label(&"ü".repeat(255)), Ok(()));
        assert_eq!(label(&"ü".repeat(256)), Err(TextError::TooLong { chars_max: 255 }));
        assert_eq!(label(""), Err(TextError::Blank));
        assert_eq!(label(" \t"), Err(TextError::Blank));
        assert_eq!(label("a\nb"), Err(TextError::Invisible));
        assert_eq!(label("a "), Err(TextError::Invisible));
    }

    #[test]
    fn a_slug_does_not_hold_the_separator_of_the_key() {
        assert_eq!(slug("vip"), Ok(()));
        assert_eq!(slug("vip/gold"), Err(TextError::Slash));
        assert_eq!(slug(""), Err(TextError::Blank));
    }

    #[test]
    fn a_description_may_be_empty_but_not_endless() {
        assert_eq!(description(""), Ok(()));
        assert_eq!(
            description(&"x".repeat(2_001)),
            Err(TextError::TooLong { chars_max: 2_000 })
        );
    }
}
