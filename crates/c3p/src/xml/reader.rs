use std::borrow::Cow;
use std::sync::Arc;

use quick_xml::events::Event;

use super::scan::{QName, is_blank, is_space_char, line_ends, quoted, resolve, unescape};
use super::{Attribute, Element, Extensions, Name, Namespace, Node, Ns};
use crate::error::{ParseError, ParseErrorKind as Kind};
use crate::limits::Limits;
use crate::text::Text;

/// A pull reader: namespaces resolved, limits kept, everything this crate has no use for refused
/// or skipped. Tags and text borrow from the document.
///
/// Tags and plain text, nearly all of a document, are scanned here, once and together with their
/// checks; comments, CDATA sections, processing instructions, declarations and references are
/// quick-xml's. (With quick-xml for the tags too, each octet was looked at three times.)
pub(crate) struct Reader<'a> {
    text: &'a str,
    /// Where the next token begins.
    next: usize,
    /// Names of the open elements, as they were written.
    open: Vec<&'a str>,
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
        let mut reader = Self {
            text,
            next: 0,
            open: Vec::new(),
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
            self.at = self.next;
            let rest = self.text.get(self.at..).unwrap_or_default();
            match rest.as_bytes() {
                [] if self.depth == 0 => return Ok(Item::End),
                [] => return Err(self.fail(Kind::Xml)),
                [b'<', b'/', ..] => return self.end_element(rest),
                [b'<', b'!' | b'?', ..] | [b'&', ..] => {
                    if let Some(text) = self.rare(rest)? {
                        return Ok(Item::Text(text));
                    }
                }
                [b'<', ..] => return self.start_element(rest),
                _ => return self.plain(rest),
            }
        }
    }

    /// Whatever is neither a tag nor plain text; what is text of it.
    fn rare(&mut self, rest: &'a str) -> Result<Option<Cow<'a, str>>, ParseError> {
        let mut source = quick_xml::Reader::from_str(rest);
        source.config_mut().check_comments = true;
        let event = source.read_event();
        self.next = usize::try_from(source.buffer_position())
            .ok()
            .and_then(|read| self.at.checked_add(read))
            .unwrap_or(usize::MAX);
        match event {
            Ok(Event::CData(text)) if self.depth > 0 => {
                let text = text.into_inner();
                self.check_text(text.len())?;
                Ok(Some(line_ends(text)))
            }
            Ok(Event::GeneralRef(reference)) if self.depth > 0 => {
                let resolved = resolve(&reference.into_inner(), self.at)?;
                Ok(Some(resolved.to_string().into()))
            }
            Ok(Event::Decl(_)) if self.at == 0 => Ok(None),
            Ok(Event::Comment(_)) => Ok(None),
            Ok(Event::PI(pi)) if !pi.target().eq_ignore_ascii_case("xml") => Ok(None),
            Ok(Event::DocType(_)) => Err(self.fail(Kind::Doctype)),
            Ok(_) | Err(_) => Err(self.fail(Kind::Xml)),
        }
    }

    /// Text up to the next tag or reference.
    fn plain(&mut self, rest: &'a str) -> Result<Item<'a>, ParseError> {
        let is_end = |octet: &u8| matches!(octet, b'<' | b'&');
        let is_stop = |octet: &u8| is_end(octet) || matches!(octet, b']' | b'\r');
        let stop = rest.as_bytes().iter().position(is_stop);
        let tail = rest.get(stop.unwrap_or(rest.len())..).unwrap_or_default();
        let is_clean = tail.as_bytes().first().is_none_or(is_end);
        let more = if is_clean { Some(0) } else { tail.as_bytes().iter().position(is_end) };
        let end = rest.len() - tail.len() + more.unwrap_or(tail.len());
        let text = rest.get(..end).unwrap_or(rest);
        self.check_text(text.len())?;
        self.next += text.len();
        if is_clean {
            return Ok(Item::Text(text.into()));
        }
        if text.contains("]]>") {
            return Err(self.fail(Kind::Xml)); // XML 1.0 §2.4
        }
        Ok(Item::Text(line_ends(text.into())))
    }

    fn check_text(&self, length: usize) -> Result<(), ParseError> {
        if length > self.limits.text { Err(self.fail(Kind::Limit("text"))) } else { Ok(()) }
    }

    /// `</name>`.
    fn end_element(&mut self, rest: &'a str) -> Result<Item<'a>, ParseError> {
        let name = self.open.pop().ok_or_else(|| self.fail(Kind::Xml))?;
        let behind = rest.get(2..).and_then(|rest| rest.strip_prefix(name));
        let behind = behind.ok_or_else(|| self.fail(Kind::Xml))?;
        let behind = match behind.strip_prefix('>') {
            Some(behind) => behind,
            None => {
                let behind = behind.trim_start_matches(is_space_char);
                behind.strip_prefix('>').ok_or_else(|| self.fail(Kind::Xml))?
            }
        };
        self.next = self.text.len() - behind.len();
        self.leave();
        Ok(Item::End)
    }

    /// `<name …>` or `<name …/>`.
    fn start_element(&mut self, rest: &'a str) -> Result<Item<'a>, ParseError> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > self.limits.depth {
            return Err(self.fail(Kind::Limit("depth")));
        }
        if self.elements > self.limits.elements {
            return Err(self.fail(Kind::Limit("elements")));
        }
        self.attributes.clear();
        let content = rest.get(1..).unwrap_or_default();
        let name = QName::scan(content).ok_or_else(|| self.fail(Kind::Xml))?;
        let rest = content.get(name.whole.len()..).unwrap_or_default();
        let behind = match rest.strip_prefix('>') {
            Some(behind) => behind,
            None => self.read_attributes(rest)?,
        };
        self.next = self.text.len() - behind.len();
        if !self.empty {
            self.open.push(name.whole);
        }
        let ns = if name.prefix.is_empty() { self.default } else { self.resolve(name.prefix)? };
        Ok(Item::Start(Tag { ns, local: name.local, at: self.at }))
    }

    /// The attributes of a tag, and its end: what is behind it.
    fn read_attributes(&mut self, mut rest: &'a str) -> Result<&'a str, ParseError> {
        let mut count = 0_usize;
        let mut prefixed = false;
        let behind = loop {
            let trimmed = rest.trim_start_matches(is_space_char);
            let at = self.text.len() - trimmed.len();
            let error = |kind| ParseError::new(kind, at);
            match trimmed.as_bytes() {
                [b'>', ..] => break trimmed.get(1..).unwrap_or_default(),
                [b'/', b'>', ..] => {
                    self.empty = true;
                    break trimmed.get(2..).unwrap_or_default();
                }
                // XML 1.0 §3.1: white space before each attribute
                _ if trimmed.len() == rest.len() => return Err(error(Kind::Xml)),
                _ => {}
            }
            count += 1;
            if count > self.limits.attributes {
                return Err(error(Kind::Limit("attributes")));
            }
            let name = QName::scan(trimmed).ok_or_else(|| error(Kind::Xml))?;
            let value = trimmed.get(name.whole.len()..).unwrap_or_default();
            let (value, after) = quoted(value).ok_or_else(|| error(Kind::Xml))?;
            if value.len() > self.limits.text {
                return Err(error(Kind::Limit("text")));
            }
            if name.prefix == "xmlns" {
                self.bind(name.local, value, at)?;
            } else if name.whole == "xmlns" {
                self.bind("", value, at)?;
            } else {
                prefixed |= !name.prefix.is_empty();
                // The prefix stays on until all declarations have been seen.
                let local = name.whole;
                let attribute = RawAttribute { ns: Ns::NONE, local, value, at, taken: false };
                self.attributes.push(attribute);
            }
            rest = after;
        };
        if prefixed {
            self.resolve_attributes(0)?;
        }
        self.refuse_duplicates()?;
        Ok(behind)
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
