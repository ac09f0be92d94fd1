//! Splits a description into its lines. This is the hot loop of the crate.

/// One line of a description, borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RawLine<'a> {
    /// The letter before `=`; 0 for an empty line.
    pub(crate) letter: u8,
    /// What follows `=`.
    pub(crate) value: &'a str,
    /// Where the line begins.
    pub(crate) at: usize,
    /// CRLF, LF, CR or, in the last line, nothing.
    pub(crate) end: &'a str,
}

/// The lines of a text. A line without `x=` ends the iteration with `Err` of its offset.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    /// The rest begins here.
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    pub(crate) const fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<RawLine<'a>, usize>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let rest = self.text.get(at..)?;
        if rest.is_empty() {
            return None;
        }
        let (line, end, length) = match memchr::memchr(b'\n', rest.as_bytes()) {
            Some(lf) => {
                let (line, after) = rest.split_at(lf);
                let end = after.get(..1).unwrap_or_default();
                match line.strip_suffix('\r') {
                    Some(line) => (line, "\r\n", lf + 1),
                    None => (line, end, lf + 1),
                }
            }
            None => match rest.strip_suffix('\r') {
                Some(line) => (line, "\r", rest.len()),
                None => (rest, "", rest.len()),
            },
        };
        self.at = at + length;
        match line.as_bytes() {
            [] => Some(Ok(RawLine { letter: 0, value: "", at, end })),
            [letter, b'=', ..] if letter.is_ascii_alphabetic() => Some(Ok(RawLine {
                letter: *letter,
                value: line.get(2..).unwrap_or_default(),
                at,
                end,
            })),
            _ => {
                self.at = self.text.len();
                Some(Err(at))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Result<RawLine<'_>, usize>> {
        Scan::new(text, 0).collect()
    }

    #[test]
    fn takes_every_line_ending() {
        let found = lines("v=0\r\ns=a\nt=0 0\r");
        let found: Vec<_> = found
            .into_iter()
            .map(|l| l.unwrap())
            .map(|l| (l.letter, l.value, l.at, l.end))
            .collect();
        assert_eq!(found, [(b'v', "0", 0, "\r\n"), (b's', "a", 5, "\n"), (b't', "0 0", 9, "\r")]);
    }

    #[test]
    fn stops_at_what_is_no_line() {
        assert_eq!(lines("v=0\n a=1\nb=2").last(), Some(&Err(4)));
        assert_eq!(lines("=\n").last(), Some(&Err(0)));
        assert_eq!(lines("é=x").last(), Some(&Err(0)));
    }
}
