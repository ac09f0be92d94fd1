//! DTLS-SRTP (RFC 5763, RFC 8842) and BUNDLE (RFC 9143), between two engines and toward browsers.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong about its data fails"
)]

use linkspan_sdp::{
    Agreed, EncryptionLevel, LocalDtls, LocalIce, LocalMedia, MismatchCause, Profile,
    RefusalReason, Session, SessionDescription, Setup, Why,
};

fn fingerprint(octet: u8) -> String {
    format!("sha-256 {}", vec![format!("{octet:02X}"); 32].join(":"))
}

fn local(port: u16, octet: u8) -> LocalMedia {
    LocalMedia {
        address: [192, 0, 2, octet].into(),
        rtp_port: port,
        ice: Some(LocalIce {
            ufrag: format!("u{port}"),
            pwd: "p".repeat(22),
            options: vec!["ice2".into()],
            ..LocalIce::default()
        }),
        dtls: Some(LocalDtls { fingerprint: fingerprint(octet), tls_id: None }),
        ..LocalMedia::default()
    }
}

fn pair() -> (Session, Session) {
    (Session::new(Profile::webrtc()), Session::new(Profile::webrtc()))
}

/// One exchange; what the offerer and the answerer make of it, and both descriptions.
fn exchange(
    offerer: &mut Session,
    answerer: &mut Session,
    ours: &[LocalMedia],
    theirs: &[LocalMedia],
) -> (Agreed, Agreed, SessionDescription, SessionDescription) {
    let (offer, pending) = offerer.offer(ours);
    let offer: SessionDescription = offer.to_string().parse().unwrap();
    let (answer, at_answerer) = answerer.answer(&offer, theirs).unwrap();
    let answer: SessionDescription = answer.to_string().parse().unwrap();
    let at_offerer = pending.accept(&answer).unwrap();
    (at_offerer, at_answerer, offer, answer)
}

#[test]
fn two_engines_share_one_transport_and_one_association() {
    let (mut alice, mut bob) = pair();
    let (ours, theirs) = ([local(4000, 1), local(4002, 1)], [local(5000, 2), local(5002, 2)]);
    let (a, b, offer, answer) = exchange(&mut alice, &mut bob, &ours, &theirs);
    let text = offer.to_string();
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"), "{text}");
    assert_eq!(text.matches("UDP/TLS/RTP/SAVPF").count(), 2);
    assert_eq!(text.matches("a=setup:actpass\r\n").count(), 2);
    assert_eq!(text.matches("a=rtcp-mux\r\n").count(), 2);
    assert!(!text.contains("a=crypto"));
    let text = answer.to_string();
    // Both sections speak of one transport.
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"), "{text}");
    assert_eq!(text.matches("a=ice-ufrag:u5000\r\n").count(), 2, "{text}");
    assert!(!text.contains("u5002"), "{text}");
    assert_eq!(answer.media[1].port, 5000);
    for (media, index) in a.media.iter().zip(0..) {
        let other = &b.media[index];
        assert!(media.accepted && media.encryption && media.local_crypto.is_none());
        assert_eq!((media.bundle, other.bundle), (Some(0), Some(0)));
        assert_eq!((media.mid.as_ref(), media.rtcp_mux), (other.mid.as_ref(), true));
        assert_eq!((media.setup, other.setup), (Some(Setup::Passive), Some(Setup::Active)));
        assert_eq!(media.dtls.as_ref().unwrap().fingerprints, [fingerprint(2)]);
        assert_eq!(other.dtls.as_ref().unwrap().fingerprints, [fingerprint(1)]);
        assert!(media.dtls.as_ref().unwrap().is_new && other.dtls.as_ref().unwrap().is_new);
        assert_eq!(media.remote.address.port(), 5000);
        assert_eq!(other.remote.ice.as_ref().unwrap().ufrag, "u4000");
        assert_eq!(media.header_extensions, other.header_extensions);
        assert_eq!(media.header_extensions.len(), 1);
    }
}

