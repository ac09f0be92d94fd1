//! The reader of capture files: both formats and byte orders, and the seeds of its fuzz target.
#![allow(clippy::unwrap_used, reason = "test code outside #[test]")]

#[path = "../srtp-decrypt/capture.rs"]
mod capture;

use capture::{CaptureError, Datagram};

/// An Ethernet frame with a VLAN tag around an IPv4 datagram "hi" from 10.0.0.1:4000.
const FRAME: [u8; 48] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0x00, 0, 5, 0x08, 0x00, 0x45, 0, 0, 30, 0, 0, 0,
    0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x0f, 0xa0, 0x13, 0x88, 0, 10, 0, 0, b'h', b'i',
];

fn expected(at: u64) -> Datagram {
    Datagram {
        at,
        source: "10.0.0.1:4000".parse().unwrap(),
        destination: "10.0.0.2:5000".parse().unwrap(),
        payload: b"hi".to_vec(),
    }
}

/// Fields of 32 bits in one byte order.
fn words(big: bool, fields: &[u32]) -> Vec<u8> {
    fields.iter().flat_map(|f| if big { f.to_be_bytes() } else { f.to_le_bytes() }).collect()
}

#[test]
fn both_pcap_forms_in_both_orders() {
    for big in [false, true] {
        for (magic, unit) in [(0xa1b2_c3d4, 1000), (0xa1b2_3c4d, 1)] {
            let mut file = words(big, &[magic, 0, 0, 0, 65_535, 1]);
            file.extend(words(big, &[7, 9, 48, 48]));
            file.extend_from_slice(&FRAME);
            assert_eq!(capture::read(&file), Ok(vec![expected(7_000_000_000 + 9 * unit)]));
            // Stopped in mid-write: what is whole counts.
            file.extend(words(big, &[8, 9, 48, 48]));
            file.extend_from_slice(&FRAME[..20]);
            assert_eq!(capture::read(&file).unwrap().len(), 1);
        }
    }
    assert_eq!(capture::read(b"not a capture"), Err(CaptureError::Magic));
}

#[test]
fn pcapng_with_its_blocks_and_resolutions() {
    for big in [false, true] {
        let order = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let block = |kind: u32, body: &[u8]| {
            let len = u32::try_from(body.len() + 12).unwrap();
            [words(big, &[kind, len]), body.to_vec(), words(big, &[len])].concat()
        };
        let section = words(big, &[0x1a2b_3c4d, 0x0001, u32::MAX, u32::MAX]);
        let mut file = block(0x0a0d_0d0a, &section);
        // Microseconds by default, nanoseconds by an option.
        let link = [order(1), order(0)].concat();
        let resolution = [&order(9)[..], &order(1), &[9, 0, 0, 0], &order(0), &order(0)].concat();
        file.extend(block(1, &[link.clone(), words(big, &[0])].concat()));
        file.extend(block(1, &[link, words(big, &[0]), resolution].concat()));
        file.extend(block(0x0bad, b"skip"));
        for interface in [0, 1] {
            let head = words(big, &[interface, 0, 5_000, 48, 48]);
            file.extend(block(6, &[&head[..], &FRAME].concat()));
        }
        file.extend(block(3, &[&words(big, &[48])[..], &FRAME].concat()));
        let at = [5_000_000, 5_000, 0].map(expected);
        assert_eq!(capture::read(&file), Ok(at.to_vec()));
        capture::survives_writing(&file);
        // Any cut is the end of the list or an error, never more.
        for cut in 0..file.len() {
            assert!(capture::read(&file[..cut]).map_or(0, |found| found.len()) <= 3);
        }
    }
}

#[test]
fn seeds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/examples_capture");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!capture::read(&file).unwrap().is_empty());
        capture::survives_writing(&file);
        seeds += 1;
    }
    assert!(seeds > 2);
}
