//! Priorities of candidates and pairs (RFC 8445 §5.1.2, §6.1.2.3; RFC 6544 §4.2).

use crate::{CandidateKind, CandidateTransport, Role};

/// Priority of a candidate whose base is the `rank`th local address, counted from 0.
pub(crate) fn candidate(
    kind: CandidateKind,
    transport: CandidateTransport,
    rank: u16,
    component: u16,
) -> u32 {
    // RFC 8445 §5.1.2.2; TCP below every kind of UDP but the relayed, RFC 6544 §4.2.
    let preference: u32 = match (kind, transport.is_udp()) {
        (CandidateKind::Host, true) => 126,
        (CandidateKind::Prflx, true) => 110,
        (CandidateKind::Srflx, true) => 100,
        (CandidateKind::Host, false) => 90,
        (CandidateKind::Prflx, false) => 80,
        (CandidateKind::Srflx, false) => 75,
        (CandidateKind::Relay, true) => 10,
        (CandidateKind::Relay, false) => 5,
    };
    // RFC 6544 §4.2: direction in the upper three bits. For hosts active comes first.
    let local = match transport {
        CandidateTransport::Udp => 65_535 - u32::from(rank),
        CandidateTransport::TcpActive => (6 << 13) + 8191 - u32::from(rank.min(8191)),
        CandidateTransport::TcpPassive => (4 << 13) + 8191 - u32::from(rank.min(8191)),
        CandidateTransport::TcpSo => (2 << 13) + 8191 - u32::from(rank.min(8191)),
    };
    (preference << 24) | (local << 8) | (256 - u32::from(component.clamp(1, 256)))
}

/// The priority that a peer-reflexive candidate with the same base would have (RFC 8445 §7.1.1).
pub(crate) const fn peer_reflexive(priority: u32, is_udp: bool) -> u32 {
    (priority & 0x00ff_ffff) | if is_udp { 110 << 24 } else { 80 << 24 }
}

/// Priority of a pair (RFC 8445 §6.1.2.3).
pub(crate) fn pair(role: Role, local: u32, remote: u32) -> u64 {
    let (controlling, controlled) = match role {
        Role::Controlling => (local, remote),
        Role::Controlled => (remote, local),
    };
    let (low, high) = (controlling.min(controlled), controlling.max(controlled));
    (u64::from(low) << 32)
        .saturating_add(2 * u64::from(high))
        .saturating_add(u64::from(controlling > controlled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_over_udp_is_what_everybody_writes() {
        let udp = CandidateTransport::Udp;
        assert_eq!(candidate(CandidateKind::Host, udp, 0, 1), 0x7eff_ffff);
        assert_eq!(candidate(CandidateKind::Host, udp, 0, 2), 0x7eff_fffe);
        assert_eq!(peer_reflexive(0x7eff_ffff, true), 0x6eff_ffff);
    }

    #[test]
    fn both_sides_compute_the_same_pair_priority() {
        let one = pair(Role::Controlling, 5, 9);
        assert_eq!(one, pair(Role::Controlled, 9, 5));
        assert_eq!(one, (5 << 32) + 18);
        assert_eq!(pair(Role::Controlling, 9, 5), (5 << 32) + 18 + 1);
    }
}
