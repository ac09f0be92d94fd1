use std::hint::black_box;
use std::io::Cursor;

use crate::harness::Case;

/// A Lync 2013 client's audio and video offer, 56 lines.
const OFFER: &str = include_str!("../inputs/lync_av_offer.sdp");

pub(crate) fn run() {
    parse();
    print();
}

fn parse() {
    Case::new("sdp", "lync-offer-parse", || {
        black_box(linkspan_sdp::Description::parse(black_box(OFFER.as_bytes())).unwrap());
    })
    .peer("floor:memchr", || {
        let lines = memchr::memchr_iter(b'\n', black_box(OFFER.as_bytes()));
        black_box(lines.filter(|&at| OFFER.as_bytes().get(at + 2) == Some(&b'=')).count());
    })
    .peer("sdp-types", || drop(black_box(sdp_types(black_box(OFFER)))))
    .peer("ezk-sdp-types", || drop(black_box(ezk(black_box(OFFER)))))
    .peer("rtc-sdp", || drop(black_box(rtc(black_box(OFFER)))))
    .run();
}

fn print() {
    let ours = linkspan_sdp::SessionDescription::parse(OFFER.as_bytes()).unwrap();
    let (types, ezk, rtc) = (sdp_types(OFFER), ezk(OFFER), rtc(OFFER));
    let (mut out, mut copy, mut types_out) =
        (Vec::with_capacity(4096), Vec::with_capacity(4096), Vec::with_capacity(4096));
    Case::new("sdp", "lync-offer-print", move || {
        out.clear();
        ours.write(&mut out);
        black_box(&out);
    })
    .peer("floor:memcpy", move || {
        copy.clear();
        copy.extend_from_slice(black_box(OFFER.as_bytes()));
        black_box(&copy);
    })
    .peer("sdp-types", move || {
        types_out.clear();
        types.write(&mut types_out).unwrap();
        black_box(&types_out);
    })
    .peer("ezk-sdp-types", move || {
        black_box(ezk.to_string());
    })
    .peer("rtc-sdp", move || {
        black_box(rtc.marshal());
    })
    .run();
}

fn sdp_types(text: &str) -> sdp_types::Session {
    sdp_types::Session::parse(text.as_bytes()).unwrap()
}

fn ezk(text: &str) -> ezk_sdp_types::SessionDescription {
    let source = bytesstr::BytesStr::from(text.to_owned());
    ezk_sdp_types::SessionDescription::parse(&source).unwrap()
}

fn rtc(text: &str) -> rtc_sdp::SessionDescription {
    rtc_sdp::SessionDescription::unmarshal(&mut Cursor::new(text)).unwrap()
}
