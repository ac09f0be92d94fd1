use crate::{HeaderExtension, ParseError, PayloadType, SequenceNumber, Ssrc, WriteError};

/// A view of one RTP packet (RFC 3550 §5.1). Nothing is copied.
///
/// ```
/// use linkspan_rtp::{PayloadType, RtpHeader, RtpPacket, SequenceNumber, Ssrc};
///
/// let header = RtpHeader {
///     marker: true,
///     payload_type: PayloadType(0),
///     sequence: SequenceNumber(7),
///     timestamp: 160,
///     ssrc: Ssrc(0xcafe_babe),
/// };
/// let mut octets = Vec::new();
/// header.write_packet(&[0xff; 160], &mut octets);
///
/// let packet = RtpPacket::parse(&octets)?;
/// assert_eq!(packet.header(), header);
/// assert_eq!(packet.payload().len(), 160);
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    data: &'a [u8],
    header: RtpHeader,
    csrcs: &'a [u8],
    extension: Option<HeaderExtension<'a>>,
    payload: &'a [u8],
    padding: u8,
}

impl<'a> RtpPacket<'a> {
    /// Reads a packet; the whole of `data` is taken as one datagram.
    ///
    /// # Errors
    ///
    /// When the version is not 2, or a CSRC list, header extension or padding does not fit. Any
    /// input is safe.
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let fields = rtp_types::RtpPacket::parse(data).map_err(|e| parse_error(data, &e))?;
        let padding = fields.padding().unwrap_or(0);
        let start = fields.payload_offset();
        let end = data.len().saturating_sub(usize::from(padding));
        let at = data.len().saturating_sub(1);
        let payload = data.get(start..end).ok_or(ParseError::Padding { at })?;
        let csrc_end = FIXED_LEN.saturating_add(usize::from(fields.n_csrcs()).saturating_mul(4));
        let truncated = ParseError::Truncated { what: "header", at: data.len() };
        let csrcs = data.get(FIXED_LEN..csrc_end).ok_or(truncated)?;
        let extension = match fields.extension() {
            None => None,
            Some((profile, _)) => {
                let data = data.get(csrc_end.saturating_add(4)..start).ok_or(truncated)?;
                Some(HeaderExtension { profile, data })
            }
        };
        let header = RtpHeader {
            marker: fields.marker_bit(),
            payload_type: PayloadType(fields.payload_type()),
            sequence: SequenceNumber(fields.sequence_number()),
            timestamp: fields.timestamp(),
            ssrc: Ssrc(fields.ssrc()),
        };
        Ok(Self { data, header, csrcs, extension, payload, padding })
    }

    /// The fields of the fixed header.
    #[must_use]
    pub fn header(&self) -> RtpHeader {
        self.header
    }

    /// The marker bit; what it marks depends on the payload type.
    #[must_use]
    pub fn marker(&self) -> bool {
        self.header.marker
    }

    /// The payload type.
    #[must_use]
    pub fn payload_type(&self) -> PayloadType {
        self.header.payload_type
    }

    /// The sequence number.
    #[must_use]
    pub fn sequence(&self) -> SequenceNumber {
        self.header.sequence
    }

    /// The timestamp in units of the payload's clock.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        self.header.timestamp
    }

    /// The stream that the packet belongs to.
    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.header.ssrc
    }

    /// Contributing sources. From a Lync mixer these are media source ids, the dominant speaker
    /// first (\[MS-RTP\] 3.1).
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + 'a {
        self.csrcs.as_chunks().0.iter().map(|octets| Ssrc(u32::from_be_bytes(*octets)))
    }

    /// The header extension, if the packet has one.
    #[must_use]
    pub fn extension(&self) -> Option<HeaderExtension<'a>> {
        self.extension
    }

    /// The payload without padding.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Octets of padding at the end, 0 where there is none.
    #[must_use]
    pub fn padding_len(&self) -> u8 {
        self.padding
    }

    /// Octets before the payload: fixed header, CSRC list and header extension.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.data.len().saturating_sub(self.payload.len()).saturating_sub(usize::from(self.padding))
    }

    /// The whole packet.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.data
    }
}

