//! Proves on captured calls between programs that we did not write, decrypted where they are
//! encrypted, that the H.264 in them is put together to the listed octets.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../srtp-decrypt/capture.rs"]
#[allow(dead_code, reason = "the program that it belongs to uses all of it")]
mod capture;

use linkspan_rtp::RtpPacket;
use linkspan_srtp::{CryptoLine, Receiver};
use linkspan_svc::{Depacketizer, DepacketizerConfig, PayloadFormat, PayloadMeta};
use md5::{Digest, Md5};
use serde_json::Value;

#[test]
fn every_captured_call_depacketizes_to_the_listed_md5() {
    let Some(dir) = linkspan_testnet::vectors("calls") else { return };
    let (mut checked, mut failed) = (0, Vec::new());
    for entry in std::fs::read_dir(dir).unwrap() {
        let call = entry.unwrap().path();
        let Ok(json) = std::fs::read_to_string(call.join("expect.json")) else { continue };
        let json: Value = serde_json::from_str(&json).unwrap();
        let file = std::fs::read(call.join("capture.pcap")).unwrap();
        let datagrams = capture::read(&file).unwrap();
        for stream in json["rtp_streams"].as_array().unwrap() {
            let Some(wanted) = stream["h264_md5"].as_str() else { continue };
            let got = depacketize(stream, &datagrams);
            let frames = stream["frames_by_timestamp"].as_u64().unwrap();
            if got != (wanted.to_owned(), frames) {
                failed.push(format!("{} {}: {got:?}", call.display(), stream["src"]));
            }
            checked += 1;
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(checked, 8);
}

/// md5 of a stream's NAL units, and how many pictures they are.
fn depacketize(stream: &Value, datagrams: &[capture::Datagram]) -> (String, u64) {
    let text = |key: &str| stream[key].as_str().unwrap_or_default();
    let ssrc = u32::from_str_radix(text("ssrc").trim_start_matches("0x"), 16).unwrap();
    let mut receiver = text("srtp").split_once(' ').map(|(suite, key)| {
        let line = CryptoLine::parse(&format!("1 {suite} inline:{key}")).unwrap();
        Receiver::new(line.suite, &line.keys).unwrap()
    });
    let mut depacketizer = Depacketizer::new(DepacketizerConfig::new(PayloadFormat::Avc));
    let (mut md5, mut pictures) = (Md5::new(), 0);
    let mut take = |depacketizer: &mut Depacketizer| {
        while let Some(unit) = depacketizer.poll_access_unit() {
            assert!(!unit.is_damaged() && unit.lost_before() == 0);
            md5.update(unit.annex_b());
            pictures += 1;
            depacketizer.recycle(unit);
        }
    };
    for datagram in datagrams {
        let ends = [datagram.source.to_string(), datagram.destination.to_string()];
        let mut packet = datagram.payload.clone();
        let is_rtp =
            matches!(packet[..], [first, second, ..] if first >> 6 == 2 && second & 0x7f == 96);
        if ends != [text("src"), text("dst")] || !is_rtp {
            continue;
        }
        if let Some(receiver) = &mut receiver {
            let len = receiver.unprotect_rtp(&mut packet).unwrap();
            packet.truncate(len);
        }
        let rtp = RtpPacket::parse(&packet).unwrap();
        if rtp.ssrc().0 != ssrc {
            continue;
        }
        let meta = PayloadMeta {
            ssrc,
            sequence: rtp.sequence().0,
            timestamp: rtp.timestamp(),
            marker: rtp.marker(),
        };
        depacketizer.push(meta, rtp.payload()).unwrap();
        take(&mut depacketizer);
    }
    depacketizer.flush();
    take(&mut depacketizer);
    (md5.finalize().iter().map(|b| format!("{b:02x}")).collect(), pictures)
}
