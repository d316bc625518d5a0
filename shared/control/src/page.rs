//! Pages of a list.

/// A page token that no list gave out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a page token of this list")]
pub struct PageError;

/// Which part of a list: `size` entries after a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
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

    /// The page that a list request asks for. A size of 0 means 100.
    ///
    /// # Errors
    /// When the token is none that a list gives out.
    pub fn new(page_size: u32, page_token: &str) -> Result<Self, PageError> {
        if !page_token.is_empty() && !page_token.starts_with("accounts/") {
            return Err(PageError);
        }
        let size = if page_size == 0 {
            Self::SIZE_DEFAULT
        } else {
            page_size.min(Self::SIZE_MAX)
        };
        Ok(Self {
            size: usize::try_from(size).unwrap_or(usize::MAX),
            after: page_token.to_owned(),
        })
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
                    next_page_token = name;
                }
                break;
            }
        }
        Listed { items, next_page_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> impl Iterator<Item = (String, u32)> {
        (0..5).map(|n| (format!("accounts/{n}"), n))
    }

    #[test]
    fn pages_cover_the_list_once_and_the_last_one_says_so() {
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = Page::new(2, &token).unwrap().cut(names());
            seen.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        assert_eq!(
            Page::new(5, "").unwrap().cut(names()).next_page_token,
            "",
            "an exact fit has no further page"
        );
    }

    #[test]
    fn a_list_goes_on_after_a_name_that_was_deleted_meanwhile() {
        let page = Page::new(2, "accounts/15").unwrap();
        let entries = ["accounts/1", "accounts/2"].map(|name| (name.to_owned(), name));
        assert_eq!(page.cut(entries.into_iter()).items, ["accounts/2"]);
    }

    #[test]
    fn sizes_have_a_default_and_a_maximum() {
        assert_eq!(Page::new(0, "").unwrap().size, 100);
        assert_eq!(Page::new(5_000, "").unwrap().size, 1_000);
        assert_eq!(Page::new(1, "elsewhere"), Err(PageError));
    }
}