/// A packet whose fixed header can be changed in place.
///
/// ```
/// use linkspan_rtp::{RtpPacketMut, Ssrc};
/// let mut octets = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9, 0xd5];
/// let mut packet = RtpPacketMut::parse(&mut octets)?;
/// packet.set_ssrc(Ssrc(0x0102_0304));
/// assert_eq!(packet.header().ssrc, Ssrc(0x0102_0304));
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Debug)]
pub struct RtpPacketMut<'a> {
    fixed: &'a mut [u8; FIXED_LEN],
    rest: &'a mut [u8],
    header: RtpHeader,
    payload: core::ops::Range<usize>,
}

impl<'a> RtpPacketMut<'a> {
    /// Reads a packet for editing.
    ///
    /// # Errors
    ///
    /// As [`RtpPacket::parse`].
    pub fn parse(data: &'a mut [u8]) -> Result<Self, ParseError> {
        let view = RtpPacket::parse(data)?;
        let header = view.header();
        let start = view.header_len().saturating_sub(FIXED_LEN);
        let payload = start..start.saturating_add(view.payload().len());
        let Some((fixed, rest)) = data.split_first_chunk_mut::<FIXED_LEN>() else {
            return Err(ParseError::Truncated { what: "fixed header", at: 0 });
        };
        Ok(Self { fixed, rest, header, payload })
    }

    /// Sets the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        self.header.marker = marker;
        self.store();
    }

    /// Sets the payload type.
    pub fn set_payload_type(&mut self, payload_type: PayloadType) {
        self.header.payload_type = PayloadType(payload_type.0 & 0x7f);
        self.store();
    }

    /// Sets the sequence number.
    pub fn set_sequence(&mut self, sequence: SequenceNumber) {
        self.header.sequence = sequence;
        self.store();
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.header.timestamp = timestamp;
        self.store();
    }

    /// Sets the synchronisation source.
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.header.ssrc = ssrc;
        self.store();
    }

    /// Sets the whole fixed header at once; CSRC list, extension and padding stay.
    pub fn set_header(&mut self, header: RtpHeader) {
        self.header =
            RtpHeader { payload_type: PayloadType(header.payload_type.0 & 0x7f), ..header };
        self.store();
    }

    /// The payload, without padding, for editing in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        self.rest.get_mut(self.payload.clone()).unwrap_or_default()
    }

    /// The fields of the fixed header as they are now.
    #[must_use]
    pub fn header(&self) -> RtpHeader {
        self.header
    }

    fn store(&mut self) {
        let [first, ..] = *self.fixed;
        *self.fixed = self.header.to_octets(first);
    }
}

/// The fixed header of an RTP packet without CSRC list, extension or padding.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; the low 7 bits are written.
    pub payload_type: PayloadType,
    /// The sequence number.
    pub sequence: SequenceNumber,
    /// The timestamp in units of the payload's clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: Ssrc,
}

impl RtpHeader {
    /// Octets that the header takes.
    pub const LEN: usize = FIXED_LEN;

    /// The header as octets.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; FIXED_LEN] {
        self.to_octets(0x80)
    }

    /// Appends the header and `payload` to `out`.
    pub fn write_packet(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(FIXED_LEN.saturating_add(payload.len()));
        out.extend_from_slice(&self.to_bytes());
        out.extend_from_slice(payload);
    }

    /// Writes the header and `payload` at the start of `buffer`, and returns how many octets that
    /// took. The rest of `buffer` is left alone, for the tag that SRTP adds.
    ///
    /// # Errors
    ///
    /// [`WriteError::NoRoom`] when `buffer` is too small.
    pub fn write_into(&self, payload: &[u8], buffer: &mut [u8]) -> Result<usize, WriteError> {
        let needed = FIXED_LEN.saturating_add(payload.len());
        let no_room = WriteError::NoRoom { needed };
        let (packet, _) = buffer.split_at_mut_checked(needed).ok_or(no_room)?;
        let (fixed, body) = packet.split_first_chunk_mut::<FIXED_LEN>().ok_or(no_room)?;
        *fixed = self.to_bytes();
        body.copy_from_slice(payload);
        Ok(needed)
    }

    fn to_octets(self, first: u8) -> [u8; FIXED_LEN] {
        let [s0, s1] = self.sequence.0.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.0.to_be_bytes();
        let second = (u8::from(self.marker) << 7) | (self.payload_type.0 & 0x7f);
        [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3]
    }
}

