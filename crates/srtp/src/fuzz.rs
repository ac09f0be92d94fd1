//! Bodies of the fuzz targets. They assert what the crate promises, not only that nothing panics.

use linkspan_rtp::Ssrc;

use crate::{
    BatchPacket, CryptoLine, HeaderExtensions, KeyParams, Mki, Options, Receiver, Sender, Suite,
};

/// Lines: what is read survives writing.
pub fn sdes(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(line) = CryptoLine::parse(text) else { return };
    let written = line.to_string();
    assert_eq!(CryptoLine::parse(&written).as_ref(), Ok(&line));
    let shown = format!("{line:?}");
    for key in &line.keys {
        let inline = key.to_inline();
        let secret = inline.split(['|', ':']).nth(1).unwrap_or_default();
        // Unless a session parameter that we do not know repeats it.
        assert!(!shown.contains(secret) || text.matches(secret).count() > 1);
        assert_eq!(KeyParams::parse(line.suite, &inline).as_ref(), Ok(key));
    }
    let options = line.session.to_options();
    let _usable = Receiver::with_options(line.suite, &line.keys, options);
}

/// Packets that are forged, and packets that are authentic however odd: the first octet chooses
/// the suite and the options.
pub fn unprotect(data: &[u8]) {
    let Some((&choice, packet)) = data.split_first() else { return };
    let suites = Suite::ALL;
    let suite = suites.get(usize::from(choice & 7)).copied().unwrap_or(Suite::AeadAes128Gcm);
    let key = KeyParams::from_seed(suite, [9; 32]);
    let keys = [match choice & 8 {
        0 => key,
        _ => KeyParams { mki: Mki::new(1, 1), ..key },
    }];
    let header_extensions = match choice >> 4 & 3 {
        0 | 1 => HeaderExtensions::Plain,
        2 => HeaderExtensions::Rfc6904(vec![1, 3, 5]),
        _ => HeaderExtensions::Cryptex,
    };
    let options = Options { header_extensions, ..Options::default() };
    let contexts = (
        Sender::with_options(suite, &keys, options.clone()),
        Receiver::with_options(suite, &keys, options),
    );
    let (Ok(mut sender), Ok(mut receiver)) = contexts else { return };

    // Forged: nothing is accepted, and nothing learnt.
    // A tag of 32 bits can be hit by chance in a long run.
    if suite.rtp_tag_len() > 4 {
        assert!(receiver.unprotect_rtp(&mut packet.to_vec()).is_err());
        assert!(receiver.unprotect_rtcp(&mut packet.to_vec()).is_err());
        assert_eq!(receiver.sources().count(), 0);
    }

    // Authentic: comes back as it was, once.
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + sender.overhead(), 0);
    if let Ok(len) = sender.protect_rtp(&mut buffer, packet.len()) {
        let protected = buffer.get(..len).unwrap_or_default().to_vec();
        let mut received = protected.clone();
        match receiver.unprotect_rtp(&mut received) {
            Ok(len) if !looks_like_cryptex(packet) => {
                assert_eq!(received.get(..len), Some(packet));
            }
            Ok(_) => {}
            Err(error) => assert!(looks_like_cryptex(packet), "{error}"),
        }
        if !looks_like_cryptex(packet) {
            assert!(receiver.unprotect_rtp(&mut protected.clone()).is_err());
        }
    }
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + sender.overhead(), 0);
    if let Ok(len) = sender.protect_rtcp(&mut buffer, packet.len()) {
        let mut received = buffer.get(..len).unwrap_or_default().to_vec();
        let plain = receiver.unprotect_rtcp(&mut received);
        assert_eq!(plain, Ok(packet.len()));
        assert_eq!(received.get(..packet.len()), Some(packet));
    }
}

/// A plain extension with the numbers of RFC 9335 cannot be told from an encrypted one.
fn looks_like_cryptex(packet: &[u8]) -> bool {
    packet.windows(2).any(|pair| matches!(pair, [0xc0 | 0xc2, 0xde]))
}

