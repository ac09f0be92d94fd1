use core::fmt;

/// Cryptography from another library, in place of this crate's own: `aes` and `sha1` of
/// RustCrypto, `ring` for the AEAD suites.
///
/// Each method may leave its part to this crate by giving `None`, as all of them do unless
/// written. See [`Sender::with_provider`](crate::Sender::with_provider) and
/// [`Receiver::with_provider`](crate::Receiver::with_provider). The same provider derives session
/// keys, by its counter mode.
///
/// ```
/// use linkspan_srtp::{Aead, CryptoProvider, KeyParams, Options, Receiver, Sender, Suite};
/// use ring::aead;
///
/// // ring stands here for the library of your choice.
/// #[derive(Debug)]
/// struct Mine;
///
/// impl CryptoProvider for Mine {
///     fn aead(&self, key: &[u8]) -> Option<Box<dyn Aead>> {
///         let algorithm = if key.len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
///         let key = aead::UnboundKey::new(algorithm, key).ok()?;
///         Some(Box::new(Gcm(aead::LessSafeKey::new(key))))
///     }
/// }
///
/// struct Gcm(aead::LessSafeKey);
///
/// impl Aead for Gcm {
///     fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Option<[u8; 16]> {
///         let nonce = aead::Nonce::assume_unique_for_key(nonce);
///         let tag = self.0.seal_in_place_separate_tag(nonce, aead::Aad::from(aad), data).ok()?;
///         tag.as_ref().try_into().ok()
///     }
///
///     fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> bool {
///         let nonce = aead::Nonce::assume_unique_for_key(nonce);
///         self.0.open_in_place(nonce, aead::Aad::from(aad), data).is_ok()
///     }
/// }
///
/// let suite = Suite::AeadAes128Gcm;
/// let keys = [KeyParams::from_seed(suite, [7; 32])];
/// let mut sender = Sender::with_provider(suite, &keys, Options::default(), &Mine)?;
/// let mut receiver = Receiver::new(suite, &keys)?;
/// let mut buffer = [0x80; 40];
/// let len = sender.protect_rtp(&mut buffer, 20).unwrap();
/// assert_eq!(receiver.unprotect_rtp(&mut buffer[..len]), Ok(20));
/// # Ok::<(), linkspan_srtp::KeyError>(())
/// ```
pub trait CryptoProvider: fmt::Debug + Send + Sync {
    /// AES in counter mode under a key of 16, 24 or 32 octets.
    fn counter_mode(&self, _key: &[u8]) -> Option<Box<dyn CounterMode>> {
        None
    }

    /// HMAC-SHA1 under this key.
    fn hmac_sha1(&self, _key: &[u8; 20]) -> Option<Box<dyn Mac>> {
        None
    }

    /// AES-GCM under a key of 16 or 32 octets.
    fn aead(&self, _key: &[u8]) -> Option<Box<dyn Aead>> {
        None
    }
}

/// AES in counter mode with one key (RFC 3711 §4.1.1). Wipe the key on drop.
pub trait CounterMode: Send + Sync {
    /// XORs the key stream that begins with the encryption of `counter` into `data`; the counter
    /// is a 128-bit number, most significant octet first, and goes up by one a block.
    fn apply(&self, counter: [u8; 16], data: &mut [u8]);
}

/// HMAC-SHA1 with one key (RFC 3711 §4.2.1). Wipe the key on drop.
pub trait Mac: Send + Sync {
    /// The authentication value of `data` followed by `trailer`.
    fn sign(&self, data: &[u8], trailer: &[u8]) -> [u8; 20];
}

/// AES-GCM with one key and tags of 16 octets (RFC 7714). Wipe the key on drop.
pub trait Aead: Send + Sync {
    /// Encrypts `data` in place and gives the tag. `None` fails the packet.
    fn seal(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Option<[u8; 16]>;

    /// Decrypts `data`, whose last 16 octets are the tag, in place. Whether the tag is right, which
    /// has to be found out in constant time; otherwise what is left in `data` goes nowhere.
    fn open(&self, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> bool;
}

/// What serves where no other provider was given.
#[derive(Debug)]
pub(crate) struct BuiltIn;

impl CryptoProvider for BuiltIn {}
