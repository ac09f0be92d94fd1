use std::hint::black_box;

use bytes::Bytes;
use linkspan_svc::{
    AccessUnit, AccessUnitReader, AvcToUc, AvcToUcConfig, DepacketizerConfig, ExtractForm,
    ExtractOptions, LayerTarget, PacketizationMode, Packetizer, PacketizerConfig, PayloadFormat,
    PayloadMeta, UcToAvc,
};

use crate::harness::{Case, thread_cpu_ns};

const LAYERED: &[u8] = include_bytes!("../../examples/media/lync-t3-640x360.264");
const MAX_PAYLOAD: usize = 1200;

pub(crate) fn run() {
    let stream: &'static [u8] = stream(4 << 20).leak();
    split(stream);
    reassemble("fua-reassemble", stream);
    // The same where memory is no bound.
    reassemble("fua-reassemble-cached", &stream[..256 << 10]);
    extract();
    gateway();
}

fn split(stream: &'static [u8]) {
    let finder = memchr::memmem::Finder::new(&[0, 0, 1]);
    Case::new("svc", "annexb-split", || {
        black_box(linkspan_svc::nal_units(black_box(stream)).map(<[u8]>::len).sum::<usize>());
    })
    .peer("floor:memmem", move || {
        black_box(finder.find_iter(black_box(stream)).count());
    })
    .peer("h264-reader", || {
        let counter = NalCounter::default();
        let mut reader = h264_reader::annexb::AnnexBReader::for_fragment_handler(counter);
        reader.push(black_box(stream));
        reader.reset();
        black_box(reader.fragment_handler_ref().octets);
    })
    .run();
}

#[derive(Default)]
struct NalCounter {
    octets: usize,
}

impl h264_reader::push::NalFragmentHandler for NalCounter {
    fn nal_fragment(&mut self, parts: &[&[u8]], _end: bool) {
        self.octets += parts.iter().map(|part| part.len()).sum::<usize>();
    }
}

fn reassemble(name: &str, stream: &'static [u8]) {
    use rtc_rtp::codec::h264::H264Packet;
    use rtc_rtp::packetizer::Depacketizer;
    let packets: &'static [Packet] = packets(stream).leak();
    let total = packets.iter().map(|packet| packet.payload.len()).sum();
    let mut copy = Vec::with_capacity(total);
    let mut ours = linkspan_svc::Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    let (mut sequence, mut base) = (0_u16, 0_u32);
    Case::new("svc", name, move || {
        let mut octets = 0;
        for packet in black_box(packets) {
            let timestamp = base.wrapping_add(packet.timestamp);
            let meta = PayloadMeta { ssrc: 7, sequence, timestamp, marker: packet.marker };
            sequence = sequence.wrapping_add(1);
            ours.push(meta, &packet.payload).unwrap();
            while let Some(unit) = ours.poll_access_unit() {
                octets += unit.annex_b().len();
                ours.recycle(unit);
            }
        }
        base = base.wrapping_add(packets.len() as u32 * 3_000);
        // Start codes come in, fragment headers go.
        assert!(octets > total / 10 * 9, "{octets} of {total} octets");
    })
    .peer("floor:memcpy", move || {
        copy.clear();
        for packet in black_box(packets) {
            copy.extend_from_slice(&packet.payload);
        }
        black_box(&copy);
    })
    .peer("rtc-rtp", move || {
        let mut depacketizer = H264Packet::default();
        let mut octets = 0;
        for packet in black_box(packets) {
            octets += depacketizer.depacketize(&packet.payload).map_or(0, |b| b.len());
        }
        black_box(octets);
    })
    .run();
}

struct Packet {
    timestamp: u32,
    marker: bool,
    payload: Bytes,
}

/// The stream as RTP packets, made by the peer, access unit by access unit.
fn packets(stream: &'static [u8]) -> Vec<Packet> {
    use rtc_rtp::codec::h264::H264Payloader;
    use rtc_rtp::packetizer::Payloader;
    let mut payloader = H264Payloader::default();
    let delimiters: Vec<usize> =
        memchr::memmem::find_iter(stream, &[0, 0, 0, 1, 9]).chain([stream.len()]).collect();
    let mut packets = Vec::new();
    for (timestamp, unit) in (0..).step_by(3_000).zip(delimiters.windows(2)) {
        let payloads =
            payloader.payload(MAX_PAYLOAD, &Bytes::from_static(&stream[unit[0]..unit[1]]));
        let payloads = payloads.unwrap();
        let last = payloads.len() - 1;
        packets.extend(payloads.into_iter().enumerate().map(|(n, payload)| Packet {
            timestamp,
            marker: n == last,
            payload,
        }));
    }
    packets
}

