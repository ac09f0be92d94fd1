//! Encryption levels, and the decision table that offers and answers go through.

use crate::{MismatchCause, RtpProfile};

/// How much encryption a side wants. Lync's policy names are in the variants' docs.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum EncryptionLevel {
    /// SRTP or nothing (`RequireEncryption`, Lync's default): offers `RTP/SAVP` with keys.
    Required,
    /// SRTP where the peer gives it (`SupportEncryption`): offers `RTP/AVP` with keys, which is
    /// Lync's deviation from RFC 4568.
    #[default]
    Supported,
    /// SRTP never (`DoNotSupportEncryption`): offers `RTP/AVP` without keys.
    None,
}

impl EncryptionLevel {
    /// From the name in Lync's provisioning or in a configuration: Lync's policy names, or
    /// `required`, `optional`, `supported`, `none`, without regard to case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, EncryptionLevel); 8] = [
            ("requireencryption", EncryptionLevel::Required),
            ("required", EncryptionLevel::Required),
            ("supportencryption", EncryptionLevel::Supported),
            ("supported", EncryptionLevel::Supported),
            ("optional", EncryptionLevel::Supported),
            ("donotsupportencryption", EncryptionLevel::None),
            ("rejected", EncryptionLevel::None),
            ("none", EncryptionLevel::None),
        ];
        NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
    }

    /// Lync's name of the level.
    #[must_use]
    pub const fn lync_name(self) -> &'static str {
        match self {
            Self::Required => "RequireEncryption",
            Self::Supported => "SupportEncryption",
            Self::None => "DoNotSupportEncryption",
        }
    }
}

/// The value of `a=encryption` (\[MS-SDPEXT\] 3.1.5.1; \[MS-SDP\]).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EncryptionHint {
    /// `required`.
    Required,
    /// `optional`.
    Optional,
    /// `rejected`.
    Rejected,
}

impl EncryptionHint {
    /// From the attribute's value.
    #[must_use]
    pub fn from_value(value: &str) -> Option<Self> {
        match value.trim_matches(' ') {
            v if v.eq_ignore_ascii_case("required") => Some(Self::Required),
            v if v.eq_ignore_ascii_case("optional") => Some(Self::Optional),
            v if v.eq_ignore_ascii_case("rejected") => Some(Self::Rejected),
            _ => None,
        }
    }
}

/// What an offered media section says about encryption.
///
/// # Errors
///
/// `NoUsableKey` when it needs encryption and gives no key that can be used.
pub fn classify_offer(
    profile: RtpProfile,
    usable_keys: bool,
    hint: Option<EncryptionHint>,
) -> Result<EncryptionLevel, MismatchCause> {
    match (profile.secure, usable_keys, hint) {
        (true, true, _) => Ok(EncryptionLevel::Required),
        (true, false, _) | (false, false, Some(EncryptionHint::Required)) => {
            Err(MismatchCause::NoUsableKey)
        }
        (false, true, None | Some(EncryptionHint::Optional)) => Ok(EncryptionLevel::Supported),
        (false, true, Some(EncryptionHint::Required)) => Ok(EncryptionLevel::Required),
        (false, true, Some(EncryptionHint::Rejected)) => Ok(EncryptionLevel::None),
        (false, false, _) => Ok(EncryptionLevel::None),
    }
}

/// Whether the answer to an offer of a class is encrypted.
///
/// # Errors
///
/// When the levels do not match: the whole offer is refused with 488 and 52017.
pub const fn answer_encryption(
    offered: EncryptionLevel,
    local: EncryptionLevel,
) -> Result<bool, MismatchCause> {
    use EncryptionLevel::{None, Required, Supported};
    match (offered, local) {
        (Required | Supported, Required | Supported) => Ok(true),
        (Required, None) => Err(MismatchCause::RequiredByPeer),
        (None, Required) => Err(MismatchCause::RequiredHere),
        (Supported, None) | (None, Supported | None) => Ok(false),
    }
}

/// What the answer to an own offer means: whether media is encrypted.
///
/// `key` says whether the key line that the answer takes, if there is one, was offered. `lenient`
/// reads a key in an `RTP/AVP` answer as a wish to encrypt, as endpoints that do SRTP "where
/// possible" mean it; Lync's rule is the strict one, where `RTP/AVP` is in clear.
///
/// # Errors
///
/// When the levels do not match: the answer is acknowledged and the call ended with 52017.
pub const fn read_answer_encryption(
    sent: EncryptionLevel,
    secure: bool,
    key: Option<bool>,
    lenient: bool,
) -> Result<bool, MismatchCause> {
    use EncryptionLevel::{None, Required, Supported};
    match (sent, secure, key) {
        (None, true, _) => Err(MismatchCause::NotOffered),
        // In clear whatever key lines it carries: none was offered to take.
        (None, false, _) => Ok(false),
        (Required | Supported, true, Some(true)) => Ok(true),
        (Required | Supported, true, Some(false)) => Err(MismatchCause::UnknownTag),
        (Required | Supported, true, Option::None) => Err(MismatchCause::NoUsableKey),
        (Required | Supported, false, Some(true)) if lenient => Ok(true),
        (Required, false, _) => Err(MismatchCause::RequiredHere),
        (Supported, false, _) => Ok(false),
    }
}
