//! Why an offer or an answer cannot be used.

use crate::ParseError;

/// Why an offer or an answer cannot be used.
///
/// Toward a SIP peer an offer's refusal becomes a 488, an encryption mismatch toward Lync with
/// `ms-client-diagnostics: 52017` beside it; an answer's refusal becomes ACK and BYE.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What rule was broken.
    #[source]
    pub reason: RefusalReason,
    /// The media section that broke it, counted from 0; `None` when it was none in particular.
    pub media: Option<usize>,
}

impl Refusal {
    pub(crate) const fn new(reason: RefusalReason, media: Option<usize>) -> Self {
        Self { reason, media }
    }

    /// The SIP status that tells the offerer: 400 for a malformed description, 491 for glare,
    /// 488 for everything else.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.reason {
            RefusalReason::Malformed(_) => 400,
            RefusalReason::OfferPending => 491,
            _ => 488,
        }
    }

    /// What a Lync client is told beside the status, in `ms-client-diagnostics`: id and reason text
    /// (\[MS-OCER\]). The spelling is Lync's.
    ///
    /// ```
    /// use linkspan_sdp::{EncryptionLevel, MismatchCause, Refusal, RefusalReason};
    ///
    /// let reason = RefusalReason::EncryptionMismatch(MismatchCause::RequiredHere);
    /// let refusal = Refusal { reason, media: Some(0) };
    /// assert_eq!(refusal.status(), 488);
    /// assert_eq!(refusal.lync_diagnostic(), (52_017, "Encryption levels dont match"));
    /// ```
    #[must_use]
    pub const fn lync_diagnostic(&self) -> (u32, &'static str) {
        if self.is_encryption_mismatch() {
            (52_017, "Encryption levels dont match")
        } else {
            (52_063, "Unsupported session description")
        }
    }

    /// Whether encryption levels did not match: 488 with 52017 toward Lync.
    #[must_use]
    pub const fn is_encryption_mismatch(&self) -> bool {
        matches!(self.reason, RefusalReason::EncryptionMismatch(_))
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::new(RefusalReason::Malformed(error), None)
    }
}

/// The rule that was broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalReason {
    /// One side needs encryption that the other does not give, or the other way round.
    #[error("encryption levels do not match: {0}")]
    EncryptionMismatch(MismatchCause),
    /// No media section has a codec that both sides know.
    #[error("no common codec")]
    NoCommonCodec,
    /// The offer uses no media section, so there is nothing to join.
    #[error("no media section in use")]
    NoMedia,
    /// The description does not parse.
    #[error("malformed description: {0}")]
    Malformed(ParseError),
    /// RFC 3264 §6: an answer has as many media sections as the offer, in the same order.
    #[error("answer has another number of media sections than the offer")]
    MediaCount,
    /// RFC 3264 §6: a media section of the answer has the type it has in the offer.
    #[error("media type differs from the offer's")]
    MediaType,
    /// RFC 3264 §8: a later offer has at least as many media sections as the one before.
    #[error("a later offer has fewer media sections")]
    MediaRemoved,
    /// RFC 3264 §6: the transport of an answer is the offered one.
    #[error("transport profile differs from the offer's")]
    Transport,
    /// RFC 3264 §6.1: an answer lists at least one format of the offer.
    #[error("answered formats were not offered")]
    FormatNotOffered,
    /// RFC 5888 §5: identification tags are unique, and an answer has those of the offer.
    #[error("identification tag is not unique, or is not the offer's")]
    Mid,
    /// RFC 9143 §7.3: an answer groups sections that are used, and that the offer has grouped.
    #[error("sections are grouped that were not offered together")]
    Bundle,
    /// RFC 4145 §4.1: the answered role does not go with the offered one.
    #[error("answered setup role does not go with the offered one")]
    Setup,
    /// RFC 3261 §13.2.1: the first answer counts, and a later one says the same.
    #[error("another answer has come before")]
    AnswerChanged,
    /// RFC 3264 §4: our own offer is waiting for its answer.
    #[error("an offer of ours is pending")]
    OfferPending,
}

/// How encryption levels do not match.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MismatchCause {
    /// The peer requires encryption, here it is not supported.
    #[error("required by the peer, not supported here")]
    RequiredByPeer,
    /// Encryption is required here and the peer does not offer or accept it.
    #[error("required here, not given by the peer")]
    RequiredHere,
    /// `RTP/SAVP`, or `a=encryption:required`, without a key that can be used.
    #[error("no usable key")]
    NoUsableKey,
    /// The answer takes a key (tag and suite) that was not offered.
    #[error("answered key was not offered")]
    UnknownTag,
    /// Encryption in an answer to an offer without it.
    #[error("answered but not offered")]
    NotOffered,
}
