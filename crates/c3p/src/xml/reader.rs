use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::events::Event;

use super::{Attribute, Element, Extensions, Name, Namespace, Node, Ns};
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::limits::Limits;
use crate::text::Text;

/// A pull reader: namespaces resolved, limits kept, everything this crate has no use for refused
/// or skipped. Tags and text borrow from the document.
pub(crate) struct Reader<'a> {
    text: &'a str,
    source: quick_xml::Reader<&'a [u8]>,
    limits: &'a Limits,
    /// Declarations in force, innermost last: depth, prefix, namespace.
    bindings: Vec<(usize, &'a str, Ns)>,
    default: Ns,
    /// URIs of the namespaces from [`Ns::OTHER`] on.
    others: Vec<Arc<str>>,
    attributes: Vec<RawAttribute<'a>>,
    depth: usize,
    elements: usize,
    users: usize,
    /// The element just opened was `<x/>`: its end comes next.
    empty: bool,
    /// Where the token being read began.
    at: usize,
}

/// The start of an element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag<'a> {
    pub(crate) ns: Ns,
    pub(crate) local: &'a str,
    pub(crate) at: usize,
}

impl Tag<'_> {
    pub(crate) fn is(&self, ns: Ns, local: &str) -> bool {
        self.ns == ns && self.local == local
    }
}

#[derive(Clone, Copy, Debug)]
struct RawAttribute<'a> {
    ns: Ns,
    local: &'a str,
    value: &'a str,
    at: usize,
    taken: bool,
}

