//! The owned description: every line kept in order, editable.

use core::fmt;

use crate::scan::{RawLine, Scan};
use crate::section::{Ending, Section};
use crate::{Description, Limits, MediaKind, MediaLine, MediaView, ParseError, Proto, SessionView};

/// An owned description that can be edited.
///
/// Unknown and repeated lines stay where they were. What is not edited is written back octet for
/// octet, line endings and oddities included.
///
/// ```
/// use linkspan_sdp::SessionDescription;
///
/// let text = b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nx=kept\nt=0 0\nm=audio 4000 RTP/AVP  0 \n";
/// let mut description = SessionDescription::parse(text)?;
/// assert_eq!(description.to_bytes(), text);
///
/// description.media[0].port = 0;
/// description.media[0].set_attribute("label", "main-audio");
/// assert!(description.to_string().ends_with("m=audio 0 RTP/AVP 0\na=label:main-audio\n"));
/// # Ok::<(), linkspan_sdp::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionDescription {
    /// The lines before the first `m=` line.
    section: Section,
    /// The media sections, in order.
    pub media: Vec<Media>,
}

/// A media section of a [`SessionDescription`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Media {
    /// Kind of media.
    pub kind: MediaKind,
    /// Port; 0 is a section that is not used.
    pub port: u16,
    /// Number of ports after a `/`.
    pub ports: Option<u16>,
    /// Transport profile.
    pub proto: Proto,
    /// Formats: payload types for RTP.
    pub formats: Vec<String>,
    /// The `m=` line as it came, where writing it anew would give other octets.
    verbatim: Option<Box<str>>,
    /// How the `m=` line ends; nothing only at the end of the text.
    end: Box<str>,
    section: Section,
}

impl SessionDescription {
    /// Parses with the default [`Limits`]; see [`Description::parse_with`].
    ///
    /// # Errors
    ///
    /// See [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Description::parse(bytes).map(|description| description.to_owned())
    }

    /// Parses; see [`Description::parse_with`].
    ///
    /// # Errors
    ///
    /// See [`ParseError`].
    pub fn parse_with(bytes: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        Description::parse_with(bytes, limits).map(|description| description.to_owned())
    }

    /// Copies text that a [`Description`] has checked.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut this = Self::default();
        let mut lines = Scan::new(text, 0);
        let mut begin = 0;
        // The text between two `m=` lines belongs to the section that the first one opens.
        let close = |this: &mut Self, begin: usize, end: usize| {
            let part = text.get(begin..end).unwrap_or_default();
            match this.media.last_mut() {
                Some(media) => media.section.append(part),
                None => this.section.append(part),
            }
        };
        while let Some(Ok(line)) = lines.next() {
            if line.letter == b'm' {
                close(&mut this, begin, line.at);
                this.media.extend(Media::from_raw(&line));
                begin = lines.offset();
            }
        }
        close(&mut this, begin, text.len());
        this
    }

    /// The text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Appends the text to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.reserve(self.written_len());
        out.extend_from_slice(self.section.as_str().as_bytes());
        for media in &self.media {
            media.write(out, begin);
        }
    }

    /// What stands before the first `m=` line.
    #[must_use]
    pub fn session(&self) -> SessionView<'_> {
        SessionView::new(self.section.lines())
    }

    /// A media section, with what it inherits from the session.
    #[must_use]
    pub fn media_view(&self, index: usize) -> Option<MediaView<'_>> {
        self.media.get(index).map(|media| self.view(media))
    }

    /// All media sections, with what they inherit from the session.
    pub fn media_views(&self) -> impl ExactSizeIterator<Item = MediaView<'_>> {
        self.media.iter().map(|media| self.view(media))
    }

    /// The value of the first session-level line of a letter, `m` and `a` excepted.
    #[must_use]
    pub fn line(&self, letter: char) -> Option<&str> {
        u8::try_from(letter).ok().and_then(|letter| self.section.lines().first(letter))
    }

    /// Replaces the first session-level line of a letter, or adds one where RFC 8866 §5 has it.
    pub fn set_line(&mut self, letter: char, value: &str) {
        if !matches!(letter, 'a' | 'm') {
            let end = self.ending();
            self.section.set_line(letter, value, SESSION_ORDER, end);
        }
    }

    /// Adds a session-level attribute; a flag has no value.
    pub fn push_attribute(&mut self, name: &str, value: Option<&str>) {
        let end = self.ending();
        self.section.push_attribute(name, value, end);
    }

    /// Removes all session-level attributes of a name; how many there were.
    pub fn remove_attribute(&mut self, name: &str) -> usize {
        self.section.remove_attribute(name)
    }

    /// Adds a media section.
    pub fn push_media(&mut self, media: Media) {
        self.media.push(media);
    }

    fn view<'a>(&'a self, media: &'a Media) -> MediaView<'a> {
        MediaView::from_owned(self.section.lines(), media, media.section.lines())
    }

    fn ending(&self) -> Ending {
        self.section.ending().unwrap_or_default()
    }

    fn written_len(&self) -> usize {
        let media = |m: &Media| 64 + m.formats.len() * 4 + m.section.as_str().len();
        self.section.as_str().len() + self.media.iter().map(media).sum::<usize>()
    }
}

