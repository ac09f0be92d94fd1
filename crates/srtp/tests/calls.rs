//! Every SRTP stream of the captured calls: all tags verify, all packets are counted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code outside #[test]"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use linkspan_rtp::{App, Compound, RtcpPacket, RtpPacket};
use linkspan_srtp::{CryptoLine, KeyParams, Receiver, Suite, UnprotectError};
use serde_json::Value;

/// Source, destination and payload of a UDP datagram.
type Datagram = (String, String, Vec<u8>);

/// The UDP datagrams of a little-endian microsecond pcap of Ethernet frames.
fn datagrams(file: &Path) -> Vec<Datagram> {
    let file = std::fs::read(file).unwrap();
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    let mut found = Vec::new();
    let mut at = 24;
    while at + 16 <= file.len() {
        let len = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        let frame = &file[at + 16..at + 16 + len];
        at += 16 + len;
        if frame[12..14] != [0x08, 0x00] || frame[23] != 17 {
            continue;
        }
        let udp = &frame[14 + 4 * usize::from(frame[14] & 15)..];
        let address = |ip: &[u8], port: &[u8]| {
            let port = u16::from_be_bytes(port.try_into().unwrap());
            format!("{}.{}.{}.{}:{port}", ip[0], ip[1], ip[2], ip[3])
        };
        let len = usize::from(u16::from_be_bytes(udp[4..6].try_into().unwrap()));
        let (source, destination) =
            (address(&frame[26..30], &udp[..2]), address(&frame[30..34], &udp[2..4]));
        let mut payload = udp[8..len].to_vec();
        // ChannelData (RFC 8656 §12.4).
        if payload.first().is_some_and(|first| first >> 4 == 4) {
            let len = usize::from(u16::from_be_bytes(payload[2..4].try_into().unwrap()));
            // An INVITE begins like that as well.
            payload = payload.get(4..4 + len).unwrap_or(&payload).to_vec();
        }
        found.push((source, destination, payload));
    }
    found
}

fn keys(folder: &Path) -> Vec<CryptoLine> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder.join("sdp")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let values = text.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
        lines.extend(values.filter_map(|value| CryptoLine::parse(value).ok()));
    }
    lines
}

/// Packets that verified, packets that did not, and payload octets of one stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Count {
    packets: u64,
    failed: u64,
    octets: usize,
}

/// Decrypts a call, and says what was not as expected.
fn check(folder: &Path, failed: &mut Vec<String>) -> usize {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let expected: Value =
        serde_json::from_slice(&std::fs::read(folder.join("expect.json")).unwrap()).unwrap();
    let keys = keys(folder);
    let mut receivers: HashMap<(String, String, u32), Vec<Receiver>> = HashMap::new();
    let mut counts: BTreeMap<(String, String, String), Count> = BTreeMap::new();
    for (source, destination, packet) in datagrams(&folder.join("capture.pcap")) {
        if packet.len() < 12 || packet[0] >> 6 != 2 {
            continue;
        }
        let rtcp = (192..=223).contains(&packet[1]);
        let ssrc_at = if rtcp { 4 } else { 8 };
        let ssrc = u32::from_be_bytes(packet[ssrc_at..ssrc_at + 4].try_into().unwrap());
        let stream =
            receivers.entry((source.clone(), destination.clone(), ssrc)).or_insert_with(|| {
                keys.iter().map(|k| Receiver::new(k.suite, &k.keys).unwrap()).collect()
            });
        let results: Vec<_> = stream
            .iter_mut()
            .map(|receiver| -> Result<Vec<u8>, UnprotectError> {
                let mut packet = packet.clone();
                let len = if rtcp {
                    receiver.unprotect_rtcp(&mut packet)?
                } else {
                    receiver.unprotect_rtp(&mut packet)?
                };
                packet.truncate(len);
                Ok(packet)
            })
            .collect();
        // The keys of both ends may be the same: any that fits will do.
        let opened = results.iter().find_map(|result| result.as_ref().ok());
        if rtcp {
            // baresip sends an APP before its keys are set up, and BYE, in clear.
            let in_clear = |packet| {
                matches!(packet, Ok(RtcpPacket::App(App { name, .. })) if name == *b"PING")
                    || matches!(packet, Ok(RtcpPacket::Bye(_)))
            };
            match opened {
                Some(opened) => {
                    let compound = Compound::parse(opened).unwrap();
                    assert!(compound.packets().all(|packet| packet.is_ok()), "{name}");
                }
                None if Compound::parse(&packet).unwrap().packets().any(in_clear) => {}
                None => failed.push(format!("{name}: RTCP from {source}: {results:?}")),
            }
            continue;
        }
        let count = counts.entry((source, destination, format!("0x{ssrc:08x}"))).or_default();
        count.packets += 1;
        match opened {
            Some(opened) => count.octets += RtpPacket::parse(opened).unwrap().as_bytes().len(),
            None => count.failed += 1,
        }
    }
    let streams = expected["rtp_streams"].as_array().unwrap();
    for stream in streams {
        let text = |field: &str| stream[field].as_str().unwrap().to_owned();
        let key = (text("src"), text("dst"), text("ssrc"));
        let count = counts.remove(&key).unwrap_or_default();
        if Some(count.packets) != stream["packets"].as_u64() || count.failed != 0 {
            failed.push(format!("{name}: {key:?}: {count:?}"));
        }
    }
    failed.extend(counts.keys().map(|key| format!("{name}: {key:?} was not expected")));
    streams.len()
}

#[test]
fn every_stream_of_the_captured_calls_verifies() {
    let mut failed = Vec::new();
    let mut streams = 0;
    for (vectors, calls) in [
        (
            "calls",
            &[
                "02-baresip-srtp-ice",
                "03-baresip-kamailio-tcp-srtp",
                "04-baresip-turn-relay-srtp",
                "06-baresip-linphone-srtp",
            ][..],
        ),
        ("sipe", &["02-av-call-required", "03-audio-call-hold", "04-audio-call-media-relay"][..]),
    ] {
        let Some(root) = linkspan_testnet::vectors(vectors) else { return };
        streams += calls.iter().map(|call| check(&root.join(call), &mut failed)).sum::<usize>();
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(streams, 15 + 8);
}

#[test]
fn a_wrong_key_fits_nothing() {
    let Some(root) = linkspan_testnet::vectors("calls") else { return };
    let suite = Suite::AesCm128HmacSha1_80;
    let mut receiver = Receiver::new(suite, &[KeyParams::from_seed(suite, [1; 32])]).unwrap();
    for (_, _, mut packet) in datagrams(&root.join("06-baresip-linphone-srtp/capture.pcap")) {
        assert!(receiver.unprotect_rtp(&mut packet.clone()).is_err());
        assert!(receiver.unprotect_rtcp(&mut packet).is_err());
    }
    assert_eq!(receiver.sources().count(), 0);
}
