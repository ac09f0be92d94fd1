use super::picture::{FMT_RPSI, FMT_SLI};
use super::{FMT_TRANSPORT_CC, PT_PSFB, PT_RTPFB, Rpsi, Sli, TransportCc, write_packet};
use crate::wire::Cursor;
use crate::{ParseError, SequenceNumber, Ssrc, WriteError};

/// Generic negative acknowledgement (RFC 4585 §6.2.1).
///
/// ```
/// use linkspan_rtp::{GenericNack, SequenceNumber, Ssrc};
/// let lost = [10, 11, 26, 40].map(SequenceNumber);
/// let nack = GenericNack::of(Ssrc(1), Ssrc(2), &lost);
/// assert_eq!(nack.pairs.len(), 2);
/// assert_eq!(nack.sequences().collect::<Vec<_>>(), lost);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GenericNack {
    /// Who asks.
    pub sender: Ssrc,
    /// The stream with the losses.
    pub media: Ssrc,
    /// Packet id and bit mask of the 16 packets that follow it.
    pub pairs: Vec<(SequenceNumber, u16)>,
}

impl GenericNack {
    /// The request for these packets, which are in sequence order.
    #[must_use]
    pub fn of(sender: Ssrc, media: Ssrc, lost: &[SequenceNumber]) -> Self {
        let mut pairs: Vec<(SequenceNumber, u16)> = Vec::new();
        for &sequence in lost {
            if let Some((first, mask)) = pairs.last_mut() {
                let ahead = sequence.distance_from(*first);
                if (1..=16).contains(&ahead) {
                    *mask |= 1 << (ahead - 1);
                    continue;
                }
            }
            pairs.push((sequence, 0));
        }
        Self { sender, media, pairs }
    }

    /// Every packet asked for.
    pub fn sequences(&self) -> impl Iterator<Item = SequenceNumber> + '_ {
        self.pairs.iter().flat_map(|&(first, mask)| {
            let following = (0..16u16).filter(move |bit| mask & (1 << bit) != 0);
            core::iter::once(first).chain(following.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When there are too many pairs for one packet.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, FMT_NACK, PT_RTPFB, |out| {
            write_ssrcs(self.sender, self.media, out);
            for (first, mask) in &self.pairs {
                out.extend_from_slice(&first.0.to_be_bytes());
                out.extend_from_slice(&mask.to_be_bytes());
            }
            Ok(())
        })
    }
}

/// One entry of a temporary maximum media stream bit rate message (RFC 5104 §4.2.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TmmbEntry {
    /// The stream limited (TMMBR), or the owner of the limit (TMMBN).
    pub ssrc: Ssrc,
    /// The limit. The wire keeps 17 significant bits: writing rounds down.
    pub bitrate_bps: u64,
    /// Octets of overhead per packet, 9 bits.
    pub overhead: u16,
}

/// Request for a lower (or higher) maximum bit rate (RFC 5104 §4.2.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tmmbr {
    /// Who asks.
    pub sender: Ssrc,
    /// The limits.
    pub entries: Vec<TmmbEntry>,
}

/// The bounding set in force (RFC 5104 §4.2.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tmmbn {
    /// Who announces.
    pub sender: Ssrc,
    /// The limits in force.
    pub entries: Vec<TmmbEntry>,
}

impl Tmmbr {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When an overhead exceeds 9 bits, a bit rate its field, or there are too many entries.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_tmmb(FMT_TMMBR, self.sender, &self.entries, out)
    }
}

impl Tmmbn {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// As [`Tmmbr::write`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_tmmb(FMT_TMMBN, self.sender, &self.entries, out)
    }
}

/// Picture loss indication (RFC 4585 §6.3.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pli {
    /// Who asks.
    pub sender: Ssrc,
    /// The stream that needs a key picture.
    pub media: Ssrc,
    /// What follows: nothing by the standard, 12 octets in Microsoft's form
    /// ([`ms::PictureLoss`](crate::ms::PictureLoss)).
    pub extension: Vec<u8>,
}

impl Pli {
    /// The standard form.
    #[must_use]
    pub fn new(sender: Ssrc, media: Ssrc) -> Self {
        Self { sender, media, extension: Vec::new() }
    }

    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When the extension is no whole number of words or does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, FMT_PLI, PT_PSFB, |out| {
            write_ssrcs(self.sender, self.media, out);
            out.extend_from_slice(&self.extension);
            Ok(())
        })
    }
}

/// Full intra request (RFC 5104 §4.3.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fir {
    /// Who asks.
    pub sender: Ssrc,
    /// The streams and their command numbers.
    pub entries: Vec<FirEntry>,
}

/// One stream of a full intra request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FirEntry {
    /// The stream that needs a key picture.
    pub ssrc: Ssrc,
    /// Command number: the same in repetitions, the next for a new request.
    pub sequence: u8,
}