#[test]
fn later_offers_keep_roles_tags_and_the_transport() {
    let (mut alice, mut bob) = pair();
    let (ours, theirs) = ([local(4000, 1), local(4002, 1)], [local(5000, 2), local(5002, 2)]);
    exchange(&mut alice, &mut bob, &ours, &theirs);
    // Bob offers: the roles stay as they are, whatever a fresh answer would choose.
    let (at_bob, at_alice, offer, _) = exchange(&mut bob, &mut alice, &theirs, &ours);
    assert_eq!((offer.media[0].port, offer.media[1].port), (5000, 5000));
    assert_eq!(at_bob.media[0].setup, Some(Setup::Active));
    assert_eq!(at_alice.media[1].setup, Some(Setup::Passive));
    assert!(!at_bob.media[0].dtls.as_ref().unwrap().is_new);
    assert!(!at_alice.media[0].dtls.as_ref().unwrap().is_new);
    // A third section comes with a transport of its own, and joins.
    let more = [ours[0].clone(), ours[1].clone(), local(4004, 1)];
    let theirs = [theirs[0].clone(), theirs[1].clone(), local(5004, 2)];
    let (at_alice, _, offer, answer) = exchange(&mut alice, &mut bob, &more, &theirs);
    assert_eq!(offer.media[2].port, 4004);
    assert_eq!(offer.media_view(2).unwrap().mid(), Some("2"));
    assert_eq!(answer.media[2].port, 5000);
    assert_eq!(at_alice.media[2].bundle, Some(0));
    // Another certificate is another association.
    let renewed = [local(4000, 9), local(4000, 9), local(4000, 9)];
    let (_, at_bob, ..) = exchange(&mut alice, &mut bob, &renewed, &theirs);
    assert!(at_bob.media[0].dtls.as_ref().unwrap().is_new);
    // The tagged section goes: the next one speaks for the transport.
    let gone = [LocalMedia::default(), local(4000, 9), local(4000, 9)];
    let (at_alice, _, _, answer) = exchange(&mut alice, &mut bob, &gone, &theirs);
    assert!(answer.to_string().contains("a=group:BUNDLE 1 2\r\n"), "{answer}");
    assert!(!at_alice.media[0].accepted && at_alice.media[1].bundle == Some(1));
    assert!(answer.media_view(1).unwrap().fingerprints().len() == 1);
}

#[test]
fn whoever_has_no_bundle_is_met_on_transports_of_their_own() {
    let apart = Profile { bundle: false, ..Profile::webrtc() };
    for (a, b) in [(Profile::webrtc(), apart.clone()), (apart, Profile::webrtc())] {
        let (mut alice, mut bob) = (Session::new(a), Session::new(b));
        let (ours, theirs) = ([local(4000, 1), local(4002, 1)], [local(5000, 2), local(5002, 2)]);
        let (a, b, _, answer) = exchange(&mut alice, &mut bob, &ours, &theirs);
        assert!(!answer.to_string().contains("a=group"), "{answer}");
        assert_eq!(a.media[1].remote.address.port(), 5002);
        assert_eq!((a.media[1].bundle, b.media[1].bundle), (None, None));
    }
}

fn offer() -> String {
    Session::new(Profile::webrtc()).offer(&[local(4000, 1), local(4002, 1)]).0.to_string()
}

fn answer_to(text: &str) -> Result<(SessionDescription, Agreed), linkspan_sdp::Refusal> {
    let theirs = [local(5000, 2), local(5002, 2)];
    Session::new(Profile::webrtc()).answer(&text.parse().unwrap(), &theirs)
}

/// A browser with the bundle policy `max-bundle`: port 0, and no transport of its own.
#[test]
fn bundle_only_sections_are_used_in_their_group() {
    let text = offer();
    let (head, video) = text.split_at(text.find("m=video").unwrap());
    let bare: String = video
        .replace("m=video 4002", "m=video 0")
        .lines()
        .filter(|l| !["a=ice", "a=fingerprint", "a=setup"].iter().any(|name| l.starts_with(name)))
        .map(|l| format!("{l}\r\n"))
        .collect();
    let (answer, agreed) = answer_to(&format!("{head}{bare}a=bundle-only\r\n")).unwrap();
    assert_eq!(answer.media[1].port, 5000, "{answer}");
    assert!(agreed.media[1].accepted && agreed.media[1].dtls.is_some());
    assert_eq!(agreed.media[1].remote.address.port(), 4000);
    // Outside of a group it is what port 0 means, and so it is for who has no BUNDLE.
    let ungrouped = format!("{head}{bare}a=bundle-only\r\n").replace("a=group:BUNDLE 0 1\r\n", "");
    assert_eq!(answer_to(&ungrouped).unwrap().1.media[1].refused, Some(Why::Unused));
}

#[test]
fn illegal_groups_and_roles_are_refused_with_their_rule() {
    let text = offer();
    let twice = text.replace("a=mid:1", "a=mid:0");
    assert_eq!(answer_to(&twice).unwrap_err().reason, RefusalReason::Mid);

    let reason = |edit: &dyn Fn(String) -> String| {
        let (offer, pending) =
            Session::new(Profile::webrtc()).offer(&[local(4000, 1), local(4002, 1)]);
        let (answer, _) = answer_to(&offer.to_string()).unwrap();
        pending.accept(&edit(answer.to_string()).parse().unwrap()).map_err(|r| r.reason)
    };
    assert!(reason(&|text| text).is_ok());
    let refused = |from: &str, to: &str| reason(&|text| text.replace(from, to)).unwrap_err();
    assert_eq!(refused("a=mid:1", "a=mid:7"), RefusalReason::Mid);
    assert_eq!(refused("a=rtcp-mux\r\n", ""), RefusalReason::Bundle);
    let no_key = RefusalReason::EncryptionMismatch(MismatchCause::NoUsableKey);
    assert_eq!(refused("a=fingerprint:sha-256", "a=fingerprint:md5"), no_key);
    assert_eq!(refused("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"), RefusalReason::Transport);

    let active = LocalMedia { setup: Some(Setup::Active), ..local(4000, 1) };
    let (offer, pending) = Session::new(Profile::webrtc()).offer(&[active]);
    let (answer, agreed) = answer_to(&offer.to_string()).unwrap();
    assert_eq!(agreed.media[0].setup, Some(Setup::Passive));
    let wrong = answer.to_string().replace("a=setup:passive", "a=setup:active");
    let refusal = pending.accept(&wrong.parse().unwrap()).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Setup);
}

