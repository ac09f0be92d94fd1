//! The borrowed view of a description: one pass over the octets, no allocation.

use crate::mline::split_token;
use crate::scan::{RawLine, Scan};
use crate::section::Lines;
use crate::{Limits, MediaLine, MediaView, Origin, ParseError, SessionDescription, SessionView};

/// A parsed description that borrows its text (RFC 8866 §5).
///
/// Parsing checks the line structure and the grammar of `v=`, `o=`, `c=`, `b=`, `t=` and `m=`;
/// attributes are read when asked for. Nothing is allocated.
///
/// ```
/// use linkspan_sdp::{Description, Direction};
///
/// let text = "v=0\r\no=- 0 1 IN IP4 192.0.2.1\r\ns=session\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///             a=sendonly\r\nm=audio 4000 RTP/SAVP 9 0\r\na=rtpmap:9 G722/8000\r\n";
/// let description = Description::parse(text.as_bytes())?;
/// let audio = description.media().next().ok_or("no media")?;
/// assert_eq!(audio.port(), 4000);
/// assert_eq!(audio.direction(), Direction::SendOnly); // inherited
/// assert_eq!(audio.rtpmap(0).ok_or("no rtpmap")?.name, "PCMU"); // static payload type
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    text: &'a str,
    /// Where the first `m=` line begins.
    session_end: usize,
    media: usize,
}

impl<'a> Description<'a> {
    /// Parses with the default [`Limits`].
    ///
    /// # Errors
    ///
    /// See [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &Limits::default())
    }

    /// Parses.
    ///
    /// A description without `s=` or `t=` line is accepted, because deployed senders leave them
    /// out; one without `v=` or `o=`, or with a section in use and no `c=` for it, is not. Blank
    /// lines are skipped.
    ///
    /// # Errors
    ///
    /// See [`ParseError`].
    pub fn parse_with(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        Self::parse_text(text(bytes, limits)?, limits, true)
    }

    /// Parses the fallback part of a Lync offer, which may have no `v=` line at all.
    ///
    /// # Errors
    ///
    /// See [`ParseError`].
    pub fn parse_fragment(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let limits = Limits::default();
        Self::parse_text(text(bytes, &limits)?, &limits, false)
    }

    fn parse_text(text: &'a str, limits: &Limits, whole: bool) -> Result<Self, ParseError> {
        let mut this = Self { text, session_end: text.len(), media: 0 };
        let (mut version, mut origin, mut lines) = (false, false, 0_usize);
        // RFC 8866 §5.7: every section has a connection, its own or the session's.
        let (mut session_connection, mut section_lacks_it) = (false, false);
        for line in Scan::new(text, 0) {
            let line = line.map_err(|at| ParseError::Line { at })?;
            lines += 1;
            if lines > limits.lines {
                return Err(ParseError::TooManyLines { limit: limits.lines, at: line.at });
            }
            match line.letter {
                // The frequent one first.
                b'a' => {}
                b'm' => {
                    if this.media == limits.media {
                        return Err(ParseError::TooManyMedia { limit: limits.media, at: line.at });
                    }
                    if this.media == 0 {
                        this.session_end = line.at;
                    }
                    this.media += 1;
                    if whole && section_lacks_it {
                        return Err(ParseError::Missing { line: 'c' });
                    }
                    let media = MediaLine::parse(line.value, line.at + 2)?;
                    section_lacks_it = media.port != 0 && !session_connection;
                }
                _ => {
                    check_line(&line, this.media > 0)?;
                    version |= line.letter == b'v';
                    origin |= line.letter == b'o';
                    if line.letter == b'c' {
                        session_connection |= this.media == 0;
                        section_lacks_it = false;
                    }
                }
            }
            if lines == 1 && whole && !version {
                return Err(ParseError::Missing { line: 'v' });
            }
        }
        if whole && !version {
            return Err(ParseError::Missing { line: 'v' });
        }
        if whole && !origin {
            return Err(ParseError::Missing { line: 'o' });
        }
        if whole && section_lacks_it {
            return Err(ParseError::Missing { line: 'c' });
        }
        Ok(this)
    }

    /// The text as it came.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// What stands before the first `m=` line.
    #[must_use]
    pub fn session(&self) -> SessionView<'a> {
        SessionView::new(self.session_lines())
    }

    /// The `o=` line; `None` only in a fragment.
    #[must_use]
    pub fn origin(&self) -> Option<Origin<'a>> {
        self.session().origin()
    }

    /// The media sections, with what they inherit from the session.
    #[must_use]
    pub fn media(&self) -> MediaSections<'a> {
        MediaSections {
            text: self.text,
            session: self.session_lines(),
            at: self.session_end,
            left: self.media,
        }
    }

    /// A copy that can be edited.
    #[must_use]
    pub fn to_owned(&self) -> SessionDescription {
        SessionDescription::from_text(self.text)
    }

    /// Appends the text to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.as_bytes());
    }

    fn session_lines(&self) -> Lines<'a> {
        Lines::new(self.text.get(..self.session_end).unwrap_or_default())
    }
}

impl core::fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text)
    }
}

/// The media sections of a [`Description`].
#[derive(Clone, Debug)]
pub struct MediaSections<'a> {
    text: &'a str,
    session: Lines<'a>,
    at: usize,
    left: usize,
}

impl<'a> Iterator for MediaSections<'a> {
    type Item = MediaView<'a>;

    fn next(&mut self) -> Option<MediaView<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut scan = Scan::new(self.text, self.at);
        let first = scan.next()?.ok()?;
        let line = MediaLine::parse(first.value, first.at).ok()?;
        let begin = scan.offset();
        let mut end = begin;
        loop {
            match scan.next() {
                Some(Ok(next)) if next.letter == b'm' => break,
                Some(Ok(_)) => end = scan.offset(),
                _ => break,
            }
        }
        self.at = end;
        let lines = Lines::new(self.text.get(begin..end).unwrap_or_default());
        Some(MediaView::new(self.session, line, lines))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for MediaSections<'_> {}

fn text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, ParseError> {
    if bytes.len() > limits.description {
        return Err(ParseError::TooLong { limit: limits.description });
    }
    let text = core::str::from_utf8(bytes)
        .map_err(|error| ParseError::NotUtf8 { at: error.valid_up_to() })?;
    match memchr::memchr(0, bytes) {
        Some(at) => Err(ParseError::Nul { at }),
        None => Ok(text),
    }
}

/// The grammar of the lines that are not attributes.
fn check_line(line: &RawLine<'_>, in_media: bool) -> Result<(), ParseError> {
    let at = line.at + 2;
    let bad = |line, expected| Err(ParseError::Value { line, at, expected });
    match line.letter {
        b'v' if line.value.trim_end_matches(' ') != "0" => bad('v', "0"),
        b'o' if Origin::parse(line.value).is_none() => {
            bad('o', "user name, two numbers, network, address type and address")
        }
        b'c' if crate::Connection::parse(line.value).is_none() => {
            bad('c', "network, address type and address")
        }
        b'b' if crate::Bandwidth::parse(line.value).is_none() => bad('b', "a type and a number"),
        b't' if !in_media && !is_timing(line.value) => bad('t', "two numbers"),
        _ => Ok(()),
    }
}

fn is_timing(value: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (start, rest) = split_token(value);
    let (stop, rest) = split_token(rest);
    number(start) && number(stop) && rest.is_empty()
}
