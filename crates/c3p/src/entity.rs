use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// The key of a conference, user, endpoint or entity view: a URI, a GUID or an MCU type.
///
/// Two entities are equal when they differ in ASCII case only: Microsoft's servers do not keep the
/// case of URIs, not even of the user part, and endpoint GUIDs are opaque and case-insensitive.
///
/// ```
/// use linkspan_c3p::Entity;
///
/// assert_eq!(Entity::from("sip:Bob@contoso.example"), Entity::from("sip:bob@CONTOSO.example"));
/// ```
#[derive(Clone, Default)]
pub struct Entity(Box<str>);

impl Entity {
    /// The key as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when `other` names the same entity.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// A hash that agrees with equality. Not keyed: nothing may rely on it to tell entities
    /// apart, it only spares comparisons.
    pub(crate) fn fold(&self) -> u64 {
        // FNV-1a over eight octets at a time, case folded.
        let fold = |hash: u64, word: u64| {
            (hash ^ (word | 0x2020_2020_2020_2020))
                .wrapping_mul(0x0000_0100_0000_01B3)
                .rotate_left(29)
        };
        let (words, rest) = self.0.as_bytes().as_chunks::<8>();
        let hash = words
            .iter()
            .fold(0xCBF2_9CE4_8422_2325, |hash, word| fold(hash, u64::from_le_bytes(*word)));
        let last = rest.iter().fold(0, |last, octet| last << 8 | u64::from(*octet));
        fold(hash, last)
    }
}

impl From<&str> for Entity {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl From<String> for Entity {
    fn from(key: String) -> Self {
        Self(key.into())
    }
}

impl From<Cow<'_, str>> for Entity {
    fn from(key: Cow<'_, str>) -> Self {
        Self(key.into())
    }
}

impl Deref for Entity {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Entity {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Entity {
    fn eq(&self, other: &Self) -> bool {
        self.is(other)
    }
}

impl Eq for Entity {}

impl PartialEq<str> for Entity {
    fn eq(&self, other: &str) -> bool {
        self.is(other)
    }
}

impl PartialEq<&str> for Entity {
    fn eq(&self, other: &&str) -> bool {
        self.is(other)
    }
}

impl Hash for Entity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
        state.write_u8(0xFF);
    }
}

impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fold_agrees_with_equality() {
        let pairs = [("sip:Bob@Contoso.example", "SIP:bob@contoso.EXAMPLE"), ("{aBc}", "{AbC}")];
        for (a, b) in pairs {
            assert_eq!(Entity::from(a), Entity::from(b));
            assert_eq!(Entity::from(a).fold(), Entity::from(b).fold());
        }
        assert_ne!(Entity::from("sip:bob1@x").fold(), Entity::from("sip:bob2@x").fold());
    }
}
