//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104, RFC 5506): one file per family of packets.

mod app;
mod compound;
mod feedback;
mod picture;
mod report;
mod sdes;
mod transport_cc;
mod xr;
mod xr_summary;

pub use app::{App, Bye, OtherRtcp};
pub use compound::{Compound, RtcpPacket, RtcpPackets};
pub use feedback::{
    ApplicationFeedback, Fir, FirEntry, GenericNack, OtherFeedback, Pli, Remb, TmmbEntry, Tmmbn,
    Tmmbr,
};
pub use picture::{Rpsi, Sli, SliEntry};
pub use report::{NtpTime, ReceiverReport, ReportBlock, SenderInfo, SenderReport};
pub use sdes::{Sdes, SdesChunk, SdesItem, SdesKind};
pub use transport_cc::TransportCc;
pub use xr::{DlrrItem, ExtendedReport, XrBlock};
pub use xr_summary::{Hops, Spread, StatisticsSummary};

use crate::WriteError;

/// Appends one RTCP packet: common header, then what `body` writes, padded to whole words by the
/// caller.
fn write_packet(
    out: &mut Vec<u8>,
    count: u8,
    packet_type: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    out.extend_from_slice(&[0x80 | (count & 0x1f), packet_type, 0, 0]);
    let too_long = WriteError::TooLong { what: "RTCP packet" };
    let finished = body(out).and_then(|()| {
        // RFC 3550 §6.4.1: length in 32-bit words minus one.
        let body_len = out.len().saturating_sub(start).saturating_sub(4);
        if !body_len.is_multiple_of(4) {
            return Err(WriteError::Value { what: "RTCP packet length" });
        }
        let words = u16::try_from(body_len / 4).map_err(|_| too_long)?;
        let length = out.get_mut(start.saturating_add(2)..start.saturating_add(4));
        length.ok_or(too_long)?.copy_from_slice(&words.to_be_bytes());
        Ok(())
    });
    if finished.is_err() {
        out.truncate(start);
    }
    finished
}

/// The 5-bit count of a list.
fn count_of(len: usize, what: &'static str) -> Result<u8, WriteError> {
    match u8::try_from(len) {
        Ok(count) if count <= 31 => Ok(count),
        _ => Err(WriteError::TooMany { what, max: 31 }),
    }
}

// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
const PT_SR: u8 = 200;
const PT_RR: u8 = 201;
const PT_SDES: u8 = 202;
const PT_BYE: u8 = 203;
const PT_APP: u8 = 204;
const PT_RTPFB: u8 = 205;
const PT_PSFB: u8 = 206;
const PT_XR: u8 = 207;
/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
const FMT_TRANSPORT_CC: u8 = 15;
