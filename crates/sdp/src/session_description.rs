//! The owned description: every line kept in order, editable.

use core::fmt;

use crate::scan::{RawLine, Scan};
use crate::section::Lines;
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
    lines: Vec<Line>,
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
    end: Ending,
    lines: Vec<Line>,
}

/// A line that is no `m=` line.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Line {
    /// 0 for a blank line.
    pub(crate) letter: u8,
    pub(crate) value: Box<str>,
    pub(crate) end: Ending,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ending {
    #[default]
    CrLf,
    Lf,
    Cr,
    None,
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
        for line in Scan::new(text, 0).flatten() {
            match (line.letter, this.media.last_mut()) {
                (b'm', _) => this.media.extend(Media::from_raw(&line)),
                (_, Some(media)) => media.lines.push(Line::from_raw(&line)),
                (_, None) => this.lines.push(Line::from_raw(&line)),
            }
        }
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
        out.reserve(self.written_len());
        let begin = out.len();
        write_lines(&self.lines, out, begin);
        for media in &self.media {
            media.write(out, begin);
        }
    }

    /// What stands before the first `m=` line.
    #[must_use]
    pub fn session(&self) -> SessionView<'_> {
        SessionView::new(Lines::Owned(&self.lines))
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
        self.lines.iter().find(|line| char::from(line.letter) == letter).map(|line| &*line.value)
    }

    /// Replaces the first session-level line of a letter, or adds one where RFC 8866 §5 has it.
    pub fn set_line(&mut self, letter: char, value: &str) {
        let end = self.ending();
        set_line(&mut self.lines, letter, value, SESSION_ORDER, end);
    }

    /// Adds a session-level attribute; a flag has no value.
    pub fn push_attribute(&mut self, name: &str, value: Option<&str>) {
        let end = self.ending();
        self.lines.push(Line::attribute(name, value, end));
    }

    /// Removes all session-level attributes of a name; how many there were.
    pub fn remove_attribute(&mut self, name: &str) -> usize {
        remove_attribute(&mut self.lines, name)
    }

    /// Adds a media section.
    pub fn push_media(&mut self, media: Media) {
        self.media.push(media);
    }

    fn view<'a>(&'a self, media: &'a Media) -> MediaView<'a> {
        MediaView::from_owned(Lines::Owned(&self.lines), media, Lines::Owned(&media.lines))
    }

    fn ending(&self) -> Ending {
        self.lines.first().map_or(Ending::CrLf, |line| line.end)
    }

    fn written_len(&self) -> usize {
        let lines = |lines: &[Line]| lines.iter().map(|l| l.value.len() + 4).sum::<usize>();
        let media = |m: &Media| 64 + m.formats.len() * 4 + lines(&m.lines);
        lines(&self.lines) + self.media.iter().map(media).sum::<usize>()
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
            end: Ending::CrLf,
            lines: Vec::new(),
        }
    }

    /// The value of the first attribute of a name in this section; empty for a flag.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        Lines::Owned(&self.lines).attribute(name)
    }

    /// Adds an attribute; a flag has no value.
    pub fn push_attribute(&mut self, name: &str, value: Option<&str>) {
        let end = self.end;
        self.lines.push(Line::attribute(name, value, end));
    }

    /// Replaces the value of the first attribute of a name, or adds it.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        let wanted = Line::attribute(name, Some(value), self.end);
        match self.lines.iter_mut().find(|line| line.is_attribute(name)) {
            Some(line) => *line = wanted,
            None => self.lines.push(wanted),
        }
    }

    /// Removes all attributes of a name; how many there were.
    pub fn remove_attribute(&mut self, name: &str) -> usize {
        remove_attribute(&mut self.lines, name)
    }

    /// The value of the first line of a letter in this section, `m` and `a` excepted.
    #[must_use]
    pub fn line(&self, letter: char) -> Option<&str> {
        self.lines.iter().find(|line| char::from(line.letter) == letter).map(|line| &*line.value)
    }

    /// Replaces the first line of a letter, or adds one where RFC 8866 §5 has it.
    pub fn set_line(&mut self, letter: char, value: &str) {
        let end = self.end;
        set_line(&mut self.lines, letter, value, MEDIA_ORDER, end);
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
            end: Ending::of(raw.end),
            lines: Vec::new(),
        };
        let mut canonical = Vec::with_capacity(raw.value.len());
        this.write_line(&mut canonical);
        if canonical != raw.value.as_bytes() {
            this.verbatim = Some(raw.value.into());
        }
        Some(this)
    }

    fn write(&self, out: &mut Vec<u8>, begin: usize) {
        finish_line(out, begin);
        out.extend_from_slice(b"m=");
        match self.verbatim.as_deref() {
            Some(text) if self.is_written_as(text) => out.extend_from_slice(text.as_bytes()),
            _ => self.write_line(out),
        }
        out.extend_from_slice(self.end.octets());
        write_lines(&self.lines, out, begin);
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

impl Line {
    fn from_raw(raw: &RawLine<'_>) -> Self {
        Self { letter: raw.letter, value: raw.value.into(), end: Ending::of(raw.end) }
    }

    fn attribute(name: &str, value: Option<&str>, end: Ending) -> Self {
        let text = match value {
            Some(value) => [name, ":", value].concat(),
            None => name.into(),
        };
        Self { letter: b'a', value: one_line(text), end: end.or_crlf() }
    }

    fn is_attribute(&self, name: &str) -> bool {
        self.letter == b'a'
            && self
                .value
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }
}

/// Keys do not show.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECRET: [&str; 3] = ["crypto:", "cryptoscale:", "ice-pwd:"];
        let letter = char::from(self.letter);
        let secret = match self.letter {
            b'k' => Some(""),
            b'a' => SECRET.into_iter().find(|name| self.value.starts_with(name)),
            _ => None,
        };
        match secret {
            Some(name) => write!(f, "\"{letter}={name}…\""),
            None => write!(f, "\"{letter}={}\"", self.value.escape_debug()),
        }
    }
}

