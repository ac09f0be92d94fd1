#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod agreed;
mod attribute;
mod codec;
mod description;
mod encryption;
mod error;
#[cfg(any(test, feature = "__fuzz"))]
pub mod fuzz;
mod limits;
mod lines;
mod media_view;
mod mline;
pub mod ms;
mod negotiate;
mod profile;
mod refusal;
mod scan;
mod section;
mod session_description;
mod session_view;
pub mod translate;
mod why;

pub use agreed::{
    Agreed, AgreedCodec, AgreedDtls, AgreedMedia, Feedback, HeaderExtension, RemoteIce, RemoteMedia,
};
pub use attribute::{
    Candidate, CandidateKind, CandidateTransport, Capability, ConnectionUse, Crypto, Direction,
    ExtMap, Fingerprint, Floor, FloorControl, G7221Format, Group, H264Format, H264Profile,
    OpusFormat, Parameters, ProfileLevelId, RtcpFeedback, RtpMap, Setup, SilkFormat,
    SourceAttribute, SourceFilter, SourceGroup,
};
pub use codec::Codec;
pub use description::{Description, MediaSections};
pub use encryption::{
    EncryptionHint, EncryptionLevel, answer_encryption, classify_offer, read_answer_encryption,
};
pub use error::{AttributeError, ParseError};
pub use limits::Limits;
pub use lines::{Bandwidth, Connection, Origin};
pub use media_view::MediaView;
pub use mline::{MediaKind, MediaLine, Proto, RtpProfile};
pub use negotiate::{LocalOffer, Session};
pub use profile::{Dialect, IceMode, LocalDtls, LocalIce, LocalMedia, Profile};
pub use refusal::{MismatchCause, Refusal, RefusalReason};
pub use section::Attribute;
pub use session_description::{Media, SessionDescription};
pub use session_view::SessionView;
pub use why::Why;
