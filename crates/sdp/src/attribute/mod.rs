//! Typed attribute values.

mod candidate;
mod crypto;
mod direction;
mod feedback;
mod fingerprint;
mod fmtp;
mod group;
mod rtpmap;

pub(crate) use candidate::Fields;
pub use candidate::{Candidate, CandidateKind, CandidateTransport};
pub use crypto::Crypto;
pub use direction::Direction;
pub use feedback::RtcpFeedback;
pub use fingerprint::Fingerprint;
pub use fmtp::{H264Format, H264Profile, Parameters, ProfileLevelId};
pub use group::Group;
pub use rtpmap::RtpMap;