impl Ending {
    fn of(octets: &str) -> Self {
        match octets {
            "\r\n" => Self::CrLf,
            "\n" => Self::Lf,
            "\r" => Self::Cr,
            _ => Self::None,
        }
    }

    const fn octets(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
            Self::Cr => b"\r",
            Self::None => b"",
        }
    }

    const fn or_crlf(self) -> Self {
        match self {
            Self::Lf => Self::Lf,
            _ => Self::CrLf,
        }
    }
}

/// A value of the caller cannot break out of its line.
fn one_line(text: String) -> Box<str> {
    if text.contains(['\r', '\n', '\0']) {
        text.replace(['\r', '\n', '\0'], " ").into()
    } else {
        text.into()
    }
}

fn set_line(lines: &mut Vec<Line>, letter: char, value: &str, order: &str, end: Ending) {
    let Ok(letter) = u8::try_from(letter) else { return };
    if !letter.is_ascii_alphabetic() || letter == b'm' {
        return;
    }
    if let Some(line) = lines.iter_mut().find(|line| line.letter == letter) {
        line.value = one_line(value.into());
        return;
    }
    let rank = |l: u8| order.bytes().position(|o| o == l).unwrap_or(order.len());
    let at = lines.iter().rposition(|l| l.letter != 0 && rank(l.letter) <= rank(letter));
    let line = Line { letter, value: one_line(value.into()), end: end.or_crlf() };
    lines.insert(at.map_or(0, |at| at + 1), line);
}

fn remove_attribute(lines: &mut Vec<Line>, name: &str) -> usize {
    let before = lines.len();
    lines.retain(|line| !line.is_attribute(name));
    before - lines.len()
}

/// What came without a line ending gets one when something was added behind it.
fn finish_line(out: &mut Vec<u8>, begin: usize) {
    match out.get(begin..).and_then(<[u8]>::last) {
        None | Some(b'\n') => {}
        Some(b'\r') => out.push(b'\n'),
        Some(_) => out.extend_from_slice(b"\r\n"),
    }
}

fn write_lines(lines: &[Line], out: &mut Vec<u8>, begin: usize) {
    for line in lines {
        finish_line(out, begin);
        if line.letter != 0 {
            out.extend_from_slice(&[line.letter, b'=']);
            out.extend_from_slice(line.value.as_bytes());
        }
        out.extend_from_slice(line.end.octets());
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
