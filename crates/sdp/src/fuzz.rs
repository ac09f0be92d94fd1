//! Bodies of the fuzz targets. They assert properties, and are run over their seeds by a test.

use crate::translate::{self, Outcome, Side};
use crate::{
    Candidate, Capability, Crypto, Description, Dialect, Direction, EncryptionLevel, Fingerprint,
    LocalDtls, LocalIce, LocalMedia, Profile, RtcpFeedback, RtpMap, Session, SessionDescription,
    Setup, ms,
};

/// A description: read both ways, every accessor called, written back as it came.
///
/// # Panics
///
/// When a property does not hold.
pub fn description(octets: &[u8]) {
    let Ok(borrowed) = Description::parse(octets) else { return };
    let owned = borrowed.to_owned();
    assert_eq!(owned.to_bytes(), octets, "not the same octets");
    assert_eq!(borrowed.media().len(), owned.media.len());
    for (a, b) in borrowed.media().zip(owned.media_views()) {
        assert!(a.formats().eq(b.formats()) && a.attributes().eq(b.attributes()));
        assert_eq!((a.kind(), a.port(), a.proto()), (b.kind(), b.port(), b.proto()));
        assert_eq!(a.effective_direction(), b.effective_direction());
        assert_eq!((a.candidates(), a.crypto()), (b.candidates(), b.crypto()));
        for pt in a.payload_types() {
            assert_eq!((a.rtpmap(pt), a.fmtp(pt)), (b.rtpmap(pt), b.fmtp(pt)));
        }
        let _ = (a.rtcp_address(), a.ssrcs(), a.fingerprints(), a.remote_candidates());
        let _ = (a.legacy_candidates().count(), a.video_capabilities().count(), a.cryptoscale());
        let _ = (a.groups().count(), a.ptime(), a.media_bandwidth(), a.bandwidth_bps());
        assert_eq!((a.setup(), a.connection_use()), (b.setup(), b.connection_use()));
        assert!(a.capabilities().eq(b.capabilities()));
        assert_eq!(a.application_sharing(), b.application_sharing());
        let _ = (a.tls_id(), a.source(), a.candidate_info().count(), a.rtcp_mux_only());
        let _ = a.legacy_remote_candidates().count();
        assert!(a.source_groups().all(|group| group.ssrcs().next().is_some()));
        let _ = (a.floor_control().count(), a.bfcp_versions().count(), a.ice_pacing());
        let _ = (a.conference_id(), a.user_id(), a.sources().count());
    }
    let mut edited = owned;
    edited.push_attribute("x", Some("1"));
    for media in &mut edited.media {
        media.set_attribute("x", "2");
        media.set_line('c', "IN IP4 192.0.2.1");
    }
    let again = SessionDescription::parse(&edited.to_bytes());
    assert!(again.is_ok_and(|again| again.media.len() == edited.media.len()), "edit broke it");
}