impl Fir {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When there are too many entries for one packet.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, FMT_FIR, PT_PSFB, |out| {
            // RFC 5104 §4.3.1.2: the media source field is unused and 0.
            write_ssrcs(self.sender, Ssrc(0), out);
            for entry in &self.entries {
                out.extend_from_slice(&entry.ssrc.0.to_be_bytes());
                out.extend_from_slice(&[entry.sequence, 0, 0, 0]);
            }
            Ok(())
        })
    }
}

/// Receiver estimated maximum bit rate (draft-alvestrand-rmcat-remb-03).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Remb {
    /// Who estimates.
    pub sender: Ssrc,
    /// The estimate. The wire keeps 18 significant bits: writing rounds down.
    pub bitrate_bps: u64,
    /// The streams that share it, at most 255.
    pub ssrcs: Vec<Ssrc>,
}

impl Remb {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// With more than 255 streams or a bit rate beyond the field.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let too_many = WriteError::TooMany { what: "REMB streams", max: 255 };
        let count = u8::try_from(self.ssrcs.len()).map_err(|_| too_many)?;
        write_packet(out, FMT_AFB, PT_PSFB, |out| {
            write_ssrcs(self.sender, Ssrc(0), out);
            out.extend_from_slice(REMB);
            let (exponent, mantissa) = split_bitrate(self.bitrate_bps, 18)?;
            let word = (u32::from(count) << 24) | (exponent << 18) | mantissa;
            out.extend_from_slice(&word.to_be_bytes());
            self.ssrcs.iter().for_each(|ssrc| out.extend_from_slice(&ssrc.0.to_be_bytes()));
            Ok(())
        })
    }

    fn read(sender: Ssrc, mut cursor: Cursor<'_>) -> Result<Self, ParseError> {
        let at = cursor.at();
        let word = cursor.u32("REMB")?;
        let [count, ..] = word.to_be_bytes();
        let (exponent, mantissa) = ((word >> 18) & 0x3f, u64::from(word & 0x3_ffff));
        let bitrate_bps = join_bitrate(exponent, mantissa, at)?;
        let ssrcs = (0..count).map(|_| cursor.u32("REMB").map(Ssrc)).collect::<Result<_, _>>()?;
        Ok(Self { sender, bitrate_bps, ssrcs })
    }
}

/// Application layer feedback (RFC 4585 §6.4); Microsoft's are read by
/// [`ms::Feedback`](crate::ms::Feedback).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ApplicationFeedback {
    /// Who sends it.
    pub sender: Ssrc,
    /// The stream it is about.
    pub media: Ssrc,
    /// The message, in whole words.
    pub fci: Vec<u8>,
}

impl ApplicationFeedback {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When the message is no whole number of words or does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, FMT_AFB, PT_PSFB, |out| {
            write_ssrcs(self.sender, self.media, out);
            out.extend_from_slice(&self.fci);
            Ok(())
        })
    }
}

/// A feedback message this crate does not read: kept and written back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OtherFeedback {
    /// Whether it is payload-specific (PSFB, 206) or of the transport layer (RTPFB, 205).
    pub payload_specific: bool,
    /// The feedback message type.
    pub format: u8,
    /// Who sends it.
    pub sender: Ssrc,
    /// The stream it is about.
    pub media: Ssrc,
    /// The message, in whole words.
    pub fci: Vec<u8>,
}

impl OtherFeedback {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When the message is no whole number of words or does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let packet_type = if self.payload_specific { PT_PSFB } else { PT_RTPFB };
        write_packet(out, self.format, packet_type, |out| {
            write_ssrcs(self.sender, self.media, out);
            out.extend_from_slice(&self.fci);
            Ok(())
        })
    }
}

/// What a feedback packet turned out to be.
pub(super) enum Feedback {
    Nack(GenericNack),
    Tmmbr(Tmmbr),
    Tmmbn(Tmmbn),
    TransportCc(TransportCc),
    Pli(Pli),
    Sli(Sli),
    Rpsi(Rpsi),
    Fir(Fir),
    Remb(Remb),
    Application(ApplicationFeedback),
    Other(OtherFeedback),
}

