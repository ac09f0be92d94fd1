//! The lines of one section: a text, read by scanning and edited in place.

use core::fmt;

use crate::scan::{RawLine, Scan};

/// The lines of a section, borrowed. The text has been checked: every line is `x=value` or blank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Letter and value of every line; the letter of a blank line is 0.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u8, &'a str)> {
        self.raw().map(|line| (line.letter, line.value))
    }

    /// The value of the first line of a letter.
    pub(crate) fn first(self, letter: u8) -> Option<&'a str> {
        self.iter().find(|(l, _)| *l == letter).map(|(_, value)| value)
    }

    /// The values of all lines of a letter.
    pub(crate) fn all(self, letter: u8) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(l, _)| *l == letter).map(|(_, value)| value)
    }

    /// Name and value of every attribute.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        self.all(b'a').map(Attribute::from_line)
    }

    /// The values of all attributes of a name; the value of a flag is empty.
    pub(crate) fn named(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.attributes().filter(move |a| a.name == name).map(|a| a.value.unwrap_or_default())
    }

    /// The value of the first attribute of a name.
    pub(crate) fn attribute(self, name: &str) -> Option<&'a str> {
        self.named(name).next()
    }

    fn raw(self) -> impl Iterator<Item = RawLine<'a>> {
        Scan::new(self.0, 0).map_while(Result::ok)
    }
}

/// The lines of a section, owned.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Section(String);

impl Section {
    pub(crate) const fn lines(&self) -> Lines<'_> {
        Lines::new(self.0.as_str())
    }

    pub(crate) const fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Appends checked text.
    pub(crate) fn append(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// How its first line ends.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.lines().raw().next().map(|line| Ending::of(line.end))
    }

    pub(crate) fn push_attribute(&mut self, name: &str, value: Option<&str>, end: Ending) {
        finish_line(&mut self.0);
        self.0.push_str("a=");
        push_one_line(&mut self.0, name);
        if let Some(value) = value {
            self.0.push(':');
            push_one_line(&mut self.0, value);
        }
        self.0.push_str(end.text());
    }

    /// Replaces the first attribute of a name, or adds it.
    pub(crate) fn set_attribute(&mut self, name: &str, value: &str, end: Ending) {
        let found = self.find(|line| is_attribute(line, name));
        match found {
            Some((at, length)) => {
                let mut text = String::with_capacity(name.len() + value.len() + 1);
                push_one_line(&mut text, name);
                text.push(':');
                push_one_line(&mut text, value);
                self.0.replace_range(at..at + length, &text);
            }
            None => self.push_attribute(name, Some(value), end),
        }
    }

    /// Removes all attributes of a name; how many there were.
    pub(crate) fn remove_attribute(&mut self, name: &str) -> usize {
        let mut kept = String::with_capacity(self.0.len());
        let mut removed = 0;
        let mut lines = Scan::new(&self.0, 0);
        while let Some(Ok(line)) = lines.next() {
            if is_attribute(&line, name) {
                removed += 1;
            } else {
                kept.push_str(self.0.get(line.at..lines.offset()).unwrap_or_default());
            }
        }
        if removed > 0 {
            self.0 = kept;
        }
        removed
    }

    /// Replaces the first line of a letter, or adds it where `order` has it.
    pub(crate) fn set_line(&mut self, letter: char, value: &str, order: &str, end: Ending) {
        let Some(letter) = u8::try_from(letter).ok().filter(u8::is_ascii_alphabetic) else {
            return;
        };
        let mut text = String::with_capacity(value.len());
        push_one_line(&mut text, value);
        if let Some((at, length)) = self.find(|line| line.letter == letter) {
            self.0.replace_range(at..at + length, &text);
            return;
        }
        let rank = |l: u8| order.bytes().position(|o| o == l).unwrap_or(order.len());
        finish_line(&mut self.0);
        let mut at = 0;
        let mut lines = Scan::new(&self.0, 0);
        while let Some(Ok(line)) = lines.next() {
            if line.letter != 0 && rank(line.letter) <= rank(letter) {
                at = lines.offset();
            }
        }
        let line = [char::from(letter).encode_utf8(&mut [0; 4]), "=", &text, end.text()].concat();
        self.0.insert_str(at, &line);
    }

    /// Where the value of the first line that fits begins, and its length.
    fn find(&self, fits: impl Fn(&RawLine<'_>) -> bool) -> Option<(usize, usize)> {
        self.lines().raw().find(fits).map(|line| (line.at + 2, line.value.len()))
    }
}

