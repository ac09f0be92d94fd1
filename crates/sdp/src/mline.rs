//! The `m=` line: kind of media, port, transport profile, formats.

use core::fmt;

use crate::ParseError;

/// The kind of media of an `m=` line (RFC 8866 §5.14).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum MediaKind {
    /// `audio`.
    #[default]
    Audio,
    /// `video`.
    Video,
    /// `application`.
    Application,
    /// `applicationsharing` (Lync).
    ApplicationSharing,
    /// `message`.
    Message,
    /// `data` (Lync's file transfer).
    Data,
    /// `text`.
    Text,
    /// `image`.
    Image,
    /// Another token.
    Other(Box<str>),
}

impl MediaKind {
    const KNOWN: [(&'static str, Self); 8] = [
        ("audio", Self::Audio),
        ("video", Self::Video),
        ("application", Self::Application),
        ("applicationsharing", Self::ApplicationSharing),
        ("message", Self::Message),
        ("data", Self::Data),
        ("text", Self::Text),
        ("image", Self::Image),
    ];

    /// From the token of the `m=` line.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        Self::KNOWN
            .iter()
            .find(|(name, _)| *name == token)
            .map_or_else(|| Self::Other(token.into()), |(_, kind)| kind.clone())
    }

    /// The token of the `m=` line.
    #[must_use]
    pub fn token(&self) -> &str {
        if let Self::Other(token) = self {
            return token;
        }
        Self::KNOWN.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| *name)
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// The transport profile of an `m=` line.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Proto(Box<str>);

impl Proto {
    /// `RTP/AVP`: RTP in clear.
    #[must_use]
    pub fn rtp_avp() -> Self {
        Self("RTP/AVP".into())
    }

    /// `RTP/SAVP`: SRTP.
    #[must_use]
    pub fn rtp_savp() -> Self {
        Self("RTP/SAVP".into())
    }

    /// Any profile.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.into())
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the profile means for media.
    #[must_use]
    pub fn profile(&self) -> RtpProfile {
        RtpProfile::of(&self.0)
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a transport profile says about RTP.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RtpProfile {
    /// RTP at all.
    pub rtp: bool,
    /// SRTP (`SAVP`, `SAVPF`).
    pub secure: bool,
    /// Early feedback (`AVPF`, `SAVPF`).
    pub feedback: bool,
    /// Keys come from DTLS (`TLS/`).
    pub dtls: bool,
    /// Over TCP.
    pub tcp: bool,
}

impl RtpProfile {
    pub(crate) fn of(token: &str) -> Self {
        let Some((transport, profile)) = token.rsplit_once("RTP/") else {
            return Self { tcp: token.starts_with("TCP"), ..Self::default() };
        };
        let secure = matches!(profile, "SAVP" | "SAVPF");
        let feedback = matches!(profile, "AVPF" | "SAVPF");
        Self {
            rtp: secure || matches!(profile, "AVP" | "AVPF"),
            secure,
            feedback,
            dtls: transport.contains("TLS/"),
            tcp: transport.starts_with("TCP"),
        }
    }
}

/// An `m=` line, borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MediaLine<'a> {
    /// Kind of media, as written.
    pub kind: &'a str,
    /// Port; 0 is a section that is not used.
    pub port: u16,
    /// Number of ports after a `/`.
    pub ports: Option<u16>,
    /// Transport profile.
    pub proto: &'a str,
    /// Formats, as written, separated by blanks.
    formats: &'a str,
}

impl<'a> MediaLine<'a> {
    /// Parses the value of an `m=` line that stands at octet `offset` of a description.
    ///
    /// # Errors
    ///
    /// When it does not follow RFC 8866 §9. A line without formats is accepted: Lync's fallback
    /// parts have one.
    pub fn parse(value: &'a str, offset: usize) -> Result<Self, ParseError> {
        let bad = |rest: &str, expected| ParseError::Value {
            line: 'm',
            at: offset + (value.len() - rest.len()),
            expected,
        };
        let (kind, rest) = split_token(value);
        if kind.is_empty() {
            return Err(bad(value, "a media type"));
        }
        let (port_field, after_port) = split_token(rest);
        let (port, ports) = match port_field.split_once('/') {
            None => (port_field, None),
            Some((port, count)) => {
                (port, Some(decimal(count).ok_or_else(|| bad(rest, "a number of ports"))?))
            }
        };
        let port = decimal(port).ok_or_else(|| bad(rest, "a port"))?;
        let (proto, formats) = split_token(after_port);
        if proto.is_empty() {
            return Err(bad(after_port, "a transport profile"));
        }
        Ok(Self { kind, port, ports, proto, formats })
    }

    /// The formats: payload types for RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.formats.split(' ').filter(|format| !format.is_empty())
    }
}

/// The octets up to a blank, and what follows the blanks.
pub(crate) fn split_token(text: &str) -> (&str, &str) {
    match memchr::memchr(b' ', text.as_bytes()).and_then(|at| text.split_at_checked(at)) {
        Some((token, rest)) => (token, rest.trim_start_matches(' ')),
        None => (text, ""),
    }
}

/// Digits only: `str::parse` would take a sign.
pub(crate) fn decimal<T: core::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part() {
        let line = MediaLine::parse("video 49170/2 RTP/AVP 31 32", 0).unwrap();
        assert_eq!(
            (line.kind, line.port, line.ports, line.proto),
            ("video", 49_170, Some(2), "RTP/AVP")
        );
        assert!(line.formats().eq(["31", "32"]));
    }

    #[test]
    fn says_where_it_is_wrong() {
        let at = |value| match MediaLine::parse(value, 100) {
            Err(ParseError::Value { at, expected, .. }) => (at, expected),
            other => panic!("{other:?}"),
        };
        assert_eq!(at("audio 70000 RTP/AVP 0"), (106, "a port"));
        assert_eq!(at("audio -1 RTP/AVP 0"), (106, "a port"));
        assert_eq!(at("audio 4000"), (110, "a transport profile"));
        assert_eq!(at("audio 4000/x RTP/AVP"), (106, "a number of ports"));
    }

    #[test]
    fn profiles_are_understood() {
        let p = |token| RtpProfile::of(token);
        assert!(p("RTP/SAVP").secure && !p("RTP/AVP").secure && p("RTP/AVP").rtp);
        assert!(p("UDP/TLS/RTP/SAVPF").dtls && p("UDP/TLS/RTP/SAVPF").feedback);
        assert!(p("TCP/RTP/SAVP").tcp && !p("sip").rtp && !p("UDP/BFCP").rtp);
    }
}
