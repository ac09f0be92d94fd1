//! Typed attribute values.

mod audio_format;
mod candidate;
mod capability;
mod crypto;
mod direction;
mod extmap;
mod feedback;
mod fingerprint;
mod floor;
mod fmtp;
mod group;
mod rtpmap;
mod setup;
mod source;

pub use audio_format::{G7221Format, OpusFormat, SilkFormat};
pub(crate) use candidate::Fields;
pub use candidate::{Candidate, CandidateKind, CandidateTransport};
pub use capability::Capability;
pub use crypto::Crypto;
pub use direction::Direction;
pub use extmap::ExtMap;
pub use feedback::RtcpFeedback;
pub use fingerprint::Fingerprint;
pub use floor::{Floor, FloorControl};
pub use fmtp::{H264Format, H264Profile, Parameters, ProfileLevelId};
pub use group::Group;
pub use rtpmap::RtpMap;
pub use setup::{ConnectionUse, Setup};
pub use source::{SourceAttribute, SourceFilter, SourceGroup};
