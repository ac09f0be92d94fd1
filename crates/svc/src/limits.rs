/// Bounds on what untrusted input can make this crate hold.
///
/// Exceeding one is an error of the call, never a silent cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Octets of one access unit. Default 4 MiB (level 5.1 intra pictures stay below).
    pub access_unit_octets: usize,
    /// NAL units of one access unit. Default 1024.
    pub access_unit_nals: usize,
    /// Synchronisation sources that one depacketizer follows. Default 32.
    pub sources: usize,
    /// Packets that wait for an earlier one, per source. Default 64.
    pub reorder_packets: usize,
    /// RTP timestamp ticks that a packet waits for an earlier one. Default 9000, a tenth of a second.
    pub reorder_ticks: u32,
    /// Finished access units that wait to be taken. Default 64.
    pub queued_access_units: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            access_unit_octets: 4 << 20,
            access_unit_nals: 1024,
            sources: 32,
            reorder_packets: 64,
            reorder_ticks: 9_000,
            queued_access_units: 64,
        }
    }
}
