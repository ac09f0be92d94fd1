use super::VideoSourceRequest;
use crate::wire::Cursor;
use crate::{ApplicationFeedback, ParseError, Ssrc, WriteError};

/// Microsoft's messages in application layer feedback (\[MS-RTP\] 2.2.12).
///
/// ```
/// use linkspan_rtp::{RtcpPacket, ms};
/// // A mixer tells who spoke last.
/// let octets = [
///     0x8f, 0xce, 0, 6, 0, 0, 0, 101, 0, 0, 0, 0, 0, 3, 0, 16, 0, 0, 0, 201, 0, 0, 1, 49, 0, 0, 0, 202,
/// ];
/// let RtcpPacket::ApplicationFeedback(packet) = RtcpPacket::parse(&octets)? else { panic!() };
/// let ms::Feedback::DominantSpeakers(speakers) = ms::Feedback::parse(&packet)? else { panic!() };
/// assert_eq!(speakers.sources.iter().map(|s| s.0).collect::<Vec<_>>(), [201, 305, 202]);
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Feedback {
    /// What video is wanted.
    VideoSourceRequest(VideoSourceRequest),
    /// Who spoke last.
    DominantSpeakers(DominantSpeakers),
    /// Any other message of this framing: its type.
    Other(u16),
}

/// Dominant speaker history, sent by mixers (\[MS-RTP\] 2.2.12.3).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DominantSpeakers {
    /// Who sends it.
    pub sender: Ssrc,
    /// The media source field of the feedback header.
    pub media: Ssrc,
    /// Media source ids, the most recent dominant speaker first;
    /// [`SOURCE_NONE`](super::SOURCE_NONE) is possible.
    pub sources: Vec<Ssrc>,
}

impl Feedback {
    /// Reads a feedback message. Its length field decides where it ends.
    ///
    /// # Errors
    ///
    /// When the framing or the message is malformed. Offsets count from the start of the message.
    pub fn parse(packet: &ApplicationFeedback) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(&packet.fci);
        let kind = cursor.u16("feedback type")?;
        let at = cursor.at();
        let len = usize::from(cursor.u16("feedback length")?);
        let wrong = ParseError::Length { what: "feedback", at };
        let body_len = len.checked_sub(4).ok_or(wrong)?;
        let body = cursor.rest().get(..body_len).ok_or(wrong)?;
        let body = Cursor::new(body);
        match kind {
            TYPE_VSR => VideoSourceRequest::read(packet, body)
                .map(Self::VideoSourceRequest)
                .map_err(|error| error.shifted(4)),
            TYPE_DSH => DominantSpeakers::read(packet, body)
                .map(Self::DominantSpeakers)
                .map_err(|error| error.shifted(4)),
            other => Ok(Self::Other(other)),
        }
    }
}

impl DominantSpeakers {
    /// The message as a feedback packet.
    ///
    /// # Errors
    ///
    /// With more than 16,382 speakers.
    pub fn to_feedback(&self) -> Result<ApplicationFeedback, WriteError> {
        let mut fci = Vec::with_capacity(4 + 4 * self.sources.len());
        write_header(TYPE_DSH, 4 * self.sources.len(), &mut fci)?;
        for source in &self.sources {
            fci.extend_from_slice(&source.0.to_be_bytes());
        }
        Ok(ApplicationFeedback { sender: self.sender, media: self.media, fci })
    }

    /// Appends the RTCP packet to `out`.
    ///
    /// # Errors
    ///
    /// As [`DominantSpeakers::to_feedback`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.to_feedback()?.write(out)
    }

    fn read(packet: &ApplicationFeedback, mut cursor: Cursor<'_>) -> Result<Self, ParseError> {
        let mut sources = Vec::with_capacity(cursor.remaining() / 4);
        while !cursor.is_empty() {
            sources.push(Ssrc(cursor.u32("dominant speaker")?));
        }
        Ok(Self { sender: packet.sender, media: packet.media, sources })
    }
}

/// Type, and the length of the message with these four octets.
pub(super) fn write_header(kind: u16, body: usize, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let too_long = WriteError::TooLong { what: "feedback" };
    let len = u16::try_from(body.saturating_add(4)).map_err(|_| too_long)?;
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    Ok(())
}

/// [MS-RTP] 2.2.12.2: application layer feedback types.
pub(super) const TYPE_VSR: u16 = 1;
const TYPE_DSH: u16 = 3;
