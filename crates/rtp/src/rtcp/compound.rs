use super::feedback::Feedback;
use super::{
    App, ApplicationFeedback, Bye, ExtendedReport, Fir, GenericNack, OtherFeedback, OtherRtcp,
    PT_APP, PT_BYE, PT_PSFB, PT_RR, PT_RTPFB, PT_SDES, PT_SR, PT_XR, Pli, ReceiverReport, Remb,
    Rpsi, Sdes, SenderReport, Sli, Tmmbn, Tmmbr, TransportCc,
};
use crate::wire::Cursor;
use crate::{ParseError, Ssrc, WriteError};

/// A datagram of RTCP packets (RFC 3550 §6.1), whose framing has been checked.
///
/// ```
/// use linkspan_rtp::{Compound, Pli, ReceiverReport, RtcpPacket, Sdes, Ssrc};
///
/// let mut octets = Vec::new();
/// ReceiverReport { ssrc: Ssrc(1), ..ReceiverReport::default() }.write(&mut octets)?;
/// Sdes::cname(Ssrc(1), "a@b").write(&mut octets)?;
/// Pli::new(Ssrc(1), Ssrc(2)).write(&mut octets)?;
///
/// let compound = Compound::parse(&octets).unwrap();
/// assert!(!compound.is_reduced_size());
/// for packet in compound.packets() {
///     if let RtcpPacket::Pli(pli) = packet.unwrap() {
///         assert_eq!(pli.media, Ssrc(2));
///     }
/// }
/// # Ok::<(), linkspan_rtp::WriteError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    data: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Checks the framing of the whole datagram: version, lengths that add up, padding in the last
    /// packet only. Reduced-size RTCP (RFC 5506), which starts with a feedback message, is fine:
    /// see [`Compound::is_reduced_size`].
    ///
    /// # Errors
    ///
    /// When the framing is wrong anywhere; what the packets hold is read by
    /// [`Compound::packets`].
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = Cursor::new(data);
        loop {
            let frame = Frame::read(&mut rest)?;
            if rest.is_empty() {
                return Ok(Self { data });
            }
            // RFC 3550 §6.4.1: padding is only for the last packet of a compound.
            if frame.padded {
                return Err(ParseError::Padding { at: frame.at });
            }
        }
    }

    /// The packets in order. A packet that cannot be read is an error in its place; the following
    /// ones are still read.
    #[must_use]
    pub fn packets(&self) -> RtcpPackets<'a> {
        RtcpPackets { rest: Cursor::new(self.data) }
    }

    /// Whether the datagram does not begin with a sender or receiver report (RFC 5506).
    #[must_use]
    pub fn is_reduced_size(&self) -> bool {
        !matches!(self.data.get(1), Some(&(PT_SR | PT_RR)))
    }

    /// The whole datagram.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.data
    }
}

impl<'a> IntoIterator for &Compound<'a> {
    type Item = Result<RtcpPacket, ParseError>;
    type IntoIter = RtcpPackets<'a>;

    fn into_iter(self) -> RtcpPackets<'a> {
        self.packets()
    }
}

/// Iterator over the packets of a [`Compound`].
#[derive(Clone, Debug)]
pub struct RtcpPackets<'a> {
    rest: Cursor<'a>,
}

impl Iterator for RtcpPackets<'_> {
    type Item = Result<RtcpPacket, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // The framing was checked by `Compound::parse`: an error here cannot repeat for ever.
        let frame = match Frame::read(&mut self.rest) {
            Ok(frame) => frame,
            Err(error) => {
                self.rest = Cursor::new(&[]);
                return Some(Err(error));
            }
        };
        let body_at = frame.at.saturating_add(HEADER_LEN);
        Some(RtcpPacket::read(&frame).map_err(|error| error.shifted(body_at)))
    }
}

/// One RTCP packet.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RtcpPacket {
    /// Sender report.
    SenderReport(SenderReport),
    /// Receiver report.
    ReceiverReport(ReceiverReport),
    /// Source description.
    Sdes(Sdes),
    /// Goodbye.
    Bye(Bye),
    /// Application-defined.
    App(App),
    /// Generic NACK.
    Nack(GenericNack),
    /// Temporary maximum bit rate request.
    Tmmbr(Tmmbr),
    /// Temporary maximum bit rate notification.
    Tmmbn(Tmmbn),
    /// Transport-wide congestion control feedback.
    TransportCc(TransportCc),
    /// Picture loss indication.
    Pli(Pli),
    /// Slice loss indication.
    Sli(Sli),
    /// Reference picture selection indication.
    Rpsi(Rpsi),
    /// Full intra request.
    Fir(Fir),
    /// Receiver estimated maximum bit rate.
    Remb(Remb),
    /// Application layer feedback; Microsoft's messages are among these.
    ApplicationFeedback(ApplicationFeedback),
    /// Any other feedback message.
    OtherFeedback(OtherFeedback),
    /// Extended report.
    ExtendedReport(ExtendedReport),
    /// Any other packet.
    Other(OtherRtcp),
}

impl RtcpPacket {
    /// Reads exactly one packet.
    ///
    /// # Errors
    ///
    /// When the packet is malformed or does not fill `data`.
    pub fn parse(data: &[u8]) -> Result<Self, ParseError> {
        let mut rest = Cursor::new(data);
        let frame = Frame::read(&mut rest)?;
        if !rest.is_empty() {
            return Err(ParseError::Length { what: "RTCP packet", at: 2 });
        }
        Self::read(&frame).map_err(|error| error.shifted(HEADER_LEN))
    }