impl fmt::Display for SessionDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl core::str::FromStr for SessionDescription {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

impl Media {
    /// A section without lines.
    #[must_use]
    pub fn new(kind: MediaKind, port: u16, proto: Proto, formats: Vec<String>) -> Self {
        Self {
            kind,
            port,
            ports: None,
            proto,
            formats,
            verbatim: None,
            end: Ending::CrLf.text().into(),
            section: Section::default(),
        }
    }

    /// The value of the first attribute of a name in this section; empty for a flag.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.section.lines().attribute(name)
    }

    /// Adds an attribute; a flag has no value.
    pub fn push_attribute(&mut self, name: &str, value: Option<&str>) {
        self.finish();
        self.section.push_attribute(name, value, Ending::of(&self.end));
    }

    /// Replaces the value of the first attribute of a name, or adds it.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        self.finish();
        self.section.set_attribute(name, value, Ending::of(&self.end));
    }

    /// Removes all attributes of a name; how many there were.
    pub fn remove_attribute(&mut self, name: &str) -> usize {
        self.section.remove_attribute(name)
    }

    /// The value of the first line of a letter in this section, `m` and `a` excepted.
    #[must_use]
    pub fn line(&self, letter: char) -> Option<&str> {
        u8::try_from(letter).ok().and_then(|letter| self.section.lines().first(letter))
    }

    /// Replaces the first line of a letter, or adds one where RFC 8866 §5 has it.
    pub fn set_line(&mut self, letter: char, value: &str) {
        if !matches!(letter, 'a' | 'm') {
            self.finish();
            self.section.set_line(letter, value, MEDIA_ORDER, Ending::of(&self.end));
        }
    }

    fn from_raw(raw: &RawLine<'_>) -> Option<Self> {
        let line = MediaLine::parse(raw.value, raw.at).ok()?;
        let mut this = Self {
            kind: MediaKind::from_token(line.kind),
            port: line.port,
            ports: line.ports,
            proto: Proto::new(line.proto),
            formats: line.formats().map(Into::into).collect(),
            verbatim: None,
            end: raw.end.into(),
            section: Section::default(),
        };
        let mut canonical = Vec::with_capacity(raw.value.len());
        this.write_line(&mut canonical);
        if canonical != raw.value.as_bytes() {
            this.verbatim = Some(raw.value.into());
        }
        Some(this)
    }

    fn write(&self, out: &mut Vec<u8>, begin: usize) {
        finish(out, begin);
        out.extend_from_slice(b"m=");
        match self.verbatim.as_deref() {
            Some(text) if self.is_written_as(text) => out.extend_from_slice(text.as_bytes()),
            _ => self.write_line(out),
        }
        out.extend_from_slice(self.end.as_bytes());
        out.extend_from_slice(self.section.as_str().as_bytes());
    }

    /// The `m=` line ends before anything follows it.
    fn finish(&mut self) {
        if !self.end.ends_with('\n') {
            self.end = Ending::CrLf.text().into();
        }
    }

    /// Whether the fields are still what `text` says.
    fn is_written_as(&self, text: &str) -> bool {
        MediaLine::parse(text, 0).is_ok_and(|line| {
            line.kind == self.kind.token()
                && (line.port, line.ports) == (self.port, self.ports)
                && line.proto == self.proto.as_str()
                && line.formats().eq(self.formats.iter().map(String::as_str))
        })
    }

    fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind.token().as_bytes());
        out.push(b' ');
        write_decimal(self.port, out);
        if let Some(ports) = self.ports {
            out.push(b'/');
            write_decimal(ports, out);
        }
        out.push(b' ');
        out.extend_from_slice(self.proto.as_str().as_bytes());
        for format in &self.formats {
            out.push(b' ');
            out.extend_from_slice(format.as_bytes());
        }
    }
}

/// What came without a line ending gets one when something follows it.
fn finish(out: &mut Vec<u8>, begin: usize) {
    match out.get(begin..).and_then(<[u8]>::last) {
        None | Some(b'\n') => {}
        Some(b'\r') => out.push(b'\n'),
        Some(_) => out.extend_from_slice(b"\r\n"),
    }
}

fn write_decimal(number: u16, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 5];
    let mut left = number;
    let mut length = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        length += 1;
        if left == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(digits.len() - length));
}

/// RFC 8866 §5: the order of the lines of a session and of a media section.
const SESSION_ORDER: &str = "vosiuepcbtrzka";
const MEDIA_ORDER: &str = "icbka";
