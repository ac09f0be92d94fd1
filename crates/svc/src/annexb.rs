use memchr::memmem::{self, FindIter};

/// The NAL units of an Annex B byte stream, without copying.
///
/// Three- and four-octet start codes may be mixed; `leading_zero_8bits` and `trailing_zero_8bits`
/// (H.264 §B.1.1) belong to no unit. Octets before the first start code are skipped, and a start
/// code with nothing behind it gives no unit.
///
/// ```
/// let stream = [0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce, 0, 0];
/// let nals: Vec<&[u8]> = linkspan_svc::nal_units(&stream).collect();
/// assert_eq!(nals, [&[0x67, 0x42][..], &[0x68, 0xce]]);
/// ```
#[must_use]
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    NalUnits { inner: located_nal_units(stream) }
}

/// Like [`nal_units`], with the place of each unit in the stream.
///
/// ```
/// let stream = [0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce];
/// let second = linkspan_svc::located_nal_units(&stream).nth(1).unwrap();
/// assert_eq!((second.offset, second.start_code_len, second.bytes.len()), (6, 3, 2));
/// ```
#[must_use]
pub fn located_nal_units(stream: &[u8]) -> LocatedNalUnits<'_> {
    let mut starts = memmem::find_iter(stream, &START_CODE[1..]);
    let next = starts.next();
    LocatedNalUnits { stream, starts, next }
}

/// The NAL units of a stream in which each is preceded by its length (ISO/IEC 14496-15), in
/// `length_size` octets, 1 to 4, most significant first.
///
/// The iterator ends at the first length that reaches over the end of `data`;
/// [`LengthPrefixedNalUnits::remainder`] tells what was left.
///
/// ```
/// let data = [0, 0, 0, 2, 0x67, 0x42, 0, 0, 0, 1, 0x68];
/// let nals: Vec<&[u8]> = linkspan_svc::length_prefixed_nal_units(&data, 4).collect();
/// assert_eq!(nals, [&[0x67, 0x42][..], &[0x68]]);
/// ```
#[must_use]
pub fn length_prefixed_nal_units(data: &[u8], length_size: usize) -> LengthPrefixedNalUnits<'_> {
    LengthPrefixedNalUnits { data, length_size: length_size.clamp(1, 4) }
}

/// Appends `nal` behind a four-octet start code.
pub fn write_annex_b(nal: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// Iterator of [`nal_units`].
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    inner: LocatedNalUnits<'a>,
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.inner.next().map(|n| n.bytes)
    }
}

/// A NAL unit and where it stands in its byte stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LocatedNal<'a> {
    /// Offset of the start code, its zero octet included.
    pub offset: usize,
    /// Octets of the start code: 3 or 4.
    pub start_code_len: u8,
    /// The unit without start code and trailing zeros.
    pub bytes: &'a [u8],
}

/// Iterator of [`located_nal_units`].
#[derive(Clone, Debug)]
pub struct LocatedNalUnits<'a> {
    stream: &'a [u8],
    starts: FindIter<'a, 'static>,
    next: Option<usize>,
}

impl<'a> Iterator for LocatedNalUnits<'a> {
    type Item = LocatedNal<'a>;

    #[inline]
    fn next(&mut self) -> Option<LocatedNal<'a>> {
        loop {
            let start = self.next?;
            self.next = self.starts.next();
            let end = self.next.unwrap_or(self.stream.len());
            let mut bytes = self.stream.get(start + 3..end)?;
            // H.264 §7.4.1: a NAL unit never ends in a zero octet; these are padding, or the
            // zero_byte of the start code that follows.
            while let [rest @ .., 0] = bytes {
                bytes = rest;
            }
            if bytes.is_empty() {
                continue;
            }
            let long = start > 0 && self.stream.get(start - 1) == Some(&0);
            let (offset, start_code_len) = if long { (start - 1, 4) } else { (start, 3) };
            return Some(LocatedNal { offset, start_code_len, bytes });
        }
    }
}

/// Iterator of [`length_prefixed_nal_units`].
#[derive(Clone, Debug)]
pub struct LengthPrefixedNalUnits<'a> {
    data: &'a [u8],
    length_size: usize,
}

impl<'a> LengthPrefixedNalUnits<'a> {
    /// What has not been given out: empty at the end of well-formed data.
    #[must_use]
    pub const fn remainder(&self) -> &'a [u8] {
        self.data
    }
}

impl<'a> Iterator for LengthPrefixedNalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.data.split_at_checked(self.length_size)?;
        let length = length.iter().fold(0usize, |sum, &b| sum << 8 | usize::from(b));
        let (nal, rest) = rest.split_at_checked(length)?;
        self.data = rest;
        Some(nal)
    }
}

pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_stray_zeros_and_empty_units() {
        let s = [9, 9, 0, 0, 0, 0, 1, 0x65, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0x61, 0, 0, 0, 1];
        let found: Vec<_> =
            located_nal_units(&s).map(|n| (n.offset, n.start_code_len, n.bytes.to_vec())).collect();
        assert_eq!(found, [(3, 4, vec![0x65, 1]), (15, 3, vec![0x61])]);
    }

    #[test]
    fn nothing_in_nothing() {
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
        assert_eq!(nal_units(&[1, 2, 3, 4]).count(), 0);
    }

    #[test]
    fn length_prefixes_stop_at_damage() {
        let mut it = length_prefixed_nal_units(&[0, 1, 0x65, 0, 9, 1], 2);
        assert_eq!(it.next(), Some(&[0x65][..]));
        assert_eq!(it.next(), None);
        assert_eq!(it.remainder(), [0, 9, 1]);
    }
}
