//! Key streams, key derivation and AEAD against the vectors, beneath the contexts.

use serde_json::Value;

use super::{AesCm, Gcm, HmacSha1, Kdf, Label, SessionKeys};
use crate::provider::BuiltIn;
use crate::{MasterKey, Suite};

fn load(name: &str) -> Vec<Value> {
    let path = std::path::Path::new("tests/data").join(name);
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap().as_bytes();
    let digit = |c: u8| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap();
    text.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn number(value: &Value) -> u64 {
    hex(value).iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

fn master(row: &Value) -> MasterKey {
    let (key, salt) = (hex(&row["master_key"]), hex(&row["master_salt"]));
    let suite = match key.len() {
        16 => Suite::AesCm128HmacSha1_80,
        24 => Suite::AesCm192HmacSha1_80,
        _ => Suite::AesCm256HmacSha1_80,
    };
    MasterKey::new(suite, &key, &salt).unwrap()
}

#[test]
fn key_streams_of_rfc_3711_and_6188() {
    for row in load("aes_cm_keystream.json") {
        let aes = AesCm::new(&BuiltIn, &hex(&row["key"])).unwrap();
        let iv = u128::from_be_bytes(hex(&row["iv"]).try_into().unwrap());
        let mut stream = vec![0; 16 * 0x1_0000];
        aes.apply(iv, &mut stream);
        for (block, expected) in row["keystream_blocks"].as_object().unwrap() {
            let at = 16 * usize::from_str_radix(block, 16).unwrap();
            assert_eq!(stream[at..at + 16], hex(expected), "{} block {block}", row["section"]);
            let mut part = [0; 7];
            aes.apply_at(iv, at + 5, &mut part);
            assert_eq!(part, stream[at + 5..at + 12]);
        }
    }
}

/// Labels of one direction with the names of their fields in the vectors.
const RTP: [(Label, &str); 3] =
    [(Label::RtpEncryption, "key"), (Label::RtpAuthentication, "auth"), (Label::RtpSalt, "salt")];
const RTCP: [(Label, &str); 3] = [
    (Label::RtcpEncryption, "key"),
    (Label::RtcpAuthentication, "auth"),
    (Label::RtcpSalt, "salt"),
];

fn check(master: &MasterKey, quotient: u64, labels: [(Label, &str); 3], expected: &Value) -> usize {
    let mut checked = 0;
    for (label, field) in labels {
        if expected[field].is_string() {
            let expected = hex(&expected[field]);
            let mut out = vec![0xee; expected.len()];
            Kdf::new(&BuiltIn, master).unwrap().derive(label, quotient, &mut out);
            assert_eq!(out, expected, "{label:?} {field}");
            checked += 1;
        }
    }
    checked
}

#[test]
fn key_derivation_of_rfc_3711_and_6188() {
    for row in load("kdf.json") {
        let rate = row["key_derivation_rate"].as_u64().unwrap();
        let index = row["index"].as_u64().unwrap();
        let quotient = index.checked_div(rate).unwrap_or(0);
        let session = &row["session"];
        let mut checked = check(&master(&row), quotient, RTP, &session["rtp"]);
        checked += check(&master(&row), quotient, RTCP, &session["rtcp"]);
        assert!(checked >= 3, "{checked}");
    }
}

#[test]
fn key_derivation_of_nist() {
    let rows = load("nist_kdf.json");
    assert_eq!(rows.len(), 6);
    for row in rows {
        let rate = row["key_derivation_rate"].as_u64().unwrap();
        let quotient = |index: &Value| number(index).checked_div(rate).unwrap_or(0);
        let rtp = check(&master(&row), quotient(&row["index"]), RTP, &row["rtp"]);
        let rtcp = check(&master(&row), quotient(&row["srtcp_index"]), RTCP, &row["rtcp"]);
        assert_eq!(rtp + rtcp, 6);
    }
}

#[test]
fn aead_of_rfc_7714() {
    for row in load("aead_gcm.json") {
        let gcm = Gcm::new(&BuiltIn, &hex(&row["session_key"])).unwrap();
        let mut salt = hex(&row["session_salt"]);
        salt.resize(16, 0);
        let salt = u128::from_be_bytes(salt.try_into().unwrap());
        let nonce = |ssrc: &[u8], index: u64| {
            SessionKeys::nonce_of(salt, u32::from_be_bytes(ssrc.try_into().unwrap()), index)
        };

        let plain = hex(&row["rtp_plain"]);
        let index = u64::from(u16::from_be_bytes(plain[2..4].try_into().unwrap()));
        let iv = nonce(&plain[8..12], index);
        let mut sealed = plain.clone();
        let (head, body) = sealed.split_at_mut(12);
        let mut tag = [0; 16];
        gcm.seal(iv, head, body, &mut tag).unwrap();
        sealed.extend_from_slice(&tag);
        assert_eq!(sealed, hex(&row["rtp_protected"]));
        let (head, body) = sealed.split_at_mut(12);
        gcm.open(iv, head, body).unwrap();
        assert_eq!(sealed[..plain.len()], plain);
        gcm.seal(iv, &plain, &mut [], &mut tag).unwrap();
        assert_eq!([&plain[..], &tag].concat(), hex(&row["rtp_auth_only"]));

        let plain = hex(&row["rtcp_plain"]);
        let index = row["srtcp_index"].as_u64().unwrap();
        let word = (u32::try_from(index).unwrap() | 1 << 31).to_be_bytes();
        let iv = nonce(&plain[4..8], index);
        let mut sealed = plain.clone();
        gcm.seal(iv, &[&plain[..8], &word].concat(), &mut sealed[8..], &mut tag).unwrap();
        assert_eq!([&sealed[..], &tag, &word].concat(), hex(&row["rtcp_protected"]));
    }
}

#[test]
fn hmac_sha1_of_rfc_2202() {
    // Test case 1, and 6 octets short of a second block: the padding spills over.
    let mac = HmacSha1::new(&[0x0b; 20]);
    let expected = [
        0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b, 0xc0, 0xb6, 0xfb, 0x37, 0x8c,
        0x8e, 0xf1, 0x46, 0xbe, 0x00,
    ];
    assert_eq!(mac.tag(b"Hi There", &[]), expected);
    assert_eq!(mac.tag(b"Hi T", b"here"), expected);
}

#[test]
fn hmac_sha1_agrees_with_rings_at_every_length() {
    let key = [0x5a; 20];
    let mac = HmacSha1::new(&key);
    let ring = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let data: Vec<u8> = (0..=255).cycle().take(300).collect();
    for len in 4..data.len() {
        let (head, trailer) = data[..len].split_last_chunk::<4>().unwrap();
        let expected = ring::hmac::sign(&ring, &data[..len]);
        assert_eq!(mac.tag(&data[..len], &[]), expected.as_ref(), "{len}");
        assert_eq!(mac.tag(head, trailer), expected.as_ref(), "{len}");
    }
}

#[test]
fn hmac_sha1_of_several_messages_is_that_of_each() {
    let keys = [1u8, 2, 3, 4].map(|n| HmacSha1::new(&[n; 20]));
    let data: Vec<u8> = (0..=255).cycle().take(1300).collect();
    let lens = [0, 3, 50, 51, 52, 60, 63, 64, 115, 116, 128, 172, 1212];
    for a in lens {
        for b in lens {
            let messages = [&data[..a], &data[1..1 + b], &data[2..1202], &data[3..3 + a]];
            let trailers = [[1, 2, 3, 4], [5, 6, 7, 8], [0; 4], [255; 4]];
            let tags = HmacSha1::tags(keys.each_ref(), messages, trailers.each_ref());
            for (at, tag) in tags.iter().enumerate() {
                let expected = keys[at].tag(messages[at], &trailers[at]);
                assert_eq!(*tag, expected, "message {at} of {a} and {b}");
            }
        }
    }
}

#[test]
fn key_streams_of_several_pieces_are_those_of_each() {
    use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
    let aes = AesCm::new(&BuiltIn, &[7; 16]).unwrap();
    let block = aes::Aes128::new_from_slice(&[7; 16]).unwrap();
    let lens = [0, 1, 15, 16, 17, 160, 161, 255, 1024, 1200, 1023];
    for first in lens {
        for second in lens {
            for third in lens {
                let plain = [first, second, third, 0, second].map(|len| vec![0xa5; len]);
                let mut data = plain.clone();
                let ivs = [1u128 << 77, u128::MAX - 3, 0xffff_ffff, 9, 5];
                let mut left = ivs.iter();
                let mut pieces = data.each_mut().map(|d| (*left.next().unwrap(), &mut d[..]));
                aes.apply_all(&mut pieces);
                for ((iv, plain), data) in ivs.iter().zip(&plain).zip(&data) {
                    for (at, (plain, data)) in plain.chunks(16).zip(data.chunks(16)).enumerate() {
                        let mut key = iv.wrapping_add(at as u128).to_be_bytes().into();
                        block.encrypt_block(&mut key);
                        let expected = plain.iter().zip(key).map(|(plain, key)| plain ^ key);
                        assert!(expected.eq(data.iter().copied()), "{first} {second} {third}");
                    }
                }
            }
        }
    }
}