/// Keys do not show.
impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECRET: [&str; 3] = ["crypto", "cryptoscale", "ice-pwd"];
        let lines = self.lines().raw().map(|line| {
            let attribute = Attribute::from_line(line.value);
            match line.letter {
                0 => String::new(),
                b'k' => "k=…".into(),
                b'a' if SECRET.contains(&attribute.name) => format!("a={}:…", attribute.name),
                letter => format!("{}={}", char::from(letter), line.value),
            }
        });
        f.debug_list().entries(lines).finish()
    }
}

/// How a line ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Ending {
    #[default]
    CrLf,
    Lf,
}

impl Ending {
    pub(crate) fn of(text: &str) -> Self {
        if text == "\n" { Self::Lf } else { Self::CrLf }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::CrLf => "\r\n",
            Self::Lf => "\n",
        }
    }
}

/// An `a=` line (RFC 8866 §5.13).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Attribute<'a> {
    /// What stands before the colon.
    pub name: &'a str,
    /// What stands behind it; `None` for a property attribute.
    pub value: Option<&'a str>,
}

impl<'a> Attribute<'a> {
    #[inline]
    pub(crate) fn from_line(line: &'a str) -> Self {
        match memchr::memchr(b':', line.as_bytes()).and_then(|at| line.split_at_checked(at)) {
            Some((name, value)) => Self { name, value: value.get(1..) },
            // `a=inactive ` and the like are written by some.
            None => Self { name: line.trim_end_matches(' '), value: None },
        }
    }
}

fn is_attribute(line: &RawLine<'_>, name: &str) -> bool {
    line.letter == b'a' && Attribute::from_line(line.value).name == name
}

/// What came without a line ending gets one when something is added behind it.
fn finish_line(text: &mut String) {
    match text.as_bytes().last() {
        None | Some(b'\n') => {}
        Some(b'\r') => text.push('\n'),
        Some(_) => text.push_str("\r\n"),
    }
}

/// A value of the caller cannot break out of its line.
fn push_one_line(out: &mut String, text: &str) {
    if text.contains(['\r', '\n', '\0']) {
        out.push_str(&text.replace(['\r', '\n', '\0'], " "));
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Section {
        Section(text.into())
    }

    #[test]
    fn lines_are_added_behind_an_unfinished_one() {
        for (text, expected) in [
            ("a=x", "a=x\r\na=y:1\r\n"),
            ("a=x\r", "a=x\r\na=y:1\r\n"),
            ("a=x\n", "a=x\na=y:1\r\n"),
            ("", "a=y:1\r\n"),
        ] {
            let mut s = section(text);
            s.push_attribute("y", Some("1"), Ending::CrLf);
            assert_eq!(s.as_str(), expected);
        }
    }

    #[test]
    fn edits_leave_the_other_lines_alone() {
        let mut s = section("i=odd  \na=x:1\n\na=x:2\r\na=xy\n");
        s.set_attribute("x", "9", Ending::Lf);
        assert_eq!(s.as_str(), "i=odd  \na=x:9\n\na=x:2\r\na=xy\n");
        assert_eq!(s.remove_attribute("x"), 2);
        assert_eq!(s.as_str(), "i=odd  \n\na=xy\n");
        s.set_line('c', "IN IP4 192.0.2.1", "icbka", Ending::Lf);
        assert_eq!(s.as_str(), "i=odd  \nc=IN IP4 192.0.2.1\n\na=xy\n");
        s.set_line('i', "even", "icbka", Ending::Lf);
        assert_eq!(s.lines().first(b'i'), Some("even"));
    }

    #[test]
    fn a_value_cannot_add_a_line() {
        let mut s = section("");
        s.push_attribute("x", Some("1\r\nm=audio 1 RTP/AVP 0"), Ending::CrLf);
        s.set_line('s', "a\nb", "s", Ending::CrLf);
        assert_eq!(s.lines().iter().count(), 2);
    }

    #[test]
    fn keys_do_not_show() {
        let s = section("a=crypto:1 A inline:SECRET\r\na=ice-pwd:SECRET\r\nk=SECRET\r\na=ok:1\r\n");
        let shown = format!("{s:?}");
        assert!(!shown.contains("SECRET") && shown.contains("ok:1"), "{shown}");
    }
}
