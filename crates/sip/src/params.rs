//! Parameter lists: `;name=value;flag`.

use core::fmt;
use std::borrow::Cow;

use crate::lex;

/// The parameters behind a header value or a URI, borrowed, in their order.
///
/// ```
/// use linkspan_sip::ParamsRef;
///
/// let params = ParamsRef::new(";tag=c5a4;epid=d2ff665153;lr");
/// assert_eq!(params.value("TAG"), Some("c5a4"));
/// assert!(params.contains("lr"));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ParamsRef<'a> {
    text: &'a str,
}

impl<'a> ParamsRef<'a> {
    /// The parameters of `text`, which is empty or starts with `;`.
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The text, as received.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// `(name, value)` in order; a value keeps its quotes, a flag has none.
    pub fn iter(self) -> ParamsIter<'a> {
        ParamsIter { rest: self.text }
    }

    /// The value of the first parameter of that name (without regard to case), with its quotes.
    pub fn value(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).and_then(|(_, value)| value)
    }

    /// The value without quotes and escapes.
    pub fn unquoted(self, name: &str) -> Option<Cow<'a, str>> {
        self.value(name).map(lex::unquote)
    }

    /// Whether a parameter of that name stands here, with or without a value.
    pub fn contains(self, name: &str) -> bool {
        self.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    /// The offset of the first thing that is not `;token[=token|host|quoted-string]`.
    pub(crate) fn fault(self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(&octet) = bytes.get(at) {
            if octet != b';' {
                return Some(at);
            }
            let name = lex::skip(bytes, at + 1, lex::LWS);
            let mut end = lex::skip(bytes, name, lex::TOKEN);
            if end == name {
                // One empty parameter at the end is a slip that many senders make.
                return (end < bytes.len()).then_some(at + 1);
            }
            let equals = lex::skip(bytes, end, lex::LWS);
            end = equals;
            if bytes.get(equals) == Some(&b'=') {
                let value = lex::skip(bytes, equals + 1, lex::LWS);
                end = match bytes.get(value) {
                    Some(b'"') => lex::quoted_end(bytes, value).unwrap_or(value),
                    _ => lex::skip_long(bytes, value, lex::VALUE),
                };
                if end == value {
                    return Some(equals);
                }
                end = lex::skip(bytes, end, lex::LWS);
            }
            at = end;
        }
        None
    }
}

impl fmt::Display for ParamsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The iterator of [`ParamsRef::iter`].
#[derive(Clone, Debug)]
pub struct ParamsIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = memchr::memchr(b';', self.rest.as_bytes())? + 1;
            let (element, end) = element_at(self.rest, start);
            self.rest = self.rest.get(end..).unwrap_or("");
            let (name, value) = split_param(element);
            if !name.is_empty() {
                return Some((name, value));
            }
        }
    }
}

/// The text from `start` to the next `;` outside quotes, and where that is.
fn element_at(text: &str, start: usize) -> (&str, usize) {
    let bytes = text.as_bytes();
    let mut end = start;
    loop {
        let rest = bytes.get(end..).unwrap_or(&[]);
        let Some(at) = memchr::memchr2(b';', b'"', rest) else {
            end = bytes.len();
            break;
        };
        end += at;
        if bytes.get(end) == Some(&b';') {
            break;
        }
        end = lex::quoted_end(bytes, end).unwrap_or(bytes.len());
    }
    (text.get(start..end).unwrap_or(""), end)
}

fn split_param(element: &str) -> (&str, Option<&str>) {
    match memchr::memchr(b'=', element.as_bytes()) {
        Some(equals) => (
            lex::trim(element.get(..equals).unwrap_or("")),
            Some(lex::trim(element.get(equals + 1..).unwrap_or(""))),
        ),
        None => (lex::trim(element), None),
    }
}

/// gen-value = token / host / quoted-string. Real senders put URIs and base64 there too, so that
/// everything but separators that would end the parameter is taken.
fn is_gen_value(value: &str) -> bool {
    if value.starts_with('"') {
        return lex::quoted_end(value.as_bytes(), 0) == Some(value.len());
    }
    !value.is_empty() && lex::find_not(value.as_bytes(), lex::VALUE).is_none()
}

/// Parameters that can be changed; what is not touched stays byte for byte.
///
/// ```
/// use linkspan_sip::Params;
///
/// let mut params = Params::default();
/// params.set("tag", "7a");
/// params.set_flag("lr");
/// assert_eq!(params.to_string(), ";tag=7a;lr");
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Params {
    text: String,
}

impl Params {
    /// Borrowed, with everything that reads.
    pub fn as_ref(&self) -> ParamsRef<'_> {
        ParamsRef::new(&self.text)
    }

    /// The value of the first parameter of that name, with its quotes.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.as_ref().value(name)
    }

    /// Whether a parameter of that name stands here.
    pub fn contains(&self, name: &str) -> bool {
        self.as_ref().contains(name)
    }

    /// Sets or appends `name=value`. A value that is no token is quoted.
    pub fn set(&mut self, name: &str, value: &str) {
        let quoted;
        let value = if is_gen_value(value) {
            value
        } else {
            quoted = lex::quote(value);
            &quoted
        };
        self.replace(name, Some(value));
    }

    /// Sets or appends `name="value"`.
    pub fn set_quoted(&mut self, name: &str, value: &str) {
        self.replace(name, Some(&lex::quote(value)));
    }

    /// Sets or appends a parameter without value.
    pub fn set_flag(&mut self, name: &str) {
        self.replace(name, None);
    }

    /// Takes every parameter of that name away.
    pub fn remove(&mut self, name: &str) {
        if self.contains(name) {
            let kept = self.as_ref().iter().filter(|(own, _)| !own.eq_ignore_ascii_case(name));
            self.text = join(kept);
        }
    }

    fn replace(&mut self, name: &str, value: Option<&str>) {
        if !self.contains(name) {
            push(&mut self.text, name, value);
            return;
        }
        let mut done = false;
        let mut text = String::with_capacity(self.text.len());
        for (own, old) in self.as_ref().iter() {
            if !own.eq_ignore_ascii_case(name) {
                push(&mut text, own, old);
            } else if !done {
                done = true;
                push(&mut text, own, value);
            }
        }
        self.text = text;
    }
}

impl From<ParamsRef<'_>> for Params {
    fn from(params: ParamsRef<'_>) -> Self {
        Self { text: params.as_str().to_owned() }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn join<'a>(params: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut text = String::new();
    for (name, value) in params {
        push(&mut text, name, value);
    }
    text
}

fn push(text: &mut String, name: &str, value: Option<&str>) {
    text.push(';');
    text.push_str(name);
    if let Some(value) = value {
        text.push('=');
        text.push_str(value);
    }
}
