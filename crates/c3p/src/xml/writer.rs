use std::io::Write as _;

use super::Namespace;

/// Writes well-formed XML: namespaces declared where they are first needed, everything escaped,
/// characters that XML does not allow replaced.
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Declarations in force: depth, prefix, namespace.
    bindings: Vec<(usize, String, Namespace)>,
    /// Where the qualified name of each open element stands in `out`.
    open: Vec<(usize, usize)>,
    /// The tag opened last still lacks its `>`.
    in_tag: bool,
    generated: usize,
}

/// Writes a document whose root is in `namespace`, which becomes the default one; Microsoft's
/// extension namespaces are declared with their customary prefixes.
pub(crate) fn write_document(
    out: &mut Vec<u8>,
    namespace: &Namespace,
    local: &str,
    content: impl FnOnce(&mut Writer<'_>),
) {
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    let mut writer =
        Writer { out, bindings: Vec::new(), open: Vec::new(), in_tag: false, generated: 0 };
    writer.open.push((0, 0));
    writer.out.push(b'<');
    writer.name("", local);
    writer.in_tag = true;
    if *namespace != Namespace::None {
        writer.declare("", namespace);
        for customary in
            [Namespace::CccpExtensions, Namespace::ConferenceInfo, Namespace::ConfInfoExtensions]
        {
            if *namespace == Namespace::Cccp || customary != Namespace::CccpExtensions {
                writer.declare(customary.prefix().unwrap_or_default(), &customary);
            }
        }
    }
    content(&mut writer);
    writer.end();
}

impl Writer<'_> {
    /// Opens an element.
    pub(crate) fn start(&mut self, namespace: &Namespace, local: &str) {
        self.close_tag();
        self.open.push((0, 0));
        self.out.push(b'<');
        if *namespace == *self.default() {
            self.name("", local);
            self.in_tag = true;
        } else if *namespace == Namespace::None {
            self.name("", local);
            self.in_tag = true;
            self.declare("", &Namespace::None);
        } else if let Some(prefix) = self.prefix(namespace) {
            self.name(&prefix, local);
            self.in_tag = true;
        } else {
            let prefix = self.new_prefix(namespace);
            self.name(&prefix, local);
            self.in_tag = true;
            self.declare(&prefix, namespace);
        }
    }

    /// Adds an attribute to the element just opened.
    pub(crate) fn attribute(&mut self, namespace: &Namespace, local: &str, value: &str) {
        let prefix = match namespace {
            Namespace::None => String::new(),
            Namespace::Xml => "xml".into(),
            namespace => self.prefix(namespace).unwrap_or_else(|| {
                let prefix = self.new_prefix(namespace);
                self.declare(&prefix, namespace);
                prefix
            }),
        };
        self.out.push(b' ');
        if !prefix.is_empty() {
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.push(b':');
        }
        self.out.extend_from_slice(local.as_bytes());
        self.out.extend_from_slice(b"=\"");
        escape(value, true, self.out);
        self.out.push(b'"');
    }

    /// An attribute without namespace.
    pub(crate) fn plain(&mut self, local: &str, value: &str) {
        self.attribute(&Namespace::None, local, value);
    }

    /// Adds text.
    pub(crate) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.close_tag();
            escape(text, false, self.out);
        }
    }

    /// An element with nothing but text.
    pub(crate) fn leaf(&mut self, namespace: &Namespace, local: &str, text: &str) {
        self.start(namespace, local);
        self.text(text);
        self.end();
    }

    /// Ends the innermost open element.
    pub(crate) fn end(&mut self) {
        let depth = self.open.len();
        let Some((from, to)) = self.open.pop() else { return };
        if self.in_tag {
            self.in_tag = false;
            self.out.extend_from_slice(b"/>");
        } else {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_within(from..to);
            self.out.push(b'>');
        }
        while self.bindings.last().is_some_and(|binding| binding.0 == depth) {
            self.bindings.pop();
        }
    }

    fn close_tag(&mut self) {
        if self.in_tag {
            self.in_tag = false;
            self.out.push(b'>');
        }
    }

    fn name(&mut self, prefix: &str, local: &str) {
        let from = self.out.len();
        if !prefix.is_empty() {
            self.out.extend_from_slice(prefix.as_bytes());
            self.out.push(b':');
        }
        self.out.extend_from_slice(local.as_bytes());
        let to = self.out.len();
        if let Some(open) = self.open.last_mut() {
            *open = (from, to);
        }
    }

    fn declare(&mut self, prefix: &str, namespace: &Namespace) {
        self.bindings.push((self.open.len(), prefix.into(), namespace.clone()));
        // Writing to a vector cannot fail.
        let _ = match prefix {
            "" => write!(self.out, " xmlns=\""),
            prefix => write!(self.out, " xmlns:{prefix}=\""),
        };
        escape(namespace.as_str(), true, self.out);
        self.out.push(b'"');
    }

    fn default(&self) -> &Namespace {
        let found = self.bindings.iter().rev().find(|binding| binding.1.is_empty());
        found.map_or(&Namespace::None, |binding| &binding.2)
    }

    fn prefix(&self, namespace: &Namespace) -> Option<String> {
        if *namespace == Namespace::Xml {
            return Some("xml".into());
        }
        let bound = |binding: &&(usize, String, Namespace)| {
            !binding.1.is_empty() && binding.2 == *namespace
        };
        self.bindings.iter().rev().find(bound).map(|binding| binding.1.clone())
    }

    fn new_prefix(&mut self, namespace: &Namespace) -> String {
        namespace.prefix().map_or_else(
            || {
                self.generated += 1;
                format!("n{}", self.generated)
            },
            str::to_owned,
        )
    }
}

fn escape(text: &str, in_attribute: bool, out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let replacement: &[u8] = match character {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '"' if in_attribute => b"&quot;",
            '\r' => b"&#13;",
            '\t' if in_attribute => b"&#9;",
            '\n' if in_attribute => b"&#10;",
            '\t' | '\n' => continue,
            // Not allowed in XML 1.0 even as a reference: U+FFFD stands in
            '\0'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => "\u{FFFD}".as_bytes(),
            _ => continue,
        };
        out.extend_from_slice(text.get(plain..at).unwrap_or_default().as_bytes());
        out.extend_from_slice(replacement);
        plain = at + character.len_utf8();
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
}
