use super::{Name, Namespace, Writer};
use crate::text::Text;

/// An element that this crate has no type for, kept as it came.
///
/// Comments, processing instructions and the choice of prefixes are not kept. A prefix used inside
/// a value (`xsi:type="msci:x"`) is written back as it came; it keeps its meaning when it is one of
/// Microsoft's customary prefixes, which every document written by this crate declares.
///
/// ```
/// use linkspan_c3p::{Element, Namespace};
///
/// let policy = Element::new(Namespace::ConfInfoExtensions, "admission-policy")
///     .with_text("openAuthenticated");
/// assert_eq!(policy.text(), "openAuthenticated");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Element {
    /// The expanded name.
    pub name: Name,
    /// Attributes, without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Elements and text, in order.
    pub children: Vec<Node>,
}

/// An attribute that this crate has no type for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    /// The expanded name.
    pub name: Name,
    /// The value, references resolved.
    pub value: Text,
}

/// What is inside an [`Element`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, references resolved.
    Text(String),
}

impl Element {
    /// An empty element.
    #[must_use]
    pub fn new(namespace: Namespace, local: &str) -> Self {
        Self { name: Name::new(namespace, local), ..Self::default() }
    }

    /// Adds text.
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }

    /// Adds a child element.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with_attribute(mut self, namespace: Namespace, local: &str, value: &str) -> Self {
        let name = Name::new(namespace, local);
        self.attributes.push(Attribute { name, value: value.into() });
        self
    }

    /// The child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element of that local name, whatever its namespace: servers differ in
    /// where they put Microsoft's extensions.
    #[must_use]
    pub fn child(&self, local: &str) -> Option<&Self> {
        self.elements().find(|element| element.name.local == local)
    }

    /// The text directly inside, without white space around it; empty when there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        let text = self.children.iter().find_map(|node| match node {
            Node::Text(text) => Some(text.trim_ascii()),
            Node::Element(_) => None,
        });
        text.unwrap_or_default()
    }

    /// The value of the first attribute of that local name, whatever its namespace.
    #[must_use]
    pub fn attribute(&self, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.name.local == local);
        found.map(|attribute| attribute.value.as_str())
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.start(&self.name.namespace, &self.name.local);
        write_attributes(&self.attributes, writer);
        for node in &self.children {
            match node {
                Node::Element(element) => element.write(writer),
                Node::Text(text) => writer.text(text),
            }
        }
        writer.end();
    }
}

/// Attributes and elements of a typed value that this crate has no field for: kept, and written
/// back behind the known ones. Costs eight octets while there are none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extensions(Option<Box<Kept>>);

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Kept {
    attributes: Vec<Attribute>,
    elements: Vec<Element>,
}

impl Extensions {
    /// True when nothing was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes().is_empty() && self.elements().is_empty()
    }

    /// The attributes.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        self.0.as_ref().map_or(&[], |kept| &kept.attributes)
    }

    /// The elements.
    #[must_use]
    pub fn elements(&self) -> &[Element] {
        self.0.as_ref().map_or(&[], |kept| &kept.elements)
    }

    /// The first element of that local name, whatever its namespace.
    #[must_use]
    pub fn element(&self, local: &str) -> Option<&Element> {
        self.elements().iter().find(|element| element.name.local == local)
    }

    /// The attributes, to change them.
    pub fn attributes_mut(&mut self) -> &mut Vec<Attribute> {
        &mut self.0.get_or_insert_default().attributes
    }

    /// The elements, to change them.
    pub fn elements_mut(&mut self) -> &mut Vec<Element> {
        &mut self.0.get_or_insert_default().elements
    }

    pub(crate) fn write_attributes(&self, writer: &mut Writer<'_>) {
        write_attributes(self.attributes(), writer);
    }

    pub(crate) fn write_elements(&self, writer: &mut Writer<'_>) {
        for element in self.elements() {
            element.write(writer);
        }
    }
}

fn write_attributes(attributes: &[Attribute], writer: &mut Writer<'_>) {
    for attribute in attributes {
        writer.attribute(&attribute.name.namespace, &attribute.name.local, &attribute.value);
    }
}
