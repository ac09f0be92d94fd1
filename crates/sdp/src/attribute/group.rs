//! `a=group` (RFC 5888).

/// An `a=group` line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Group<'a> {
    /// What the group means: `BUNDLE`, `LS`, …
    pub semantics: &'a str,
    tags: &'a str,
}

impl<'a> Group<'a> {
    /// Parses the value of `a=group`.
    #[must_use]
    pub fn parse(value: &'a str) -> Self {
        let (semantics, tags) = crate::mline::split_token(value);
        Self { semantics, tags }
    }

    /// The identification tags, in order.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.tags.split(' ').filter(|tag| !tag.is_empty())
    }

    /// Whether a tag is in the group.
    #[must_use]
    pub fn contains(&self, mid: &str) -> bool {
        self.tags().any(|tag| tag == mid)
    }
}
