//! Proves that packets cost no allocation once the buffers have grown, and prints what they cost.
#![allow(
    unsafe_code,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a counting allocator is unsafe by its interface; tests fail by panicking"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Instant;

use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, Depacketizer, DepacketizerConfig,
    ExtractOptions, LayerTarget, Layering, PacketizationMode, Packetizer, PacketizerConfig,
    PayloadFormat, PayloadMeta, UcToAvc, extract_into, nal_units,
};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn stream() -> Vec<u8> {
    let dir = linkspan_testnet::vectors("svc");
    let name = "a5-avc-t3-1280x720.264";
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media/lync-t3-640x360.264");
    let path = dir.map_or_else(|| demo.into(), |d| d.join(name));
    std::fs::read(path).unwrap()
}

#[test]
fn packets_allocate_nothing_in_the_steady_state() {
    let stream = stream();
    let units: Vec<AccessUnit> = AccessUnitReader::new(&stream).collect();
    for layering in [Layering::Single, Layering::Temporal { layers: 3 }] {
        let mut to_uc = AvcToUc::new(AvcToUcConfig { layering, ..Default::default() });
        let mut uc = Packetizer::new(PacketizerConfig::uc_svc(1_200));
        let mut lync = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
        let mut to_avc = UcToAvc::new(LayerTarget::default());
        let mode = PacketizationMode::NonInterleaved;
        let mut avc = Packetizer::new(PacketizerConfig::avc(mode, 1_200));
        let (mut buffer, mut out) = (vec![0u8; 2_000], vec![0u8; 2_000]);
        let mut sequences = [0u16; 64];
        let (mut sent, mut received) = (0u64, 0u64);
        let mut counted = 0;
        let mut began = Instant::now();
        for round in 0u32..6 {
            if round == 2 {
                // Everything has been as large as it gets.
                (counted, sent, received) = (COUNT.with(Cell::get), 0, 0);
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
                        if let Some(plain) = to_avc.process(&unit) {
                            for payload in avc.packetize(plain).iter() {
                                received += payload.write_to(&mut out).unwrap() as u64;
                            }
                        }
                        lync.recycle(unit);
                    }
                }
            }
        }
        let allocations = COUNT.with(Cell::get) - counted;
        let took = began.elapsed();
        println!(
            "{layering:?}: {sent} packets, {received} octets, {allocations} allocations, {:?} each",
            took / u32::try_from(sent).unwrap()
        );
        assert!(received > 500_000);
        assert_eq!(allocations, 0, "{layering:?}");
    }
}

#[test]
fn speed_is_printed() {
    let mut stream = stream();
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
