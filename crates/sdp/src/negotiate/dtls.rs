//! DTLS-SRTP (RFC 5763): whose certificate is which, and who is the client.

use super::bundle::Peer;
use super::history::SectionState;
use crate::{AgreedDtls, Fingerprint, LocalMedia, MediaView, RefusalReason, Setup};

/// An association as it stands after an exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Association {
    setup: Setup,
    fingerprints: Vec<String>,
    tls_id: Option<String>,
}

/// What a section comes to: our role, and what we know of the peer.
pub(crate) struct Dtls {
    pub(crate) setup: Setup,
    pub(crate) agreed: AgreedDtls,
}

impl Dtls {
    pub(crate) fn association(&self) -> Association {
        Association {
            setup: self.setup,
            fingerprints: self.agreed.fingerprints.clone(),
            tls_id: self.agreed.tls_id.clone(),
        }
    }
}

/// Whether a section names a certificate that can be checked.
pub(crate) fn has_fingerprint(view: &MediaView<'_>) -> bool {
    view.fingerprints().iter().any(Fingerprint::is_usable)
}

/// Answers an offered association; `None` without a certificate on both sides.
pub(crate) fn answer(
    peer: &Peer<'_>,
    local: &LocalMedia,
    before: Option<&SectionState>,
) -> Option<Dtls> {
    local.dtls.as_ref()?;
    // RFC 4145 §4: what no attribute means in an offer.
    let offered = peer.transport.setup().unwrap_or(Setup::Active);
    // RFC 8842 §5.3: an association that goes on keeps its roles.
    let known = before.and_then(|b| b.association.as_ref()).map(|known| known.setup);
    let setup = offered.answer(known.or(local.setup).unwrap_or(Setup::Active));
    agree(peer, setup, before)
}

/// Reads the answer to an association of ours.
pub(crate) fn read_answer(
    peer: &Peer<'_>,
    offered: Setup,
    before: Option<&SectionState>,
) -> Result<Option<Dtls>, RefusalReason> {
    // RFC 4145 §4: what no attribute means in an answer.
    let answered = peer.transport.setup().unwrap_or(Setup::Passive);
    if !offered.admits(answered) {
        return Err(RefusalReason::Setup);
    }
    Ok(agree(peer, answered.counterpart(), before))
}

fn agree(peer: &Peer<'_>, setup: Setup, before: Option<&SectionState>) -> Option<Dtls> {
    let fingerprints = peer.transport.fingerprints();
    let usable = fingerprints.iter().filter(|f| f.is_usable());
    let fingerprints: Vec<String> = usable.map(ToString::to_string).collect();
    if fingerprints.is_empty() {
        return None;
    }
    let tls_id = peer.transport.tls_id().map(Into::into);
    let mut dtls = Dtls { setup, agreed: AgreedDtls { fingerprints, tls_id, is_new: true } };
    let known = before.and_then(|b| b.association.as_ref());
    dtls.agreed.is_new = known != Some(&dtls.association());
    Some(dtls)
}
