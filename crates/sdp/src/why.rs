//! Why a section of a description is not used.

/// Why a section of a description is not used, or has no counterpart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Port 0 in the offer.
    #[error("the offerer does not use it")]
    Unused,
    /// A kind of media that is not spoken here.
    #[error("its kind of media is not carried")]
    Kind,
    /// One section of a kind is joined.
    #[error("another section of this kind is joined already")]
    SecondOfKind,
    /// Slides and shared screens.
    #[error("content sharing is not joined")]
    Content,
    /// Not RTP, or RTP in a way that is not spoken here.
    #[error("its transport is not spoken here")]
    Transport,
    /// DTLS without a fingerprint that a certificate can be checked against, on either side.
    #[error("it has no fingerprint that can be checked")]
    Fingerprint,
    /// RFC 6157 §4: its addresses are of another family than ours, and no ICE joins them.
    #[error("its addresses are of another family than ours")]
    AddressFamily,
    /// Nothing of what it offers is known on its own side.
    #[error("none of its codecs is known on its own side")]
    NoCommonCodec,
    /// Nothing of what it offers is known on the other side.
    #[error("none of its codecs has a counterpart on the other side")]
    NoCounterpart,
    /// The caller gave no local media for it.
    #[error("it has no local media")]
    NoLocalMedia,
    /// The peer, or the other side of a gateway, answered with port 0.
    #[error("the other side refused it")]
    RefusedByOtherSide,
}
