/// What a document may cost. Exceeding a limit is an error, never a silent cut.
///
/// The defaults leave room for a full notification of a thousand participants with four endpoints
/// each.
///
/// ```
/// use linkspan_c3p::{Limits, Request};
///
/// let limits = Limits { octets: 16, ..Limits::default() };
/// assert!(Request::parse_with(b"<request/>          ", &limits).is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a document. Default 4 MiB.
    pub octets: usize,
    /// Nesting depth of elements. Default 32.
    pub depth: usize,
    /// Elements of a document. Default 200,000.
    pub elements: usize,
    /// Attributes of one element, namespace declarations included. Default 64.
    pub attributes: usize,
    /// Octets of one attribute value or text node. Default 65,536.
    pub text: usize,
    /// Namespace declarations in force at one place. Default 64.
    pub namespaces: usize,
    /// Users of a document or of a merged conference. Default 4,096.
    pub users: usize,
    /// Members of any other list: endpoints of a user, streams of an endpoint, addresses, views,
    /// elements of one value that this crate has no type for. Default 256.
    pub members: usize,
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            octets: 4 << 20,
            depth: 32,
            elements: 200_000,
            attributes: 64,
            text: 65_536,
            namespaces: 64,
            users: 4_096,
            members: 256,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