/// Values of attributes: what parses is written as something that parses to the same.
///
/// # Panics
///
/// When a property does not hold.
pub fn attribute(octets: &[u8]) {
    let Ok(value) = core::str::from_utf8(octets) else { return };
    if value.contains(['\r', '\n', '\0']) {
        return;
    }
    if let Ok(candidate) = Candidate::parse(value) {
        // An extension without value gains a blank; written once, it is stable.
        let written = candidate.to_text(Dialect::Standard);
        if let Ok(again) = Candidate::parse(&written) {
            assert_eq!(again.to_text(Dialect::Standard).trim_end(), written.trim_end());
        }
    }
    for crypto in [Crypto::parse(value), Crypto::parse_cryptoscale(value)].into_iter().flatten() {
        assert_eq!(Crypto::parse(&crypto.to_string()).as_ref(), Ok(&crypto));
        let _ = (crypto.key(), crypto.lifetime(), crypto.mki());
    }
    if let Ok(caps) = ms::VideoCapabilities::parse(value) {
        assert_eq!(ms::VideoCapabilities::parse(&caps.to_string()), Ok(caps));
    }
    if let Ok(bandwidth) = ms::MediaBandwidth::parse(value) {
        assert_eq!(ms::MediaBandwidth::parse(&bandwidth.to_string()), Ok(bandwidth));
    }
    if let Ok(candidate) = ms::LegacyCandidate::parse(value) {
        assert_eq!(ms::LegacyCandidate::parse(&candidate.to_string()), Ok(candidate));
    }
    if let Ok((pt, map)) = RtpMap::parse(value) {
        assert_eq!(RtpMap::parse(&format!("{pt} {map}")), Ok((pt, map)));
    }
    let _ = (RtcpFeedback::parse(value), ms::parse_ssrc_range(value));
    if let Ok(fingerprint) = Fingerprint::parse(value) {
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Ok(fingerprint));
        assert!(!fingerprint.is_usable() || fingerprint.octets().count() <= 64);
    }
    for name in ["csup", "creq", "acap", "tcap", "pcfg", "acfg"] {
        let _ = Capability::parse(name, value);
    }
    if let (Some(a), Some(b)) =
        (Setup::from_name(value), value.split(' ').find_map(Setup::from_name))
    {
        assert!(a.admits(a.answer(b)));
    }
    let _ = (crate::OpusFormat::parse(value), crate::SilkFormat::parse(value));
    let _ = (crate::H264Format::parse(value), crate::Parameters::new(value).events());
    let (head, body) = value.split_at(value.find(' ').unwrap_or(0));
    let _ = ms::offer_body(head, body.as_bytes());
}

/// Engines under a remote description: as an offer, as the answer to an own offer, as a later
/// offer, and through the translation. What they write parses, and fits what it answers.
///
/// The first octet chooses capabilities.
///
/// # Panics
///
/// When a property does not hold.
pub fn engine(octets: &[u8]) {
    let Some((choice, octets)) = octets.split_first() else { return };
    let Ok(remote) = SessionDescription::parse(octets) else { return };
    // Local media for every section of a description of any size.
    let locals: Vec<LocalMedia> = (0..remote.media.len().max(2)).map(|_| local()).collect();
    for profile in profiles(*choice) {
        let mut session = Session::new(profile.clone());
        if let Ok((answer, agreed)) = session.answer(&remote, &locals) {
            check_answer(&remote, &answer);
            assert_eq!(agreed.media.len(), remote.media.len());
            for media in &agreed.media {
                assert_eq!(media.accepted, media.refused.is_none());
                let keys = (media.local_crypto.is_some(), media.dtls.is_some());
                assert!(keys != (true, true) && media.encryption == (keys.0 || keys.1));
                let tagged = media.bundle.and_then(|at| agreed.media.get(at));
                assert!(media.bundle.is_none() || tagged.is_some_and(|t| t.accepted));
            }
            let (offer, pending) = session.offer(&locals);
            check_written(&offer);
            assert!(session.answer(&remote, &locals).is_err(), "glare");
            let _ = pending.accept(&remote);
        }
        let mut session = Session::new(profile);
        let (_, pending) = session.offer(&locals);
        let preview = pending.preview(&remote);
        let (_, forked) = session.fork(&pending);
        assert_eq!(preview, pending.clone().accept(&remote));
        assert_eq!(preview, pending.accept(&remote), "the same answer, twice");
        assert_eq!(preview, forked.accept(&remote));
    }
    let [lync, standard, _] = profiles(*choice);
    for (from, to) in [(&lync, &standard), (&standard, &lync)] {
        let Ok(toward) = translate::offer(&remote, from, to, &locals) else { continue };
        check_written(&toward.description);
        assert_eq!(toward.media.len(), remote.media.len());
        for (media, view) in toward.media.iter().zip(remote.media_views()) {
            assert!(media.formats.iter().map(|f| f.format.as_str()).eq(view.formats()));
        }
        assert!(!toward.explain_lines().is_empty());
        let Ok((far_answer, _)) = Session::new(to.clone()).answer(&toward.description, &locals)
        else {
            continue;
        };
        let Ok(back) = translate::answer(&far_answer, &toward, &locals) else { continue };
        check_answer(&remote, &back.description);
        assert!(back.media.iter().any(|m| m.outcome == Outcome::Mapped));
        for side in [Side::A, Side::B] {
            let _ = translate::reoffer(&remote, side, &back.context, &locals);
        }
    }
}

