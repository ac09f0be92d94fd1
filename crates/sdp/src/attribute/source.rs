//! `a=ssrc` and `a=ssrc-group` (RFC 5576), and `a=source-filter` (RFC 4570).

use crate::AttributeError;
use crate::mline::{decimal, split_token};

/// What a media section says about one of its sources (RFC 5576 §4.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SourceAttribute<'a> {
    /// The source.
    pub ssrc: u32,
    /// Name of the attribute, e.g. `cname`.
    pub name: &'a str,
    /// Its value, when it has one.
    pub value: Option<&'a str>,
}

impl<'a> SourceAttribute<'a> {
    /// Parses the value of `a=ssrc`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 5576 §10.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let (ssrc, rest) = split_token(value);
        let at = value.len() - rest.len();
        let ssrc = decimal(ssrc).filter(|_| !ssrc.is_empty());
        let ssrc = ssrc.ok_or_else(|| AttributeError::new("ssrc", 0, "an SSRC"))?;
        let (name, value) = match rest.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(AttributeError::new("ssrc", at, "an attribute"));
        }
        Ok(Self { ssrc, name, value })
    }
}

/// Sources that belong together (RFC 5576 §4.2).
///
/// ```
/// let group = linkspan_sdp::SourceGroup::parse("FID 11 12")?;
/// assert!(group.semantics == "FID" && group.ssrcs().eq([11, 12]));
/// # Ok::<(), linkspan_sdp::AttributeError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SourceGroup<'a> {
    /// What the group means: `FID` (a stream and its retransmissions), `FEC-FR`, `SIM`, …
    pub semantics: &'a str,
    ssrcs: &'a str,
}

impl<'a> SourceGroup<'a> {
    /// Parses the value of `a=ssrc-group`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 5576 §10, or has no source.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let (semantics, ssrcs) = split_token(value);
        let at = value.len() - ssrcs.len();
        let mut numbers = ssrcs.split(' ').filter(|ssrc| !ssrc.is_empty()).peekable();
        if semantics.is_empty() || numbers.peek().is_none() {
            return Err(AttributeError::new("ssrc-group", at, "semantics and SSRCs"));
        }
        if numbers.any(|ssrc| decimal::<u32>(ssrc).is_none()) {
            return Err(AttributeError::new("ssrc-group", at, "SSRCs"));
        }
        Ok(Self { semantics, ssrcs })
    }

    /// The sources, in order.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.split(' ').filter_map(decimal)
    }
}

/// Whose packets are taken or left (RFC 4570 §3).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SourceFilter<'a> {
    /// `incl`: only these sources; otherwise all but these.
    pub includes: bool,
    /// `IP4`, `IP6` or `*`.
    pub address_type: &'a str,
    /// Destination address, or `*`.
    pub destination: &'a str,
    sources: &'a str,
}

impl<'a> SourceFilter<'a> {
    /// Parses the value of `a=source-filter`.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 4570 §3.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let trimmed = value.trim_start_matches(' ');
        let (mode, rest) = split_token(trimmed);
        let includes = match mode {
            "incl" => true,
            "excl" => false,
            _ => return Err(AttributeError::new("source-filter", 0, "incl or excl")),
        };
        let (network, rest) = split_token(rest);
        let (address_type, rest) = split_token(rest);
        let (destination, sources) = split_token(rest);
        if network != "IN" || destination.is_empty() || sources.is_empty() {
            let at = value.len() - rest.len();
            return Err(AttributeError::new("source-filter", at, "IN, a destination and sources"));
        }
        Ok(Self { includes, address_type, destination, sources })
    }

    /// The sources, in order.
    pub fn sources(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.sources.split(' ').filter(|source| !source.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read() {
        let source = SourceAttribute::parse("1098988040 cname:sip:alice@10.98.1.2:5080").unwrap();
        assert_eq!((source.name, source.value), ("cname", Some("sip:alice@10.98.1.2:5080")));
        assert!(SourceAttribute::parse("1").is_err() && SourceAttribute::parse(" x").is_err());
        let filter = SourceFilter::parse(" incl IN IP4 233.252.0.1 192.0.2.10 192.0.2.11").unwrap();
        assert!(filter.includes && filter.sources().eq(["192.0.2.10", "192.0.2.11"]));
        assert!(SourceFilter::parse("only IN IP4 * 192.0.2.1").is_err());
        assert!(SourceFilter::parse("excl IN IP4 *").is_err());
    }
}
