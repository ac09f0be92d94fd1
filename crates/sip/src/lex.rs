//! The small grammar that every header shares (RFC 3261 §25.1).

/// token = 1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
pub(crate) const TOKEN: u8 = 1;
/// Octets that stand unescaped in the user part of a SIP URI.
pub(crate) const USER: u8 = 2;
/// Octets that stand unescaped in the parameters and headers of a SIP URI.
pub(crate) const PARAM: u8 = 4;
/// Octets of a host name.
pub(crate) const HOST: u8 = 8;
/// Octets of `word`, of which Call-ID is made.
pub(crate) const WORD: u8 = 16;
/// Octets of an unquoted parameter value: all but what would end it.
pub(crate) const VALUE: u8 = 32;
/// Linear whitespace, folds included.
pub(crate) const LWS: u8 = 64;

static CLASS: [u8; 256] = classes();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this crate is compiled, where a panic is an error"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let octet = i as u8;
        let mut class = 0;
        if octet.is_ascii_alphanumeric() {
            class |= TOKEN | USER | PARAM | HOST | WORD;
        }
        if contains(b"-.!%*_+`'~", octet) {
            class |= TOKEN | WORD;
        }
        if contains(b"()<>:\\\"/[]?{}@", octet) {
            class |= WORD;
        }
        // mark, user-unreserved and ":"; "%" is checked apart.
        if contains(b"-_.!~*'()&=+$,;?/:#[]", octet) {
            class |= USER;
        }
        // param-unreserved, hnv-unreserved, mark, and the separators that are split on before.
        if contains(b"-_.!~*'()[]/:&+$=?;,@|{}^`", octet) {
            class |= PARAM;
        }
        if contains(b"-._", octet) {
            class |= HOST;
        }
        if octet > b' ' && octet != 0x7f && !contains(b"\",<>;", octet) {
            class |= VALUE;
        }
        if contains(b" \t\r\n", octet) {
            class |= LWS;
        }
        if octet >= 0x80 {
            class |= USER | PARAM;
        }
        table[i] = class;
        i += 1;
    }
    table
}

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when this crate is compiled, where a panic is an error"
)]
const fn contains(set: &[u8], octet: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == octet {
            return true;
        }
        i += 1;
    }
    false
}

#[inline]
fn classes_of(octet: u8) -> u8 {
    CLASS.get(usize::from(octet)).copied().unwrap_or(0)
}

#[inline]
pub(crate) fn is(octet: u8, class: u8) -> bool {
    classes_of(octet) & class != 0
}

/// The first octet that is not of the class.
#[inline]
pub(crate) fn find_not(text: &[u8], class: u8) -> Option<usize> {
    text.iter().position(|&octet| !is(octet, class))
}

/// The same for what is long as a rule: eight octets at a time, without a branch for each.
pub(crate) fn find_not_long(text: &[u8], class: u8) -> Option<usize> {
    let (eights, _) = text.as_chunks::<8>();
    let whole =
        |eight: &&[u8; 8]| eight.iter().fold(class, |all, &octet| all & classes_of(octet)) != 0;
    let at = 8 * eights.iter().take_while(whole).count();
    find_not(text.get(at..).unwrap_or(&[]), class).map(|within| at + within)
}

/// Where the octets of the class that start at `at` end.
#[inline]
pub(crate) fn skip(text: &[u8], at: usize, class: u8) -> usize {
    let rest = text.get(at..).unwrap_or(&[]);
    at + find_not(rest, class).unwrap_or(rest.len())
}

/// The same for what is long as a rule.
#[inline]
pub(crate) fn skip_long(text: &[u8], at: usize, class: u8) -> usize {
    let rest = text.get(at..).unwrap_or(&[]);
    at + find_not_long(rest, class).unwrap_or(rest.len())
}

#[inline]
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && find_not(text.as_bytes(), TOKEN).is_none()
}

