//! The session description in the body of a message.

use linkspan_sdp::SessionDescription;
use linkspan_sdp::ms::{Part, select_offer};
use linkspan_sip::{Body, BodyPart, Headers, body_parts};

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
    let parts = body_parts(&body.content_type, &body.bytes).map_err(|_| BodyError::Unsupported)?;
    if let [whole] = &parts[..]
        && whole.is("application/sdp")
    {
        let content_id = whole.content_id().or_else(|| headers.first("Content-ID"));
        let description = SessionDescription::parse(&whole.bytes)?;
        return Ok(Described { description, content_id: content_id.map(str::to_owned) });
    }
    // A part may be a stub that does not parse: it does not fail the others.
    let views: Vec<Part<'_>> = parts.iter().map(view).collect();
    let chosen = select_offer(&views).and_then(|at| parts.get(at)).ok_or(BodyError::Unsupported)?;
    Ok(Described {
        description: SessionDescription::parse(&chosen.bytes)?,
        content_id: chosen.content_id().map(str::to_owned),
    })
}

fn view(part: &BodyPart) -> Part<'_> {
    Part {
        content_type: part.content_type(),
        content_disposition: part.headers.first("Content-Disposition").unwrap_or_default(),
        body: &part.bytes,
    }
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
