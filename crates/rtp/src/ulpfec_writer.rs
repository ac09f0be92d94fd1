use crate::{UlpFec, WriteError};

impl UlpFec<'_> {
    /// Appends the payload of a correction packet with one level that protects `packets`: whole RTP
    /// packets of one source, in the order of their sequence numbers, at most 48 numbers apart.
    ///
    /// It goes out as a payload type of its own, or as the block of a [`crate::RedundantAudio`]
    /// payload (RFC 5109 §14.1).
    ///
    /// ```
    /// use linkspan_rtp::{RtpHeader, SequenceNumber, UlpFec};
    /// let (mut a, mut b) = (Vec::new(), Vec::new());
    /// RtpHeader { sequence: SequenceNumber(8), ..RtpHeader::default() }.write_packet(b"one", &mut a);
    /// RtpHeader { sequence: SequenceNumber(9), ..RtpHeader::default() }.write_packet(b"other", &mut b);
    /// let mut payload = Vec::new();
    /// UlpFec::write([&a[..], &b].into_iter(), &mut payload)?;
    /// let fec = UlpFec::parse(&payload).unwrap();
    /// let lost = fec.recover(Default::default(), |s| (s.0 == 8).then_some(&a[..])).unwrap();
    /// assert_eq!(lost.octets, b);
    /// # Ok::<(), linkspan_rtp::WriteError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no packet, one is shorter than an RTP header, or they are too far apart.
    pub fn write<'p>(
        packets: impl Iterator<Item = &'p [u8]> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        let wrong = WriteError::Value { what: "protected packet" };
        let (mut sum, mut lengths, mut longest) = ([0u8; 8], 0u16, 0u16);
        let (mut mask, mut base) = (0u64, None);
        for packet in packets.clone() {
            let (header, rest) = packet.split_first_chunk::<12>().ok_or(wrong)?;
            let [_, _, hi, lo, ..] = *header;
            let sequence = u16::from_be_bytes([hi, lo]);
            let place = sequence.wrapping_sub(*base.get_or_insert(sequence));
            if place >= 48 || mask >> (47 - place) & 1 != 0 {
                return Err(wrong);
            }
            mask |= 1 << (47 - place);
            sum.iter_mut().zip(header).for_each(|(to, from)| *to ^= from);
            let len = u16::try_from(rest.len()).map_err(|_| wrong)?;
            lengths ^= len;
            longest = longest.max(len);
        }
        let Some(base) = base else { return Err(wrong) };
        // RFC 5109 §7.3, §7.4: the short mask where it is enough; P, X and CC behind E and L.
        let is_long = mask & 0xffff_ffff != 0;
        let [first, second, _, _, t0, t1, t2, t3] = sum;
        let [hi, lo] = base.to_be_bytes();
        out.extend_from_slice(&[u8::from(is_long) << 6 | first & 0x3f, second, hi, lo]);
        out.extend_from_slice(&[t0, t1, t2, t3]);
        out.extend_from_slice(&lengths.to_be_bytes());
        out.extend_from_slice(&longest.to_be_bytes());
        let [_, _, mask @ ..] = mask.to_be_bytes();
        out.extend_from_slice(mask.get(..if is_long { 6 } else { 2 }).unwrap_or_default());
        let start = out.len();
        out.resize(start + usize::from(longest), 0);
        for packet in packets {
            let parity = out.get_mut(start..).unwrap_or_default();
            let rest = packet.get(12..).unwrap_or_default();
            parity.iter_mut().zip(rest).for_each(|(to, from)| *to ^= from);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SequenceNumber, Ssrc};

    fn packet(sequence: u16, len: usize) -> Vec<u8> {
        let [hi, lo] = sequence.to_be_bytes();
        let mut packet = vec![0x80, 0x60 | lo << 7, hi, lo, 0, lo, 3, 4, 0, 0, 0, 9];
        packet.extend((0..len).map(|n| (n * 31 + usize::from(sequence)).to_le_bytes()[0]));
        packet
    }

    #[test]
    fn any_one_packet_comes_back() {
        for count in [1u16, 2, 16, 17, 48] {
            let first = 65_530u16;
            let packets: Vec<_> = (0..count)
                .map(|n| packet(first.wrapping_add(n), usize::from(n * 7 % 50)))
                .collect();
            let mut payload = Vec::new();
            UlpFec::write(packets.iter().map(|p| &p[..]), &mut payload).unwrap();
            let fec = UlpFec::parse(&payload).unwrap();
            for lost in 0..count {
                let received = |s: SequenceNumber| {
                    let place = s.0.wrapping_sub(first);
                    packets.get(usize::from(place)).filter(|_| place != lost).map(|p| &p[..])
                };
                let got = fec.recover(Ssrc(9), received).unwrap();
                assert_eq!(got.octets, packets[usize::from(lost)], "{count} {lost}");
            }
        }
    }

    #[test]
    fn what_cannot_be_protected_is_refused() {
        let mut out = Vec::new();
        let (a, b) = (packet(1, 5), packet(60, 5));
        assert!(UlpFec::write([].into_iter(), &mut out).is_err());
        assert!(UlpFec::write([&[0x80u8; 11][..]].into_iter(), &mut out).is_err());
        assert!(UlpFec::write([&a[..], &b[..]].into_iter(), &mut out).is_err());
        assert!(UlpFec::write([&a[..], &a[..]].into_iter(), &mut out).is_err());
        assert!(out.is_empty());
    }
}
