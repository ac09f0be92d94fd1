use crate::wire::Cursor;
use crate::{ParseError, Pli, Ssrc, WriteError};

/// Picture loss indication in Microsoft's form (\[MS-RTP\] 2.2.12.1), used when both sides said
/// `x-pli`.
///
/// ```
/// use linkspan_rtp::{Ssrc, ms::PictureLoss};
/// let request = PictureLoss {
///     sender: Ssrc(0x831f_8dc1),
///     media: Ssrc(0x4f4d_1749),
///     request_id: 3,
///     priority_ids: 0b111, // priority ids 0, 1 and 2
/// };
/// let pli = request.to_pli();
/// assert_eq!(PictureLoss::from_pli(&pli)?, Some(request));
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PictureLoss {
    /// Who asks.
    pub sender: Ssrc,
    /// The stream.
    pub media: Ssrc,
    /// The same in repetitions, another for each new request.
    pub request_id: u16,
    /// The streams that need a sync frame: bit n is priority id n.
    pub priority_ids: u64,
}

impl PictureLoss {
    /// Reads the extension of a picture loss indication; `None` for the standard form.
    ///
    /// # Errors
    ///
    /// When there is an extension, but not of 12 octets.
    pub fn from_pli(pli: &Pli) -> Result<Option<Self>, ParseError> {
        if pli.extension.is_empty() {
            return Ok(None);
        }
        let mut cursor = Cursor::new(&pli.extension);
        let request_id = cursor.u16("PLI request id")?;
        let _reserved = cursor.u16("PLI")?;
        // Octet k covers ids 8k to 8k + 7, the lowest id in the lowest bit: little-endian.
        let priority_ids = u64::from_le_bytes(cursor.array("PLI priority ids")?);
        if !cursor.is_empty() {
            return Err(ParseError::Length { what: "PLI", at: cursor.at() });
        }
        Ok(Some(Self { sender: pli.sender, media: pli.media, request_id, priority_ids }))
    }

    /// The request as a picture loss indication with its extension.
    #[must_use]
    pub fn to_pli(&self) -> Pli {
        let mut extension = Vec::with_capacity(12);
        extension.extend_from_slice(&self.request_id.to_be_bytes());
        extension.extend_from_slice(&[0, 0]);
        extension.extend_from_slice(&self.priority_ids.to_le_bytes());
        Pli { sender: self.sender, media: self.media, extension }
    }

    /// Appends the RTCP packet to `out`.
    ///
    /// # Errors
    ///
    /// None in practice; the signature is that of every packet.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.to_pli().write(out)
    }

    /// Whether a sync frame of this priority id is wanted.
    #[must_use]
    pub fn wants(&self, priority_id: u8) -> bool {
        1u64.checked_shl(priority_id.into()).is_some_and(|bit| self.priority_ids & bit != 0)
    }
}
