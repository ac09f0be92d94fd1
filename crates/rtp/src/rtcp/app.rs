use super::{PT_APP, PT_BYE, count_of, write_packet};
use crate::wire::Cursor;
use crate::{ParseError, Ssrc, WriteError};

/// Sources that leave (RFC 3550 §6.6).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bye {
    /// The sources, at most 31.
    pub sources: Vec<Ssrc>,
    /// Why, in at most 255 octets; `None` when the packet has no reason field.
    pub reason: Option<Vec<u8>>,
}

impl Bye {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// With more than 31 sources or a reason of more than 255 octets.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, count_of(self.sources.len(), "BYE sources")?, PT_BYE, |out| {
            for source in &self.sources {
                out.extend_from_slice(&source.0.to_be_bytes());
            }
            if let Some(reason) = &self.reason {
                let len = u8::try_from(reason.len())
                    .map_err(|_| WriteError::TooLong { what: "BYE reason" })?;
                out.push(len);
                out.extend_from_slice(reason);
                let field = usize::from(len).saturating_add(1);
                let padding = field.next_multiple_of(4).saturating_sub(field);
                out.resize(out.len().saturating_add(padding), 0);
            }
            Ok(())
        })
    }

    pub(super) fn read(count: u8, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let sources = (0..count).map(|_| cursor.u32("BYE").map(Ssrc)).collect::<Result<_, _>>()?;
        let reason = if cursor.is_empty() {
            None
        } else {
            let len = cursor.u8("BYE reason")?;
            Some(cursor.take(usize::from(len), "BYE reason")?.to_vec())
        };
        Ok(Self { sources, reason })
    }
}

/// Application-defined packet (RFC 3550 §6.7).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct App {
    /// Subtype, 0 to 31.
    pub subtype: u8,
    /// The source.
    pub ssrc: Ssrc,
    /// Four ASCII characters chosen by the application.
    pub name: [u8; 4],
    /// Data in whole words.
    pub data: Vec<u8>,
}

impl App {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When the data is not a whole number of words or too long.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, self.subtype, PT_APP, |out| {
            out.extend_from_slice(&self.ssrc.0.to_be_bytes());
            out.extend_from_slice(&self.name);
            out.extend_from_slice(&self.data);
            Ok(())
        })
    }

    pub(super) fn read(subtype: u8, cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let ssrc = Ssrc(cursor.u32("APP")?);
        let name = cursor.array("APP name")?;
        Ok(Self { subtype, ssrc, name, data: cursor.rest().to_vec() })
    }
}

/// A packet of a type this crate does not read: kept and written back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OtherRtcp {
    /// The packet type.
    pub packet_type: u8,
    /// The 5 bits behind version and padding.
    pub count: u8,
    /// What follows the common header, in whole words.
    pub body: Vec<u8>,
}

impl OtherRtcp {
    /// Appends the packet to `out`.
    ///
    /// # Errors
    ///
    /// When the body is not a whole number of words or too long.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        write_packet(out, self.count, self.packet_type, |out| {
            out.extend_from_slice(&self.body);
            Ok(())
        })
    }
}
