//! Which part of a `multipart/alternative` offer to answer.

use memchr::memmem;

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

/// The description to answer in a body of a content type: the body itself when it is
/// `application/sdp`, the part that [`select_offer`] chooses when it is a multipart.
///
/// ```
/// let body = b"--x\r\nContent-Type: application/sdp\r\n\r\n\
///     v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///     m=audio 4000 RTP/AVP 0\r\n\r\n--x--\r\n";
/// let sdp = linkspan_sdp::ms::offer_body("multipart/alternative;boundary=\"x\"", body);
/// assert!(sdp.is_some_and(|sdp| sdp.starts_with(b"v=0")));
/// ```
#[must_use]
pub fn offer_body<'a>(content_type: &str, body: &'a [u8]) -> Option<&'a [u8]> {
    let mut parameters = content_type.split(';').map(str::trim);
    let media_type = parameters.next().unwrap_or_default();
    if media_type.eq_ignore_ascii_case("application/sdp") {
        return Some(body);
    }
    if !media_type.get(..10).is_some_and(|t| t.eq_ignore_ascii_case("multipart/")) {
        return None;
    }
    let boundary = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    let parts = split_parts(body, boundary);
    parts.get(select_offer(&parts)?).map(|part| part.body)
}

/// A `multipart/alternative` offer with two versions of ICE, as Lync 2013 clients make it: the
/// fallback for servers of OCS 2007, then the real one. Content type and body.
///
/// `boundary` is the caller's; no line of a description begins with `--`.
///
/// ```
/// use linkspan_sdp::ms;
///
/// let real = "v=0\r\no=- 0 1 IN IP4 192.0.2.1\r\ns=session\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///             m=audio 4000 RTP/AVP 0\r\n";
/// let (content_type, body) = ms::write_alternative(real.as_bytes(), real.as_bytes(), "b0undary");
/// assert_eq!(ms::offer_body(&content_type, &body), Some(real.as_bytes()));
/// ```
#[must_use]
pub fn write_alternative(fallback: &[u8], real: &[u8], boundary: &str) -> (String, Vec<u8>) {
    let mut body = Vec::with_capacity(fallback.len() + real.len() + 512);
    for (disposition, part) in [(FALLBACK, fallback), (REAL, real)] {
        let head = format!(
            "--{boundary}\r\nContent-Type: application/sdp\r\n\
             Content-Transfer-Encoding: 7bit\r\nContent-Disposition: {disposition}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/alternative;boundary=\"{boundary}\""), body)
}

/// The parts of a multipart body (RFC 2046 §5.1.1); at most [`MAX_PARTS`].
fn split_parts<'a>(body: &'a [u8], boundary: &str) -> Vec<Part<'a>> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut parts = Vec::new();
    let mut begin: Option<usize> = None;
    for at in memmem::find_iter(body, &delimiter) {
        if at != 0 && body.get(at.wrapping_sub(1)) != Some(&b'\n') {
            continue;
        }
        if let Some(text) = begin.and_then(|begin| body.get(begin..at)) {
            parts.extend(read_part(text));
        }
        let after = body.get(at + delimiter.len()..).unwrap_or_default();
        if after.starts_with(b"--") || parts.len() == MAX_PARTS {
            break;
        }
        begin = memchr::memchr(b'\n', after).map(|lf| at + delimiter.len() + lf + 1);
    }
    parts
}

/// A part with its headers; the line break before the delimiter belongs to the delimiter.
fn read_part(text: &[u8]) -> Option<Part<'_>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut part = Part { content_type: "text/plain", content_disposition: "", body: &[] };
    let mut rest = text;
    while let Some(lf) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at_checked(lf)?;
        rest = after.get(1..)?;
        let line = core::str::from_utf8(line).ok()?.trim_end_matches('\r');
        match line.split_once(':') {
            None if line.is_empty() => {
                part.body = rest;
                return Some(part);
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-type") => {
                part.content_type = value.trim();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-disposition") => {
                part.content_disposition = value.trim();
            }
            _ => {}
        }
    }
    None
}

const REAL: &str = "session; handling=optional";
const FALLBACK: &str = "session; handling=optional; ms-proxy-2007fallback";

/// More parts than any offer has.
const MAX_PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    fn part<'a>(disposition: &'a str, body: &'a str) -> Part<'a> {
        let body = body.as_bytes();
        Part { content_type: "application/sdp", content_disposition: disposition, body }
    }

    #[test]
    fn the_last_part_that_is_no_fallback_is_chosen() {
        let audio = format!("{SDP}m=audio 4000 RTP/AVP 0\r\n");
        let stub = "o=- 0 0 IN IP4 192.0.2.1\r\ns=session\r\nm=audio 0 RTP/AVP\r\n";
        let fallback = "session; handling=optional; ms-proxy-2007fallback";
        let real = "session; handling=optional";
        assert_eq!(select_offer(&[part(fallback, stub), part(real, &audio)]), Some(1));
        assert_eq!(select_offer(&[part(real, &audio), part(fallback, &audio)]), Some(0));
        assert_eq!(select_offer(&[part(fallback, &audio), part(real, "nonsense")]), Some(0));
        assert_eq!(select_offer(&[part(real, stub)]), None);
        let html = Part { content_type: "text/html", ..part(real, &audio) };
        assert_eq!(select_offer(&[part(real, &audio), html]), Some(0));
        assert_eq!(select_offer(&[]), None);
    }

    #[test]
    fn parts_are_split_where_lines_begin_with_the_delimiter() {
        let body = b"preamble --b\r\n--b\r\nContent-Type: application/sdp\r\n\r\nx--b\r\n\r\n--b\r\nA: 1\r\n\r\n\r\n--b--\r\n--b\r\n";
        let parts = split_parts(body, "b");
        let bodies: Vec<&[u8]> = parts.iter().map(|p| p.body).collect();
        assert_eq!(bodies, [b"x--b\r\n" as &[u8], b""]);
        assert_eq!(parts[0].content_type, "application/sdp");
    }

    #[test]
    fn other_bodies_are_no_offer() {
        assert_eq!(offer_body("text/plain", b"v=0"), None);
        assert_eq!(offer_body("multipart/mixed", b"--"), None);
        assert_eq!(offer_body("application/sdp; charset=utf-8", b"v=0"), Some(b"v=0" as &[u8]));
    }
}
