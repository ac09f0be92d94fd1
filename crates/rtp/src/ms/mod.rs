//! The Microsoft room: what Lync and Skype for Business add to RTP and RTCP (\[MS-RTP\]).
//!
//! * [`Feedback`]: video source requests and dominant speakers, in application layer feedback;
//! * [`PictureLoss`]: the picture loss indication with a request id and priority ids;
//! * [`ReportExtension`]: what follows the blocks of a sender or receiver report;
//! * [`dtmf_config`]: telephone events as \[MS-DTMF\] has them.

mod dtmf;
mod feedback;
mod picture_loss;
mod report_extension;
mod source_request;

pub use dtmf::{LONGEST_DTMF, dtmf_config, is_dtmf};
pub use feedback::{DominantSpeakers, Feedback};
pub use picture_loss::PictureLoss;
pub use report_extension::{
    BandwidthEstimate, Congestion, HealerMetrics, PacketTrain, PeerInfo, ReportExtension,
    ReportExtensions,
};
pub use source_request::{
    AspectRatios, FrameRates, SourceFlags, VideoSourceEntry, VideoSourceRequest,
};

use crate::Ssrc;

/// "No source": in a video source request, stop sending; in feedback, no media source
/// (\[MS-RTP\] 2.2.12).
pub const SOURCE_NONE: Ssrc = Ssrc(0xffff_ffff);
/// "Any source": the sender picks one. For calls between two (\[MS-RTP\] 2.2.12).
pub const SOURCE_ANY: Ssrc = Ssrc(0xffff_fffe);
