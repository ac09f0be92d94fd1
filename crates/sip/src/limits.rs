//! What a message and an engine may cost.

/// Bounds on everything that a peer can make grow.
///
/// ```
/// use linkspan_sip::Limits;
///
/// let limits = Limits { message: 16 * 1024, ..Limits::default() };
/// assert_eq!(limits.headers, 256);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of a whole message (131,072). Lync's two-part offers reach 16 kB.
    pub message: usize,
    /// Octets of start line and headers (65,536).
    pub head: usize,
    /// Header lines (256).
    pub headers: usize,
    /// Live transactions of an engine (200,000).
    pub transactions: usize,
    /// Live sessions of an engine (100,000).
    pub sessions: usize,
    /// Live subscriptions of an engine, both roles (100,000).
    pub subscriptions: usize,
    /// Early dialogs of one INVITE (20, `MaxEarlyDialogs` of a Lync trunk).
    pub early_dialogs: usize,
    /// Events and transmits that wait for the driver (65,536); input beyond them is refused.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 128 * 1024,
            head: 64 * 1024,
            headers: 256,
            transactions: 200_000,
            sessions: 100_000,
            subscriptions: 100_000,
            early_dialogs: 20,
            queue: 65_536,
        }
    }
}
