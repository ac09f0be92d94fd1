//! Priorities of candidates and pairs (RFC 8445 §5.1.2, §6.1.2.3; RFC 6544 §4.2).

use crate::{CandidateKind, CandidateTransport, Role};
use std::net::IpAddr;

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

/// [MS-ICE] 3.1.4.8.1: a preference from 0 to 1, in thousandths. Datagrams first.
pub(crate) fn older(kind: CandidateKind, transport: CandidateTransport, rank: u16) -> u32 {
    let preference = match kind {
        CandidateKind::Host => 830,
        CandidateKind::Prflx => 650,
        CandidateKind::Srflx => 550,
        CandidateKind::Relay => 450,
    };
    (if transport.is_udp() { preference } else { preference / 2 }) - u32::from(rank.min(99))
}

/// RFC 8421 §4: the addresses of each family in their order, IPv6 first, and never more of one family
/// in a row than an even spread asks for, so that a family that is broken holds nobody up.
pub(crate) fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let run = (six.len() + four.len()) / (six.len().min(four.len()) + 1);
    let (long, run) = (six.len() >= four.len(), run.max(1));
    let (run_six, run_four) = if long { (run, 1) } else { (1, run) };
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut order = Vec::new();
    loop {
        let before = order.len();
        order.extend(six.by_ref().take(run_six));
        order.extend(four.by_ref().take(run_four));
        if order.len() == before {
            return order;
        }
    }
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
    fn families_take_turns() {
        let order = |text: &str| {
            let addresses = text.split(' ').enumerate().map(|(n, family)| match family {
                "6" => format!("2001:db8::{n}").parse().unwrap(),
                _ => format!("192.0.2.{n}").parse::<IpAddr>().unwrap(),
            });
            let order = interleave(addresses.collect());
            order.iter().map(|ip| if ip.is_ipv6() { "6" } else { "4" }).collect::<String>()
        };
        for (added, wanted) in [
            ("4", "4"),
            ("4 6", "64"),
            ("4 4 6 6", "6464"),
            ("4 6 6 6 6", "66466"),
            ("4 4 4 4 6", "64444"),
            ("6 6 6 4 4 6", "664664"),
            ("6 6 6", "666"),
        ] {
            assert_eq!(order(added), wanted, "{added}");
        }
    }

    #[test]
    fn both_sides_compute_the_same_pair_priority() {
        let one = pair(Role::Controlling, 5, 9);
        assert_eq!(one, pair(Role::Controlled, 9, 5));
        assert_eq!(one, (5 << 32) + 18);
        assert_eq!(pair(Role::Controlling, 9, 5), (5 << 32) + 18 + 1);
    }
}
