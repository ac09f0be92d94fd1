use std::hint::black_box;

use bytes::Bytes;

use crate::harness::Case;

const MAX_PAYLOAD: usize = 1200;

pub(crate) fn run() {
    let stream: &'static [u8] = stream(4 << 20).leak();
    split(stream);
    reassemble(stream);
    extract(stream);
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
    use rtc_rtp::codec::h264::{H264Packet, H264Payloader};
    use rtc_rtp::packetizer::{Depacketizer, Payloader};
    let payloads = H264Payloader::default().payload(MAX_PAYLOAD, &Bytes::from_static(stream));
    let payloads: &'static [Bytes] = payloads.unwrap().leak();
    let total = payloads.iter().map(Bytes::len).sum();
    let mut copy = Vec::with_capacity(total);
    Case::new("svc", "fua-reassemble", ours::reassembler(payloads))
        .peer("floor:memcpy", move || {
            copy.clear();
            for payload in black_box(payloads) {
                copy.extend_from_slice(payload);
            }
            black_box(&copy);
        })
        .peer("rtc-rtp", move || {
            let mut depacketizer = H264Packet::default();
            let mut octets = 0;
            for payload in black_box(payloads) {
                octets += depacketizer.depacketize(payload).map_or(0, |b| b.len());
            }
            black_box(octets);
        })
        .run();
}

/// The base layer out of three: no peer extracts, so the floor is one copy of the input.
fn extract(stream: &'static [u8]) {
    let mut copy = Vec::with_capacity(stream.len());
    Case::new("svc", "extract", ours::extractor(stream))
        .peer("floor:memcpy", move || {
            copy.clear();
            copy.extend_from_slice(black_box(stream));
            black_box(&copy);
        })
        .run();
}

mod ours {
    use bytes::Bytes;

    pub(super) fn reassembler(_payloads: &'static [Bytes]) -> impl FnMut() + 'static {
        || {}
    }

    pub(super) fn extractor(_stream: &'static [u8]) -> impl FnMut() + 'static {
        || {}
    }
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
