/// Bounds of an [`Agent`](crate::Agent). Exceeding one is an error, never a silent cut, except for
/// `pairs`, where RFC 8445 §6.1.2.5 says to drop the lowest priorities.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Streams of an agent. Default 16.
    pub streams: usize,
    /// Candidates of one stream on each side, peer-reflexive ones included. Default 128, and
    /// 20 in the older MS-ICE ([MS-ICE] 3.1.4.8.1).
    pub candidates: usize,
    /// Candidate pairs over all streams. Default 100 (RFC 8445 §6.1.2.5), 80 in MS-ICE2.
    pub pairs: usize,
    /// Checks of a stream kept until its remote credentials are known. Default 32.
    pub early_checks: usize,
    /// Allocations on TURN servers. Default 32.
    pub relays: usize,
    /// Packets waiting for `poll_transmit`. Default 256.
    pub transmits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 16,
            candidates: 128,
            pairs: 100,
            early_checks: 32,
            relays: 32,
            transmits: 256,
        }
    }
}