impl Feedback {
    pub(super) fn read(
        payload_specific: bool,
        format: u8,
        mut cursor: Cursor<'_>,
    ) -> Result<Self, ParseError> {
        let sender = Ssrc(cursor.u32("feedback sender")?);
        let media = Ssrc(cursor.u32("feedback source")?);
        let fci = cursor.rest();
        Ok(match (payload_specific, format) {
            (false, FMT_NACK) => {
                let mut pairs = Vec::with_capacity(fci.len() / 4);
                while !cursor.is_empty() {
                    pairs.push((SequenceNumber(cursor.u16("NACK")?), cursor.u16("NACK")?));
                }
                Self::Nack(GenericNack { sender, media, pairs })
            }
            (false, FMT_TMMBR) => Self::Tmmbr(Tmmbr { sender, entries: read_tmmb(cursor)? }),
            (false, FMT_TMMBN) => Self::Tmmbn(Tmmbn { sender, entries: read_tmmb(cursor)? }),
            (false, FMT_TRANSPORT_CC) => {
                Self::TransportCc(TransportCc::read(sender, media, cursor)?)
            }
            (true, FMT_PLI) => Self::Pli(Pli { sender, media, extension: fci.to_vec() }),
            (true, FMT_SLI) => Self::Sli(Sli::read(sender, media, cursor)?),
            (true, FMT_RPSI) => Self::Rpsi(Rpsi::read(sender, media, cursor)?),
            (true, FMT_FIR) => {
                let mut entries = Vec::with_capacity(fci.len() / 8);
                while !cursor.is_empty() {
                    let ssrc = Ssrc(cursor.u32("FIR")?);
                    let sequence = cursor.u8("FIR")?;
                    let _reserved = cursor.u24("FIR")?;
                    entries.push(FirEntry { ssrc, sequence });
                }
                Self::Fir(Fir { sender, entries })
            }
            (true, FMT_AFB) if fci.starts_with(REMB) => {
                let _name: [u8; 4] = cursor.array("REMB")?;
                Self::Remb(Remb::read(sender, cursor)?)
            }
            (true, FMT_AFB) => {
                Self::Application(ApplicationFeedback { sender, media, fci: fci.to_vec() })
            }
            _ => {
                let fci = fci.to_vec();
                Self::Other(OtherFeedback { payload_specific, format, sender, media, fci })
            }
        })
    }
}

fn write_ssrcs(sender: Ssrc, media: Ssrc, out: &mut Vec<u8>) {
    out.extend_from_slice(&sender.0.to_be_bytes());
    out.extend_from_slice(&media.0.to_be_bytes());
}

fn write_tmmb(
    format: u8,
    sender: Ssrc,
    entries: &[TmmbEntry],
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    write_packet(out, format, PT_RTPFB, |out| {
        write_ssrcs(sender, Ssrc(0), out);
        for entry in entries {
            if entry.overhead > 0x1ff {
                return Err(WriteError::Value { what: "TMMBR overhead" });
            }
            let (exponent, mantissa) = split_bitrate(entry.bitrate_bps, 17)?;
            let word = (exponent << 26) | (mantissa << 9) | u32::from(entry.overhead);
            out.extend_from_slice(&entry.ssrc.0.to_be_bytes());
            out.extend_from_slice(&word.to_be_bytes());
        }
        Ok(())
    })
}

fn read_tmmb(mut cursor: Cursor<'_>) -> Result<Vec<TmmbEntry>, ParseError> {
    let mut entries = Vec::with_capacity(cursor.remaining() / 8);
    while !cursor.is_empty() {
        let ssrc = Ssrc(cursor.u32("TMMBR")?);
        let at = cursor.at();
        let word = cursor.u32("TMMBR")?;
        let bitrate_bps = join_bitrate(word >> 26, u64::from((word >> 9) & 0x1_ffff), at)?;
        let [_, _, a, b] = word.to_be_bytes();
        entries.push(TmmbEntry { ssrc, bitrate_bps, overhead: u16::from_be_bytes([a & 0x01, b]) });
    }
    Ok(entries)
}

/// Exponent (6 bits) and mantissa of `bits` bits, rounding down.
fn split_bitrate(bitrate_bps: u64, bits: u32) -> Result<(u32, u32), WriteError> {
    let exponent = (64 - bitrate_bps.leading_zeros()).saturating_sub(bits);
    let mantissa = u32::try_from(bitrate_bps >> exponent)
        .map_err(|_| WriteError::Value { what: "bit rate" })?;
    Ok((exponent, mantissa))
}

/// A mantissa of at most 18 bits with an exponent of up to 63 can exceed 64 bits.
fn join_bitrate(exponent: u32, mantissa: u64, at: usize) -> Result<u64, ParseError> {
    let shifted = mantissa << exponent;
    if shifted >> exponent != mantissa {
        return Err(ParseError::Value { what: "bit rate", at });
    }
    Ok(shifted)
}

// Feedback message types (RFC 4585 §6.2, §6.3, §6.4; RFC 5104 §4.2, §4.3).
const FMT_NACK: u8 = 1;
const FMT_TMMBR: u8 = 3;
const FMT_TMMBN: u8 = 4;
const FMT_PLI: u8 = 1;
const FMT_FIR: u8 = 4;
const FMT_AFB: u8 = 15;
/// draft-alvestrand-rmcat-remb-03 §2.2: the unique identifier.
const REMB: &[u8] = b"REMB";