/// A script of losses, repetitions and jumps: packets are accepted once at most, and the newest
/// always when it follows.
pub fn replay(script: &[u8]) {
    let suite = Suite::NullHmacSha1_80;
    let keys = [KeyParams::from_seed(suite, [9; 32])];
    let options = Options { replay_window: 64, allow_repeat: true, ..Options::default() };
    let contexts = (
        Sender::with_options(suite, &keys, options.clone()),
        Receiver::with_options(suite, &keys, options),
    );
    let (Ok(mut sender), Ok(mut receiver)) = contexts else { return };
    let mut index = 65_000u64;
    let mut newest = index;
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut accepted = std::collections::HashSet::new();
    for step in script.chunks(2).take(200) {
        let &[kind, value] = step else { return };
        if kind & 3 == 0
            && let Some(old) = sent.get(usize::from(value) % sent.len().max(1))
        {
            let is_new = receiver.unprotect_rtp(&mut old.clone()).is_ok();
            assert!(!is_new || accepted.insert(old.clone()));
            continue;
        }
        index += 1 + if kind & 4 == 0 { 0 } else { 100 * u64::from(value) };
        let [.., q0, q1] = index.to_be_bytes();
        let mut buffer =
            [0x80, 0, q0, q1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // The script may begin beyond the first rollover.
        let counter = u32::try_from(index >> 16).unwrap_or(u32::MAX);
        assert!(sender.set_rollover_counter(Ssrc(1), counter));
        let Ok(len) = sender.protect_rtp(&mut buffer, 12) else { return };
        let packet = buffer.get(..len).unwrap_or_default().to_vec();
        if kind & 8 == 0 {
            let taken = receiver.unprotect_rtp(&mut packet.clone());
            if taken.is_err() {
                // Only a gap that no estimate bridges excuses this.
                assert!(index - newest >= 1 << 15, "{taken:?}");
                return;
            }
            newest = index;
            assert!(accepted.insert(packet.clone()));
            let counter = receiver.rollover_counter(Ssrc(1)).map(u64::from);
            assert_eq!(counter, Some(index >> 16));
        }
        sent.push(packet);
    }
}

/// A script of packets: batches of them fare as one after another do, to the octet.
pub fn batch(script: &[u8]) {
    let Some((&choice, script)) = script.split_first() else { return };
    let suites = Suite::ALL;
    let suite = suites.get(usize::from(choice & 7)).copied().unwrap_or(Suite::NullHmacSha1_80);
    let key =
        |n: u8| KeyParams { mki: Mki::new(n.into(), 1), ..KeyParams::from_seed(suite, [n; 32]) };
    let keys = [key(1), key(2)];
    let keys = keys.get(..1 + usize::from(choice >> 3 & 1)).unwrap_or_default();
    let header_extensions = match choice >> 4 & 3 {
        0 | 1 => HeaderExtensions::Plain,
        2 => HeaderExtensions::Rfc6904(vec![1, 3, 5]),
        _ => HeaderExtensions::Cryptex,
    };
    let rate = if choice & 0x40 == 0 { 0 } else { 16 };
    let options = Options {
        header_extensions,
        key_derivation_rate: rate,
        max_sources: 3,
        replay_window: 64,
        ..Options::default()
    };
    let sender = || Sender::with_options(suite, keys, options.clone());
    let receiver = || Receiver::with_options(suite, keys, options.clone());
    let (Ok(mut one), Ok(mut many)) = (sender(), sender()) else { return };
    let (Ok(mut one_in), Ok(mut many_in)) = (receiver(), receiver()) else { return };

    let mut sequences = [65_530u16; 4];
    // Each step is a packet: its source, size and step, and what happens to it on the way.
    for group in script.chunks(4 * 11) {
        let mut plain = Vec::new();
        for step in group.chunks_exact(4) {
            let &[source, size, stride, _] = step else { return };
            let Some(sequence) = sequences.get_mut(usize::from(source & 3)) else { return };
            *sequence = sequence.wrapping_add(u16::from(stride & 0x83) << (stride >> 3 & 7));
            let [q0, q1] = sequence.to_be_bytes();
            let mut packet =
                vec![0x80 | source & 0x10, 96, q0, q1, 0, 0, 0, 0, 0, 0, 0, source & 3];
            if source & 0x10 != 0 {
                packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, size, 0, 0]);
            }
            packet.resize(packet.len() + usize::from(size), stride);
            plain.push(packet);
        }
        let room = one.overhead();
        let mut sealed: Vec<Vec<u8>> = plain.clone();
        sealed.iter_mut().for_each(|packet| packet.resize(packet.len() + room, 0));
        let mut in_turn = sealed.clone();
        let mut batch: Vec<_> = sealed
            .iter_mut()
            .zip(&plain)
            .map(|(buffer, plain)| BatchPacket::new(buffer, plain.len()))
            .collect();
        many.protect_rtp_batch(&mut batch);
        let lens: Vec<_> = batch.iter().map(|packet| packet.len).collect();
        for ((buffer, plain), len) in in_turn.iter_mut().zip(&plain).zip(&lens) {
            assert_eq!(one.protect_rtp(buffer, plain.len()), *len);
        }
        let mut wire = Vec::new();
        for (((sealed, in_turn), len), step) in
            sealed.iter().zip(&in_turn).zip(&lens).zip(group.chunks_exact(4))
        {
            let Ok(len) = *len else { continue };
            assert_eq!(sealed.get(..len), in_turn.get(..len));
            let mut packet = sealed.get(..len).unwrap_or_default().to_vec();
            let &[_, _, _, fate] = step else { return };
            match fate & 7 {
                0 => continue,
                1 => wire.insert(wire.len() / 2, packet),
                2 => wire.extend([packet.clone(), packet]),
                3 => {
                    let at = usize::from(fate >> 3) % len;
                    packet.iter_mut().skip(at).take(1).for_each(|octet| *octet ^= 0x10);
                    wire.push(packet);
                }
                4 => wire.push(packet.get(..usize::from(fate >> 3)).unwrap_or_default().to_vec()),
                _ => wire.push(packet),
            }
        }
        let mut in_turn = wire.clone();
        let mut batch: Vec<_> = wire
            .iter_mut()
            .map(|packet| {
                let len = packet.len();
                BatchPacket::new(packet, len)
            })
            .collect();
        many_in.unprotect_rtp_batch(&mut batch);
        for (packet, in_turn) in batch.iter().zip(&mut in_turn) {
            assert_eq!(one_in.unprotect_rtp(in_turn), packet.len);
            if let Ok(len) = packet.len {
                assert_eq!(packet.buffer.get(..len), in_turn.get(..len));
            }
        }
        for ssrc in (0..4).map(Ssrc) {
            assert_eq!(one.rollover_counter(ssrc), many.rollover_counter(ssrc));
            assert_eq!(one_in.rollover_counter(ssrc), many_in.rollover_counter(ssrc));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn over_seeds(target: &str, body: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            body(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn seeds() {
        over_seeds("srtp_sdes", super::sdes);
        over_seeds("srtp_unprotect", super::unprotect);
        over_seeds("srtp_replay", super::replay);
        over_seeds("srtp_batch", super::batch);
    }

    #[test]
    fn batches_fare_as_one_packet_after_another() {
        use rand_core::{Rng as _, SeedableRng as _};
        let mut random = rand_chacha::ChaCha8Rng::from_seed([5; 32]);
        for choice in 0..=255u8 {
            let mut script = vec![0; 1 + 4 * 60];
            random.fill_bytes(&mut script);
            script[0] = choice;
            super::batch(&script);
        }
    }
}
