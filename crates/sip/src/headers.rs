//! The header section: an ordered list of lines, kept byte for byte.

use core::fmt;

use crate::header_name::{self, HeaderName};

/// One header line within its text. Its name is classified when it is looked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    pub(crate) start: u32,
    pub(crate) value_start: u32,
    pub(crate) value_end: u32,
    /// Octets between the value and the next line.
    pub(crate) trail: u16,
    pub(crate) name_len: u8,
    /// [`header_name::hash`] of the name.
    pub(crate) hash: u8,
}

impl Line {
    pub(crate) fn name_in<'a>(&self, text: &'a str) -> &'a str {
        let start = self.start as usize;
        text.get(start..start + usize::from(self.name_len)).unwrap_or("")
    }

    pub(crate) fn value_in<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.value_start as usize..self.value_end as usize).unwrap_or("")
    }

    /// Where the next line starts.
    pub(crate) fn end(&self) -> u32 {
        self.value_end.saturating_add(u32::from(self.trail))
    }
}

/// Which lines of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selector<'n> {
    /// With the hashes of its long and its compact form.
    Known(HeaderName, (u8, u8)),
    Text(&'n str),
}

impl<'n> Selector<'n> {
    pub(crate) fn new(name: &'n str) -> Self {
        HeaderName::find(name).map_or(Self::Text(name), Self::known)
    }

    #[inline]
    pub(crate) fn known(name: HeaderName) -> Self {
        Self::Known(name, name.hashes())
    }

    #[inline]
    pub(crate) fn matches(self, line: &Line, text: &str) -> bool {
        match self {
            Self::Known(name, (long, compact)) => {
                (line.hash == long || line.hash == compact) && name.is(line.name_in(text))
            }
            Self::Text(name) => line.name_in(text).eq_ignore_ascii_case(name),
        }
    }
}

/// The values of the lines of one name, in order, as received: folds inside are kept.
#[derive(Clone, Debug)]
pub struct Values<'s, 'a> {
    text: &'a str,
    lines: core::slice::Iter<'s, Line>,
    selector: Selector<'s>,
}

impl<'s, 'a> Values<'s, 'a> {
    pub(crate) fn new(text: &'a str, lines: &'s [Line], selector: Selector<'s>) -> Self {
        Self { text, lines: lines.iter(), selector }
    }
}

impl<'a> Iterator for Values<'_, 'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (text, selector) = (self.text, self.selector);
        self.lines.find(|line| selector.matches(line, text)).map(|line| line.value_in(text))
    }
}

