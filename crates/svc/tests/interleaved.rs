//! Proves the structures with decoding order numbers: STAP-B, MTAP, FU-B, NI-MTAP, and the modes of
//! RFC 6190 that put several sources in order.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_svc::{
    AccessUnit, DepacketizeError, Depacketizer, DepacketizerConfig, PayloadFormat, PayloadMeta,
    SessionMode,
};

struct Sender {
    ssrc: u32,
    sequence: u16,
}

/// Packets in the order of sending.
type Packets = Vec<(PayloadMeta, Vec<u8>)>;

impl Sender {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, sequence: 65_530 }
    }

    fn send(&mut self, timestamp: u32, payload: &[u8], out: &mut Packets) {
        let meta =
            PayloadMeta { ssrc: self.ssrc, sequence: self.sequence, timestamp, marker: false };
        self.sequence = self.sequence.wrapping_add(1);
        out.push((meta, payload.to_vec()));
    }
}

fn receive(format: PayloadFormat, packets: &Packets) -> Vec<AccessUnit> {
    let mut config = DepacketizerConfig::new(format);
    config.limits.reorder_ticks = 80_000;
    let mut depacketizer = Depacketizer::new(config);
    let mut units = Vec::new();
    for (meta, payload) in packets {
        depacketizer.push(*meta, payload).unwrap();
        units.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
    }
    depacketizer.flush();
    units.extend(std::iter::from_fn(|| depacketizer.poll_access_unit()));
    units
}

fn shape(units: &[AccessUnit]) -> Vec<(u32, Vec<Vec<u8>>)> {
    let nals = |u: &AccessUnit| u.iter().map(|n| n.bytes.to_vec()).collect();
    units.iter().map(|u| (u.timestamp(), nals(u))).collect()
}

/// A slice that names its place in decoding order.
fn slice(don: u16) -> Vec<u8> {
    vec![if don == 0 { 0x65 } else { 0x41 }, 0x80 | don.to_le_bytes()[0], 0x33]
}

fn be(number: u16) -> [u8; 2] {
    number.to_be_bytes()
}

#[test]
fn every_interleaved_structure_comes_out_in_decoding_order() {
    // Numbers around the wrap; pictures at 3000 ticks: don 0 of the first is 65534.
    let base = 65_534u16;
    let don = |n: u16| base.wrapping_add(n);
    let mut packets = Packets::new();
    let mut sender = Sender::new(1);
    // MTAP16 with pictures 2 and 4, then STAP-B with 0 and 1 of one instant, then FU-B and FU-A with
    // 3, then MTAP24 with 5 and 6.
    let mut mtap = vec![0x7a];
    mtap.extend(be(don(2)));
    for (difference, offset, n) in [(0u8, 0u16, 2u16), (2, 6_000, 4)] {
        mtap.extend(be(3));
        mtap.push(difference);
        mtap.extend(be(offset));
        mtap.extend(slice(n));
    }
    sender.send(3_000, &mtap, &mut packets);
    let mut stap = vec![0x79];
    stap.extend(be(don(0)));
    for n in [0, 1] {
        stap.extend(be(3));
        stap.extend(slice(n));
    }
    sender.send(0, &stap, &mut packets);
    let long = slice(3);
    sender.send(6_000, &[&[0x5d, 0x81][..], &be(don(3)), &long[1..2]].concat(), &mut packets);
    sender.send(6_000, &[0x5c, 0x41, long[2]], &mut packets);
    let mut mtap = vec![0x7b];
    mtap.extend(be(don(5)));
    for (difference, offset, n) in [(0u8, 0u32, 5u16), (1, 70_000, 6)] {
        mtap.extend(be(3));
        mtap.push(difference);
        mtap.extend(&offset.to_be_bytes()[1..]);
        mtap.extend(slice(n));
    }
    sender.send(12_000, &mtap, &mut packets);
    let wanted: Vec<(u32, Vec<Vec<u8>>)> = vec![
        (0, vec![slice(0), slice(1)]),
        (3_000, vec![slice(2)]),
        (6_000, vec![slice(3)]),
        (9_000, vec![slice(4)]),
        (12_000, vec![slice(5)]),
        (82_000, vec![slice(6)]),
    ];
    for depth in [2, 3, 100] {
        let units = receive(PayloadFormat::AvcInterleaved { depth }, &packets);
        assert_eq!(shape(&units), wanted, "{depth}");
        assert!(units.iter().all(|u| !u.is_damaged()));
    }
    // A lost packet marks what it may have touched, and what is whole still comes.
    let mut lossy = packets.clone();
    lossy.remove(2);
    let units = receive(PayloadFormat::AvcInterleaved { depth: 2 }, &lossy);
    assert_eq!(units.len(), 5);
    assert!(units.iter().any(AccessUnit::is_damaged));
}

#[test]
fn structures_keep_to_their_mode() {
    let mut avc = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    let interleaved = PayloadFormat::AvcInterleaved { depth: 1 };
    let mut other = Depacketizer::new(DepacketizerConfig::new(interleaved));
    let meta = |sequence| PayloadMeta { ssrc: 1, sequence, timestamp: 0, marker: false };
    for (n, kind) in (0u16..).zip([25u8, 26, 27, 29]) {
        let outcome = avc.push(meta(n), &[0x60 | kind, 0, 0, 0, 0]);
        assert_eq!(outcome, Err(DepacketizeError::NotAllowed { kind }));
    }
    for (n, kind) in (0u16..).zip([1u8, 24, 30]) {
        let outcome = other.push(meta(n), &[0x60 | kind, 0, 0, 0, 0]);
        assert_eq!(outcome, Err(DepacketizeError::NotAllowed { kind }));
    }
    // Truncated ones say where.
    for payload in
        [&[0x79, 0][..], &[0x79, 0, 1, 0, 9, 1], &[0x7a, 0, 1, 0, 3, 0, 0], &[0x5d, 0x81, 0]]
    {
        let mut d = Depacketizer::new(DepacketizerConfig::new(interleaved));
        let outcome = d.push(meta(0), payload);
        assert!(
            matches!(outcome, Err(DepacketizeError::Truncated { .. })),
            "{payload:?} {outcome:?}"
        );
    }
}

