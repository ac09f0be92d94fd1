//! Lines of one section, whether they are borrowed text or owned.

use crate::scan::Scan;
use crate::session_description::Line;

/// The lines of a section.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines<'a> {
    /// Checked text.
    Text(&'a str),
    /// Lines of an owned description.
    Owned(&'a [Line]),
}

impl<'a> Lines<'a> {
    /// Letter and value of every line.
    pub(crate) fn iter(self) -> LineIter<'a> {
        match self {
            Self::Text(text) => LineIter::Text(Scan::new(text, 0)),
            Self::Owned(lines) => LineIter::Owned(lines.iter()),
        }
    }

    /// The value of the first line of a letter.
    pub(crate) fn first(self, letter: u8) -> Option<&'a str> {
        self.iter().find(|(l, _)| *l == letter).map(|(_, value)| value)
    }

    /// The values of all lines of a letter.
    pub(crate) fn all(self, letter: u8) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(l, _)| *l == letter).map(|(_, value)| value)
    }

    /// Name and value of every attribute; the value of a flag is empty.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        self.all(b'a').map(Attribute::from_line)
    }

    /// The values of all attributes of a name.
    pub(crate) fn named(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.attributes().filter(move |a| a.name == name).map(|a| a.value.unwrap_or_default())
    }

    /// The value of the first attribute of a name.
    pub(crate) fn attribute(self, name: &str) -> Option<&'a str> {
        self.named(name).next()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum LineIter<'a> {
    Text(Scan<'a>),
    Owned(core::slice::Iter<'a, Line>),
}

impl<'a> Iterator for LineIter<'a> {
    type Item = (u8, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Text(scan) => scan.next()?.ok().map(|line| (line.letter, line.value)),
            Self::Owned(lines) => lines.next().map(|line| (line.letter, &*line.value)),
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