/// A real stream of three temporal layers as its base layer alone: no peer does it, so the bound
/// is one copy of the input.
fn extract() {
    for (name, form) in [("extract", ExtractForm::Normative), ("extract-avc", ExtractForm::Avc)] {
        let stream: &'static [u8] = LAYERED.repeat(20).leak();
        let mut copy = Vec::with_capacity(stream.len());
        let mut out = Vec::with_capacity(stream.len() * 2);
        Case::new("svc", name, move || {
            let options = ExtractOptions {
                max_dependency: 0,
                max_quality: 0,
                max_temporal: 0,
                form,
                ..ExtractOptions::default()
            };
            out.clear();
            linkspan_svc::extract_into(black_box(stream), &options, &mut out);
            black_box(&out);
        })
        .peer("floor:memcpy", move || {
            copy.clear();
            copy.extend_from_slice(black_box(stream));
            black_box(&copy);
        })
        .peer("5 GB/s", move || spin(stream.len() as u64 / 5))
        .run();
    }
}

/// What a gateway does with a second of Lync's video, 30 pictures in some 170 packets: payloads in,
/// AVC, payloads out. It may take 0.2 % of a core.
fn gateway() {
    let mut reader = AccessUnitReader::new(LAYERED);
    let mut to_uc = AvcToUc::new(AvcToUcConfig::default());
    let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(MAX_PAYLOAD));
    let mut packets: Vec<(u32, bool, Vec<u8>)> = Vec::new();
    for unit in reader.by_ref().take(30) {
        let Some(uc) = to_uc.process(&unit) else { continue };
        // Slices of a 720p stream are some five packets long.
        let mut large = AccessUnit::new(unit.timestamp());
        for nal in uc {
            let mut octets = nal.bytes.to_vec();
            if nal.kind.is_vcl() {
                octets.resize(octets.len() + 2_500, 0x55);
            }
            large.push_in(&octets, nal.layer, 0);
        }
        let payloads = packetizer.packetize(&large);
        packets.extend(payloads.iter().map(|p| (unit.timestamp(), p.marker, p.to_vec())));
    }
    let mut depacketizer =
        linkspan_svc::Depacketizer::new(DepacketizerConfig::new(PayloadFormat::UcSvc));
    let mut rewriter = UcToAvc::new(LayerTarget::default());
    let mode = PacketizationMode::NonInterleaved;
    let mut packetizer = Packetizer::new(PacketizerConfig::avc(mode, MAX_PAYLOAD));
    let (mut sequence, mut base, mut out) = (0_u16, 0_u32, vec![0; MAX_PAYLOAD]);
    Case::new("svc", "gateway-1s-of-30fps", move || {
        for (timestamp, marker, payload) in &packets {
            let timestamp = base.wrapping_add(*timestamp);
            let meta = PayloadMeta { ssrc: 7, sequence, timestamp, marker: *marker };
            sequence = sequence.wrapping_add(1);
            depacketizer.push(meta, payload).unwrap();
            while let Some(unit) = depacketizer.poll_access_unit() {
                if let Some(avc) = rewriter.process(&unit) {
                    for payload in packetizer.packetize(avc).iter() {
                        black_box(payload.write_to(&mut out));
                    }
                }
                depacketizer.recycle(unit);
            }
        }
        base = base.wrapping_add(90_000);
    })
    .peer("0.2 % of a core", || spin(2_000_000))
    .run();
}

/// Uses the processor for so long.
fn spin(ns: u64) {
    let begun = thread_cpu_ns();
    while thread_cpu_ns() - begun < ns {}
}

/// A stream with the shape of SVC: a delimiter, on an IDR the parameter sets, then a prefix NAL
/// unit, a base slice and two slices of higher layers; payloads are pseudo-random, with emulation
/// prevention.
fn stream(total: usize) -> Vec<u8> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut out = Vec::with_capacity(total + 65_536);
    let mut pictures = 0;
    while out.len() < total {
        let idr = pictures % 60 == 0;
        let scale = if idr { 6 } else { 1 };
        nal(&mut out, &mut random, &[0x09], 1);
        if idr {
            nal(&mut out, &mut random, &[0x67], 20);
            nal(&mut out, &mut random, &[0x6f], 30);
            nal(&mut out, &mut random, &[0x68], 5);
        }
        nal(&mut out, &mut random, &[0x6e, 0x80, 0x00, 0x07], 1);
        nal(&mut out, &mut random, &[if idr { 0x65 } else { 0x61 }], 2_500 * scale);
        nal(&mut out, &mut random, &[0x74, 0x80, 0x10, 0x07], 4_000 * scale);
        nal(&mut out, &mut random, &[0x74, 0x80, 0x20, 0x27], 6_000 * scale);
        pictures += 1;
    }
    out
}

fn nal(out: &mut Vec<u8>, random: &mut u64, head: &[u8], len: usize) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(head);
    let mut zeros = 0;
    for _ in 0..len {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        // Runs of zeros are common in real streams: one octet in 16 is one.
        let octet = if *random & 15 == 0 { 0 } else { (*random >> 8) as u8 };
        if zeros >= 2 && octet <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(octet);
        zeros = if octet == 0 { zeros + 1 } else { 0 };
    }
    out.push(0x80);
}
