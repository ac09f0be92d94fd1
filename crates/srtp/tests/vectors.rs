//! Every vector of `tests/data`: RFC 3711, 6188, 7714, 6904 and 9335, libsrtp and our streams,
//! both ways, and the crypto lines. Key derivation and key streams are tested beside their code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use linkspan_srtp::{
    CryptoLine, HeaderExtensions, KeyParams, MasterKey, Mki, Options, Receiver, SdesError, Sender,
    Suite, UnprotectError,
};
use serde_json::Value;

fn load(name: &str) -> Value {
    let path = std::path::Path::new("tests/data").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap().as_bytes();
    let digit = |c: u8| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap();
    text.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn suite(row: &Value) -> Suite {
    let name = row["profile"].as_str().unwrap();
    Suite::from_name(name).unwrap_or(Suite::NullHmacSha1_80)
}

fn key(row: &Value) -> KeyParams {
    let (key, salt) = (hex(&row["master_key"]), hex(&row["master_salt"]));
    KeyParams::new(MasterKey::new(suite(row), &key, &salt).unwrap())
}

/// Protects and unprotects one packet, and says what was not as expected.
fn both_ways(
    name: &str,
    keys: &[KeyParams],
    options: &Options,
    (plain, protected): (&[u8], &[u8]),
    failed: &mut Vec<String>,
) {
    let suite = keys[0].master.suite();
    let mut sender = Sender::with_options(suite, keys, options.clone()).unwrap();
    let mut receiver = Receiver::with_options(suite, keys, options.clone()).unwrap();
    let rtcp = (200..=206).contains(&plain[1]);
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + sender.overhead(), 0xee);
    let len = if rtcp {
        sender.protect_rtcp(&mut buffer, plain.len())
    } else {
        sender.protect_rtp(&mut buffer, plain.len())
    };
    match len {
        Ok(len) if buffer[..len] == *protected => {}
        other => failed.push(format!("{name}: protect: {other:?} {buffer:02x?}")),
    }
    let mut packet = protected.to_vec();
    let len = if rtcp {
        receiver.unprotect_rtcp(&mut packet)
    } else {
        receiver.unprotect_rtp(&mut packet)
    };
    match len {
        Ok(len) if packet[..len] == *plain => {}
        other => failed.push(format!("{name}: unprotect: {other:?} {packet:02x?}")),
    }
    // Any flipped bit is noticed, and changes nothing: the packet itself still is accepted.
    let mut receiver = Receiver::with_options(suite, keys, options.clone()).unwrap();
    let mut unprotect = |packet: &mut [u8]| {
        if rtcp { receiver.unprotect_rtcp(packet) } else { receiver.unprotect_rtp(packet) }
    };
    for bit in 0..8 * protected.len() {
        let mut packet = protected.to_vec();
        packet[bit / 8] ^= 1 << (bit % 8);
        if let Ok(len) = unprotect(&mut packet) {
            failed.push(format!("{name}: accepted with bit {bit} flipped, {len}"));
        }
    }
    if unprotect(&mut protected.to_vec()).is_err() {
        failed.push(format!("{name}: refused after forged packets"));
    }
}

