//! Pages of a list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// A page token that this list did not give out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no page token of this list; ask as for the page before, with its next_page_token")]
pub struct PageError;

/// What is listed, in 8 bytes.
type List = [u8; 8];

/// Which part of a list: `size` entries after a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    list: List,
    size: usize,
    after: String,
}

/// One page of a list, and the token of the next; empty on the last page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries, oldest first.
    pub items: Vec<T>,
    /// What to ask for next.
    pub next_page_token: String,
}

impl Page {
    /// Entries of a page when the caller does not say.
    pub const SIZE_DEFAULT: u32 = 100;
    /// More than this is brought down to it.
    pub const SIZE_MAX: u32 = 1_000;

    /// The page that a list request asks for. `list` is what is listed: the method, and all of the request that another page of
    /// the same list must say, too. A size of 0 means 100.
    ///
    /// # Errors
    /// When the token is none that this list gives out.
    pub fn new(list: &[&str], page_size: u32, page_token: &str) -> Result<Self, PageError> {
        let list = digest(list);
        let after = match page_token {
            "" => String::new(),
            token => open(list, token).ok_or(PageError)?,
        };
        let size = if page_size == 0 {
            Self::SIZE_DEFAULT
        } else {
            page_size.min(Self::SIZE_MAX)
        };
        Ok(Self {
            list,
            size: usize::try_from(size).unwrap_or(usize::MAX),
            after,
        })
    }

    /// What the page comes after; empty for the first. For lists that somebody else keeps.
    pub fn after(&self) -> &str {
        &self.after
    }

    /// The token of the page of the same list that comes after this.
    pub fn token(&self, after: &str) -> String {
        seal(self.list, after)
    }

    /// Cuts the page out of `entries`, pairs of name and value ascending by name.
    pub fn cut<T>(&self, entries: impl Iterator<Item = (String, T)>) -> Listed<T> {
        let mut rest = entries
            .skip_while(|(name, _)| !self.after.is_empty() && *name <= self.after)
            .peekable();
        let (mut items, mut next_page_token) = (Vec::new(), String::new());
        while let Some((name, item)) = rest.next() {
            items.push(item);
            if items.len() == self.size {
                if rest.peek().is_some() {
                    next_page_token = self.token(&name);
                }
                break;
            }
        }
        Listed { items, next_page_token }
    }
}

/// The same on every replica, and of nothing else, for all that anybody meets by mistake.
fn digest(list: &[&str]) -> List {
    let mut hash = Sha256::new();
    for part in list {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut digest = List::default();
    digest.copy_from_slice(&hash.finalize()[..size_of::<List>()]);
    digest
}

/// The token of what comes after a name.
fn seal(list: List, name: &str) -> String {
    URL_SAFE_NO_PAD.encode([&list, name.as_bytes()].concat())
}

/// The name in a token of this list.
fn open(list: List, token: &str) -> Option<String> {
    let token = URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(token.strip_prefix(&list)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> impl Iterator<Item = (String, u32)> {
        (0..5).map(|n| (format!("accounts/{n}"), n))
    }

    const LIST: &[&str] = &["ListThings", "accounts/1"];

    #[test]
    fn pages_cover_the_list_once_and_the_last_one_says_so() {
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = Page::new(LIST, 2, &token).unwrap().cut(names());
            seen.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(
            Page::new(LIST, 5, "").unwrap().cut(names()).next_page_token,
            "",
            "an exact fit has no further page"
        );
    }

    #[test]
    fn a_list_goes_on_after_a_name_that_was_deleted_meanwhile() {
        let page = Page::new(LIST, 2, &seal(digest(LIST), "accounts/15")).unwrap();
        let entries = ["accounts/1", "accounts/2"].map(|name| (name.to_owned(), name));
        assert_eq!(page.cut(entries.into_iter()).items, ["accounts/2"]);
    }

    #[test]
    fn sizes_have_a_default_and_a_maximum() {
        assert_eq!(Page::new(LIST, 0, "").unwrap().size, 100);
        assert_eq!(Page::new(LIST, 5_000, "").unwrap().size, 1_000);
    }

    #[test]
    fn a_token_is_good_for_the_list_that_gave_it_and_for_no_other() {
        let token = Page::new(LIST, 2, "").unwrap().cut(names()).next_page_token;
        assert!(Page::new(LIST, 4, &token).is_ok());
        for other in [
            &["ListOthers", "accounts/1"][..],
            &["ListThings", "accounts/12"],
            &["ListThings", "accounts/1", "killed"],
            &["ListThingsaccounts/1"],
        ] {
            assert_eq!(Page::new(other, 4, &token), Err(PageError), "{other:?}");
        }
        for made_up in ["accounts/1", "elsewhere", &token[1..], &format!("{token}=")] {
            assert_eq!(Page::new(LIST, 4, made_up), Err(PageError), "{made_up}");
        }
    }
}
