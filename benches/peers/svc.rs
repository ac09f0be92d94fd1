use std::hint::black_box;

use bytes::Bytes;
use linkspan_svc::{DepacketizerConfig, ExtractForm, ExtractOptions, PayloadFormat, PayloadMeta};

use crate::harness::Case;

const LAYERED: &[u8] = include_bytes!("../../examples/media/lync-t3-640x360.264");
const MAX_PAYLOAD: usize = 1200;

pub(crate) fn run() {
    let stream: &'static [u8] = stream(4 << 20).leak();
    split(stream);
    reassemble(stream);
    extract();
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

fn reassemble(stream: &'static [u8]) {
    use rtc_rtp::codec::h264::H264Packet;
    use rtc_rtp::packetizer::Depacketizer;
    let packets: &'static [Packet] = packets(stream).leak();
    let total = packets.iter().map(|packet| packet.payload.len()).sum();
    let mut copy = Vec::with_capacity(total);
    let mut ours = linkspan_svc::Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    Case::new("svc", "fua-reassemble", move || {
        let mut octets = 0;
        for packet in black_box(packets) {
            ours.push(packet.meta, &packet.payload).unwrap();
            while let Some(unit) = ours.poll_access_unit() {
                octets += unit.annex_b().len();
                ours.recycle(unit);
            }
        }
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
    meta: PayloadMeta,
    payload: Bytes,
}

/// The stream as RTP packets, made by the peer: 65,536 of them a round, so that sequence numbers
/// go on from one run of the case to the next.
fn packets(stream: &'static [u8]) -> Vec<Packet> {
    use rtc_rtp::codec::h264::H264Payloader;
    use rtc_rtp::packetizer::Payloader;
    let mut payloader = H264Payloader::default();
    let delimiters: Vec<usize> =
        memchr::memmem::find_iter(stream, &[0, 0, 0, 1, 9]).chain([stream.len()]).collect();
    let mut packets = Vec::new();
    let mut timestamp = 0_u32;
    'all: loop {
        for unit in delimiters.windows(2) {
            let payloads =
                payloader.payload(MAX_PAYLOAD, &Bytes::from_static(&stream[unit[0]..unit[1]]));
            let payloads = payloads.unwrap();
            timestamp = timestamp.wrapping_add(3_000);
            let last = payloads.len() - 1;
            for (n, payload) in payloads.into_iter().enumerate() {
                let sequence = packets.len() as u16;
                let meta = PayloadMeta { ssrc: 7, sequence, timestamp, marker: n == last };
                packets.push(Packet { meta, payload });
                if packets.len() == 65_536 {
                    break 'all;
                }
            }
        }
    }
    packets
}

/// A real stream of three temporal layers as its base layer alone: no peer does it, so the bound
/// is one copy of the input.
fn extract() {
    let stream: &'static [u8] = LAYERED.repeat(20).leak();
    let mut copy = Vec::with_capacity(stream.len());
    Case::new("svc", "extract", || {
        let options =
            ExtractOptions { max_temporal: 0, form: ExtractForm::Avc, ..ExtractOptions::default() };
        black_box(linkspan_svc::extract(black_box(stream), &options));
    })
    .peer("floor:memcpy", move || {
        copy.clear();
        copy.extend_from_slice(black_box(stream));
        black_box(&copy);
    })
    .run();
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
