//! Bits of a raw byte sequence payload, read through emulation prevention and written back.

use crate::error::ParseError;

/// Reads syntax elements (H.264 §7.2, §9.1), skipping emulation prevention octets on the way.
#[derive(Clone, Debug)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    /// Next octet of `data` to load.
    next: usize,
    /// Zero octets loaded in a row.
    zeros: u8,
    /// Whether `data` holds emulation prevention octets.
    escaped: bool,
    /// Loaded bits, the next one on top.
    cache: u64,
    cached: u32,
    /// Octets loaded, emulation prevention not counted.
    loaded: usize,
}

impl<'a> BitReader<'a> {
    /// A reader of NAL unit octets behind the header.
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self::with(data, true)
    }

    /// A reader of octets without emulation prevention.
    pub(crate) fn raw(data: &'a [u8]) -> Self {
        Self::with(data, false)
    }

    /// A reader of the payload of a message, whose length is known: zeros at its end count.
    pub(crate) const fn payload(data: &'a [u8]) -> Self {
        Self { data, next: 0, zeros: 0, escaped: false, cache: 0, cached: 0, loaded: 0 }
    }

    fn with(mut data: &'a [u8], escaped: bool) -> Self {
        // H.264 §7.2 more_rbsp_data: cabac_zero_words, with their own escapes, are not data.
        loop {
            data = match data {
                [rest @ .., 0] => rest,
                [rest @ .., 0, 0, 3] if escaped => rest,
                _ => break,
            };
        }
        Self { data, next: 0, zeros: 0, escaped, cache: 0, cached: 0, loaded: 0 }
    }

    /// Bits read so far, counted in the payload without emulation prevention.
    pub(crate) fn position(&self) -> usize {
        (self.loaded * 8).saturating_sub(self.cached as usize)
    }

    #[inline]
    fn refill(&mut self) {
        let rest = self.data.get(self.next..).unwrap_or_default();
        let Some(octets) = rest.first_chunk::<8>().filter(|_| self.cached <= 56) else {
            return self.refill_by_octets();
        };
        let word = u64::from_be_bytes(*octets);
        if self.escaped && has_octet(word, 3) {
            return self.refill_by_octets();
        }
        // As many as there is room for; none of them can be an emulation prevention octet.
        let count = (64 - self.cached) / 8;
        let taken = word >> (64 - 8 * count);
        self.cache |= (taken << (64 - 8 * count)) >> self.cached;
        let zeros = (taken.trailing_zeros() / 8).min(count).to_le_bytes()[0];
        self.zeros = if taken == 0 { self.zeros.saturating_add(zeros) } else { zeros };
        self.cached += 8 * count;
        self.next += count as usize;
        self.loaded += count as usize;
    }

    fn refill_by_octets(&mut self) {
        while self.cached <= 56 {
            let Some(&octet) = self.data.get(self.next) else { return };
            self.next += 1;
            if self.escaped && self.zeros >= 2 && octet == 3 {
                self.zeros = 0;
                continue;
            }
            self.zeros = if octet == 0 { self.zeros.saturating_add(1) } else { 0 };
            self.cache |= u64::from(octet) << (56 - self.cached);
            self.cached += 8;
            self.loaded += 1;
        }
    }

    /// `u(n)`, n up to 32.
    #[inline]
    pub(crate) fn u(&mut self, n: u32) -> Result<u32, ParseError> {
        if n == 0 {
            return Ok(0);
        }
        if self.cached < n {
            self.refill();
        }
        if self.cached < n || n > 32 {
            return Err(ParseError::Truncated { at: self.position() });
        }
        let value = self.cache >> (64 - n);
        self.cache <<= n;
        self.cached -= n;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// `u(8)` or less.
    #[inline]
    pub(crate) fn u8(&mut self, n: u32) -> Result<u8, ParseError> {
        Ok(self.u(n.min(8))?.to_le_bytes()[0])
    }

    /// `u(1)` as a truth value.
    #[inline]
    pub(crate) fn flag(&mut self) -> Result<bool, ParseError> {
        Ok(self.u(1)? != 0)
    }

    /// `ue(v)`.
    #[inline]
    pub(crate) fn ue(&mut self) -> Result<u32, ParseError> {
        let mut zeros = self.cache.leading_zeros();
        if 2 * zeros >= self.cached {
            self.refill();
            zeros = self.cache.leading_zeros();
        }
        let length = 2 * zeros + 1;
        if zeros <= 31 && length <= self.cached {
            let code = self.cache >> (64 - length);
            self.cache <<= length;
            self.cached -= length;
            return Ok(u32::try_from(code - 1).unwrap_or(u32::MAX));
        }
        self.long_ue(zeros)
    }

    /// A code that is longer than what can be loaded at once, or than there is.
    #[cold]
    fn long_ue(&mut self, zeros: u32) -> Result<u32, ParseError> {
        if zeros >= self.cached {
            return Err(ParseError::Truncated { at: self.position() });
        }
        if zeros > 31 {
            return Err(ParseError::OutOfRange { element: "ue(v)", at: self.position() });
        }
        self.u(zeros)?;
        Ok(self.u(zeros + 1)? - 1)
    }

    /// `ue(v)` no larger than `max`; `element` names it in the error.
    #[inline]
    pub(crate) fn ue_max(&mut self, element: &'static str, max: u32) -> Result<u32, ParseError> {
        let value = self.ue()?;
        if value > max {
            return Err(ParseError::OutOfRange { element, at: self.position() });
        }
        Ok(value)
    }

    /// `ue(v)` no larger than `max`, which fits an octet.
    #[inline]
    pub(crate) fn ue_u8(&mut self, element: &'static str, max: u8) -> Result<u8, ParseError> {
        Ok(self.ue_max(element, u32::from(max))?.to_le_bytes()[0])
    }

    /// `se(v)`.
    #[inline]
    pub(crate) fn se(&mut self) -> Result<i32, ParseError> {
        let code = self.ue()?;
        // H.264 §9.1.1: 1, -1, 2, -2, ...
        let magnitude = i32::try_from(code.div_ceil(2)).unwrap_or(i32::MAX);
        Ok(if code & 1 == 1 { magnitude } else { -magnitude })
    }
}

