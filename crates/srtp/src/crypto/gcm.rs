use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// AES-GCM with one key (RFC 7714).
pub(crate) struct Gcm {
    key: LessSafeKey,
}

impl Gcm {
    /// With a key of 16 or 32 octets.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        Some(Self { key })
    }

    /// Encrypts `data` in place and gives the tag.
    pub(crate) fn seal(&self, iv: [u8; 12], aad: &[u8], data: &mut [u8]) -> Option<[u8; 16]> {
        let nonce = Nonce::assume_unique_for_key(iv);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), data).ok()?;
        tag.as_ref().first_chunk().copied()
    }

    /// Decrypts `data`, whose last 16 octets are the tag, in place. `None` when the tag is wrong;
    /// the data is worthless then.
    pub(crate) fn open(&self, iv: [u8; 12], aad: &[u8], data: &mut [u8]) -> Option<()> {
        let nonce = Nonce::assume_unique_for_key(iv);
        self.key.open_in_place(nonce, Aad::from(aad), data).ok().map(|_| ())
    }
}
