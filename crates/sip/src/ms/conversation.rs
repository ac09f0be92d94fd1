//! Conversations and their first words: `Ms-Conversation-ID`, `ms-text-format`, and the connection
//! that a front end saw.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::ValueError;
use crate::lex;
use crate::params::ParamsRef;
use crate::typed::Via;

/// A value of `Ms-Conversation-ID`: what binds the IM, audio, video and sharing sessions of one
/// conversation together. One is made for a call, and kept for all of its requests.
///
/// ```
/// assert_eq!(linkspan_sip::ms::conversation_id([7; 20]), "BwcHBwcHBwcHBwcHBwcHBwcHBwc=");
/// ```
pub fn conversation_id(random: [u8; 20]) -> String {
    STANDARD.encode(random)
}

/// The value of `ms-text-format` and `ms-im-format`: a media type, and the first message of an IM
/// session.
///
/// ```
/// use linkspan_sip::ms::TextFormat;
///
/// let format = TextFormat::parse("text/plain; charset=UTF-8; ms-body=aGVsbG8=").unwrap();
/// assert_eq!(format.body.as_deref(), Some(&b"hello"[..]));
/// assert_eq!(format.to_string(), "text/plain; charset=UTF-8; ms-body=aGVsbG8=");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextFormat {
    /// The media type, `text/plain`, `text/rtf` or `text/html`.
    pub media_type: String,
    /// The character set.
    pub charset: Option<String>,
    /// The message.
    pub body: Option<Vec<u8>>,
}

impl TextFormat {
    /// Parses the value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where there is no media type, or the message is not base64.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let end = text.find(';').unwrap_or(text.len());
        let media_type = lex::trim(text.get(..end).unwrap_or(""));
        let params = ParamsRef::new(text.get(end..).unwrap_or(""));
        let fail = |expected| ValueError::new("ms-text-format", expected, 0);
        if !media_type.contains('/') {
            return Err(fail("a media type"));
        }
        let decode = |body: std::borrow::Cow<'_, str>| STANDARD.decode(body.as_bytes());
        let body = params.unquoted("ms-body").map(decode).transpose();
        Ok(Self {
            media_type: media_type.to_owned(),
            charset: params.unquoted("charset").map(std::borrow::Cow::into_owned),
            body: body.map_err(|_| fail("base64"))?,
        })
    }
}

impl core::fmt::Display for TextFormat {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.media_type)?;
        if let Some(charset) = &self.charset {
            write!(f, "; charset={charset}")?;
        }
        match &self.body {
            Some(body) => write!(f, "; ms-body={}", STANDARD.encode(body)),
            None => Ok(()),
        }
    }
}

/// The source port and the connection id that a front end wrote into a client's Via:
/// `ms-received-port` and `ms-received-cid`. They go back unchanged in the response.
///
/// ```
/// use linkspan_sip::{Via, ms};
///
/// let via = Via::parse("SIP/2.0/TLS 192.0.2.57:1590;ms-received-port=1590;ms-received-cid=C6B200");
/// assert_eq!(ms::received_connection(&via.unwrap()), Some((1590, 0xc6b200)));
/// ```
pub fn received_connection(via: &Via<'_>) -> Option<(u16, u64)> {
    let port = lex::number(via.params().value("ms-received-port")?)?;
    let id = u64::from_str_radix(via.params().value("ms-received-cid")?, 16).ok()?;
    Some((port, id))
}
