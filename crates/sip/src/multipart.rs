//! Bodies of several parts (RFC 5621, RFC 2046 §5.1).

use bytes::Bytes;

use crate::error::ValueError;
use crate::headers::Headers;
use crate::lex;
use crate::params::ParamsRef;
use crate::request::Body;

/// One part of a body, nested multiparts taken apart.
///
/// ```
/// use linkspan_sip::{BodyPart, Bytes, body_parts};
///
/// let content_type = r#"multipart/alternative;boundary="b1""#;
/// let body = Bytes::from_static(
///     b"--b1\r\nContent-Type: application/sdp\r\n\
///       Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n\r\nold\r\n\
///       --b1\r\nContent-Type: application/sdp\r\nContent-ID: <2@example.com>\r\n\r\nnew\r\n--b1--\r\n",
/// );
/// let parts = body_parts(content_type, &body).unwrap();
/// // RFC 2046 §5.1.4: the last alternative is the richest.
/// let sdp = parts.iter().rev().find(|part| part.is("application/sdp")).unwrap();
/// assert_eq!(sdp.bytes, "new");
/// assert_eq!(sdp.headers.first("Content-ID"), Some("<2@example.com>"));
/// assert!(parts[0].is_optional());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BodyPart {
    /// The headers of the part.
    pub headers: Headers,
    /// Its octets.
    pub bytes: Bytes,
    /// Whether it stands in a `multipart/alternative`, of which one part is chosen.
    pub alternative: bool,
}

impl BodyPart {
    /// The value of Content-Type; `text/plain` where there is none (RFC 2046 §5.2).
    pub fn content_type(&self) -> &str {
        self.headers.first("Content-Type").unwrap_or("text/plain")
    }

    /// Whether the part is of a media type, parameters aside.
    pub fn is(&self, media_type: &str) -> bool {
        essence(self.content_type()).eq_ignore_ascii_case(media_type)
    }

    /// Content-ID with its brackets, as `ms-accepted-content-id` repeats it.
    pub fn content_id(&self) -> Option<&str> {
        self.headers.first("Content-ID")
    }

    /// The disposition: `session` where Content-Disposition does not say (RFC 3261 §20.11, for
    /// session descriptions), in any case without its parameters.
    pub fn disposition(&self) -> &str {
        match self.headers.first("Content-Disposition") {
            Some(value) => essence(value),
            None if self.is("application/sdp") => "session",
            None => "render",
        }
    }

    /// Whether the part may be ignored where it is not understood: `handling=optional`.
    pub fn is_optional(&self) -> bool {
        let value = self.headers.first("Content-Disposition").unwrap_or("");
        let params = value.find(';').and_then(|at| value.get(at..)).unwrap_or("");
        ParamsRef::new(params)
            .value("handling")
            .is_some_and(|value| value.eq_ignore_ascii_case("optional"))
    }
}

/// Takes a body apart. One that is no multipart is its own single part. Parts keep their order;
/// what stands before the first and behind the last delimiter is dropped. At most 64 parts and
/// four levels are read.
///
/// # Errors
///
/// [`ValueError`] where a multipart has no boundary, no part, or more than these.
pub fn body_parts(content_type: &str, body: &Bytes) -> Result<Vec<BodyPart>, ValueError> {
    let mut headers = Headers::new();
    headers.push("Content-Type", content_type);
    let whole = BodyPart { headers, bytes: body.clone(), alternative: false };
    let mut parts = Vec::new();
    split(whole, 0, &mut parts)?;
    Ok(parts)
}