/// One thing inside an element.
enum Item<'a> {
    Start(Tag<'a>),
    Text(Cow<'a, str>),
    End,
}

impl<'a> Reader<'a> {
    /// Opens a document and gives its root element.
    pub(crate) fn open(text: &'a str, limits: &'a Limits) -> Result<(Self, Tag<'a>), ParseError> {
        let mut source = quick_xml::Reader::from_reader(text.as_bytes());
        source.config_mut().check_comments = true;
        let mut reader = Self {
            text,
            source,
            limits,
            bindings: Vec::new(),
            default: Ns::NONE,
            others: Vec::new(),
            attributes: Vec::new(),
            depth: 0,
            elements: 0,
            users: 0,
            empty: false,
            at: 0,
        };
        loop {
            match reader.item()? {
                Item::Start(tag) => return Ok((reader, tag)),
                Item::Text(text) if is_blank(&text) => {}
                Item::Text(_) => return Err(reader.fail(Kind::UnexpectedText)),
                Item::End => return Err(reader.fail(Kind::Missing("root element"))),
            }
        }
    }

    /// After the root element has ended: nothing but comments may follow.
    pub(crate) fn finish(mut self) -> Result<(), ParseError> {
        loop {
            match self.item()? {
                Item::End => return Ok(()),
                Item::Text(text) if is_blank(&text) => {}
                Item::Text(_) | Item::Start(_) => return Err(self.fail(Kind::Xml)),
            }
        }
    }

    /// The next child of the current element; `None` when it has ended.
    pub(crate) fn child(&mut self) -> Result<Option<Tag<'a>>, ParseError> {
        loop {
            match self.item()? {
                Item::Start(tag) => return Ok(Some(tag)),
                Item::Text(text) if is_blank(&text) => {}
                Item::Text(_) => return Err(self.fail(Kind::UnexpectedText)),
                Item::End => return Ok(None),
            }
        }
    }

    /// The text of the current element, up to its end. Elements inside it are skipped.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let mut whole = Cow::Borrowed("");
        loop {
            match self.item()? {
                Item::Start(_) => self.skip()?,
                Item::Text(part) if whole.is_empty() => whole = part,
                Item::Text(part) => whole.to_mut().push_str(&part),
                Item::End => return Ok(whole),
            }
            if whole.len() > self.limits.text {
                return Err(self.fail(Kind::Limit("text")));
            }
        }
    }

    /// The text of the current element without white space around it.
    pub(crate) fn token(&mut self) -> Result<Cow<'a, str>, ParseError> {
        Ok(match self.text()? {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
            Cow::Owned(text) => Cow::Owned(text.trim_ascii().into()),
        })
    }

    /// Passes over the rest of the current element.
    pub(crate) fn skip(&mut self) -> Result<(), ParseError> {
        let mut open = 1_usize;
        while open > 0 {
            match self.item()? {
                Item::Start(_) => open += 1,
                Item::End => open -= 1,
                Item::Text(_) => {}
            }
        }
        Ok(())
    }

    /// The current element with everything in it.
    pub(crate) fn element(&mut self, tag: Tag<'a>) -> Result<Element, ParseError> {
        let mut element =
            Element { name: self.name(tag), attributes: self.rest()?, children: Vec::new() };
        let mut has_elements = false;
        loop {
            match self.item()? {
                Item::Start(tag) => {
                    has_elements = true;
                    element.children.push(Node::Element(self.element(tag)?));
                }
                Item::Text(part) => {
                    if let Some(Node::Text(text)) = element.children.last_mut() {
                        if text.len() + part.len() > self.limits.text {
                            return Err(self.fail(Kind::Limit("text")));
                        }
                        text.push_str(&part);
                    } else {
                        element.children.push(Node::Text(part.into_owned()));
                    }
                }
                Item::End => break,
            }
        }
        if has_elements {
            // White space between elements is layout.
            element.children.retain(|node| !matches!(node, Node::Text(text) if is_blank(text)));
        }
        element.children.shrink_to_fit();
        Ok(element)
    }

    /// Takes the attribute of the element just opened: it will not be among [`Reader::rest`].
    pub(crate) fn attribute(
        &mut self,
        ns: Ns,
        local: &str,
    ) -> Result<Option<Cow<'a, str>>, ParseError> {
        for attribute in &mut self.attributes {
            if attribute.local == local && attribute.ns == ns && !attribute.taken {
                attribute.taken = true;
                return unescape(attribute.value, attribute.at).map(Some);
            }
        }
        Ok(None)
    }

    /// The attribute in either of Microsoft's extension namespaces or in none.
    pub(crate) fn ms_attribute(&mut self, local: &str) -> Result<Option<Cow<'a, str>>, ParseError> {
        for ns in [Ns::MSCI, Ns::MSCI2, Ns::NONE] {
            if let Some(value) = self.attribute(ns, local)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// True when the element just opened has attributes that nobody took.
    pub(crate) fn has_rest(&self) -> bool {
        self.attributes.iter().any(|attribute| !attribute.taken)
    }

    /// The attributes that nobody took.
    pub(crate) fn rest(&mut self) -> Result<Vec<Attribute>, ParseError> {
        let mut rest = Vec::new();
        for attribute in &self.attributes {
            if !attribute.taken {
                let value = unescape(attribute.value, attribute.at)?;
                let name = self.expand(attribute.ns, attribute.local);
                rest.push(Attribute { name, value: Text::from(value) });
            }
        }
        self.attributes.clear();
        Ok(rest)
    }

    /// Keeps the attributes that nobody took.
    pub(crate) fn keep_rest(&mut self, extensions: &mut Extensions) -> Result<(), ParseError> {
        if self.has_rest() {
            let rest = self.rest()?;
            extensions.attributes_mut().extend(rest);
        }
        Ok(())
    }

    /// Keeps the current element.
    pub(crate) fn keep(
        &mut self,
        tag: Tag<'a>,
        extensions: &mut Extensions,
    ) -> Result<(), ParseError> {
        let element = self.element(tag)?;
        extensions.elements_mut().push(element);
        self.check_members(extensions.elements().len())
    }

    /// Holds the length of a list against the limit.
    pub(crate) fn check_members(&self, count: usize) -> Result<(), ParseError> {
        if count > self.limits.members {
            return Err(self.fail(Kind::Limit("members")));
        }
        Ok(())
    }

    /// Counts a user against the limit.
    pub(crate) fn count_user(&mut self) -> Result<(), ParseError> {
        self.users += 1;
        if self.users > self.limits.users {
            return Err(self.fail(Kind::Limit("users")));
        }
        Ok(())
    }

    /// An error at the token read last.
    pub(crate) fn fail(&self, kind: Kind) -> ParseError {
        ParseError::new(kind, self.at)
    }

    /// The expanded name of an element.
    pub(crate) fn name(&self, tag: Tag<'_>) -> Name {
        self.expand(tag.ns, tag.local)
    }

    fn expand(&self, ns: Ns, local: &str) -> Name {
        let namespace = ns.to_known().or_else(|| {
            let at = usize::from(ns.0.checked_sub(Ns::OTHER)?);
            self.others.get(at).map(|uri| Namespace::Other(Arc::clone(uri)))
        });
        Name { namespace: namespace.unwrap_or_default(), local: local.into() }
    }

    fn item(&mut self) -> Result<Item<'a>, ParseError> {
        if self.empty {
            self.empty = false;
            self.leave();
            return Ok(Item::End);
        }
        loop {
            self.at = usize::try_from(self.source.buffer_position()).unwrap_or(usize::MAX);
            match self.source.read_event() {
                Ok(Event::Start(_)) => return self.open_element(1),
                Ok(Event::Empty(_)) => return self.open_element(2),
                Ok(Event::End(_)) => {
                    self.leave();
                    return Ok(Item::End);
                }
                Ok(Event::Text(text)) => return self.part(text.into_inner(), true),
                Ok(Event::CData(text)) if self.depth > 0 => {
                    return self.part(text.into_inner(), false);
                }
                Ok(Event::GeneralRef(reference)) if self.depth > 0 => {
                    let resolved = resolve(&reference.into_inner(), self.at)?;
                    return Ok(Item::Text(resolved.to_string().into()));
                }
                Ok(Event::Decl(_)) if self.at == 0 => {}
                Ok(Event::Comment(_)) => {}
                Ok(Event::PI(pi)) if !pi.target().eq_ignore_ascii_case("xml") => {}
                Ok(Event::DocType(_)) => return Err(self.fail(Kind::Doctype)),
                Ok(Event::Eof) if self.depth == 0 => return Ok(Item::End),
                Ok(_) | Err(_) => return Err(self.fail(Kind::Xml)),
            }
        }
    }

    fn part(&self, text: Cow<'a, str>, is_markup: bool) -> Result<Item<'a>, ParseError> {
        if text.len() > self.limits.text {
            return Err(self.fail(Kind::Limit("text")));
        }
        // One look at each octet; what it looks for is rare.
        let is_rare = |octet: u8| octet == b']' || octet == b'\r';
        if !text.bytes().fold(false, |rare, octet| rare | is_rare(octet)) {
            return Ok(Item::Text(text));
        }
        if is_markup && text.contains("]]>") {
            return Err(self.fail(Kind::Xml)); // XML 1.0 §2.4
        }
        if text.contains('\r') {
            // XML 1.0 §2.11: line ends are one line feed
            return Ok(Item::Text(text.replace("\r\n", "\n").replace('\r', "\n").into()));
        }
        Ok(Item::Text(text))
    }

    /// The tag just read is `<`, its content, and `tail` octets: `>` or `/>`.
    fn open_element(&mut self, tail: usize) -> Result<Item<'a>, ParseError> {
        self.depth += 1;
        self.elements += 1;
        self.empty = tail == 2;
        let behind = usize::try_from(self.source.buffer_position()).unwrap_or(usize::MAX);
        let content = self.text.get(self.at + 1..behind.saturating_sub(tail)).unwrap_or_default();
        if self.depth > self.limits.depth {
            return Err(self.fail(Kind::Limit("depth")));
        }
        if self.elements > self.limits.elements {
            return Err(self.fail(Kind::Limit("elements")));
        }
        self.attributes.clear();
        let end = content.bytes().position(is_space).unwrap_or(content.len());
        let (name, rest) = content.split_at_checked(end).unwrap_or((content, ""));
        if !rest.is_empty() {
            self.read_attributes(rest, self.at + 1 + end)?;
        }
        let (prefix, local) = split(name).ok_or_else(|| self.fail(Kind::Xml))?;
        let ns = if prefix.is_empty() { self.default } else { self.resolve(prefix)? };
        Ok(Item::Start(Tag { ns, local, at: self.at }))
    }

    fn read_attributes(&mut self, mut rest: &'a str, mut at: usize) -> Result<(), ParseError> {
        let start = self.attributes.len();
        let mut count = 0_usize;
        let mut prefixed = false;
        loop {
            let trimmed = rest.trim_start_matches(is_space_char);
            let spaces = rest.len() - trimmed.len();
            if trimmed.is_empty() {
                break;
            }
            let error = |kind| ParseError::new(kind, at + spaces);
            count += 1;
            if count > self.limits.attributes {
                return Err(error(Kind::Limit("attributes")));
            }
            // XML 1.0 §3.1: white space before each attribute
            let (name, behind) =
                trimmed.split_once('=').filter(|_| spaces > 0).ok_or_else(|| error(Kind::Xml))?;
            let value = behind.trim_start_matches(is_space_char);
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (value, after) = quote
                .and_then(|quote| value.get(1..)?.split_once(quote))
                .filter(|(value, _)| memchr::memchr(b'<', value.as_bytes()).is_none())
                .ok_or_else(|| error(Kind::Xml))?;
            if value.len() > self.limits.text {
                return Err(error(Kind::Limit("text")));
            }
            let (prefix, local) =
                split(name.trim_end_matches(is_space_char)).ok_or_else(|| error(Kind::Xml))?;
            let here = at + spaces;
            if prefix == "xmlns" {
                self.bind(local, value, here)?;
            } else if prefix.is_empty() && local == "xmlns" {
                self.bind("", value, here)?;
            } else {
                prefixed |= !prefix.is_empty();
                // The prefix stays on until all declarations have been seen.
                self.attributes.push(RawAttribute {
                    ns: Ns::NONE,
                    local: name.trim_end_matches(is_space_char),
                    value,
                    at: here,
                    taken: false,
                });
            }
            at += rest.len() - after.len();
            rest = after;
        }
        if prefixed {
            self.resolve_attributes(start)?;
        }
        self.refuse_duplicates()
    }

    /// Declarations may stand behind the attributes that use them: resolve when all are known.
    fn resolve_attributes(&mut self, start: usize) -> Result<(), ParseError> {
        for index in start..self.attributes.len() {
            let Some(attribute) = self.attributes.get(index).copied() else { break };
            if let Some((prefix, local)) = attribute.local.split_once(':') {
                let ns = self
                    .resolve(prefix)
                    .map_err(|error| ParseError::new(error.kind, attribute.at))?;
                if let Some(attribute) = self.attributes.get_mut(index) {
                    (attribute.ns, attribute.local) = (ns, local);
                }
            }
        }
        Ok(())
    }

    /// Namespaces in XML §6.3. At most [`Limits::attributes`] squared comparisons.
    fn refuse_duplicates(&self) -> Result<(), ParseError> {
        for (index, attribute) in self.attributes.iter().enumerate() {
            let same = |other: &&RawAttribute<'_>| {
                other.local == attribute.local && other.ns == attribute.ns
            };
            if self.attributes.iter().take(index).find(same).is_some() {
                return Err(ParseError::new(Kind::DuplicateAttribute, attribute.at));
            }
        }
        Ok(())
    }

    fn bind(&mut self, prefix: &'a str, uri: &'a str, at: usize) -> Result<(), ParseError> {
        let uri = unescape(uri, at)?;
        let depth = self.depth;
        let twice = |&(other, name, _): &(usize, &str, Ns)| other == depth && name == prefix;
        if self.bindings.iter().rev().any(twice) {
            return Err(ParseError::new(Kind::DuplicateAttribute, at));
        }
        // Namespaces in XML §2.2, §3: a prefix cannot be unbound, `xml` and `xmlns` are fixed
        let reserved = matches!(prefix, "xml" | "xmlns");
        if (uri.is_empty() && !prefix.is_empty()) || reserved {
            return Err(ParseError::new(Kind::Invalid("namespace"), at));
        }
        if self.bindings.len() >= self.limits.namespaces {
            return Err(ParseError::new(Kind::Limit("namespaces"), at));
        }
        let ns = self.intern(&uri, at)?;
        self.bindings.push((depth, prefix, ns));
        if prefix.is_empty() {
            self.default = ns;
        }
        Ok(())
    }

    fn intern(&mut self, uri: &str, at: usize) -> Result<Ns, ParseError> {
        if let Some(known) = Ns::known(uri) {
            return Ok(known);
        }
        let found = self.others.iter().position(|other| **other == *uri);
        let index = found.unwrap_or(self.others.len());
        // All the URIs a document ever declares, so that the search stays short.
        if index >= self.limits.namespaces.saturating_mul(4) {
            return Err(ParseError::new(Kind::Limit("namespaces"), at));
        }
        if found.is_none() {
            self.others.push(uri.into());
        }
        u16::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(Ns::OTHER))
            .map(Ns)
            .ok_or_else(|| ParseError::new(Kind::Limit("namespaces"), at))
    }

    fn resolve(&self, prefix: &str) -> Result<Ns, ParseError> {
        if prefix == "xml" {
            return Ok(Ns::XML);
        }
        self.bindings
            .iter()
            .rev()
            .find(|binding| binding.1 == prefix)
            .map(|binding| binding.2)
            .ok_or_else(|| self.fail(Kind::UnboundPrefix))
    }

    /// The current element has ended: its declarations are out of force.
    fn leave(&mut self) {
        let mut changed = false;
        while self.bindings.last().is_some_and(|binding| binding.0 == self.depth) {
            changed |= self.bindings.pop().is_some_and(|binding| binding.1.is_empty());
        }
        if changed {
            let default = self.bindings.iter().rev().find(|binding| binding.1.is_empty());
            self.default = default.map_or(Ns::NONE, |binding| binding.2);
        }
        self.depth = self.depth.saturating_sub(1);
    }
}

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
fn unescape(raw: &str, at: usize) -> Result<Cow<'_, str>, ParseError> {
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
fn resolve(name: &str, at: usize) -> Result<char, ParseError> {
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

/// Prefix and local part of a qualified name; `None` when it is not one.
fn split(name: &str) -> Option<(&str, &str)> {
    let (prefix, local) = match name.split_once(':') {
        Some(("", _)) => return None,
        Some(parts) => parts,
        None => ("", name),
    };
    let is_name = |part: &str| {
        let follow = |octet: u8| {
            octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.' | 0x80..)
        };
        let first = |octet: u8| octet.is_ascii_alphabetic() || matches!(octet, b'_' | 0x80..);
        part.bytes().next().is_some_and(first) && part.bytes().all(follow)
    };
    (is_name(local) && (prefix.is_empty() || is_name(prefix))).then_some((prefix, local))
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_space_char(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(is_space)
}