/// A packet to be written with everything RFC 3550 §5.1 allows.
///
/// ```
/// use linkspan_rtp::{RtpBuilder, RtpHeader, RtpPacket, Ssrc};
/// let csrcs = [Ssrc(201)];
/// let packet = RtpBuilder {
///     header: RtpHeader::default(),
///     csrcs: &csrcs,
///     extension: Some((0xbede, &[0x10, 0x7f, 0, 0])),
///     payload: b"sound",
///     padding: 4,
/// };
/// let octets = packet.to_bytes()?;
/// let view = RtpPacket::parse(&octets).unwrap();
/// assert_eq!(view.payload(), b"sound");
/// assert_eq!(view.padding_len(), 4);
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RtpBuilder<'a> {
    /// The fixed header.
    pub header: RtpHeader,
    /// Contributing sources, at most 15.
    pub csrcs: &'a [Ssrc],
    /// Header extension: what is "defined by profile", and its data (whole 32-bit words).
    pub extension: Option<(u16, &'a [u8])>,
    /// The payload.
    pub payload: &'a [u8],
    /// Octets of padding, counting octet included; 0 for none.
    pub padding: u8,
}

impl RtpBuilder<'_> {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When there are more than 15 CSRCs, or the extension is not a whole number of words or
    /// longer than 65,535 of them.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let mut builder = rtp_types::RtpPacketBuilder::new()
            .marker_bit(self.header.marker)
            .payload_type(self.header.payload_type.0 & 0x7f)
            .sequence_number(self.header.sequence.0)
            .timestamp(self.header.timestamp)
            .ssrc(self.header.ssrc.0)
            .maybe_padding((self.padding > 0).then_some(self.padding))
            .payload(self.payload);
        for csrc in self.csrcs {
            builder = builder.add_csrc(csrc.0);
        }
        if let Some((profile, data)) = self.extension {
            builder = builder.extension(profile, data);
        }
        builder.write_into_vec(out).map_err(|e| write_error(&e))
    }

    /// The packet as octets.
    ///
    /// # Errors
    ///
    /// As [`RtpBuilder::write`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out)?;
        Ok(out)
    }
}

fn parse_error(data: &[u8], error: &rtp_types::RtpParseError) -> ParseError {
    use rtp_types::RtpParseError as E;
    match *error {
        E::UnsupportedVersion(found) => ParseError::Version { found, at: 0 },
        E::Truncated { .. } => ParseError::Truncated { what: "packet", at: data.len() },
        E::PaddingInvalid(_) => ParseError::Padding { at: data.len().saturating_sub(1) },
    }
}

fn write_error(error: &rtp_types::RtpWriteError) -> WriteError {
    use rtp_types::RtpWriteError as E;
    match *error {
        E::TooManyContributionSources(_) => WriteError::TooMany { what: "CSRCs", max: 15 },
        E::PacketTooLarge => WriteError::TooLong { what: "header extension" },
        E::ExtensionDataNotPadded => WriteError::Value { what: "header extension" },
        E::OutputTooSmall(needed) => WriteError::NoRoom { needed },
        E::InvalidPadding => WriteError::Value { what: "padding" },
        E::InvalidPayloadType(_) => WriteError::Value { what: "payload type" },
    }
}

/// RFC 3550 §5.1: the fixed header.
const FIXED_LEN: usize = 12;