/// Writes parts as one body. The boundary is drawn from `seed` until no part holds it.
///
/// ```
/// use linkspan_sip::{Body, Headers, body_parts, multipart};
///
/// let parts = [Body::sdp("v=0\r\n"), Body::new("text/plain", "hello")];
/// let body = multipart("mixed", &parts.map(|part| (Headers::new(), part)), 7);
/// let read = body_parts(&body.content_type, &body.bytes).unwrap();
/// assert_eq!(read[1].bytes, "hello");
/// ```
pub fn multipart(subtype: &str, parts: &[(Headers, Body)], seed: u64) -> Body {
    let mut seed = seed;
    let boundary = loop {
        let boundary = format!("----=_Part_{seed:016x}");
        let found = |part: &Body| memchr::memmem::find(&part.bytes, boundary.as_bytes()).is_some();
        if !parts.iter().any(|(_, part)| found(part)) {
            break boundary;
        }
        seed = seed.wrapping_add(1);
    };
    let mut out = Vec::new();
    for (headers, part) in parts {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        out.extend_from_slice(format!("Content-Type: {}\r\n", part.content_type).as_bytes());
        headers.write(&mut out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&part.bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Body::new(format!("multipart/{subtype};boundary=\"{boundary}\""), out)
}

fn split(part: BodyPart, depth: usize, out: &mut Vec<BodyPart>) -> Result<(), ValueError> {
    let kind = essence(part.content_type());
    let Some(subtype) =
        kind.split_once('/').filter(|(kind, _)| kind.eq_ignore_ascii_case("multipart"))
    else {
        if out.len() >= MAX_PARTS {
            return Err(ValueError::new("body", "fewer parts", 0));
        }
        out.push(part);
        return Ok(());
    };
    if depth >= MAX_DEPTH {
        return Err(ValueError::new("body", "fewer levels", 0));
    }
    let alternative = subtype.1.eq_ignore_ascii_case("alternative");
    let content_type = part.content_type();
    let params = content_type.find(';').and_then(|at| content_type.get(at..)).unwrap_or("");
    let boundary = ParamsRef::new(params).unquoted("boundary").filter(|text| !text.is_empty());
    let boundary = boundary.ok_or(ValueError::new("Content-Type", "a boundary", 0))?;
    let mut ranges = Vec::new();
    delimited(&part.bytes, boundary.as_bytes(), &mut ranges)?;
    if ranges.is_empty() {
        return Err(ValueError::new("body", "a part", 0));
    }
    for (start, end) in ranges {
        let octets = part.bytes.slice(start..end);
        split(parse_part(&octets, alternative || part.alternative), depth + 1, out)?;
    }
    Ok(())
}

/// Where the parts are. A body that ends without its closing delimiter ends its last part.
fn delimited(
    body: &[u8],
    boundary: &[u8],
    out: &mut Vec<(usize, usize)>,
) -> Result<(), ValueError> {
    let mut open: Option<usize> = None;
    let delimiter = [b"--", boundary].concat();
    for at in memchr::memmem::find_iter(body, &delimiter) {
        let before = body.get(..at).unwrap_or(&[]);
        if !before.is_empty() && before.last() != Some(&b'\n') {
            continue;
        }
        let after = body.get(at + delimiter.len()..).unwrap_or(&[]);
        let closes = after.starts_with(b"--");
        let padding = after.iter().position(|octet| !matches!(octet, b' ' | b'\t'));
        let line = after.get(padding.unwrap_or(after.len())..).unwrap_or(&[]);
        let end = match line {
            [b'\r', b'\n', ..] => Some(2),
            [b'\n', ..] => Some(1),
            [] => Some(0),
            _ => None,
        };
        if !closes && end.is_none() {
            // The start of a longer boundary.
            continue;
        }
        if let Some(start) = open {
            if out.len() >= MAX_PARTS {
                return Err(ValueError::new("body", "fewer parts", at));
            }
            // The line end before a delimiter belongs to it.
            let content = before.strip_suffix(b"\n").unwrap_or(before);
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            out.push((start, content.len().max(start)));
        }
        if closes {
            return Ok(());
        }
        open = Some(body.len() - line.len() + end.unwrap_or(0));
    }
    if let Some(start) = open {
        out.push((start, body.len()));
    }
    Ok(())
}

fn parse_part(octets: &Bytes, alternative: bool) -> BodyPart {
    let mut headers = Headers::new();
    let mut at = 0;
    loop {
        let rest = octets.get(at..).unwrap_or(&[]);
        let Some(feed) = memchr::memchr(b'\n', rest) else {
            // No empty line: a part without headers, or one that is all headers.
            let bytes = if headers.is_empty() { octets.clone() } else { octets.slice(at..) };
            return BodyPart { headers, bytes, alternative };
        };
        let mut end = at + feed + 1;
        let line = rest.get(..feed).unwrap_or(&[]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return BodyPart { headers, bytes: octets.slice(end..), alternative };
        }
        // Folds belong to the line.
        while matches!(octets.get(end), Some(b' ' | b'\t')) {
            let more = octets.get(end..).unwrap_or(&[]);
            end += memchr::memchr(b'\n', more).map_or(more.len(), |feed| feed + 1);
        }
        let text = String::from_utf8_lossy(octets.get(at..end).unwrap_or(&[]));
        let Some((name, value)) =
            text.split_once(':').filter(|(name, _)| lex::is_token(name.trim()))
        else {
            let bytes = if headers.is_empty() { octets.clone() } else { octets.slice(at..) };
            return BodyPart { headers, bytes, alternative };
        };
        headers.push(name.trim(), value);
        at = end;
    }
}

fn essence(value: &str) -> &str {
    lex::trim(value.split(';').next().unwrap_or(""))
}

const MAX_PARTS: usize = 64;
const MAX_DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_parts_come_in_order_and_know_their_alternative() {
        let body = Bytes::from_static(
            b"preamble\r\n--a\r\nContent-Type: multipart/alternative;boundary=ab\r\n\r\n\
              --ab\r\nContent-Type: application/sdp\r\n\r\n1\r\n--ab\r\n\r\n2\r\n--ab--\r\n\
              --a  \r\nContent-Type: text/plain;\r\n charset=UTF-8\r\n\r\n3\r\n--a--\r\nepilogue",
        );
        let parts = body_parts("multipart/mixed; boundary=a", &body).unwrap();
        let seen: Vec<_> = parts.iter().map(|part| (&part.bytes[..], part.alternative)).collect();
        assert_eq!(seen, [(&b"1"[..], true), (b"2", true), (b"3", false)]);
        assert!(parts[2].content_type().ends_with("charset=UTF-8"));
    }

    #[test]
    fn a_body_without_parts_is_an_error_and_a_plain_one_its_own_part() {
        assert!(body_parts("multipart/mixed", &Bytes::from_static(b"x")).is_err());
        assert!(body_parts("multipart/mixed;boundary=q", &Bytes::from_static(b"x")).is_err());
        assert_eq!(body_parts("application/sdp", &Bytes::from_static(b"x")).unwrap().len(), 1);
    }

    #[test]
    fn an_unclosed_body_keeps_its_last_part() {
        let body = Bytes::from_static(b"--b\r\n\r\none\r\n--b\r\n\r\ntwo");
        let parts = body_parts("multipart/mixed;boundary=b", &body).unwrap();
        assert_eq!(parts[1].bytes, "two");
    }

    #[test]
    fn levels_and_parts_are_bounded() {
        let many = "--b\r\n\r\nx\r\n".repeat(100);
        assert!(body_parts("multipart/mixed;boundary=b", &many.into()).is_err());
    }
}