/// A PACSI with DONC, of a dependency layer.
fn pacsi(did: u8, donc: u16) -> Vec<u8> {
    [&[0x7e, 0x80, 0x80 | did << 4, 0x07, 0x22][..], &be(donc)].concat()
}

#[test]
fn ni_c_orders_sessions_by_their_numbers_alone() {
    // Two sources with unrelated clocks would be joined by timestamp in NI-T; here the numbers tell,
    // and the upper layer is well ahead of the base.
    let (mut base, mut upper) = (Sender::new(1), Sender::new(2));
    let mut packets = Packets::new();
    let (mut late, mut early) = (Packets::new(), Packets::new());
    for n in 0..6u16 {
        let timestamp = u32::from(n) * 3_000;
        base.send(timestamp, &pacsi(0, n * 2), &mut late);
        base.send(timestamp, &slice(n), &mut late);
        upper.send(timestamp, &pacsi(1, n * 2 + 1), &mut early);
        upper.send(timestamp, &[0x74, 0x80, 0x90, 0x07, n.to_le_bytes()[0]], &mut early);
    }
    packets.append(&mut early);
    packets.append(&mut late);
    let units = receive(PayloadFormat::Svc { mode: SessionMode::CrossSessionOrder }, &packets);
    assert_eq!(units.len(), 6);
    for (n, unit) in (0u16..).zip(&units) {
        let dids: Vec<u8> = unit.iter().map(|nal| nal.layer.unwrap().did).collect();
        assert_eq!(dids, [0, 1], "{n}");
        assert_eq!(unit.iter().next().unwrap().bytes, slice(n));
        assert!(!unit.is_damaged());
    }
}

#[test]
fn i_c_orders_interleaved_sessions() {
    let (mut base, mut upper) = (Sender::new(1), Sender::new(2));
    let mut packets = Packets::new();
    let upper_slice = |n: u16| vec![0x74, 0x80, 0x90, 0x07, n.to_le_bytes()[0]];
    let stap = |don: u16, nal: &[u8]| {
        [&[0x79][..], &be(don), &be(u16::try_from(nal.len()).unwrap()), nal].concat()
    };
    // Pairs of pictures change places in each session.
    for n in [1u16, 0, 3, 2, 5, 4] {
        let timestamp = u32::from(n) * 3_000;
        upper.send(timestamp, &stap(n * 2 + 1, &upper_slice(n)), &mut packets);
        base.send(timestamp, &stap(n * 2, &slice(n)), &mut packets);
    }
    let mode = SessionMode::Interleaved { depth: 4 };
    let units = receive(PayloadFormat::Svc { mode }, &packets);
    let wanted: Vec<_> =
        (0..6u16).map(|n| (u32::from(n) * 3_000, vec![slice(n), upper_slice(n)])).collect();
    assert_eq!(shape(&units), wanted);
}

#[test]
fn ni_t_joins_by_time_and_an_empty_unit_ends_the_wait() {
    let (mut base, mut upper) = (Sender::new(1), Sender::new(2));
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Svc {
        mode: SessionMode::Timestamps,
    }));
    let mut got = Vec::new();
    for n in 0..6u16 {
        let timestamp = u32::from(n) * 3_000;
        let mut packets = Packets::new();
        base.send(timestamp, &[&[0x6e, 0x80, 0x80, 0x07, 0x20][..]].concat(), &mut packets);
        base.send(timestamp, &slice(n), &mut packets);
        // The upper layer has half the pictures, and says so.
        if n % 2 == 0 {
            upper.send(timestamp, &[0x74, 0x80, 0x90, 0x07, 1], &mut packets);
        } else {
            upper.send(timestamp, &[0x7f, 0x08], &mut packets);
        }
        for index in [1, 2] {
            packets[index].0.marker = true;
        }
        for (meta, payload) in &packets {
            depacketizer.push(*meta, payload).unwrap();
        }
        // Nothing waits for the next instant, once both sources are known.
        let units: Vec<_> = std::iter::from_fn(|| depacketizer.poll_access_unit()).collect();
        if n > 1 {
            assert_eq!(units.len(), 1, "{n}");
        }
        got.extend(units);
    }
    let lens: Vec<_> = got.iter().map(AccessUnit::len).collect();
    assert_eq!(lens[lens.len() - 4..], [3, 2, 3, 2]);
}

#[test]
fn ni_mtap_holds_units_of_several_instants() {
    for numbered in [false, true] {
        let mut payload = vec![0x7f, 0x10 | u8::from(numbered) << 2];
        for n in 0..3u16 {
            payload.extend(be(3));
            payload.extend(be(n * 3_000));
            if numbered {
                payload.extend(be(n));
            }
            payload.extend(slice(n));
        }
        let mut packets = Packets::new();
        Sender::new(1).send(500, &payload, &mut packets);
        let mode = if numbered { SessionMode::CrossSessionOrder } else { SessionMode::Timestamps };
        let units = receive(PayloadFormat::Svc { mode }, &packets);
        let wanted: Vec<_> =
            (0..3u16).map(|n| (500 + u32::from(n) * 3_000, vec![slice(n)])).collect();
        assert_eq!(shape(&units), wanted);
    }
}