/// The headers of a message that can be edited. Untouched lines keep their octets: case of the
/// name, spaces, folds and order.
///
/// Names are compared without regard to case, and a compact form is the name it stands for. A
/// line end inside a value becomes a space, so that no value can start a line of its own.
///
/// ```
/// use linkspan_sip::Headers;
///
/// let mut headers = Headers::new();
/// headers.push("Subject", "a call");
/// headers.push("X-Trace", "7\r\nEvil: yes");
/// headers.set("s", "another");
/// assert_eq!(headers.first("SUBJECT"), Some("another"));
/// assert_eq!(headers.to_string(), "s: another\r\nX-Trace: 7  Evil: yes\r\n");
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    text: String,
    lines: Vec<Line>,
    /// Octets of the body that came with these lines, as long as none of them was touched.
    received_with: Option<usize>,
    /// Whether the line before these and the empty line behind them came with LF alone.
    bare_ends: (bool, bool),
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn from_lines(text: &str, lines: &[Line], body: usize) -> Self {
        let base = lines.first().map_or(0, |line| line.start);
        let end = lines.last().map_or(base, Line::end);
        let before = text.get(..base as usize).unwrap_or("");
        let bare = !before.is_empty() && !before.ends_with("\r\n");
        let behind = text.get(end as usize..).unwrap_or("");
        let lines = lines.iter().map(|line| Line {
            start: line.start - base,
            value_start: line.value_start - base,
            value_end: line.value_end - base,
            ..*line
        });
        Self {
            text: text.get(base as usize..end as usize).unwrap_or("").to_owned(),
            lines: lines.collect(),
            received_with: Some(body),
            bare_ends: (bare, behind == "\n"),
        }
    }

    /// The ends of the start line and of the empty line: as received where no line was touched.
    pub(crate) fn line_ends(&self) -> [&'static [u8]; 2] {
        let end =
            |bare| if bare && self.received_with.is_some() { b"\n".as_slice() } else { b"\r\n" };
        [end(self.bare_ends.0), end(self.bare_ends.1)]
    }

    /// All lines with their line ends, where they are what came with a body of that length.
    pub(crate) fn as_received_with(&self, body: usize) -> Option<&str> {
        (self.received_with == Some(body)).then_some(&self.text)
    }

    /// At least as many octets as [`Headers::write`] appends, and no more than twice a few edits.
    pub(crate) fn room(&self) -> usize {
        self.text.len()
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// `(name, value)` of every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| (line.name_in(&self.text), line.value_in(&self.text)))
    }

    /// The value of the first line of that name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(Selector::new(name)).next()
    }

    /// The same as [`Headers::first`].
    pub fn get(&self, name: &str) -> Option<&str> {
        self.first(name)
    }

    /// The values of every line of that name, in order.
    pub fn all<'s>(&'s self, name: &'s str) -> Values<'s, 's> {
        self.values(Selector::new(name))
    }

    /// Whether a line of that name stands here.
    pub fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Appends a line.
    pub fn push(&mut self, name: &str, value: impl AsRef<str>) {
        let line = self.append(name, value.as_ref());
        self.lines.push(line);
    }

    /// Puts a line before all others.
    pub fn push_front(&mut self, name: &str, value: impl AsRef<str>) {
        self.insert(0, name, value.as_ref());
    }

    /// Puts a line at a position, at the end where that is beyond it.
    pub fn insert(&mut self, index: usize, name: &str, value: impl AsRef<str>) {
        let line = self.append(name, value.as_ref());
        self.lines.insert(index.min(self.lines.len()), line);
    }

    /// Replaces the first line of that name and takes the others away, or appends one.
    pub fn set(&mut self, name: &str, value: impl AsRef<str>) {
        let selector = Selector::new(name);
        let Some(index) = self.position(selector) else {
            self.push(name, value);
            return;
        };
        let line = self.append(name, value.as_ref());
        if let Some(slot) = self.lines.get_mut(index) {
            *slot = line;
        }
        let text = &self.text;
        let mut i = 0;
        self.lines.retain(|line| {
            i += 1;
            i - 1 <= index || !selector.matches(line, text)
        });
    }

    /// Takes every line of that name away, and says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let selector = Selector::new(name);
        self.received_with = None;
        let before = self.lines.len();
        let text = &self.text;
        self.lines.retain(|line| !selector.matches(line, text));
        before - self.lines.len()
    }

    /// Takes the first line of that name away.
    pub fn remove_first(&mut self, name: &str) -> bool {
        let index = self.position(Selector::new(name));
        self.received_with = None;
        index.is_some_and(|index| {
            self.lines.remove(index);
            true
        })
    }

    /// Appends every line of `other`, byte for byte.
    pub fn extend(&mut self, other: &Self) {
        self.received_with = None;
        for line in &other.lines {
            let raw = other.text.get(line.start as usize..line.end() as usize).unwrap_or("");
            let base = offset(self.text.len());
            self.text.push_str(raw);
            self.lines.push(Line {
                start: base,
                value_start: base + (line.value_start - line.start),
                value_end: base + (line.value_end - line.start),
                ..*line
            });
        }
    }

    /// Appends the lines to `out`, each with its line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_except(out, None);
    }

    /// Octets that [`Headers::write`] appends.
    pub fn encoded_len(&self) -> usize {
        self.lines.iter().map(|line| (line.end() - line.start) as usize).sum()
    }

    pub(crate) fn write_except(&self, out: &mut Vec<u8>, skip: Option<Selector<'_>>) {
        // Neighbours in the text go out as one run: an untouched section is one copy.
        let mut run: Option<(u32, u32)> = None;
        for line in &self.lines {
            if skip.is_some_and(|skip| skip.matches(line, &self.text)) {
                continue;
            }
            run = match run {
                Some((start, end)) if end == line.start => Some((start, line.end())),
                other => {
                    self.write_run(out, other);
                    Some((line.start, line.end()))
                }
            };
        }
        self.write_run(out, run);
    }

    fn write_run(&self, out: &mut Vec<u8>, run: Option<(u32, u32)>) {
        if let Some((start, end)) = run {
            let run = self.text.get(start as usize..end as usize).unwrap_or("");
            out.extend_from_slice(run.as_bytes());
        }
    }

    pub(crate) fn values<'s, 'a: 's>(&'a self, selector: Selector<'s>) -> Values<'s, 'a> {
        Values::new(&self.text, &self.lines, selector)
    }

    fn position(&self, selector: Selector<'_>) -> Option<usize> {
        self.lines.iter().position(|line| selector.matches(line, &self.text))
    }

    fn append(&mut self, name: &str, value: &str) -> Line {
        self.received_with = None;
        let start = offset(self.text.len());
        // A name is a token; what is none becomes one, for the same reason as with values.
        if crate::lex::is_token(name) {
            self.text.push_str(name);
        } else {
            let sound =
                |char: char| char.is_ascii() && crate::lex::is_token(char.encode_utf8(&mut [0; 4]));
            self.text.extend(name.chars().map(|char| if sound(char) { char } else { '-' }));
        }
        let name_end = self.text.len();
        self.text.push_str(": ");
        let value_start = offset(self.text.len());
        let value = crate::lex::trim(value);
        if value.contains(['\r', '\n']) {
            self.text.extend(
                value.chars().map(|char| if matches!(char, '\r' | '\n') { ' ' } else { char }),
            );
        } else {
            self.text.push_str(value);
        }
        let value_end = offset(self.text.len());
        self.text.push_str("\r\n");
        let name = self.text.get(start as usize..name_end).unwrap_or("");
        Line {
            start,
            value_start,
            value_end,
            trail: 2,
            // Names beyond 255 octets are found by no name.
            name_len: u8::try_from(name.len()).unwrap_or(0),
            hash: header_name::hash(name.as_bytes()),
        }
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| {
            f.write_str(self.text.get(line.start as usize..line.end() as usize).unwrap_or(""))
        })
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Two sections are equal when their lines are, in order, spelled the same.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in lines {
            headers.push(name.as_ref(), value);
        }
        headers
    }
}

/// Sections are far below 4 GiB; one that is not loses its tail instead of its sense.
fn offset(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
