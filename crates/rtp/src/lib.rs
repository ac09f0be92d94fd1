#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod audio_clock;
mod collision;
mod dtmf;
mod error;
mod extension;
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod ids;
pub mod ms;
mod packet;
mod playout;
mod redundancy;
mod reorder;
mod rewriter;
mod rtcp;
mod rtcp_timing;
mod rtx;
mod stats;
mod ulpfec;
mod ulpfec_writer;
mod wire;

pub use audio_clock::{AudioClock, Silk};
pub use collision::{SourceVerdict, SsrcGuard};
pub use dtmf::{
    DtmfConfig, DtmfError, DtmfPacket, DtmfPayload, DtmfReceiver, DtmfSender, TelephoneEvent,
};
pub use error::{ParseError, WriteError};
pub use extension::{ExtensionElement, ExtensionElements, ExtensionForm, HeaderExtension};
pub use ids::{PayloadType, SequenceNumber, Ssrc};
pub use packet::{RtpBuilder, RtpHeader, RtpPacket, RtpPacketMut};
pub use playout::{PlayoutBuffer, PlayoutConfig};
pub use redundancy::{
    ComfortNoise, RedundantAudio, RedundantBlock, RedundantBlocks, Retransmission,
};
pub use reorder::{ReorderBuffer, ReorderConfig, ReorderError, Reordered};
pub use rewriter::Rewriter;
pub use rtcp::{
    App, ApplicationFeedback, Bye, Compound, DlrrItem, ExtendedReport, Fir, FirEntry, GenericNack,
    Hops, NtpTime, OtherFeedback, OtherRtcp, Pli, ReceiverReport, Remb, ReportBlock, Rpsi,
    RtcpPacket, RtcpPackets, Sdes, SdesChunk, SdesItem, SdesKind, SenderInfo, SenderReport, Sli,
    SliEntry, Spread, StatisticsSummary, TmmbEntry, Tmmbn, Tmmbr, TransportCc, XrBlock,
};
pub use rtcp_timing::{RtcpTiming, RtcpTimingConfig};
pub use rtx::{RtxError, RtxFormat, RtxReceiver, RtxReceiverConfig, RtxSender, RtxSenderConfig};
pub use stats::{Arrival, NtpClock, ReceiverStats, SenderStats};
pub use ulpfec::{FecLevel, RecoveredPacket, UlpFec};