    /// Appends the packet to `out`. On an error nothing is appended.
    ///
    /// # Errors
    ///
    /// When the packet breaks a limit of its format.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        match self {
            Self::SenderReport(packet) => packet.write(out),
            Self::ReceiverReport(packet) => packet.write(out),
            Self::Sdes(packet) => packet.write(out),
            Self::Bye(packet) => packet.write(out),
            Self::App(packet) => packet.write(out),
            Self::Nack(packet) => packet.write(out),
            Self::Tmmbr(packet) => packet.write(out),
            Self::Tmmbn(packet) => packet.write(out),
            Self::TransportCc(packet) => packet.write(out),
            Self::Pli(packet) => packet.write(out),
            Self::Sli(packet) => packet.write(out),
            Self::Rpsi(packet) => packet.write(out),
            Self::ExtendedReport(packet) => packet.write(out),
            Self::Fir(packet) => packet.write(out),
            Self::Remb(packet) => packet.write(out),
            Self::ApplicationFeedback(packet) => packet.write(out),
            Self::OtherFeedback(packet) => packet.write(out),
            Self::Other(packet) => packet.write(out),
        }
    }

    /// Who sent the packet; `None` for an SDES without chunks, a BYE without sources, and packets
    /// this crate does not read.
    #[must_use]
    pub fn sender(&self) -> Option<Ssrc> {
        match self {
            Self::SenderReport(packet) => Some(packet.ssrc),
            Self::ReceiverReport(packet) => Some(packet.ssrc),
            Self::Sdes(packet) => packet.chunks.first().map(|chunk| chunk.ssrc),
            Self::Bye(packet) => packet.sources.first().copied(),
            Self::App(packet) => Some(packet.ssrc),
            Self::Nack(packet) => Some(packet.sender),
            Self::Tmmbr(packet) => Some(packet.sender),
            Self::Tmmbn(packet) => Some(packet.sender),
            Self::TransportCc(packet) => Some(packet.sender),
            Self::Pli(packet) => Some(packet.sender),
            Self::Sli(packet) => Some(packet.sender),
            Self::Rpsi(packet) => Some(packet.sender),
            Self::ExtendedReport(packet) => Some(packet.ssrc),
            Self::Fir(packet) => Some(packet.sender),
            Self::Remb(packet) => Some(packet.sender),
            Self::ApplicationFeedback(packet) => Some(packet.sender),
            Self::OtherFeedback(packet) => Some(packet.sender),
            Self::Other(_) => None,
        }
    }

    fn read(frame: &Frame<'_>) -> Result<Self, ParseError> {
        // Offsets count from the body, which starts a whole word into the packet.
        let mut cursor = Cursor::new(frame.body);
        Ok(match frame.packet_type {
            PT_SR => Self::SenderReport(SenderReport::read(frame.count, &mut cursor)?),
            PT_RR => Self::ReceiverReport(ReceiverReport::read(frame.count, &mut cursor)?),
            PT_SDES => Self::Sdes(Sdes::read(frame.count, &mut cursor)?),
            PT_BYE => Self::Bye(Bye::read(frame.count, &mut cursor)?),
            PT_APP => Self::App(App::read(frame.count, &mut cursor)?),
            PT_RTPFB | PT_PSFB => {
                let payload_specific = frame.packet_type == PT_PSFB;
                match Feedback::read(payload_specific, frame.count, cursor)? {
                    Feedback::Nack(packet) => Self::Nack(packet),
                    Feedback::Tmmbr(packet) => Self::Tmmbr(packet),
                    Feedback::Tmmbn(packet) => Self::Tmmbn(packet),
                    Feedback::TransportCc(packet) => Self::TransportCc(packet),
                    Feedback::Pli(packet) => Self::Pli(packet),
                    Feedback::Sli(packet) => Self::Sli(packet),
                    Feedback::Rpsi(packet) => Self::Rpsi(packet),
                    Feedback::Fir(packet) => Self::Fir(packet),
                    Feedback::Remb(packet) => Self::Remb(packet),
                    Feedback::Application(packet) => Self::ApplicationFeedback(packet),
                    Feedback::Other(packet) => Self::OtherFeedback(packet),
                }
            }
            PT_XR => Self::ExtendedReport(ExtendedReport::read(&mut cursor)?),
            packet_type => Self::Other(OtherRtcp {
                packet_type,
                count: frame.count,
                body: frame.body.to_vec(),
            }),
        })
    }
}

/// One packet by its common header (RFC 3550 §6.4.1).
struct Frame<'a> {
    at: usize,
    padded: bool,
    count: u8,
    packet_type: u8,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let at = cursor.at();
        let [first, packet_type, l0, l1] = cursor.array("RTCP header")?;
        if first >> 6 != 2 {
            return Err(ParseError::Version { found: first >> 6, at });
        }
        let len = usize::from(u16::from_be_bytes([l0, l1])).saturating_mul(4);
        let mut body = cursor.take(len, "RTCP packet")?;
        let padded = first & 0x20 != 0;
        if padded {
            let padding = body.last().copied().unwrap_or(0);
            let kept = body.len().checked_sub(usize::from(padding));
            // RFC 3550 §6.4.1: a multiple of four, itself included.
            match kept.and_then(|kept| body.get(..kept)) {
                Some(kept) if padding != 0 && padding.is_multiple_of(4) => body = kept,
                _ => return Err(ParseError::Padding { at: cursor.at().saturating_sub(1) }),
            }
        }
        Ok(Self { at, padded, count: first & 0x1f, packet_type, body })
    }
}

/// RFC 3550 §6.4.1: version, padding, count, type and length.
const HEADER_LEN: usize = 4;
