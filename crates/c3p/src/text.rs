use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// An immutable string that keeps short values in place.
///
/// Most text of a conference document is a token (`connected`, `main-audio`, `1`): up to
/// [`Text::INLINE`] octets cost no allocation, so that a roster of a thousand participants stays
/// small. It dereferences to `str`.
///
/// ```
/// use linkspan_c3p::Text;
///
/// let label = Text::from("main-audio");
/// assert_eq!(label, "main-audio");
/// assert!(label.ends_with("audio"));
/// ```
#[derive(Clone, Default)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Inline(u8, [u8; Text::INLINE]),
    // Boxed twice so that the whole value stays at sixteen octets.
    Heap(Box<Box<str>>),
}

impl Default for Repr {
    fn default() -> Self {
        Self::Inline(0, [0; Text::INLINE])
    }
}

impl Text {
    /// The longest value, in octets, that needs no allocation.
    pub const INLINE: usize = 14;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline(len, octets) => octets
                .get(..usize::from(*len))
                .and_then(|octets| std::str::from_utf8(octets).ok())
                .unwrap_or_default(),
            Repr::Heap(text) => text,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut octets = [0; Self::INLINE];
        match (octets.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(room), Ok(len)) => {
                room.copy_from_slice(text.as_bytes());
                Self(Repr::Inline(len, octets))
            }
            _ => Self(Repr::Heap(Box::new(text.into()))),
        }
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(&*text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back() {
        let long = "ä".repeat(40);
        for end in (0..=80).step_by(2) {
            assert_eq!(Text::from(&long[..end]), &long[..end]);
        }
    }

    #[test]
    fn stays_at_sixteen_octets() {
        assert_eq!(size_of::<Text>(), 16);
        assert_eq!(size_of::<Option<Text>>(), 16);
    }
}