#[test]
fn libsrtp_packets() {
    let file = load("libsrtp_packets.json");
    let mut failed = Vec::new();
    for row in file["vectors"].as_array().unwrap() {
        let name = row["source"].as_str().unwrap();
        let mut key = key(row);
        key.mki = Mki::from_bytes(&hex(&row["mki"]));
        let keys = [key];
        let rtp = (hex(&row["rtp_plain"]), hex(&row["srtp"]));
        both_ways(name, &keys, &Options::default(), (&rtp.0, &rtp.1), &mut failed);
        if row["rtcp_plain"].is_string() {
            let rtcp = (hex(&row["rtcp_plain"]), hex(&row["srtcp"]));
            both_ways(name, &keys, &Options::default(), (&rtcp.0, &rtcp.1), &mut failed);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn rfc6904_header_extensions() {
    let file = load("rfc6904_header_extensions.json");
    let mut failed = Vec::new();
    for row in file["vectors"].as_array().unwrap() {
        let ids = row["encrypted_extension_ids"].as_array().unwrap();
        let ids = ids.iter().map(|id| u8::try_from(id.as_u64().unwrap()).unwrap()).collect();
        let header_extensions = HeaderExtensions::Rfc6904(ids);
        let options = Options { header_extensions, ..Options::default() };
        let rtp = (hex(&row["rtp_plain"]), hex(&row["srtp"]));
        let name = row["profile"].as_str().unwrap();
        both_ways(name, &[key(row)], &options, (&rtp.0, &rtp.1), &mut failed);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn rfc9335_cryptex() {
    let file = load("rfc9335_cryptex.json");
    let mut failed = Vec::new();
    let rows = file["vectors"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    for row in rows {
        let header_extensions = HeaderExtensions::Cryptex;
        let options = Options { header_extensions, ..Options::default() };
        let rtp = (hex(&row["rtp_plain"]), hex(&row["srtp"]));
        let name = row["section"].as_str().unwrap();
        both_ways(name, &[key(row)], &options, (&rtp.0, &rtp.1), &mut failed);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn computed_streams() {
    let file = load("computed_streams.json");
    let mut failed = Vec::new();
    for row in file["vectors"].as_array().unwrap() {
        let keys = [key(row)];
        let mut sender = Sender::new(suite(row), &keys).unwrap();
        let mut receiver = Receiver::new(suite(row), &keys).unwrap();
        for (at, packet) in row["packets"].as_array().unwrap().iter().enumerate() {
            let name = format!("{} packet {at}", suite(row));
            let (plain, protected) = (hex(&packet["plain"]), hex(&packet["protected"]));
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + sender.overhead(), 0);
            let mut received = protected.clone();
            let mut again = protected.clone();
            let (sent, got, replay) = if packet["kind"] == "rtcp" {
                let index = u32::try_from(packet["index"].as_u64().unwrap()).unwrap();
                let ssrc = u32::from_be_bytes(plain[4..8].try_into().unwrap()).into();
                assert!(sender.set_rtcp_index(ssrc, index - 1));
                let sent = sender.protect_rtcp(&mut buffer, plain.len());
                let got = receiver.unprotect_rtcp(&mut received);
                (sent, got, receiver.unprotect_rtcp(&mut again))
            } else {
                // A gap of more than 2^15 packets: the sender has to say so, the receiver finds
                // out.
                if at == 7 {
                    let ssrc = u32::from_be_bytes(plain[8..12].try_into().unwrap()).into();
                    assert!(sender.set_rollover_counter(ssrc, 1));
                }
                let sent = sender.protect_rtp(&mut buffer, plain.len());
                let got = receiver.unprotect_rtp(&mut received);
                (sent, got, receiver.unprotect_rtp(&mut again))
            };
            if sent.map(|len| buffer[..len].to_vec()) != Ok(protected) {
                failed.push(format!("{name}: protect {sent:?}"));
            }
            if got.map(|len| received[..len].to_vec()) != Ok(plain) {
                failed.push(format!("{name}: unprotect {got:?}"));
            }
            if replay != Err(UnprotectError::Replayed) {
                failed.push(format!("{name}: replay {replay:?}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn crypto_lines() {
    let file = load("crypto_lines.json");
    let mut failed = Vec::new();
    let rows = file["lines"].as_array().unwrap();
    assert_eq!(rows.len(), 41);
    for row in rows {
        let text = row["line"].as_str().unwrap();
        let expect = row["expect"].as_str().unwrap();
        let value = text.strip_prefix("a=crypto:");
        let line = value.map(CryptoLine::parse);
        let fits = match (expect, &line) {
            // Syntactically right, but this suite is refused by policy.
            ("accept", Some(Err(SdesError::Suite { .. }))) => row["suite"] == "F8_128_HMAC_SHA1_80",
            ("accept", Some(Ok(line))) => same(line, row),
            ("reject" | "reject-line", Some(Err(_)))
            | ("either", Some(_))
            | ("other-attribute", None) => true,
            _ => false,
        };
        if !fits {
            failed.push(format!("{text}: {line:?}"));
        }
        if let Some(Ok(line)) = line {
            let again = CryptoLine::parse(&line.to_string());
            if again.as_ref() != Ok(&line) {
                failed.push(format!("{text}: written as {line}"));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn same(line: &CryptoLine, row: &Value) -> bool {
    let keys = row["keys"].as_array().unwrap();
    let key_fits = |(found, key): (&KeyParams, &Value)| {
        let mki = key["mki"].as_u64().map(|value| {
            let len = u8::try_from(key["mki_length"].as_u64().unwrap()).unwrap();
            Mki::new(value, len).unwrap()
        });
        found.master.key() == hex(&key["key"])
            && found.master.salt() == hex(&key["salt"])
            && found.lifetime == key["lifetime"].as_u64()
            && found.mki == mki
    };
    Some(u64::from(line.tag)) == row["tag"].as_u64()
        && line.suite.name() == row["suite"].as_str().unwrap()
        && line.keys.len() == keys.len()
        && line.keys.iter().zip(keys).all(key_fits)
}
