//! What contexts promise: nothing valid refused, nothing replayed, nothing forged accepted, under
//! loss, reordering and rollover; several keys, lifetimes, derivation rates, many sources.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::collections::HashSet;

use linkspan_rtp::Ssrc;
use linkspan_srtp::{
    HeaderExtensions, KeyError, KeyParams, Mki, Options, ProtectError, Receiver, Sender, Suite,
    UnprotectError,
};
use proptest::prelude::*;

fn key(suite: Suite) -> KeyParams {
    KeyParams::from_seed(suite, [7; 32])
}

fn rtp(ssrc: u32, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 0];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..payload).map(|at| at.to_le_bytes()[0]));
    packet
}

fn protect(sender: &mut Sender, plain: &[u8]) -> Result<Vec<u8>, ProtectError> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + sender.overhead(), 0);
    let len = sender.protect_rtp(&mut buffer, plain.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn unprotect(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, UnprotectError> {
    let mut packet = packet.to_vec();
    let len = receiver.unprotect_rtp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

fn pair(suite: Suite, options: &Options) -> (Sender, Receiver) {
    let keys = [key(suite)];
    (
        Sender::with_options(suite, &keys, options.clone()).unwrap(),
        Receiver::with_options(suite, &keys, options.clone()).unwrap(),
    )
}

const SUITES: [Suite; 9] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm192HmacSha1_80,
    Suite::AesCm192HmacSha1_32,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
    Suite::NullHmacSha1_80,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Loss up to one half, reordering by as much as the window, duplicates, and between times a
    /// gap of nearly half the sequence space, so that the rollover counter goes up at least twice.
    #[test]
    fn no_valid_packet_is_refused_and_none_is_taken_twice(
        suite in prop::sample::select(&SUITES[..]),
        first: u16,
        loss in 0..=50u64,
        window in prop::sample::select(vec![64usize, 128, 512]),
        // Packets on the way at a time: any of them comes next.
        flying_at_once in prop::sample::select(vec![1usize, 12, 64, 500]),
        rate in prop::sample::select(vec![0u32, 256, 65_536]),
        seed: u64,
    ) {
        let options =
            Options { replay_window: window, key_derivation_rate: rate, ..Options::default() };
        let (mut sender, mut receiver) = pair(suite, &options);
        let mut random = seed | 1;
        let mut draw = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut flying: Vec<(u64, Vec<u8>, Vec<u8>)> = Vec::new();
        let mut index = u64::from(first);
        let (mut highest, mut accepted) = (0u64, HashSet::new());
        let phase = 2 * flying_at_once + 20;
        // What flies at once spans less than half the sequence space.
        let stride = 18_000 / flying_at_once as u64;
        for sent in 1..=8 * phase {
            let sequence = u16::try_from(index & 0xffff).unwrap();
            let plain = rtp(5, sequence, 20);
            let packet = protect(&mut sender, &plain).unwrap();
            if draw(100) >= loss {
                flying.push((index, plain, packet));
            }
            index += 1 + if draw(4) == 0 { draw(stride.min(1500)) } else { 0 };
            let ends = sent % phase == 0;
            index += if ends { 20_000 + draw(8000) } else { 0 };
            while flying.len() > if ends { 0 } else { flying_at_once } {
                let at = usize::try_from(draw(flying.len() as u64)).unwrap();
                let (index, plain, packet) =
                    if draw(5) == 0 { flying[at].clone() } else { flying.swap_remove(at) };
                let result = unprotect(&mut receiver, &packet);
                if highest.saturating_sub(index) >= 1 << 15 {
                    // Too old to tell to which rollover it belongs.
                    prop_assert!(result.is_err());
                } else if accepted.contains(&index) {
                    prop_assert!(matches!(
                        result,
                        Err(UnprotectError::Replayed | UnprotectError::TooOld)
                    ));
                } else if highest >= index && highest - index >= window as u64 {
                    prop_assert_eq!(result, Err(UnprotectError::TooOld));
                } else {
                    prop_assert_eq!(result, Ok(plain), "index {} after {}", index, highest);
                    accepted.insert(index);
                    highest = highest.max(index);
                }
            }
        }
        prop_assert!(highest >> 16 >= 2, "{}", highest);
        prop_assert_eq!(receiver.rollover_counter(Ssrc(5)).map(u64::from), Some(highest >> 16));
    }

    #[test]
    fn forged_packets_change_nothing(
        suite in prop::sample::select(&SUITES[..]),
        forged in prop::collection::vec(any::<u8>(), 0..80),
        damaged_at: prop::sample::Index,
        bit in 0..8u32,
    ) {
        let (mut sender, mut receiver) = pair(suite, &Options::default());
        let plain = rtp(5, 65_530, 33);
        let packet = protect(&mut sender, &plain).unwrap();
        prop_assert!(unprotect(&mut receiver, &forged).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut forged.clone()).is_err());
        let mut damaged = packet.clone();
        let at = damaged_at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        prop_assert!(unprotect(&mut receiver, &damaged).is_err());
        prop_assert_eq!(receiver.sources().count(), 0);
        prop_assert_eq!(unprotect(&mut receiver, &packet), Ok(plain));
    }

    #[test]
    fn any_header_comes_back_as_it_was(
        suite in prop::sample::select(&SUITES[..]),
        csrcs in 0..16usize,
        extension in prop::option::of((
            prop::sample::select(vec![0xbede_u16, 0x1000, 0x1005, 0x4242, 0xc0de]),
            prop::collection::vec(any::<u8>(), 0..10),
        )),
        payload in 0..100usize,
        encrypt_rtp: bool,
        mode in prop::sample::select(vec![
            HeaderExtensions::Plain,
            HeaderExtensions::Rfc6904(vec![1, 2, 7, 14, 200]),
            HeaderExtensions::Cryptex,
        ]),
    ) {
        let mut plain = rtp(1, 1, 0);
        plain[0] |= u8::try_from(csrcs).unwrap();
        plain.extend((0..4 * csrcs).map(|at| at.to_le_bytes()[0]));
        let mut is_cryptex = false;
        if let Some((profile, words)) = extension {
            plain[0] |= 0x10;
            is_cryptex = profile == 0xc0de;
            plain.extend_from_slice(&profile.to_be_bytes());
            plain.extend_from_slice(&u16::try_from(words.len()).unwrap().to_be_bytes());
            plain.extend(words.iter().flat_map(|word| [*word, 3, *word, 9]));
        }
        plain.extend((0..payload).map(|at| at.to_le_bytes()[0]));
        // A plain extension with Cryptex's own number cannot be told from an encrypted one.
        prop_assume!(!(is_cryptex && mode == HeaderExtensions::Cryptex));
        let options = Options { header_extensions: mode, encrypt_rtp, ..Options::default() };
        let (mut sender, mut receiver) = pair(suite, &options);
        let packet = protect(&mut sender, &plain).unwrap();
        prop_assert_eq!(unprotect(&mut receiver, &packet), Ok(plain));
    }
}

#[test]
fn an_mki_tells_keys_apart_in_every_suite() {
    for suite in SUITES {
        let keys: Vec<_> = (1..=3u8)
            .map(|n| KeyParams::from_seed(suite, [n; 32]).with_mki(Mki::new(n.into(), 4).unwrap()))
            .collect();
        let mut sender = Sender::new(suite, &keys).unwrap();
        let mut receiver = Receiver::new(suite, &keys).unwrap();
        for (sequence, key) in (1..).zip(keys.iter().rev()) {
            assert!(sender.select_key(key.mki.as_ref().unwrap()));
            let plain = rtp(1, sequence, 10);
            let packet = protect(&mut sender, &plain).unwrap();
            assert_eq!(packet.len(), plain.len() + 4 + suite.rtp_tag_len());
            // Where the MKI stands: before the tag of AES-CM, behind that of AEAD.
            let at = packet.len() - 4 - if suite.is_aead() { 0 } else { suite.rtp_tag_len() };
            assert_eq!(&packet[at..at + 4], key.mki.as_ref().unwrap().as_bytes());
            assert_eq!(unprotect(&mut receiver, &packet), Ok(plain));
        }
        let packet = protect(&mut sender, &rtp(1, 100, 10)).unwrap();
        let mut only_second = Receiver::new(suite, &keys[1..2]).unwrap();
        assert_eq!(unprotect(&mut only_second, &packet), Err(UnprotectError::UnknownMki));
        let plain_key = [KeyParams { mki: None, ..keys[0].clone() }];
        let mut without = Receiver::new(suite, &plain_key).unwrap();
        assert_eq!(unprotect(&mut without, &packet), Err(UnprotectError::Authentication));
        assert!(!sender.select_key(&Mki::new(9, 4).unwrap()));
    }
}

#[test]
fn keys_that_cannot_be_told_apart_are_refused() {
    let suite = Suite::AesCm128HmacSha1_80;
    let with = |mki: Option<Mki>| KeyParams { mki, ..key(suite) };
    let error = |keys: &[KeyParams]| Sender::new(suite, keys).unwrap_err();
    assert_eq!(error(&[]), KeyError::NoKey);
    assert_eq!(error(&[with(None), with(None)]), KeyError::Mki);
    assert_eq!(error(&[with(Mki::new(1, 1)), with(Mki::new(1, 1))]), KeyError::Mki);
    assert_eq!(error(&[with(Mki::new(1, 1)), with(Mki::new(2, 2))]), KeyError::Mki);
    assert!(matches!(error(&[key(Suite::AeadAes128Gcm)]), KeyError::Length { .. }));
    let options = Options { key_derivation_rate: 3, ..Options::default() };
    let error = Sender::with_options(suite, &[key(suite)], options).unwrap_err();
    assert_eq!(error, KeyError::KeyDerivationRate);
}

#[test]
fn a_lifetime_counts_only_where_it_is_enforced() {
    let suite = Suite::AesCm128HmacSha1_80;
    let keys = [key(suite).with_lifetime(2)];
    for enforce_lifetime in [false, true] {
        let options = Options { enforce_lifetime, ..Options::default() };
        let mut sender = Sender::with_options(suite, &keys, options).unwrap();
        assert!(protect(&mut sender, &rtp(1, 1, 1)).is_ok());
        assert!(protect(&mut sender, &rtp(2, 1, 1)).is_ok(), "all sources count together");
        let third = protect(&mut sender, &rtp(1, 2, 1));
        let expected = enforce_lifetime.then_some(ProtectError::KeyExhausted);
        assert_eq!(third.err(), expected);
    }
}

#[test]
fn an_index_is_never_used_twice() {
    let (mut sender, _) = pair(Suite::AesCm128HmacSha1_80, &Options::default());
    assert!(protect(&mut sender, &rtp(1, 1000, 1)).is_ok());
    assert_eq!(protect(&mut sender, &rtp(1, 1000, 1)), Err(ProtectError::IndexReused));
    assert!(protect(&mut sender, &rtp(1, 999, 1)).is_ok());
    assert!(protect(&mut sender, &rtp(1, 1600, 1)).is_ok());
    assert_eq!(protect(&mut sender, &rtp(1, 1001, 1)), Err(ProtectError::IndexReused));
    assert!(protect(&mut sender, &rtp(2, 1000, 1)).is_ok());
    let repeat = Options { allow_repeat: true, ..Options::default() };
    let (mut sender, _) = pair(Suite::AesCm128HmacSha1_80, &repeat);
    let first = protect(&mut sender, &rtp(1, 1, 1));
    assert_eq!(first, protect(&mut sender, &rtp(1, 1, 1)));
}

#[test]
fn the_last_rtcp_index_ends_the_key_of_a_source() {
    let suite = Suite::AeadAes128Gcm;
    let (mut sender, mut receiver) = pair(suite, &Options::default());
    assert!(sender.set_rtcp_index(Ssrc(9), 0x7fff_fffe));
    let mut buffer = [0u8; 64];
    let mut protect = |sender: &mut Sender| {
        buffer = [0; 64];
        buffer[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 9]);
        sender.protect_rtcp(&mut buffer, 8).map(|len| buffer[..len].to_vec())
    };
    let mut last = protect(&mut sender).unwrap();
    assert_eq!(receiver.unprotect_rtcp(&mut last), Ok(8));
    assert_eq!(protect(&mut sender), Err(ProtectError::KeyExhausted));
}