#[test]
fn dtls_counts_as_required_encryption() {
    let text = offer();
    let theirs = [local(5000, 2), local(5002, 2)];
    let never = Profile { encryption: EncryptionLevel::None, ..Profile::webrtc() };
    let refusal = Session::new(never).answer(&text.parse().unwrap(), &theirs).unwrap_err();
    let required = RefusalReason::EncryptionMismatch(MismatchCause::RequiredByPeer);
    assert_eq!((refusal.reason, refusal.status()), (required, 488));
    // Who does not speak it, or has no certificate, refuses the sections.
    let mut session = Session::new(Profile::standard());
    let refusal = session.answer(&text.parse().unwrap(), &theirs).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::NoCommonCodec);
    let bare = LocalMedia { dtls: None, ..local(5000, 2) };
    let mut session = Session::new(Profile::webrtc());
    let mixed = [bare, local(5002, 2)];
    let (_, agreed) = session.answer(&text.parse().unwrap(), &mixed).unwrap();
    assert_eq!(agreed.media[0].refused, Some(Why::Fingerprint));
    assert_eq!((agreed.media[1].accepted, agreed.media[1].bundle), (true, Some(1)));
}

/// Offers of Chromium 156 and of GStreamer 1.22's webrtcbin, as `.ci/scenarios/sdp` records them.
fn recorded(name: &str) -> SessionDescription {
    let path = format!("{}/tests/data/peers/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    let octets = std::fs::read(path).unwrap();
    let description = SessionDescription::parse(&octets).unwrap();
    assert_eq!(description.to_bytes(), octets, "{name}");
    description
}

#[test]
fn offers_of_a_browser_and_of_webrtcbin_are_answered() {
    for name in ["chromium_balanced_offer", "chromium_max-bundle_offer", "webrtcbin_offer"] {
        let offer = recorded(name);
        let theirs = [local(5000, 2), local(5002, 2), local(5004, 2)];
        let (answer, agreed) = Session::new(Profile::webrtc()).answer(&offer, &theirs).unwrap();
        for (index, view) in answer.media_views().enumerate().take(2) {
            let (media, offered) = (&agreed.media[index], offer.media_view(index).unwrap());
            assert!(media.accepted && media.encryption, "{name}: {media:?}");
            assert_eq!((media.bundle, media.setup), (Some(0), Some(Setup::Active)), "{name}");
            assert_eq!((view.mid(), view.port()), (offered.mid(), 5000), "{name}");
            assert_eq!(view.proto(), "UDP/TLS/RTP/SAVPF");
            assert!(!media.remote.ice.as_ref().unwrap().candidates.is_empty(), "{name}");
            let dtls = media.dtls.as_ref().unwrap();
            assert_eq!(dtls.fingerprints, [offered.fingerprints()[0].to_string()]);
            // Header extensions keep the browser's numbers.
            let mid = "urn:ietf:params:rtp-hdrext:sdes:mid";
            let number = offered.header_extensions().find(|e| e.uri == mid).map(|e| e.id);
            assert_eq!(view.header_extensions().map(|e| e.id).next(), number, "{name}");
        }
        let names: Vec<&str> = agreed
            .media
            .iter()
            .take(2)
            .map(|m| m.main_codec().unwrap().codec.name.as_str())
            .collect();
        assert!(names[0].eq_ignore_ascii_case("opus") && ["VP8", "H264"].contains(&names[1]));
        // A data channel is no RTP.
        if let Some(channel) = agreed.media.get(2) {
            assert_eq!(channel.refused, Some(Why::Kind));
            assert_eq!(answer.media[2].port, 0);
        }
    }
}

#[test]
fn answers_of_a_browser_and_of_webrtcbin_are_read() {
    for name in ["chromium_answer", "webrtcbin_answer"] {
        let (_, pending) = Session::new(Profile::webrtc()).offer(&[local(4000, 1), local(4002, 1)]);
        let agreed = pending.accept(&recorded(name)).unwrap();
        for media in &agreed.media {
            assert!(media.accepted && media.rtcp_mux, "{name}: {media:?}");
            assert_eq!((media.bundle, media.setup), (Some(0), Some(Setup::Passive)), "{name}");
            assert!(media.dtls.as_ref().unwrap().is_new);
            let ice = media.remote.ice.as_ref().unwrap();
            assert!(!ice.candidates.is_empty() && ice.ufrag.len() >= 4, "{name}");
        }
    }
}
