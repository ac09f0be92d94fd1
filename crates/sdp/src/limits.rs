//! How much of a description is read before it is refused.

/// Limits of the parser. Exceeding one is an error, never a silent cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets in a description. Default 65,536.
    pub description: usize,
    /// Lines in a description. Default 4,096.
    pub lines: usize,
    /// Media sections in a description. Default 256.
    pub media: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { description: 65_536, lines: 4_096, media: 256 }
    }
}