#[test]
fn a_receiver_may_join_late() {
    for suite in SUITES {
        let (mut sender, _) = pair(suite, &Options::default());
        assert!(sender.set_rollover_counter(Ssrc(1), 5));
        let first = protect(&mut sender, &rtp(1, 9, 1)).unwrap();
        assert_eq!(sender.rollover_counter(Ssrc(1)), Some(5));
        let (_, mut told) = pair(suite, &Options::default());
        assert!(told.set_rollover_counter(Ssrc(1), 5));
        assert!(unprotect(&mut told, &first).is_ok());
        assert!(!told.set_rollover_counter(Ssrc(1), 4));
        let (_, mut near) = pair(suite, &Options::default());
        assert_eq!(unprotect(&mut near, &first), Err(UnprotectError::Authentication));
        let options = Options { rollover_search: 5, ..Options::default() };
        let (_, mut searching) = pair(suite, &options);
        assert!(unprotect(&mut searching, &first).is_ok());
        assert_eq!(searching.rollover_counter(Ssrc(1)), Some(5));
    }
}

#[test]
fn recovers_from_a_gap_of_more_than_half_the_numbers() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80, &Options::default());
    let mut refused = 0;
    for index in (0..200_000u32).step_by(25) {
        let [_, _, a, b] = index.to_be_bytes();
        let plain = rtp(1, u16::from_be_bytes([a, b]), 1);
        let packet = protect(&mut sender, &plain).unwrap();
        // 40,000 packets are lost: longer than the estimate of RFC 3711 bridges.
        if (50_000..90_000).contains(&index) {
            continue;
        }
        refused += u32::from(unprotect(&mut receiver, &packet).is_err());
    }
    assert_eq!((refused, receiver.rollover_counter(Ssrc(1))), (0, Some(3)));
}

