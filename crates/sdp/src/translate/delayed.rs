//! Offers for a side that asked for one (RFC 3264 §4, RFC 3261 §13.2.1).

use super::{OfferTranslation, offer};
use crate::negotiate::offer::read_answer;
use crate::{
    Crypto, EncryptionLevel, IceMode, LocalMedia, MediaKind, Profile, Refusal, Session,
    SessionDescription,
};

/// A key that nobody sees.
const PLACEHOLDER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub(super) fn presume(profile: &Profile) -> SessionDescription {
    let open = Profile {
        encryption: EncryptionLevel::Supported,
        ice: IceMode::None,
        dtls: false,
        bundle: false,
        ..profile.clone()
    };
    let suite = profile.suites.first().map_or("AES_CM_128_HMAC_SHA1_80", String::as_str);
    let local = |kind| LocalMedia {
        // An unspecified address would be a hold of the old kind.
        address: [192, 0, 2, 1].into(),
        rtp_port: 9,
        crypto: vec![Crypto::new(1, suite, PLACEHOLDER)],
        kind: Some(kind),
        ..LocalMedia::default()
    };
    let kinds = [MediaKind::Audio, MediaKind::Video];
    let locals: Vec<LocalMedia> =
        kinds.into_iter().filter(|k| !profile.codecs(k).is_empty()).map(local).collect();
    Session::new(open).offer(&locals).0
}

pub(super) fn turn(
    answer: &SessionDescription,
    offered: &OfferTranslation,
    locals: &[LocalMedia],
) -> Result<OfferTranslation, Refusal> {
    let mut context = offered.context.clone();
    let answerer = offered.offerer.other();
    let (_, states) = read_answer(&context.leg(answerer).profile, &offered.offered, answer)?;
    context.leg_mut(answerer).history.set_sections(states);
    // The sections of an offer that was presumed are nobody's.
    context.pairs.clear();
    let turned = offer::translate(answer, answerer, context, locals)?;
    Ok(OfferTranslation { turned: true, ..turned })
}
