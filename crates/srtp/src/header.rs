/// Why a header cannot be read: what, and where.
pub(crate) type Malformed = (&'static str, usize);

/// The fields of an RTP header that protection needs (RFC 3550 §5.1). Padding is inside the
/// encrypted part and not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    /// Octets up to the CSRC list's end.
    pub(crate) fixed_len: usize,
    /// Octets up to the payload.
    pub(crate) len: usize,
}

impl RtpHeader {
    #[inline(always)]
    pub(crate) fn read(packet: &[u8]) -> Result<Self, Malformed> {
        let Some(&[first, _, q0, q1, _, _, _, _, i0, i1, i2, i3]) = packet.first_chunk() else {
            return Err(("RTP header", packet.len()));
        };
        if first >> 6 != 2 {
            return Err(("RTP version", 0));
        }
        let fixed_len = 12 + 4 * usize::from(first & 0x0f);
        let mut len = fixed_len;
        if first & 0x10 != 0 {
            let field = packet.get(fixed_len + 2..fixed_len + 4).and_then(|f| f.first_chunk());
            let Some(&words) = field else { return Err(("header extension", fixed_len)) };
            len += 4 + 4 * usize::from(u16::from_be_bytes(words));
        }
        if len > packet.len() {
            return Err(("RTP header", packet.len()));
        }
        let ssrc = u32::from_be_bytes([i0, i1, i2, i3]);
        Ok(Self { ssrc, sequence: u16::from_be_bytes([q0, q1]), fixed_len, len })
    }

    pub(crate) fn has_extension(&self) -> bool {
        self.len > self.fixed_len
    }
}

/// The SSRC of the first packet of an RTCP compound (RFC 3711 §3.4): the first eight octets stay
/// readable.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Malformed> {
    let Some(&[first, _, _, _, i0, i1, i2, i3]) = packet.first_chunk() else {
        return Err(("RTCP header", packet.len()));
    };
    if first >> 6 != 2 {
        return Err(("RTCP version", 0));
    }
    Ok(u32::from_be_bytes([i0, i1, i2, i3]))
}

/// Octets of an RTCP compound that are never encrypted.
pub(crate) const RTCP_HEADER_LEN: usize = 8;
