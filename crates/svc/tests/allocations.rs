//! Proves that packets cost no allocation once the buffers have grown, and prints what they cost.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::time::Instant;

use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    ExtractOptions, FrameNumbering, GateConfig, LayerTarget, Layering, LossGate, PacketizationMode,
    Packetizer, PacketizerConfig, PayloadFormat, PayloadMeta, UcToAvc, extract_into, nal_units,
};
use linkspan_testnet::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn stream(name: &str) -> Vec<u8> {
    let dir = linkspan_testnet::vectors("svc");
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media/lync-t3-640x360.264");
    let path = dir.map_or_else(|| demo.into(), |d| d.join(name));
    std::fs::read(path).unwrap()
}

/// A path through a gateway: a source's layers, and what becomes of them.
#[derive(Clone, Copy, Debug)]
struct Path {
    stream: &'static str,
    layering: Layering,
    max_temporal: u8,
    numbering: FrameNumbering,
}

/// All rounds through the stream; the first two are for everything to grow as large as it gets.
const ROUNDS: u32 = 6;

#[test]
fn packets_allocate_nothing_in_the_steady_state() {
    let plain = "a5-avc-t3-1280x720.264";
    // One slice of the second stream carries memory management control operations; the other two
    // are of a camera, with long-term references, and without prefix NAL units.
    let marked = "a7-avc-t3-ltr-320x180.264";
    let camera = "openh264-res/test_vd_rc.264";
    let temporal = Layering::Temporal { layers: 3 };
    let (keep, always) = (FrameNumbering::WhereForbidden, FrameNumbering::Always);
    for (stream, layering, max_temporal, numbering) in [
        (plain, Layering::Single, 7, keep),
        (plain, temporal, 7, keep),
        (plain, temporal, 1, keep),
        (plain, temporal, 0, always),
        (plain, Layering::Single, 6, always),
        (marked, temporal, 0, keep),
        (marked, temporal, 1, always),
        (marked, temporal, 0, always),
        (camera, temporal, 0, always),
        (camera, Layering::Single, 6, always),
    ] {
        count(Path { stream, layering, max_temporal, numbering });
    }
}

fn count(path: Path) {
    let stream = stream(path.stream);
    let units: Vec<AccessUnit> = AccessUnitReader::new(&stream).collect();
    let mut to_uc = AvcToUc::new(AvcToUcConfig { layering: path.layering, ..Default::default() });
    let mut uc = Packetizer::new(PacketizerConfig::uc_svc(1_200));
    let mut lync = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let mut gate = LossGate::new(GateConfig::default());
    let target = LayerTarget { max_temporal: path.max_temporal, ..LayerTarget::default() };
    let mut to_avc = UcToAvc::new(target).with_numbering(path.numbering);
    let mode = PacketizationMode::NonInterleaved;
    let mut avc = Packetizer::new(PacketizerConfig::avc(mode, 1_200));
    let (mut buffer, mut out) = (vec![0u8; 2_000], vec![0u8; 2_000]);
    let mut sequences = [0u16; 64];
    let (mut sent, mut received, mut rewritten) = (0u64, 0u64, 0u64);
    let mut counted = 0;
    let mut began = Instant::now();
    for round in 0..ROUNDS {
        if round == 2 {
            // Everything has been as large as it gets.
            (counted, sent, received) = (CountingAllocator::count(), 0, 0);
            began = Instant::now();
        }
        for (index, unit) in (0u32..).zip(&units) {
            let timestamp = (round * u32::try_from(units.len()).unwrap() + index) * 3_000;
            let Some(unit) = to_uc.process(unit) else { continue };
            for payload in uc.packetize(unit).iter() {
                let length = payload.write_to(&mut buffer).unwrap();
                let prid = payload.prid();
                let sequence = &mut sequences[usize::from(prid)];
                let (ssrc, marker) = (u32::from(prid), payload.marker);
                let meta = PayloadMeta { ssrc, sequence: *sequence, timestamp, marker };
                *sequence = sequence.wrapping_add(1);
                sent += 1;
                lync.push(meta, &buffer[..length]).unwrap();
                while let Some(unit) = lync.poll_access_unit() {
                    if gate.accept(&unit)
                        && let Some(plain) = to_avc.process(&unit)
                    {
                        let (last, before) = (plain.iter().last(), unit.iter().last());
                        rewritten += u64::from(last.map(|n| n.bytes) != before.map(|n| n.bytes));
                        for payload in avc.packetize(plain).iter() {
                            received += payload.write_to(&mut out).unwrap() as u64;
                        }
                    }
                    lync.recycle(unit);
                }
            }
        }
    }
    let allocations = CountingAllocator::count() - counted;
    let took = began.elapsed() / u32::try_from(sent).unwrap();
    println!(
        "{path:?}: {sent} packets, {received} octets, {rewritten} pictures rewritten, \
         {allocations} allocations, {took:?} each"
    );
    assert!(received > 20_000, "{path:?}");
    // Layers show only where there are prefix NAL units.
    let drops = path.max_temporal == 0 && path.numbering == FrameNumbering::Always;
    let told = nal_units(&stream).any(|nal| nal[0] & 0x1f == 14);
    assert_eq!(rewritten > 10, drops && told, "{path:?}: {rewritten} pictures renumbered");
    assert_eq!(allocations, 0, "{path:?}");
}

