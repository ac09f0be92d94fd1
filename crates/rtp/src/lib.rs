#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod extension;
mod ids;
pub mod ms;
mod packet;
mod rtcp;
mod wire;

pub use error::{ParseError, WriteError};
pub use extension::{ExtensionElement, ExtensionElements, ExtensionForm, HeaderExtension};
pub use ids::{PayloadType, SequenceNumber, Ssrc};
pub use packet::{RtpBuilder, RtpHeader, RtpPacket, RtpPacketMut};
pub use rtcp::{
    App, ApplicationFeedback, Bye, Compound, Fir, FirEntry, GenericNack, NtpTime, OtherFeedback,
    OtherRtcp, Pli, ReceiverReport, Remb, ReportBlock, RtcpPacket, RtcpPackets, Sdes, SdesChunk,
    SdesItem, SdesKind, SenderInfo, SenderReport, TmmbEntry, Tmmbn, Tmmbr,
};
