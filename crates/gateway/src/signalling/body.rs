//! The session description in the body of a message.

use linkspan_sdp::SessionDescription;
use linkspan_sdp::ms::{Part, select_offer};
use linkspan_sip::{Body, Headers};

/// A description, and the Content-ID of the part that it was in.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) description: SessionDescription,
    pub(super) content_id: Option<String>,
}

/// Why there is no description to work with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("no session description")]
    Missing,
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the type of the body is not supported")]
    Unsupported,
    #[error("malformed session description: {0}")]
    Malformed(#[from] linkspan_sdp::ParseError),
}

impl BodyError {
    /// The status of the answer (RFC 3261 §21.4).
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Missing => 488,
            Self::TooLarge => 413,
            Self::Unsupported => 415,
            Self::Malformed(_) => 400,
        }
    }
}

/// Finds the description in a body: the body itself, or the part of a multipart one that the
/// sender prefers among those that can be used.
pub(super) fn read(
    headers: &Headers,
    body: Option<&Body>,
    most: usize,
) -> Result<Described, BodyError> {
    let body = body.filter(|b| !b.bytes.is_empty()).ok_or(BodyError::Missing)?;
    if body.bytes.len() > most {
        return Err(BodyError::TooLarge);
    }
    let media_type = media_type(&body.content_type);
    if media_type.eq_ignore_ascii_case("application/sdp") {
        let description = SessionDescription::parse(&body.bytes)?;
        let content_id = headers.first("Content-ID").map(str::to_owned);
        return Ok(Described { description, content_id });
    }
    let multipart = media_type.get(..10).is_some_and(|t| t.eq_ignore_ascii_case("multipart/"));
    let boundary = parameter(&body.content_type, "boundary").filter(|_| multipart);
    let parts = split(&body.bytes, boundary.ok_or(BodyError::Unsupported)?);
    let views: Vec<Part<'_>> = parts.iter().map(RawPart::view).collect();
    // A part may be a stub that does not parse: it does not fail the others.
    let chosen = select_offer(&views).and_then(|at| parts.get(at));
    let part = chosen.ok_or(BodyError::Unsupported)?;
    Ok(Described {
        description: SessionDescription::parse(part.body)?,
        content_id: part.header("Content-ID").map(str::to_owned),
    })
}

/// One part of a multipart body (RFC 2046 §5.1.1).
#[derive(Clone, Copy, Debug)]
struct RawPart<'a> {
    head: &'a str,
    body: &'a [u8],
}

impl<'a> RawPart<'a> {
    fn view(&self) -> Part<'a> {
        Part {
            content_type: self.header("Content-Type").unwrap_or("text/plain"),
            content_disposition: self.header("Content-Disposition").unwrap_or_default(),
            body: self.body,
        }
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The parts between the delimiters; at most 16.
fn split<'a>(body: &'a [u8], boundary: &str) -> Vec<RawPart<'a>> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut parts = Vec::new();
    let mut rest = body;
    let mut inside = false;
    while parts.len() < 16 {
        let Some(at) = find_line(rest, &delimiter) else { break };
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        if inside && let Some(part) = part(before) {
            parts.push(part);
        }
        let after = after.get(delimiter.len()..).unwrap_or_default();
        if after.starts_with(b"--") {
            return parts;
        }
        let line = after.iter().position(|b| *b == b'\n').map_or(after.len(), |end| end + 1);
        rest = after.get(line..).unwrap_or_default();
        inside = true;
    }
    // A missing end: what is there counts.
    if inside && let Some(part) = part(rest) {
        parts.push(part);
    }
    parts
}

fn part(octets: &[u8]) -> Option<RawPart<'_>> {
    // The line end before a delimiter belongs to the delimiter.
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
    let (at, len) = [&b"\r\n\r\n"[..], b"\n\n"]
        .into_iter()
        .filter_map(|end| Some((find(octets, end)?, end.len())))
        .min()?;
    let head = core::str::from_utf8(octets.get(..at)?).ok()?;
    Some(RawPart { head, body: octets.get(at + len..)? })
}

/// The next place where `delimiter` begins a line.
fn find_line(octets: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + find(octets.get(from..)?, delimiter)?;
        let before = at.checked_sub(1).and_then(|b| octets.get(b));
        if matches!(before, None | Some(b'\n')) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len().max(1)).position(|window| window == what)
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// A parameter of a Content-Type, without its quotation marks.
fn parameter<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (n, value) = parameter.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
        (n.trim().eq_ignore_ascii_case(name) && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 0 1 IN IP4 192.0.2.1\r\ns=session\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

    fn body(content_type: &str, text: &str) -> Body {
        Body::new(content_type, text.to_owned())
    }

    fn find_port(content_type: &str, text: &str) -> Result<(u16, Option<String>), BodyError> {
        let body = body(content_type, text);
        let found = read(&Headers::new(), Some(&body), 10_000)?;
        Ok((found.description.media[0].port, found.content_id))
    }

    #[test]
    fn the_last_usable_part_is_taken_with_its_content_id() {
        let text = format!(
            "preamble\r\n--b=1\r\nContent-Type: application/sdp\r\nContent-ID: <one@x>\r\n\
             Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n\r\n\
             o=- 0 0 IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP\r\n\r\n--b=1\r\n\
             content-type: application/sdp\r\nContent-ID: <two@x>\r\n\r\n{SDP}\r\n--b=1--\r\nepilogue"
        );
        let found = find_port("multipart/alternative;boundary=\"b=1\"", &text);
        assert_eq!(found, Ok((4000, Some("<two@x>".into()))));
    }

    #[test]
    fn plain_and_unusual_bodies() {
        assert_eq!(find_port("application/SDP; charset=utf-8", SDP), Ok((4000, None)));
        assert_eq!(find_port("text/plain", SDP), Err(BodyError::Unsupported));
        assert_eq!(find_port("multipart/mixed", SDP), Err(BodyError::Unsupported));
        assert_eq!(find_port("multipart/mixed;boundary=x", SDP), Err(BodyError::Unsupported));
        assert_eq!(find_port("application/sdp", ""), Err(BodyError::Missing));
        assert_eq!(find_port("application/sdp", &"x".repeat(10_001)), Err(BodyError::TooLarge));
        assert!(matches!(find_port("application/sdp", "nonsense"), Err(BodyError::Malformed(_))));
        let cut = format!("--x\r\nContent-Type: application/sdp\r\n\r\n{SDP}");
        assert_eq!(find_port("multipart/mixed;boundary=x", &cut), Ok((4000, None)));
    }
}
