mod element;
mod names;
mod reader;
mod writer;

pub use element::{Attribute, Element, Extensions, Node};
pub(crate) use names::Ns;
pub use names::{Name, Namespace};
pub(crate) use reader::{Reader, Tag, decode};
pub(crate) use writer::{Writer, write_document};