/// Linear whitespace, folds included.
#[inline]
pub(crate) fn is_lws(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

#[inline]
pub(crate) fn trim(text: &str) -> &str {
    // Most values have nothing around them.
    if let [first, .., last] = text.as_bytes()
        && !is_lws(*first)
        && !is_lws(*last)
    {
        return text;
    }
    let text = trim_start(text);
    let end = text.bytes().rposition(|octet| !is_lws(octet)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or(text)
}

pub(crate) fn trim_start(text: &str) -> &str {
    let start = text.bytes().position(|octet| !is_lws(octet)).unwrap_or(text.len());
    text.get(start..).unwrap_or("")
}

/// How long a header name is that starts the line: eight octets at a time while they are letters
/// and hyphens, as almost all are, then by the table.
#[inline]
pub(crate) fn name_length(line: &[u8]) -> usize {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = !HIGH;
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut at = 0;
    while let Some(chunk) = line.get(at..at + 8).and_then(|chunk| chunk.try_into().ok()) {
        let word = u64::from_le_bytes(chunk);
        let lower = (word | (0x20 * EACH)) & LOW;
        let letter = (lower + 0x1f * EACH) & !(lower + 0x05 * EACH);
        let hyphen = word ^ (u64::from(b'-') * EACH);
        let hyphen = !((hyphen & LOW).wrapping_add(LOW) | hyphen);
        let other = !((letter | hyphen) & !word) & HIGH;
        if other != 0 {
            at += (other.trailing_zeros() / 8) as usize;
            break;
        }
        at += 8;
    }
    let rest = line.get(at..).unwrap_or(&[]);
    at + find_not(rest, TOKEN).unwrap_or(rest.len())
}

/// Where the quoted string that starts at `at` ends (behind its closing quote).
pub(crate) fn quoted_end(text: &[u8], at: usize) -> Option<usize> {
    let mut i = at.checked_add(1)?;
    loop {
        i += memchr::memchr2(b'"', b'\\', text.get(i..)?)?;
        if text.get(i) == Some(&b'"') {
            return Some(i + 1);
        }
        i += 2;
    }
}

/// Splits at the first `separator` outside quotes and angle brackets. The second half is without
/// the separator.
pub(crate) fn split_outside(text: &str, separator: u8) -> Result<(&str, Option<&str>), usize> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let rest = bytes.get(from..).unwrap_or(&[]);
        let Some(at) = memchr::memchr3(separator, b'"', b'<', rest) else {
            return Ok((text, None));
        };
        let at = from + at;
        match bytes.get(at) {
            Some(b'"') => from = quoted_end(bytes, at).ok_or(at)?,
            // A quote inside brackets is part of a broken URI; it must not hide the ">".
            Some(b'<') => {
                let inner = bytes.get(at..).unwrap_or(&[]);
                let Some(close) = memchr::memchr(b'>', inner) else { return Ok((text, None)) };
                from = at + close;
            }
            _ => return Ok((text.get(..at).unwrap_or(""), text.get(at + 1..))),
        }
    }
}

/// Splits a comma list; empty elements are an error of their offset.
#[derive(Clone, Debug)]
pub(crate) struct CommaList<'a> {
    whole: usize,
    rest: Option<&'a str>,
}

impl<'a> CommaList<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { whole: text.len(), rest: Some(text) }
    }
}

impl<'a> Iterator for CommaList<'a> {
    type Item = Result<&'a str, usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let at = self.whole - rest.len();
        match split_outside(rest, b',') {
            Ok((element, rest)) => {
                self.rest = rest;
                let element = trim(element);
                if element.is_empty() { Some(Err(at)) } else { Some(Ok(element)) }
            }
            Err(offset) => Some(Err(at + offset)),
        }
    }
}

/// A number of decimal digits only.
pub(crate) fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    if text.is_empty() || text.len() > 40 {
        return None;
    }
    let mut value: u64 = 0;
    for octet in text.bytes() {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    T::try_from(value).ok()
}

/// The text of a quoted string without quotes and escapes.
pub(crate) fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return std::borrow::Cow::Borrowed(text);
    };
    if !inner.contains('\\') {
        return std::borrow::Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => plain.extend(chars.next()),
            other => plain.push(other),
        }
    }
    std::borrow::Cow::Owned(plain)
}

/// The text as a quoted string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(char);
            }
            // A line end cannot be escaped; it must not end the header either.
            '\r' | '\n' => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_at_a_time_finds_what_one_at_a_time_finds() {
        for len in 0..40 {
            for bad in 0..=len {
                let mut text = vec![b'a'; len];
                if let Some(octet) = text.get_mut(bad) {
                    *octet = b' ';
                }
                for class in [TOKEN, USER, PARAM, HOST, WORD, VALUE, LWS] {
                    assert_eq!(find_not_long(&text, class), find_not(&text, class), "{len} {bad}");
                }
            }
        }
    }
}
