//! Proves that a provider's cryptography is what protects, in every suite and every direction.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code outside #[test]")]

use std::sync::atomic::{AtomicU64, Ordering};

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use linkspan_srtp::{
    Aead, BatchPacket, CounterMode, CryptoProvider, HeaderExtensions, KeyParams, Mac, Options,
    Receiver, Sender, Suite,
};
use ring::{aead, hmac};

/// How often each part was asked.
#[derive(Debug, Default)]
struct Counted {
    blocks: AtomicU64,
    tags: AtomicU64,
    sealed: AtomicU64,
}

static COUNTED: Counted =
    Counted { blocks: AtomicU64::new(0), tags: AtomicU64::new(0), sealed: AtomicU64::new(0) };

impl CryptoProvider for Counted {
    fn counter_mode(&self, key: &[u8]) -> Option<Box<dyn CounterMode>> {
        Some(match key.len() {
            16 => Box::new(ByHand(aes::Aes128::new_from_slice(key).ok()?)),
            24 => Box::new(ByHand(aes::Aes192::new_from_slice(key).ok()?)),
            _ => Box::new(ByHand(aes::Aes256::new_from_slice(key).ok()?)),
        })
    }

    fn hmac_sha1(&self, key: &[u8; 20]) -> Option<Box<dyn Mac>> {
        Some(Box::new(Hmac(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key))))
    }

    fn aead(&self, key: &[u8]) -> Option<Box<dyn Aead>> {
        let algorithm = if key.len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
        Some(Box::new(Gcm(aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).ok()?))))
    }
}

/// Counter mode block by block.
struct ByHand<A>(A);

impl<A> CounterMode for ByHand<A>
where
    A: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16> + Send + Sync,
{
    fn apply(&self, counter: [u8; 16], data: &mut [u8]) {
        let mut counter = u128::from_be_bytes(counter);
        for chunk in data.chunks_mut(16) {
            let mut block = counter.to_be_bytes().into();
            self.0.encrypt_block(&mut block);
            chunk.iter_mut().zip(block).for_each(|(octet, key)| *octet ^= key);
            counter = counter.wrapping_add(1);
            COUNTED.blocks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Hmac(hmac::Key);

impl Mac for Hmac {
    fn sign(&self, data: &[u8], trailer: &[u8]) -> [u8; 20] {
        COUNTED.tags.fetch_add(1, Ordering::Relaxed);
        let mut context = hmac::Context::with_key(&self.0);
        context.update(data);
        context.update(trailer);
        context.sign().as_ref().try_into().unwrap()
    }
}

struct Gcm(aead::LessSafeKey);

impl Aead for Gcm {
    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Option<[u8; 16]> {
        COUNTED.sealed.fetch_add(1, Ordering::Relaxed);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, aead::Aad::from(aad), data).ok()?;
        tag.as_ref().try_into().ok()
    }

    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> bool {
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place(nonce, aead::Aad::from(aad), data).is_ok()
    }
}

#[test]
fn a_provider_makes_the_same_packets() {
    for suite in Suite::ALL {
        let keys = [KeyParams::from_seed(suite, [3; 32])];
        let header_extensions = HeaderExtensions::Rfc6904(vec![1]);
        let options = Options { header_extensions, key_derivation_rate: 4, ..Options::default() };
        let mut provided = Sender::with_provider(suite, &keys, options.clone(), &COUNTED).unwrap();
        let mut own = Sender::with_options(suite, &keys, options.clone()).unwrap();
        let mut receiver = Receiver::with_provider(suite, &keys, options, &COUNTED).unwrap();
        for sequence in 1..20u8 {
            let mut plain = vec![0x90, 96, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1];
            plain.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x11, 7, 8, 0]);
            plain.resize(20 + 9 * usize::from(sequence), 5);
            let (mut a, mut b) = ([0; 256], [0; 256]);
            a[..plain.len()].copy_from_slice(&plain);
            b[..plain.len()].copy_from_slice(&plain);
            let len = provided.protect_rtp(&mut a, plain.len()).unwrap();
            assert_eq!(own.protect_rtp(&mut b, plain.len()), Ok(len), "{suite}");
            assert_eq!(a, b, "{suite}");
            assert_eq!(receiver.unprotect_rtp(&mut a[..len]), Ok(plain.len()), "{suite}");
            assert_eq!(a[..plain.len()], plain, "{suite}");

            let (mut a, mut b) = ([0; 64], [0; 64]);
            a[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
            b[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
            let len = provided.protect_rtcp(&mut a, 12).unwrap();
            assert_eq!(own.protect_rtcp(&mut b, 12), Ok(len), "{suite}");
            assert_eq!(a, b, "{suite}");
            assert_eq!(receiver.unprotect_rtcp(&mut a[..len]), Ok(12), "{suite}");
        }
    }
    let counts = [&COUNTED.blocks, &COUNTED.tags, &COUNTED.sealed];
    let [blocks, tags, sealed] = counts.map(|count| count.load(Ordering::Relaxed));
    // The other test may run beside this one.
    assert!(blocks > 2_000 && tags >= 6 * 19 * 4 && sealed == 2 * 19 * 2, "{COUNTED:?}");
}

#[test]
fn batches_go_to_the_provider_as_well() {
    let suite = Suite::AesCm128HmacSha1_32;
    let keys = [KeyParams::from_seed(suite, [3; 32])];
    let mut provided = Sender::with_provider(suite, &keys, Options::default(), &COUNTED).unwrap();
    let mut own = Sender::new(suite, &keys).unwrap();
    let mut buffers = [[0x80; 100]; 7];
    for (sequence, buffer) in (0..).zip(&mut buffers) {
        buffer[2..4].copy_from_slice(&u16::to_be_bytes(sequence));
    }
    let mut others = buffers;
    provided.protect_rtp_batch(&mut buffers.each_mut().map(|b| BatchPacket::new(b, 90)));
    own.protect_rtp_batch(&mut others.each_mut().map(|b| BatchPacket::new(b, 90)));
    assert_eq!(buffers, others);
}