#[test]
fn speed_is_printed() {
    let mut stream = stream("a5-avc-t3-1280x720.264");
    while stream.len() < 8 << 20 {
        stream.extend_from_within(..);
    }
    let gigabytes = |seconds: f64, rounds: u32| {
        f64::from(u32::try_from(stream.len()).unwrap()) * f64::from(rounds) / seconds / 1e9
    };
    let rounds = if cfg!(debug_assertions) { 1 } else { 20 };
    let mode = PacketizationMode::NonInterleaved;
    let mut avc = Packetizer::new(PacketizerConfig::avc(mode, 1_200));
    let mut packets: Vec<(u32, bool, Vec<u8>)> = Vec::new();
    for unit in AccessUnitReader::new(&stream[..4 << 20]) {
        packets
            .extend(avc.packetize(&unit).iter().map(|p| (unit.timestamp(), p.marker, p.to_vec())));
    }
    let total: usize = packets.iter().map(|p| p.2.len()).sum();
    let rate = |seconds: f64| total as f64 * f64::from(rounds) / seconds / 1e9;
    let mut copy = Vec::with_capacity(total);
    let began = Instant::now();
    for _ in 0..rounds {
        copy.clear();
        packets.iter().for_each(|p| copy.extend_from_slice(&p.2));
        std::hint::black_box(&copy);
    }
    println!("copy of {} packets: {:.1} GB/s", packets.len(), rate(began.elapsed().as_secs_f64()));
    let mut ours = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    let (mut sequence, mut octets) = (0u16, 0);
    let began = Instant::now();
    for round in 0..rounds {
        for (timestamp, marker, payload) in &packets {
            let timestamp = timestamp.wrapping_add(round * 30_000_000);
            ours.push(PayloadMeta { ssrc: 1, sequence, timestamp, marker: *marker }, payload)
                .unwrap();
            sequence = sequence.wrapping_add(1);
            while let Some(unit) = ours.poll_access_unit() {
                octets += unit.annex_b().len();
                ours.recycle(unit);
            }
        }
    }
    println!("reassemble: {:.1} GB/s, {octets}", rate(began.elapsed().as_secs_f64()));
    let began = Instant::now();
    let found: usize =
        (0..rounds).map(|_| memchr::memmem::find_iter(&stream, &[0, 0, 1]).count()).sum();
    println!("search: {:.1} GB/s, {found}", gigabytes(began.elapsed().as_secs_f64(), rounds));
    let began = Instant::now();
    let mut copy = Vec::with_capacity(stream.len());
    for _ in 0..rounds {
        copy.clear();
        copy.extend_from_slice(&stream);
        std::hint::black_box(&copy);
    }
    println!("copy: {:.1} GB/s", gigabytes(began.elapsed().as_secs_f64(), rounds));
    let began = Instant::now();
    let nals: usize = (0..rounds).map(|_| nal_units(&stream).count()).sum();
    println!("split: {:.1} GB/s, {nals} units", gigabytes(began.elapsed().as_secs_f64(), rounds));
    let began = Instant::now();
    let mut octets = 0;
    for _ in 0..rounds {
        copy.clear();
        extract_into(&stream, &ExtractOptions::default(), &mut copy);
        octets += copy.len();
    }
    println!("extract: {:.1} GB/s, {octets}", gigabytes(began.elapsed().as_secs_f64(), rounds));
    let options = ExtractOptions { max_temporal: 7, ..ExtractOptions::avc_base() };
    let began = Instant::now();
    for _ in 0..rounds {
        copy.clear();
        extract_into(&stream, &options, &mut copy);
        octets += copy.len();
    }
    println!("avc: {:.1} GB/s, {octets}", gigabytes(began.elapsed().as_secs_f64(), rounds));
    assert!(nals > 100);
}
