//! Key lines: which of the offered ones can be used, and how ours are written.

use crate::{Crypto, Dialect, LocalMedia, MediaView, Profile};

/// The offered key to take: the first usable one without MKI, else the first usable one.
///
/// `local` is `None` while our keys are not known yet.
pub(crate) fn choose_offered(
    profile: &Profile,
    view: &MediaView<'_>,
    local: Option<&LocalMedia>,
) -> Option<Crypto> {
    let have_key = |suite: &str| local.is_none_or(|l| l.crypto.iter().any(|c| c.suite == suite));
    let usable: Vec<Crypto> =
        view.crypto().into_iter().filter(|c| is_usable(profile, c) && have_key(&c.suite)).collect();
    usable.iter().find(|c| c.mki().is_none()).or_else(|| usable.first()).cloned()
}

/// Our key line in an answer that takes `offered`.
pub(crate) fn answer_key(
    profile: &Profile,
    offered: &Crypto,
    local: &LocalMedia,
) -> Option<Crypto> {
    let ours = local.crypto.iter().find(|c| c.suite == offered.suite)?;
    let fields = match profile.dialect {
        // Lifetime and MKI in the shape of the line that is taken; only 2^31 is understood.
        Dialect::Lync if offered.mki().is_some() => lync_fields(offered),
        Dialect::Lync => "|2^31".into(),
        // RFC 4568 §6.1: both are options of the writer.
        Dialect::Standard => String::new(),
    };
    Some(Crypto {
        tag: offered.tag,
        suite: offered.suite.clone(),
        key_params: ours.with_key_fields(&fields),
        session_params: String::new(),
    })
}

/// Our key lines in an offer, and the `a=cryptoscale` line before them.
pub(crate) fn offer_keys(profile: &Profile, local: &LocalMedia) -> (Option<Crypto>, Vec<Crypto>) {
    let shape = |crypto: &Crypto, tag| Crypto {
        tag,
        suite: crypto.suite.clone(),
        key_params: match (profile.dialect, crypto.key_fields()) {
            (Dialect::Lync, "") => crypto.with_key_fields("|2^31"),
            _ => crypto.key_params.clone(),
        },
        session_params: match profile.dialect {
            Dialect::Lync => String::new(),
            Dialect::Standard => crypto.session_params.clone(),
        },
    };
    let scale = match profile.dialect {
        Dialect::Lync => local.cryptoscale.as_ref().map(|c| shape(c, 1)),
        Dialect::Standard => None,
    };
    let mut tag = u32::from(scale.is_some());
    let usable = local.crypto.iter().filter(|c| profile.suites.contains(&c.suite));
    let lines = usable.map(|crypto| {
        tag += 1;
        shape(crypto, tag)
    });
    let lines = lines.collect();
    (scale, lines)
}

/// Whether a key line can be used at all: a suite of ours, a key of its length, no session
/// parameter that must be understood (RFC 4568 §6.3.7).
pub(crate) fn is_usable(profile: &Profile, crypto: &Crypto) -> bool {
    let length = SUITE_OCTETS.iter().find(|(name, _)| *name == crypto.suite).map(|(_, n)| *n);
    profile.suites.contains(&crypto.suite)
        && length.is_none_or(|octets| base64_octets(crypto.key()) == Some(octets))
        && !crypto.has_mandatory_session_params()
}

fn lync_fields(offered: &Crypto) -> String {
    offered
        .mki()
        .map_or_else(|| "|2^31".into(), |(value, length)| format!("|2^31|{value}:{length}"))
}

/// How many octets a base64 text stands for.
fn base64_octets(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let valid = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    (valid && text.len() - digits.len() <= 2 && digits.len() % 4 != 1).then(|| digits.len() * 3 / 4)
}

/// Key and salt of each suite (RFC 4568 §6.2, RFC 6188 §7, RFC 7714 §14.1).
const SUITE_OCTETS: [(&str, usize); 9] = [
    ("AES_CM_128_HMAC_SHA1_80", 30),
    ("AES_CM_128_HMAC_SHA1_32", 30),
    ("F8_128_HMAC_SHA1_80", 30),
    ("AES_192_CM_HMAC_SHA1_80", 38),
    ("AES_192_CM_HMAC_SHA1_32", 38),
    ("AES_256_CM_HMAC_SHA1_80", 46),
    ("AES_256_CM_HMAC_SHA1_32", 46),
    ("AEAD_AES_128_GCM", 28),
    ("AEAD_AES_256_GCM", 44),
];
