use zeroize::{Zeroize as _, Zeroizing};

use super::sha1_lanes::{BLOCK, compress};

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
            let mut state = [H0];
            compress(&mut state, [core::slice::from_ref(&*block)]);
            let [state] = state;
            state
        };
        Self { inner: keyed(0x36), outer: keyed(0x5c) }
    }

    /// The authentication value of `data` followed by `trailer`.
    #[inline]
    pub(crate) fn tag<const T: usize>(&self, data: &[u8], trailer: &[u8; T]) -> [u8; 20] {
        let [tag] = Self::tags([self], [data], [trailer]);
        tag
    }

    /// The authentication values of several messages, each under a key of its own.
    #[inline]
    pub(crate) fn tags<const N: usize, const T: usize>(
        keys: [&Self; N],
        data: [&[u8]; N],
        trailers: [&[u8; T]; N],
    ) -> [[u8; 20]; N] {
        let mut states = keys.map(|key| key.inner);
        compress(&mut states, data.map(|data| data.as_chunks().0));
        let mut at = data.iter().zip(trailers);
        let ends: [End; N] = core::array::from_fn(|_| {
            at.next().map(|(data, trailer)| End::of(data, trailer)).unwrap_or_default()
        });
        compress(
            &mut states,
            core::array::from_fn(|lane| ends.get(lane).map_or(&[][..], End::blocks)),
        );

        let outer = states.map(outer_block);
        let mut states = keys.map(|key| key.outer);
        compress(&mut states, outer.each_ref().map(core::slice::from_ref));
        states.map(|state| {
            let mut tag = [0; 20];
            write_state(&state, &mut tag);
            tag
        })
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// The blocks at the end of a message: what fills no block, the trailer, and the padding.
///
/// A block's worth of room lies before them: with it the end of a message of at least one block is
/// copied as one block of its last octets, whatever its length.
struct End {
    octets: [u8; 3 * BLOCK],
    count: usize,
}

impl Default for End {
    fn default() -> Self {
        Self { octets: [0; 3 * BLOCK], count: 0 }
    }
}

impl End {
    #[inline]
    fn of<const T: usize>(data: &[u8], trailer: &[u8; T]) -> Self {
        let (_, tail) = data.as_chunks::<BLOCK>();
        let mut end = Self::default();
        let (before, rest) = end.octets.split_at_mut(BLOCK + tail.len());
        match (before.last_chunk_mut::<BLOCK>(), data.last_chunk::<BLOCK>()) {
            (Some(to), Some(last)) => *to = *last,
            _ => before.iter_mut().rev().zip(tail.iter().rev()).for_each(|(to, from)| *to = *from),
        }
        // FIPS 180-4 §5.1.1: one bit, zeros, then the length in 64 bits.
        if let Some((to, rest)) = rest.split_first_chunk_mut::<T>() {
            *to = *trailer;
            if let Some(end) = rest.first_mut() {
                *end = 0x80;
            }
        }
        let bits = 8 * (BLOCK + data.len() + T) as u64;
        end.count = if tail.len() + T + 1 + 8 > BLOCK { 2 } else { 1 };
        let (blocks, _) = end.octets.as_chunks_mut::<BLOCK>();
        let last = blocks.get_mut(end.count);
        if let Some(length) = last.and_then(|block| block.last_chunk_mut()) {
            *length = bits.to_be_bytes();
        }
        end
    }

    #[inline]
    fn blocks(&self) -> &[[u8; BLOCK]] {
        self.octets.as_chunks().0.get(1..=self.count).unwrap_or_default()
    }
}

#[inline]
fn outer_block(inner: [u32; 5]) -> [u8; BLOCK] {
    let mut block = [0u8; BLOCK];
    write_state(&inner, &mut block);
    if let Some(end) = block.get_mut(20) {
        *end = 0x80;
    }
    if let Some(length) = block.last_chunk_mut() {
        *length = (8 * (BLOCK as u64 + 20)).to_be_bytes();
    }
    block
}

fn write_state(state: &[u32; 5], out: &mut [u8]) {
    let (words, _) = out.as_chunks_mut::<4>();
    words.iter_mut().zip(state).for_each(|(to, from)| *to = from.to_be_bytes());
}

/// FIPS 180-4 §5.3.1.
const H0: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
