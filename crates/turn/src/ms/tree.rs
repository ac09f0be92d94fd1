//! A small document as a tree: what the credential service of the Edge and its clients exchange.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::EdgeParseError;

/// An element of the documents' namespace, with what is of interest in it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Node {
    /// Reads a whole document. Elements of other namespaces are skipped.
    pub(super) fn parse(document: &str) -> Result<Self, EdgeParseError> {
        if document.len() > MAX_OCTETS {
            return Err(EdgeParseError::TooLarge);
        }
        let mut reader = NsReader::from_str(document);
        let mut open: Vec<(Self, bool)> = Vec::new();
        let mut count = 0;
        loop {
            let at = reader.buffer_position();
            let event = reader.read_resolved_event();
            let (namespace, event) = event.map_err(|_| EdgeParseError::Xml { at })?;
            let is_ours = namespace == ResolveResult::Bound(Namespace(NAMESPACE));
            let closed = match event {
                Event::Start(tag) => {
                    open.push((Self::start(&tag, at)?, is_ours));
                    false
                }
                Event::Empty(tag) => {
                    open.push((Self::start(&tag, at)?, is_ours));
                    true
                }
                Event::End(_) => true,
                Event::Text(text) => {
                    Self::add_text(&mut open, &text.xml_content(XmlVersion::Implicit1_0));
                    false
                }
                Event::CData(text) => {
                    Self::add_text(&mut open, &text.xml_content(XmlVersion::Implicit1_0));
                    false
                }
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref();
                    let character = character.map_err(|_| EdgeParseError::Xml { at })?;
                    let name = reference.into_inner();
                    let entity = quick_xml::escape::resolve_predefined_entity(&name);
                    let text = character.map(String::from).or_else(|| entity.map(String::from));
                    Self::add_text(&mut open, &text.ok_or(EdgeParseError::Xml { at })?);
                    false
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => false,
                Event::DocType(_) | Event::Eof => return Err(EdgeParseError::Xml { at }),
            };
            count += 1;
            if open.len() > MAX_DEPTH || count > MAX_EVENTS {
                return Err(EdgeParseError::TooLarge);
            }
            if closed {
                let Some((node, is_ours)) = open.pop() else {
                    return Err(EdgeParseError::Xml { at });
                };
                match open.last_mut() {
                    Some((parent, _)) if is_ours => parent.children.push(node),
                    Some(_) => {}
                    None if is_ours => return Ok(node),
                    None => return Err(EdgeParseError::Root),
                }
            }
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child, without the blanks around it.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    fn start(tag: &BytesStart<'_>, at: u64) -> Result<Self, EdgeParseError> {
        let mut node = Self { name: tag.local_name().as_ref().to_owned(), ..Self::default() };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|_| EdgeParseError::Xml { at })?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|_| EdgeParseError::Xml { at })?;
            node.attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(node)
    }

    fn add_text(open: &mut [(Self, bool)], text: &str) {
        if let Some((node, _)) = open.last_mut() {
            node.text.push_str(text);
        }
    }
}

/// [MS-AVEDGEA] 2.2.
pub(super) const NAMESPACE: &str = "http://schemas.microsoft.com/2006/09/sip/mrasp";
/// A request of a hundred identities stays below.
const MAX_OCTETS: usize = 64 * 1024;
const MAX_DEPTH: usize = 8;
const MAX_EVENTS: usize = 4096;