/// Whether one of the octets of `word` is `octet`.
const fn has_octet(word: u64, octet: u8) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let difference = word ^ (ONES * octet as u64);
    difference.wrapping_sub(ONES) & !difference & (ONES << 7) != 0
}

/// Writes syntax elements into a payload without emulation prevention.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, right-aligned.
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// An empty writer that reuses the memory of `bytes`.
    pub(crate) fn reuse(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, pending: 0, count: 0 }
    }

    /// `u(n)`, n up to 32.
    pub(crate) fn u(&mut self, value: u32, n: u32) {
        let n = n.min(32);
        let mask = (1u64 << n) - 1;
        self.pending = self.pending << n | u64::from(value) & mask;
        self.count += n;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count).to_le_bytes()[0]);
        }
    }

    /// `u(1)`.
    pub(crate) fn flag(&mut self, value: bool) {
        self.u(u32::from(value), 1);
    }

    /// `ue(v)`.
    pub(crate) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let bits = 64 - code.leading_zeros();
        self.u(0, bits - 1);
        if bits > 32 {
            self.u(1, 1);
            self.u(0, 32);
        } else {
            self.u(u32::try_from(code).unwrap_or(u32::MAX), bits);
        }
    }

    /// Copies the bits `from..to` of `source`, which has no emulation prevention.
    pub(crate) fn copy(&mut self, source: &[u8], from: usize, to: usize) {
        let to = to.min(source.len() * 8);
        let mut at = from.min(to);
        while at < to && !at.is_multiple_of(8) {
            let octet = source.get(at / 8).copied().unwrap_or(0);
            self.flag(octet >> (7 - at % 8) & 1 != 0);
            at += 1;
        }
        let whole = source.get(at / 8..to / 8).unwrap_or_default();
        if self.count == 0 {
            self.bytes.extend_from_slice(whole);
        } else {
            let mut words = whole.chunks_exact(4);
            for word in &mut words {
                let word = word.iter().fold(0u32, |sum, &b| sum << 8 | u32::from(b));
                self.u(word, 32);
            }
            for &octet in words.remainder() {
                self.u(u32::from(octet), 8);
            }
        }
        if at < to && !to.is_multiple_of(8) {
            let octet = source.get(to / 8).copied().unwrap_or(0);
            let left = u32::try_from(to % 8).unwrap_or(0);
            self.u(u32::from(octet) >> (8 - left), left);
        }
    }

    /// Whether the next bit is the first of an octet.
    pub(crate) const fn is_aligned(&self) -> bool {
        self.count == 0
    }

    /// `rbsp_trailing_bits()`.
    pub(crate) fn trailing(&mut self) {
        self.flag(true);
        while !self.is_aligned() {
            self.flag(false);
        }
    }

    /// Bits written so far.
    #[cfg(test)]
    pub(crate) fn written(&self) -> usize {
        self.bytes.len() * 8 + self.count as usize
    }

    /// The payload; bits of an unfinished octet are lost.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Appends `nal` (everything behind the header included) to `out` without its emulation prevention
