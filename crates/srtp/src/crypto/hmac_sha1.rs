use sha1::block_api::compress;
use zeroize::{Zeroize as _, Zeroizing};

/// HMAC-SHA1 with one key (RFC 2104), on the packet where it lies.
///
/// The states behind the inner and the outer key block are computed once. Whole blocks go from
/// the packet to the compression function without a copy.
pub(crate) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    /// With a key of at most one block; session keys have 20 octets.
    pub(crate) fn new(key: &[u8; 20]) -> Self {
        let keyed = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            block.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
            let mut state = H0;
            compress(&mut state, core::slice::from_ref(&*block));
            state
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    /// The authentication value of `data` followed by `trailer`.
    #[inline]
    pub(crate) fn tag(&self, data: &[u8], trailer: &[u8; 4]) -> [u8; 20] {
        self.compute(data, trailer)
    }

    /// The authentication value of `data`.
    #[inline]
    pub(crate) fn tag_of(&self, data: &[u8]) -> [u8; 20] {
        self.compute(data, &[])
    }

    #[inline]
    fn compute<const N: usize>(&self, data: &[u8], trailer: &[u8; N]) -> [u8; 20] {
        let mut state = self.inner;
        let (blocks, tail) = data.as_chunks::<BLOCK>();
        compress(&mut state, blocks);

        // FIPS 180-4 §5.1.1: one bit, zeros, then the length in 64 bits.
        let mut last = [0u8; 2 * BLOCK];
        let (copied, rest) = last.split_at_mut(tail.len());
        copied.copy_from_slice(tail);
        if let Some((to, rest)) = rest.split_first_chunk_mut::<N>() {
            *to = *trailer;
            if let Some(end) = rest.first_mut() {
                *end = 0x80;
            }
        }
        let bits = 8 * (BLOCK + data.len() + N) as u64;
        let (last_blocks, _) = last.as_chunks_mut::<BLOCK>();
        let count = if tail.len() + N + 1 + 8 > BLOCK { 2 } else { 1 };
        let (last_blocks, _) = last_blocks.split_at_mut(count);
        if let Some(length) = last_blocks.last_mut().and_then(|block| block.last_chunk_mut()) {
            *length = bits.to_be_bytes();
        }
        compress(&mut state, last_blocks);
        self.finish(state)
    }

    #[inline]
    fn finish(&self, inner: [u32; 5]) -> [u8; 20] {
        let mut block = [0u8; BLOCK];
        write_state(&inner, &mut block);
        if let Some(end) = block.get_mut(20) {
            *end = 0x80;
        }
        if let Some(length) = block.last_chunk_mut() {
            *length = (8 * (BLOCK as u64 + 20)).to_be_bytes();
        }
        let mut state = self.outer;
        compress(&mut state, &[block]);
        let mut tag = [0; 20];
        write_state(&state, &mut tag);
        tag
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

fn write_state(state: &[u32; 5], out: &mut [u8]) {
    let (words, _) = out.as_chunks_mut::<4>();
    words.iter_mut().zip(state).for_each(|(to, from)| *to = from.to_be_bytes());
}

/// FIPS 180-4 §5.3.1.
const H0: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
/// Octets of a SHA-1 block.
const BLOCK: usize = 64;
