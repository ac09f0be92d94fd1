//! `a=extmap` (RFC 8285).

use crate::mline::{decimal, split_token};
use crate::{AttributeError, Direction};

/// A header extension of RTP and the number it goes by (RFC 8285 §5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ExtMap<'a> {
    /// Number: 1-14 with one-octet headers, up to 255 with two; 4096 and above while unassigned.
    pub id: u16,
    /// Direction, when it is not that of the section.
    pub direction: Option<Direction>,
    /// URI of the extension.
    pub uri: &'a str,
    /// What the extension says beyond it.
    pub attributes: &'a str,
}

impl<'a> ExtMap<'a> {
    /// Parses the value of `a=extmap`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 8285 §8.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let bad = |at, expected| Err(AttributeError::new("extmap", at, expected));
        let (head, rest) = split_token(value);
        let (id, direction) = match head.split_once('/') {
            None => (head, None),
            Some((id, name)) => match Direction::from_name(name) {
                Some(direction) => (id, Some(direction)),
                None => return bad(id.len() + 1, "a direction"),
            },
        };
        let Some(id) = decimal(id).filter(|id| *id > 0) else { return bad(0, "a number") };
        let (uri, attributes) = split_token(rest);
        if uri.is_empty() {
            return bad(value.len(), "a URI");
        }
        Ok(Self { id, direction, uri, attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part() {
        let map = ExtMap::parse("4/recvonly http://example.com/e#x short=1 y").unwrap();
        assert_eq!((map.id, map.direction), (4, Some(Direction::RecvOnly)));
        assert_eq!((map.uri, map.attributes), ("http://example.com/e#x", "short=1 y"));
        assert_eq!(ExtMap::parse("1 urn:x").unwrap().direction, None);
        for (bad, at) in [("0 urn:x", 0), ("1/up urn:x", 2), ("1", 1), ("x urn:x", 0)] {
            assert_eq!(ExtMap::parse(bad).unwrap_err().at, at, "{bad}");
        }
    }
}
