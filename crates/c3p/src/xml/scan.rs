use std::borrow::Cow;

use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::limits::Limits;

/// The document as text: UTF-8, or UTF-16 with a byte order mark, of characters of XML 1.0 only.
pub(crate) fn decode<'a>(octets: &'a [u8], limits: &Limits) -> Result<Cow<'a, str>, ParseError> {
    if octets.len() > limits.octets {
        return Err(ParseError::new(Kind::Limit("octets"), limits.octets));
    }
    let text = match octets {
        [0xFE, 0xFF, rest @ ..] => from_utf16(rest, u16::from_be_bytes)?.into(),
        [0xFF, 0xFE, rest @ ..] => from_utf16(rest, u16::from_le_bytes)?.into(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(from_utf8(rest)?),
        octets => Cow::Borrowed(from_utf8(octets)?),
    };
    // XML 1.0 §2.2: no control characters but tab, line feed and carriage return, no U+FFFE,
    // U+FFFF. The whole is judged first: it has none, as a rule.
    let is_control = |octet: u8| octet < 0x20 && !matches!(octet, b'\t' | b'\n' | b'\r');
    let dirty = text.bytes().fold(false, |dirty, octet| dirty | is_control(octet));
    if dirty && let Some(at) = text.bytes().position(is_control) {
        return Err(ParseError::new(Kind::Character, at));
    }
    for at in memchr::memchr_iter(0xEF, text.as_bytes()) {
        if matches!(text.as_bytes().get(at..at + 3), Some([_, 0xBF, 0xBE | 0xBF])) {
            return Err(ParseError::new(Kind::Character, at));
        }
    }
    Ok(text)
}

fn from_utf8(octets: &[u8]) -> Result<&str, ParseError> {
    std::str::from_utf8(octets)
        .map_err(|error| ParseError::new(Kind::Encoding, error.valid_up_to()))
}

fn from_utf16(octets: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, ParseError> {
    let (units, rest) = octets.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ParseError::new(Kind::Encoding, octets.len()));
    }
    let mut text = String::with_capacity(octets.len());
    for decoded in char::decode_utf16(units.iter().map(|pair| unit(*pair))) {
        text.push(decoded.map_err(|_| ParseError::new(Kind::Encoding, text.len()))?);
    }
    Ok(text)
}

/// An attribute value: references resolved, white space characters made spaces (XML 1.0 §3.3.3).
pub(super) fn unescape(raw: &str, at: usize) -> Result<Cow<'_, str>, ParseError> {
    let special = |octet: u8| matches!(octet, b'&' | b'\t' | b'\n' | b'\r');
    let Some(first) = raw.bytes().position(special) else { return Ok(raw.into()) };
    let (plain, mut rest) = raw.split_at_checked(first).unwrap_or((raw, ""));
    let mut value = String::with_capacity(raw.len());
    value.push_str(plain);
    while let Some(next) = rest.chars().next() {
        rest = match next {
            '&' => {
                let (name, after) = rest
                    .get(1..)
                    .and_then(|rest| rest.split_once(';'))
                    .ok_or_else(|| ParseError::new(Kind::Xml, at))?;
                value.push(resolve(name, at)?);
                after
            }
            '\t' | '\n' | '\r' => {
                value.push(' ');
                let rest = rest.get(1..).unwrap_or_default();
                if next == '\r' { rest.strip_prefix('\n').unwrap_or(rest) } else { rest }
            }
            other => {
                value.push(other);
                rest.get(other.len_utf8()..).unwrap_or_default()
            }
        };
    }
    Ok(value.into())
}

/// A reference between `&` and `;`: a character, or one of the five.
pub(super) fn resolve(name: &str, at: usize) -> Result<char, ParseError> {
    let Some(number) = name.strip_prefix('#') else {
        return match name {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            _ => Err(ParseError::new(Kind::Entity, at)),
        };
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    let has_digits = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, radix).ok().filter(|_| has_digits);
    let character = code.and_then(char::from_u32).filter(|character| {
        !matches!(character, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}')
    });
    character.ok_or_else(|| ParseError::new(Kind::Character, at))
}

/// A qualified name.
pub(super) struct QName<'a> {
    pub(super) whole: &'a str,
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
}

impl<'a> QName<'a> {
    /// The name that `text` begins with; `None` when it begins with none.
    pub(super) fn scan(text: &'a str) -> Option<Self> {
        let class = |octet: &u8| CLASS.get(usize::from(*octet)).copied().unwrap_or(0);
        let starts = |name: &str| name.as_bytes().first().is_some_and(|o| class(o) & START != 0);
        let end = text.as_bytes().iter().position(|octet| class(octet) == 0);
        let whole = text.get(..end.unwrap_or(text.len()))?;
        let colon = whole.as_bytes().iter().position(|octet| *octet == b':');
        let (prefix, local) = match colon {
            None => ("", whole),
            Some(colon) => (whole.get(..colon)?, whole.get(colon + 1..)?),
        };
        // Namespaces in XML §4: at most one colon, and a name on both sides of it.
        let is_sound = starts(local)
            && (colon.is_none() || (starts(prefix) && !local.as_bytes().contains(&b':')));
        is_sound.then_some(Self { whole, prefix, local })
    }
}

/// `= "value"` with what is behind it.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let value = match text.strip_prefix('=') {
        Some(value) => value,
        None => text.trim_start_matches(is_space_char).strip_prefix('=')?,
    };
    let value = if value.starts_with(is_space_char) {
        value.trim_start_matches(is_space_char)
    } else {
        value
    };
    let (quote, value) = value.as_bytes().first().copied().zip(value.get(1..))?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let end = value.as_bytes().iter().position(|octet| *octet == quote || *octet == b'<')?;
    let (value, behind) = value.split_at_checked(end)?;
    Some((value, behind.strip_prefix(char::from(quote))?))
}

/// XML 1.0 §2.11: line ends are one line feed.
pub(super) fn line_ends(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\r') {
        return text.replace("\r\n", "\n").replace('\r', "\n").into();
    }
    text
}

const START: u8 = 1;
const FOLLOW: u8 = 2;
/// What each octet may be in a name; letters beyond ASCII are not told apart.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut octet = 0_u8;
    loop {
        let value = match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => START | FOLLOW,
            b'0'..=b'9' | b'-' | b'.' | b':' => FOLLOW,
            _ => 0,
        };
        class[octet as usize] = value;
        if octet == u8::MAX {
            break class;
        }
        octet += 1;
    }
};

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

pub(super) fn is_space_char(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(is_space)
}
