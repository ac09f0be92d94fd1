//! Retransmission of lost packets (RFC 4588): what a sender keeps and sends again, and what a
//! receiver asks for and makes whole.

mod history;
mod receiver;
mod requests;
mod sender;

use crate::PayloadType;

pub use receiver::{RtxError, RtxReceiver, RtxReceiverConfig};
pub use sender::{RtxSender, RtxSenderConfig};

/// One `a=rtpmap:… rtx/…` with its `apt` (RFC 4588 §8.1): packets of one payload type are sent
/// again under another.
///
/// ```
/// use linkspan_rtp::{PayloadType, RtxFormat};
/// // a=rtpmap:97 rtx/90000, a=fmtp:97 apt=96
/// let format = RtxFormat { original: PayloadType(96), retransmission: PayloadType(97) };
/// assert_ne!(format.original, format.retransmission);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RtxFormat {
    /// The associated payload type, `apt`.
    pub original: PayloadType,
    /// The payload type of the retransmissions.
    pub retransmission: PayloadType,
}