#[test]
fn a_thousand_sources_share_a_context() {
    let options = Options { max_sources: 1000, ..Options::default() };
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80, &options);
    for round in 0..3 {
        for source in 0..1000u32 {
            let plain = rtp(source.wrapping_mul(0x9e37_79b9), round, 4);
            let packet = protect(&mut sender, &plain).unwrap();
            assert_eq!(unprotect(&mut receiver, &packet), Ok(plain));
        }
    }
    let one_more = rtp(3, 1, 4);
    assert_eq!(protect(&mut sender, &one_more), Err(ProtectError::TooManySources));
    let (mut other, _) = pair(Suite::AesCm128HmacSha1_80, &Options::default());
    let packet = protect(&mut other, &one_more).unwrap();
    assert_eq!(unprotect(&mut receiver, &packet), Err(UnprotectError::TooManySources));
    let gone = receiver.sources().next().unwrap();
    receiver.remove_source(gone);
    assert!(unprotect(&mut receiver, &packet).is_ok());
    assert_eq!(receiver.sources().count(), 1000);
}

#[test]
fn what_is_not_encrypted_is_authenticated_all_the_same() {
    for suite in SUITES {
        let options = Options { encrypt_rtp: false, encrypt_rtcp: false, ..Options::default() };
        let (mut sender, mut receiver) = pair(suite, &options);
        let plain = rtp(1, 1, 40);
        let packet = protect(&mut sender, &plain).unwrap();
        assert_eq!(packet[..plain.len()], plain);
        assert_eq!(unprotect(&mut receiver, &packet), Ok(plain));

        let report = [0x80, 201, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
        let mut buffer = [0u8; 64];
        buffer[..12].copy_from_slice(&report);
        let len = sender.protect_rtcp(&mut buffer, 12).unwrap();
        assert_eq!(buffer[..12], report);
        for bit in 0..8 * len {
            let mut damaged = buffer;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(receiver.unprotect_rtcp(&mut damaged[..len]).is_err(), "{suite} bit {bit}");
        }
        // An authentic packet in clear is refused where encryption was promised.
        if suite != Suite::NullHmacSha1_80 {
            let (_, mut strict) = pair(suite, &Options::default());
            let mut copy = buffer;
            let refused = strict.unprotect_rtcp(&mut copy[..len]);
            assert_eq!(refused, Err(UnprotectError::EncryptionFlag));
        }
        assert_eq!(receiver.unprotect_rtcp(&mut buffer[..len]), Ok(12));
    }
}

#[test]
fn room_is_asked_for_before_anything_changes() {
    let (mut sender, _) = pair(Suite::AesCm128HmacSha1_80, &Options::default());
    let mut packet = rtp(1, 1, 4);
    let len = packet.len();
    let before = packet.clone();
    let needed = len + 10;
    assert_eq!(sender.protect_rtp(&mut packet, len), Err(ProtectError::NoRoom { needed }));
    assert_eq!(packet, before);
    packet.resize(needed, 0);
    assert_eq!(sender.protect_rtp(&mut packet, len), Ok(needed));
}

#[test]
fn debug_shows_no_key() {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = key(suite);
    let secret = key.to_inline();
    let secret = secret.strip_prefix("inline:").unwrap();
    let line = linkspan_srtp::ms::offer_lines(&key, 1);
    let sender = Sender::new(suite, std::slice::from_ref(&key)).unwrap();
    let shown = format!("{key:?} {line:?} {sender:?}");
    assert!(!shown.contains(secret));
    for octet in key.master.as_bytes().windows(2) {
        assert!(!shown.contains(&format!("{}, {}", octet[0], octet[1])));
    }
}