/// octets.
pub(crate) fn unescape(mut nal: &[u8], out: &mut Vec<u8>) {
    // H.264 §7.3.1: 00 00 03 -> 00 00.
    while let Some(at) = memchr::memmem::find(nal, &[0, 0, 3]) {
        let (kept, rest) = nal.split_at(at + 2);
        out.extend_from_slice(kept);
        nal = rest.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(nal);
}

/// Appends `payload` to `out` with emulation prevention (H.264 §7.4.1).
pub(crate) fn escape(payload: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    let mut copied = 0;
    let mut from = 0;
    // Only where two zeros meet can an escape be needed.
    while let Some(found) = payload.get(from..).and_then(|rest| memchr::memchr(0, rest)) {
        let mut at = from + found;
        while let Some(&octet) = payload.get(at) {
            if zeros >= 2 && octet <= 3 {
                out.extend_from_slice(payload.get(copied..at).unwrap_or_default());
                out.push(3);
                copied = at;
                zeros = 0;
            }
            if octet != 0 {
                break;
            }
            zeros += 1;
            at += 1;
        }
        zeros = 0;
        from = at;
    }
    out.extend_from_slice(payload.get(copied..).unwrap_or_default());
    // A NAL unit never ends in a zero octet (cabac_zero_words end in 03).
    if payload.last() == Some(&0) {
        out.push(3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_round_trips() {
        let values = [0u32, 1, 2, 3, 7, 8, 255, 256, 65_535, 65_536, 1 << 30, u32::MAX - 1];
        let mut w = BitWriter::default();
        for v in values {
            w.ue(v);
            // se(v): 1 -> 1, -1 -> 2.
            w.ue(((v >> 2) * 2).saturating_sub(1));
            w.ue((v >> 2) * 2);
        }
        w.trailing();
        let bytes = w.into_bytes();
        let mut r = BitReader::raw(&bytes);
        for v in values {
            assert_eq!(r.ue().unwrap(), v);
            assert_eq!(r.se().unwrap(), i32::try_from(v >> 2).unwrap());
            assert_eq!(r.se().unwrap(), -i32::try_from(v >> 2).unwrap());
        }
    }

    #[test]
    fn reading_through_escapes_is_reading_without_them() {
        let mut seed = 3u32;
        let mut random = |n: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % n
        };
        for len in 1..120usize {
            let mut draw = || [0, 0, 0, 1, 3, 0xff, 0x80, 0x40][random(8) as usize];
            let payload: Vec<u8> = (0..len).map(|_| draw()).chain([0x80]).collect();
            let mut escaped = Vec::new();
            escape(&payload, &mut escaped);
            let (mut plain, mut through) = (BitReader::raw(&payload), BitReader::new(&escaped));
            for _ in 0..len {
                let bits = random(40);
                let one = if bits > 32 { plain.ue() } else { plain.u(bits) };
                let other = if bits > 32 { through.ue() } else { through.u(bits) };
                assert_eq!(one, other, "{payload:02x?}");
                assert_eq!(plain.position(), through.position());
            }
        }
    }

    #[test]
    fn escapes_are_inverse_and_complete() {
        let mut seed = 7u32;
        for len in 0..200usize {
            let payload: Vec<u8> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    [0, 0, 0, 1, 3, 0, 9, 2][(seed >> 29) as usize]
                })
                .chain([0x80])
                .collect();
            let mut escaped = Vec::new();
            escape(&payload, &mut escaped);
            assert!(!escaped.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3), "{len}");
            let mut back = Vec::new();
            unescape(&escaped, &mut back);
            assert_eq!(back, payload);
        }
    }

    #[test]
    fn copies_bits_at_any_shift() {
        let source: Vec<u8> = (0..40u8).map(|v| v.wrapping_mul(37) ^ 0x5a).collect();
        let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
        for from in 0..17 {
            for to in from..60 {
                for lead in 0..9 {
                    let mut w = BitWriter::default();
                    w.u(0, lead);
                    w.copy(&source, from, to);
                    w.trailing();
                    let out = w.into_bytes();
                    for (i, at) in (from..to).enumerate() {
                        assert_eq!(bit(&out, lead as usize + i), bit(&source, at));
                    }
                    assert_eq!(bit(&out, lead as usize + to - from), 1);
                }
            }
        }
    }
}
