//! Which part of a `multipart/alternative` offer to answer.

use crate::Description;

/// A part of a multipart body, as its own headers and octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part<'a> {
    /// `Content-Type` of the part.
    pub content_type: &'a str,
    /// `Content-Disposition` of the part; empty when it has none.
    pub content_disposition: &'a str,
    /// The octets.
    pub body: &'a [u8],
}

/// Chooses the part to answer: the last one (RFC 2046 §5.1.4: the sender's best) that is a
/// description we understand and is no fallback for older servers.
///
/// Lync 2013 clients offer two parts: one with candidates of the older MS-ICE (or a stub without
/// `v=` line), marked `ms-proxy-2007fallback`, and behind it the real one.
#[must_use]
pub fn select_offer(parts: &[Part<'_>]) -> Option<usize> {
    let usable = |part: &Part<'_>| {
        let media_type = part.content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/sdp")
            && Description::parse(part.body).is_ok_and(|d| d.media().any(|m| m.port() != 0))
    };
    let fallback = |part: &Part<'_>| {
        let mut parameters = part.content_disposition.split(';').skip(1).map(str::trim);
        parameters.any(|p| p.eq_ignore_ascii_case("ms-proxy-2007fallback"))
    };
    parts
        .iter()
        .rposition(|part| usable(part) && !fallback(part))
        .or_else(|| parts.iter().rposition(usable))
}
