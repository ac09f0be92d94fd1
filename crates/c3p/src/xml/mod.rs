mod element;
mod names;
mod reader;
mod scan;
mod writer;

pub use element::{Attribute, Element, Extensions, Node};
pub(crate) use names::Ns;
pub use names::{Name, Namespace};
pub(crate) use reader::{Reader, Tag};
pub(crate) use scan::decode;
pub(crate) use writer::{Writer, write_document};
