//! CSeq, lists of addresses and lists of tokens.

use core::fmt;

use crate::error::ValueError;
use crate::headers::Values;
use crate::lex::{self, CommaList};
use crate::method::Method;
use crate::name_addr::NameAddrRef;

/// CSeq: a number below 2^31 and a method (RFC 3261 §20.16).
///
/// ```
/// use linkspan_sip::{CSeq, Method};
///
/// let cseq = CSeq::parse("009 INVITE").unwrap();
/// assert_eq!((cseq.number(), cseq.method()), (9, Method::Invite));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CSeq<'a> {
    number: u32,
    method: &'a str,
}

impl<'a> CSeq<'a> {
    /// Parses the value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where the number is missing or reaches 2^31, or the method is no token.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let text = lex::trim(text);
        let len = text.bytes().position(|octet| !octet.is_ascii_digit()).unwrap_or(text.len());
        let number = lex::number::<u32>(text.get(..len).unwrap_or(""));
        // RFC 3261 §8.1.1.5: less than 2**31.
        let number = number.filter(|&number| number < 1 << 31);
        let number = number.ok_or(ValueError::new("CSeq", "a number below 2^31", 0))?;
        let rest = text.get(len..).unwrap_or("");
        let method = lex::trim_start(rest);
        if method.len() == rest.len() || !lex::is_token(method) {
            return Err(ValueError::new("CSeq", "a method", len));
        }
        Ok(Self { number, method })
    }

    /// The sequence number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::from(self.method)
    }

    /// The method, as written.
    pub fn method_str(&self) -> &'a str {
        self.method
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Every address of a header, several in a line or one in each. A malformed one is the last of its
/// line: where it ends cannot be known.
#[derive(Clone, Debug)]
pub struct NameAddrs<'s, 'a> {
    name: &'static str,
    lines: Values<'s, 'a>,
    line: Option<CommaList<'a>>,
}

impl<'s, 'a> NameAddrs<'s, 'a> {
    pub(crate) fn new(name: &'static str, lines: Values<'s, 'a>) -> Self {
        Self { name, lines, line: None }
    }

    /// The values as received, each without what stands around it.
    pub fn raw(self) -> impl Iterator<Item = &'a str> + 's
    where
        'a: 's,
    {
        self.lines.flat_map(|line| CommaList::new(line).map_while(Result::ok))
    }
}

impl<'a> Iterator for NameAddrs<'_, 'a> {
    type Item = Result<NameAddrRef<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.line.as_mut().and_then(Iterator::next) {
                Some(Ok(value)) => {
                    let parsed = NameAddrRef::parse(value);
                    if parsed.is_err() {
                        self.line = None;
                    }
                    return Some(parsed.map_err(|error| error.within(self.name, 0)));
                }
                Some(Err(at)) => {
                    self.line = None;
                    return Some(Err(ValueError::new(self.name, "a value", at)));
                }
                None => self.line = Some(CommaList::new(self.lines.next()?)),
            }
        }
    }
}

/// Every token of a list header: Supported, Require, Allow and their kin.
#[derive(Clone, Debug)]
pub struct Tokens<'s, 'a> {
    lines: Values<'s, 'a>,
    line: Option<CommaList<'a>>,
}

impl<'s, 'a> Tokens<'s, 'a> {
    pub(crate) fn new(lines: Values<'s, 'a>) -> Self {
        Self { lines, line: None }
    }

    /// Whether the token stands there, without regard to case.
    pub fn has(mut self, token: &str) -> bool {
        self.any(|own| own.eq_ignore_ascii_case(token))
    }
}

impl<'a> Iterator for Tokens<'_, 'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            match self.line.as_mut().and_then(Iterator::next) {
                Some(Ok(token)) => return Some(token),
                // An empty list says that there is nothing, RFC 3261 §20.32; other gaps are passed.
                Some(Err(_)) => {}
                None => self.line = Some(CommaList::new(self.lines.next()?)),
            }
        }
    }
}
