//! Floor control of conferences: `a=floorctrl`, `a=floorid` (RFC 8856).

use crate::AttributeError;
use crate::mline::{decimal, split_token};

/// Who serves the floors (RFC 8856 §5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FloorControl {
    /// `c-only`: the writer is a client.
    Client,
    /// `s-only`: the writer is the server.
    Server,
    /// `c-s`: either, the answer decides.
    Both,
}

impl FloorControl {
    /// The roles that a value of `a=floorctrl` offers, in order.
    pub fn parse(value: &str) -> impl Iterator<Item = Self> {
        value.split(' ').filter_map(|role| match role {
            "c-only" => Some(Self::Client),
            "s-only" => Some(Self::Server),
            "c-s" => Some(Self::Both),
            _ => None,
        })
    }
}

/// A floor and the media sections it gives (RFC 8856 §5.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Floor<'a> {
    /// Floor identifier.
    pub id: u16,
    labels: &'a str,
}

impl<'a> Floor<'a> {
    /// Parses the value of `a=floorid`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 8856 §5.4. `m-stream`, as drafts had it, is read as `mstrm`.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let (id, rest) = split_token(value);
        let bad = |at, expected| AttributeError::new("floorid", at, expected);
        let id = decimal(id).filter(|_| !id.is_empty()).ok_or_else(|| bad(0, "a number"))?;
        let labels = rest.strip_prefix("mstrm:").or_else(|| rest.strip_prefix("m-stream:"));
        match labels {
            None if !rest.is_empty() => Err(bad(value.len() - rest.len(), "mstrm:labels")),
            labels => Ok(Self { id, labels: labels.unwrap_or_default() }),
        }
    }

    /// The `a=label`s of the media sections, in order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.labels.split(' ').filter(|label| !label.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_read() {
        let floor = Floor::parse("2 mstrm:3 4").unwrap();
        assert_eq!(floor.id, 2);
        assert!(floor.labels().eq(["3", "4"]));
        assert!(Floor::parse("1").unwrap().labels().next().is_none());
        assert!(Floor::parse("x").is_err() && Floor::parse("1 y:3").is_err());
        assert!(FloorControl::parse("c-s s-only x").eq([FloorControl::Both, FloorControl::Server]));
    }
}