fn check_answer(offer: &SessionDescription, answer: &SessionDescription) {
    check_written(answer);
    assert_eq!(offer.media.len(), answer.media.len());
    for (offered, answered) in offer.media_views().zip(answer.media_views()) {
        assert_eq!(offered.kind(), answered.kind());
        if answered.port() != 0 {
            assert!(
                offered.port() != 0 || offered.bundle_only(),
                "a section that is not used was answered"
            );
            assert!(answered.payload_types().all(|a| offered.payload_types().any(|o| o == a)));
            assert!(offered.direction().admits(answered.direction()));
        }
    }
}

fn check_written(description: &SessionDescription) {
    let again = SessionDescription::parse(&description.to_bytes());
    assert_eq!(again.as_ref(), Ok(description), "what is written does not parse");
}

fn profiles(choice: u8) -> [Profile; 3] {
    let encryption = match choice & 3 {
        0 => EncryptionLevel::Required,
        1 => EncryptionLevel::None,
        _ => EncryptionLevel::Supported,
    };
    let (rtcp_mux, one_video_codec) = (choice & 4 != 0, choice & 8 != 0);
    let ice = if choice & 16 != 0 { crate::IceMode::Rfc8445 } else { crate::IceMode::None };
    let sharing = if choice & 32 != 0 { vec![crate::Codec::x_data()] } else { Vec::new() };
    let max_video_rate = (choice & 64 != 0).then_some(ms::MaxVideoRate::Vga600K);
    let lync = Profile {
        encryption,
        rtcp_mux,
        one_video_codec,
        sharing,
        max_video_rate,
        ..Profile::lync()
    };
    let standard = Profile { encryption, rtcp_mux, one_video_codec, ice, ..Profile::standard() };
    let webrtc = Profile { encryption, one_video_codec, ..Profile::webrtc() };
    [lync, standard, webrtc]
}

fn local() -> LocalMedia {
    let key = "R95jbA6AbJV7poTWQx+16tdCTQnhXQJMWEjyPR+m";
    LocalMedia {
        address: [192, 0, 2, 1].into(),
        rtp_port: 4000,
        ice: Some(LocalIce { ufrag: "abcd".into(), pwd: key.into(), ..LocalIce::default() }),
        crypto: vec![Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", key)],
        direction: Direction::SendRecv,
        dtls: Some(LocalDtls {
            fingerprint: format!("sha-1 {}", ["0A"; 20].join(":")),
            tls_id: Some("abcdefghijklmnopqrst".into()),
        }),
        sharing: Some(ms::ApplicationSharing::default()),
        ..LocalMedia::default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let mut seeds = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            seeds.push(fs::read(entry.path()).unwrap());
        }
        seeds
    }

    #[test]
    fn seeds_hold_their_properties() {
        for (target, body) in [
            ("sdp_description", super::description as fn(&[u8])),
            ("sdp_attribute", super::attribute),
            ("sdp_engine", super::engine),
        ] {
            let seeds = seeds(target);
            assert!(seeds.len() > 4, "{target}: {} seeds", seeds.len());
            for seed in seeds {
                // And every prefix of it, for what truncation does.
                for length in (0..=seed.len()).rev().step_by(97).take(12) {
                    body(&seed[..length]);
                }
            }
        }
    }
}
