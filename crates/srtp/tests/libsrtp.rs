//! The real libsrtp, driven through GStreamer: it opens what we protect and we open what it
//! protects, RTP and RTCP, to the octet, in each suite that its elements have.
//!
//! Ignored unless asked for: it needs `gst-launch-1.0` with the plugins "good" and "bad".
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::path::{Path, PathBuf};
use std::process::Command;

use linkspan_srtp::{KeyParams, Receiver, Sender, Suite};

/// Suites with the names that GStreamer has for cipher and authentication.
const SUITES: [(Suite, &str, &str); 6] = [
    (Suite::AesCm128HmacSha1_80, "aes-128-icm", "hmac-sha1-80"),
    (Suite::AesCm128HmacSha1_32, "aes-128-icm", "hmac-sha1-32"),
    (Suite::AesCm256HmacSha1_80, "aes-256-icm", "hmac-sha1-80"),
    (Suite::AesCm256HmacSha1_32, "aes-256-icm", "hmac-sha1-32"),
    (Suite::AeadAes128Gcm, "aes-128-gcm", "null"),
    (Suite::AeadAes256Gcm, "aes-256-gcm", "null"),
];

const SSRC: u32 = 0xcafe_babe;

/// Packets over a rollover, of all sizes, one in five with a header extension and a CSRC.
fn rtp() -> Vec<Vec<u8>> {
    (65_400..65_800u32)
        .map(|index| {
            let [_, _, q0, q1] = index.to_be_bytes();
            let mut packet = vec![0x80, 96, q0, q1, 0, 0, q0, q1];
            packet.extend_from_slice(&SSRC.to_be_bytes());
            if index.is_multiple_of(5) {
                packet[0] = 0x91;
                packet.extend_from_slice(&[0, 0, 0, 7, 0xbe, 0xde, 0, 1, 0x10, q1, 0, 0]);
            }
            packet.extend((0..index * 7 % 1200).map(|n| n.to_le_bytes()[0] ^ q1));
            packet
        })
        .collect()
}

/// Receiver reports of different lengths, as a source of its own.
fn rtcp() -> Vec<Vec<u8>> {
    (0..20u8)
        .map(|blocks| {
            let mut packet = vec![0x80 | blocks, 201, 0, 1 + 6 * blocks];
            packet.extend_from_slice(&SSRC.to_be_bytes());
            packet.extend((0..24 * u32::from(blocks)).map(|n| n.to_le_bytes()[0]));
            packet
        })
        .collect()
}

/// RFC 4571: each packet behind its length.
fn framed(packets: &[Vec<u8>]) -> Vec<u8> {
    let frame = |packet: &Vec<u8>| {
        [&u16::try_from(packet.len()).unwrap().to_be_bytes()[..], packet].concat()
    };
    packets.iter().flat_map(frame).collect()
}

fn unframed(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let (packet, later) = behind.split_at(usize::from(u16::from_be_bytes(*len)));
        packets.push(packet.to_vec());
        rest = later;
    }
    packets
}

/// Runs a pipeline between two files.
fn gstreamer(folder: &Path, packets: &[Vec<u8>], middle: &str) -> Vec<Vec<u8>> {
    let (input, output) = (folder.join("in"), folder.join("out"));
    std::fs::write(&input, framed(packets)).unwrap();
    let pipeline = format!(
        "filesrc location={} ! {middle} ! rtpstreampay ! filesink location={}",
        input.display(),
        output.display()
    );
    let run = Command::new("gst-launch-1.0").arg("-q").args(pipeline.split(' ')).output().unwrap();
    assert!(run.status.success(), "{pipeline}: {}", String::from_utf8_lossy(&run.stderr));
    unframed(&std::fs::read(&output).unwrap())
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("libsrtp");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn ours(suite: Suite, keys: &[KeyParams], plain: &[Vec<u8>], is_rtcp: bool) -> Vec<Vec<u8>> {
    let mut sender = Sender::new(suite, keys).unwrap();
    let protect = |packet: &Vec<u8>| {
        let mut buffer = packet.clone();
        buffer.resize(packet.len() + sender.overhead(), 0);
        let len = if is_rtcp {
            sender.protect_rtcp(&mut buffer, packet.len())
        } else {
            sender.protect_rtp(&mut buffer, packet.len())
        };
        buffer.truncate(len.unwrap());
        buffer
    };
    plain.iter().map(protect).collect()
}

fn opened(suite: Suite, keys: &[KeyParams], sealed: &[Vec<u8>], is_rtcp: bool) -> Vec<Vec<u8>> {
    let mut receiver = Receiver::new(suite, keys).unwrap();
    let open = |packet: &Vec<u8>| {
        let mut packet = packet.clone();
        let len = if is_rtcp {
            receiver.unprotect_rtcp(&mut packet)
        } else {
            receiver.unprotect_rtp(&mut packet)
        };
        packet.truncate(len.unwrap());
        packet
    };
    sealed.iter().map(open).collect()
}

#[test]
#[ignore = "needs GStreamer; .ci/interop runs it"]
fn libsrtp_and_we_open_each_others_packets() {
    let folder = folder();
    for (suite, cipher, auth) in SUITES {
        let keys = [KeyParams::from_seed(suite, [8; 32])];
        let hex: String = keys[0].master.as_bytes().iter().map(|o| format!("{o:02x}")).collect();
        // The tag of RTCP is never short (RFC 3711 §5.2).
        let rtcp_auth = if suite.is_aead() { "null" } else { "hmac-sha1-80" };
        for is_rtcp in [false, true] {
            let plain = if is_rtcp { rtcp() } else { rtp() };
            let what = if is_rtcp { "rtcp" } else { "rtp" };
            let encrypt = format!(
                "application/x-{what}-stream ! rtpstreamdepay ! e.{what}_sink_0 srtpenc name=e \
                 key={hex} rtp-cipher={cipher} rtcp-cipher={cipher} rtp-auth={auth} \
                 rtcp-auth={rtcp_auth} e.{what}_src_0"
            );
            let theirs = gstreamer(&folder, &plain, &encrypt);
            assert_eq!(theirs.len(), plain.len(), "{suite} {what}");
            assert_eq!(opened(suite, &keys, &theirs, is_rtcp), plain, "{suite} {what}");

            let ours = ours(suite, &keys, &plain, is_rtcp);
            assert!(ours == theirs, "{suite} {what}: protected otherwise");
            let decrypt = format!(
                "application/x-s{what}-stream,ssrc=(uint){SSRC},srtp-key=(buffer){hex},\
                 srtp-cipher=(string){cipher},srtcp-cipher=(string){cipher},\
                 srtp-auth=(string){auth},srtcp-auth=(string){rtcp_auth},roc=(uint)0 ! \
                 rtpstreamdepay ! d.{what}_sink srtpdec name=d d.{what}_src"
            );
            assert_eq!(gstreamer(&folder, &ours, &decrypt), plain, "{suite} {what}");
            println!("  ok: {suite} {what}: {} packets both ways", plain.len());
        }
    }
}
