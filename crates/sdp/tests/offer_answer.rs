//! Offer and answer: the exchanges of RFC 3264 and RFC 4317, the encryption table, hold, and what
//! is refused.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong about its data fails"
)]

use std::fs;

use linkspan_sdp::{
    Capability, Codec, Crypto, Dialect, Direction, EncryptionHint, EncryptionLevel, IceMode,
    LocalIce, LocalMedia, MediaKind, MediaView, MismatchCause, Profile, Proto, RefusalReason,
    Session, SessionDescription, Why,
};
use serde_json::Value;

const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
const KEY: &str = "R95jbA6AbJV7poTWQx+16tdCTQnhXQJMWEjyPR+m";

fn plain() -> Profile {
    Profile {
        encryption: EncryptionLevel::None,
        video_kbps: None,
        ptime_ms: None,
        ..Profile::standard()
    }
}

fn local(port: u16) -> LocalMedia {
    LocalMedia { address: [192, 0, 2, 1].into(), rtp_port: port, ..LocalMedia::default() }
}

fn keyed(port: u16) -> LocalMedia {
    LocalMedia { crypto: vec![Crypto::new(1, SUITE, KEY)], ..local(port) }
}

fn parse(text: &str) -> SessionDescription {
    text.parse().unwrap()
}

/// Codecs of a section, as its writer has them.
fn codecs(view: &MediaView<'_>) -> Vec<Codec> {
    let codec = |pt| view.rtpmap(pt).map(|m| m.to_codec(pt, view.fmtp(pt)));
    view.payload_types().filter_map(codec).collect()
}

/// What makes an engine answer as `answer` does: its codecs, ports and directions.
fn becoming(answer: &SessionDescription) -> (Profile, Vec<LocalMedia>) {
    let profile = Profile { one_video_codec: false, ..plain() };
    let mut locals = Vec::new();
    for view in answer.media_views() {
        locals.push(LocalMedia {
            direction: view.direction(),
            codecs: codecs(&view),
            kind: Some(view.kind()),
            ..local(view.port())
        });
    }
    (profile, locals)
}

/// What a section comes to: everything that negotiation decides.
fn gist(description: &SessionDescription) -> Vec<(MediaKind, u16, Vec<String>, Direction)> {
    description
        .media_views()
        .map(|view| {
            let names =
                codecs(&view).iter().map(|c| format!("{}/{}", c.name, c.clock_hz)).collect();
            let names = if view.port() == 0 { Vec::new() } else { names };
            let direction = if view.port() == 0 { Direction::SendRecv } else { view.direction() };
            (view.kind(), view.port(), names, direction)
        })
        .collect()
}

#[test]
fn exchanges_of_the_rfcs() {
    let Some(dir) = linkspan_testnet::vectors("sdp") else { return };
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let mut failed = Vec::new();
    let (mut answers, mut deviations) = (0, 0);
    for row in index["offer_answer"].as_array().unwrap() {
        let name =
            format!("RFC {} {}", row["rfc"].as_str().unwrap(), row["section"].as_str().unwrap());
        let bodies: Vec<SessionDescription> = row["exchange"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| {
                SessionDescription::parse(&fs::read(dir.join(f.as_str().unwrap())).unwrap())
                    .unwrap()
            })
            .collect();
        let user = |d: &SessionDescription| d.session().origin().unwrap().username.to_owned();
        let mut sessions: Vec<(String, Session)> = Vec::new();
        for pair in bodies.chunks(2) {
            let [offer, answer] = pair else { panic!("{name}: an offer without answer") };
            for (who, description, offering) in
                [(user(offer), offer, true), (user(answer), answer, false)]
            {
                let (profile, locals) = becoming(description);
                if !sessions.iter().any(|(user, _)| *user == who) {
                    sessions.push((who.clone(), Session::new(profile.clone())));
                }
                let session = &mut sessions.iter_mut().find(|(user, _)| *user == who).unwrap().1;
                *session.profile_mut() = profile;
                if offering {
                    // What the RFC's answer means to its offerer.
                    let (ours, pending) = session.offer(&locals);
                    if gist(&ours) != gist(offer) {
                        failed.push(format!("{name} offer: {:?} {:?}", gist(offer), gist(&ours)));
                    }
                    match pending.accept(answer) {
                        Ok(agreed) => {
                            for (agreed, view) in agreed.media.iter().zip(answer.media_views()) {
                                if agreed.accepted != (view.port() != 0) {
                                    failed.push(format!("{name}: {agreed:?}"));
                                }
                            }
                        }
                        Err(refusal) => failed.push(format!("{name} read: {refusal}")),
                    }
                } else {
                    answers += 1;
                    match session.answer(offer, &locals) {
                        Ok((ours, _)) if gist(&ours) == gist(answer) => {}
                        // Its last answer takes a=sendonly with a=sendrecv, which RFC 3264 §6.1
                        // does not admit, and a codec that was not offered.
                        Ok(_) if name == "RFC 4317 3.2" => deviations += 1,
                        Ok((ours, _)) => {
                            failed.push(format!("{name}: {:?} {:?}", gist(answer), gist(&ours)));
                        }
                        Err(refusal) => failed.push(format!("{name}: {refusal}")),
                    }
                }
            }
        }
    }
    assert!(answers > 20 && deviations == 1, "{answers} {deviations}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Every class of offer, as a section of a description.
fn offers() -> Vec<(&'static str, bool, Option<&'static str>)> {
    let mut all = Vec::new();
    for proto in ["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF", "TCP/RTP/AVP", "TCP/RTP/SAVP"] {
        for key in [false, true] {
            for hint in [None, Some("required"), Some("optional"), Some("rejected")] {
                all.push((proto, key, hint));
            }
        }
    }
    all
}

fn section(proto: &str, key: bool, hint: Option<&str>) -> SessionDescription {
    let key = if key { format!("a=crypto:4 {SUITE} inline:{KEY}|2^31\r\n") } else { String::new() };
    let hint = hint.map(|h| format!("a=encryption:{h}\r\n")).unwrap_or_default();
    parse(&format!(
        "v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
         m=audio 4000 {proto} 0\r\n{hint}{key}"
    ))
}

/// The table, written a second time: what an offer is, and what becomes of it.
#[test]
fn encryption_table_of_the_answerer() {
    use EncryptionLevel::{None as Never, Required, Supported};
    let mut rows = 0;
    for (proto, key, hint) in offers() {
        let secure = proto.contains("SAVP");
        let class = match (secure, key, hint) {
            (true, true, _) => Some(Required),
            (true, false, _) => None,
            (false, true, None | Some("optional")) => Some(Supported),
            (false, true, Some("required")) => Some(Required),
            (false, true, _) => Some(Never),
            (false, false, Some("required")) => None,
            (false, false, _) => Some(Never),
        };
        for level in [Required, Supported, Never] {
            rows += 1;
            let profile = Profile { encryption: level, ..Profile::lync() };
            let outcome = Session::new(profile).answer(&section(proto, key, hint), &[keyed(5000)]);
            let expected = match (class, level) {
                (Some(Required), Never) => Err(MismatchCause::RequiredByPeer),
                (Some(Never), Required) => Err(MismatchCause::RequiredHere),
                (None, _) => Err(MismatchCause::NoUsableKey),
                (Some(Required), _) | (Some(Supported), Required | Supported) => Ok(true),
                (Some(Supported), Never) | (Some(Never), _) => Ok(false),
            };
            let context = format!("{proto} key={key} {hint:?} {level:?}");
            match (outcome, expected) {
                (Ok((answer, agreed)), Ok(encrypted)) => {
                    let view = answer.media_view(0).unwrap();
                    assert_eq!(agreed.media[0].encryption, encrypted, "{context}");
                    assert_eq!(view.profile().secure, encrypted, "{context}");
                    assert_eq!(view.profile().tcp, proto.starts_with("TCP"), "{context}");
                    let tags: Vec<u32> = view.crypto().iter().map(|c| c.tag).collect();
                    assert_eq!(tags, if encrypted { vec![4] } else { vec![] }, "{context}");
                    assert_eq!(agreed.media[0].local_crypto.is_some(), encrypted, "{context}");
                    assert_eq!(agreed.media[0].remote.crypto.is_some(), encrypted, "{context}");
                }
                (Err(refusal), Err(cause)) => {
                    assert_eq!(
                        refusal.reason,
                        RefusalReason::EncryptionMismatch(cause),
                        "{context}"
                    );
                    assert!(refusal.status() == 488 && refusal.is_encryption_mismatch());
                }
                (outcome, expected) => panic!("{context}: {expected:?} {outcome:?}"),
            }
        }
    }
    assert_eq!(rows, 6 * 2 * 4 * 3);
}

#[test]
fn encryption_table_of_the_offerer() {
    use EncryptionLevel::{None as Never, Required, Supported};
    use MismatchCause::{NoUsableKey, NotOffered, RequiredHere, UnknownTag};
    // Profile of the answer, tag of its key line; by level: what it means.
    let rows = [
        ("RTP/SAVP", Some(1), [Ok(true), Ok(true), Err(NotOffered)]),
        ("RTP/AVP", None, [Err(RequiredHere), Ok(false), Ok(false)]),
        ("RTP/AVP", Some(1), [Err(RequiredHere), Ok(false), Ok(false)]),
        ("RTP/SAVP", None, [Err(NoUsableKey), Err(NoUsableKey), Err(NotOffered)]),
        ("RTP/SAVP", Some(9), [Err(UnknownTag), Err(UnknownTag), Err(NotOffered)]),
    ];
    // Every transport that an answer may name: over UDP and TCP, with and without early feedback.
    let transports = rows.iter().flat_map(|(proto, tag, expected)| {
        let forms = [(*proto).to_owned(), format!("TCP/{proto}"), format!("{proto}F")];
        forms.map(|proto| (proto, *tag, *expected))
    });
    for (proto, tag, expected) in transports {
        for (level, expected) in [Required, Supported, Never].into_iter().zip(expected) {
            let profile = Profile { encryption: level, ..Profile::lync() };
            let (offer, pending) = Session::new(profile).offer(&[keyed(4000)]);
            let view = offer.media_view(0).unwrap();
            assert_eq!(view.profile().secure, level == Required);
            assert_eq!(view.crypto().len(), usize::from(level != Never));
            let mut answer = section(&proto, false, None);
            if let Some(tag) = tag {
                let value = format!("{tag} {SUITE} inline:{KEY}|2^31");
                answer.media[0].push_attribute("crypto", Some(&value));
            }
            let got = pending.accept(&answer).map(|agreed| agreed.media[0].encryption);
            let context = format!("{proto} {tag:?} {level:?}");
            match (got, expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{context}"),
                (Err(refusal), Err(cause)) if level != Never || cause != NotOffered => {
                    assert_eq!(
                        refusal.reason,
                        RefusalReason::EncryptionMismatch(cause),
                        "{context}"
                    );
                }
                // An answer that is secure where nothing was offered breaks a rule either way.
                (Err(_), Err(NotOffered)) => {}
                (got, expected) => panic!("{context}: {expected:?} {got:?}"),
            }
        }
    }
}

/// Every level against every level, in both dialects and with keys from both sources: SRTP, clear,
/// or 488 with 52017 beside it.
#[test]
fn encryption_table_from_end_to_end() {
    use EncryptionLevel::{None as Never, Required, Supported};
    let levels = [Required, Supported, Never];
    // Rows: the offerer's level; columns: the answerer's. `None` is a mismatch.
    let expected = [
        [Some(true), Some(true), None],
        [Some(true), Some(true), Some(false)],
        [None, Some(false), Some(false)],
    ];
    let mut rows = 0;
    for base in [Profile::lync(), Profile::standard()] {
        for tcp in [false, true] {
            if tcp && base.dialect == Dialect::Standard {
                continue;
            }
            for (ours, row) in levels.iter().zip(expected) {
                for (theirs, expected) in levels.iter().zip(row) {
                    rows += 1;
                    let profile = |level| Profile { encryption: level, ..base.clone() };
                    let mut alice = Session::new(profile(*ours));
                    let mut bob = Session::new(profile(*theirs));
                    let (mut offer, pending) = alice.offer(&[keyed(4000)]);
                    if tcp {
                        offer.media[0].proto = Proto::new(&format!("TCP/{}", offer.media[0].proto));
                    }
                    let context = format!("{:?} tcp={tcp} {ours:?} {theirs:?}", base.dialect);
                    match (bob.answer(&offer, &[keyed(5000)]), expected) {
                        (Ok((answer, at_bob)), Some(encrypted)) => {
                            let at_alice = pending.accept(&answer).unwrap();
                            assert_eq!(at_bob.media[0].encryption, encrypted, "{context}");
                            assert_eq!(at_alice.media[0].encryption, encrypted, "{context}");
                            let keys = at_alice.media[0].local_crypto.clone();
                            assert_eq!(keys, at_bob.media[0].remote.crypto, "{context}");
                            assert_eq!(keys.is_some(), encrypted, "{context}");
                        }
                        (Err(refusal), None) => {
                            assert_eq!(refusal.status(), 488, "{context}");
                            assert_eq!(refusal.lync_diagnostic().0, 52_017, "{context}");
                        }
                        (outcome, expected) => panic!("{context}: {expected:?} {outcome:?}"),
                    }
                }
            }
        }
    }
    assert_eq!(rows, 3 * 9);
}

#[test]
fn hints_and_levels_have_names() {
    assert_eq!(EncryptionLevel::from_name("REQUIREENCRYPTION"), Some(EncryptionLevel::Required));
    assert_eq!(EncryptionHint::from_value(" Optional"), Some(EncryptionHint::Optional));
    assert_eq!(EncryptionHint::from_value("no"), None);
}

fn agreed_pair(a: Profile, b: Profile) -> (Session, Session) {
    let (mut alice, mut bob) = (Session::new(a), Session::new(b));
    let (offer, pending) = alice.offer(&[keyed(4000), keyed(4002)]);
    let (answer, _) = bob.answer(&offer, &[keyed(5000), keyed(5002)]).unwrap();
    pending.accept(&answer).unwrap();
    (alice, bob)
}

#[test]
fn hold_and_resume_in_both_dialects() {
    for profile in [Profile::lync(), Profile::standard()] {
        let (mut alice, mut bob) = agreed_pair(profile.clone(), profile.clone());
        for (wanted, at_bob) in [
            (Direction::Inactive, Direction::Inactive),
            (Direction::SendOnly, Direction::RecvOnly),
            (Direction::SendRecv, Direction::SendRecv),
        ] {
            let held = |port| LocalMedia { direction: wanted, ..keyed(port) };
            let (offer, pending) = alice.offer(&[held(4000), held(4002)]);
            let (answer, agreed) = bob.answer(&offer, &[keyed(5000), keyed(5002)]).unwrap();
            assert_eq!(agreed.media[1].direction, at_bob);
            assert_eq!(pending.accept(&answer).unwrap().media[1].direction, wanted);
        }
    }
}

#[test]
fn the_old_way_of_holding_is_understood() {
    let offer = section("RTP/AVP", false, None)
        .to_string()
        .replace("c=IN IP4 192.0.2.2", "c=IN IP4 0.0.0.0");
    let (answer, agreed) = Session::new(plain()).answer(&parse(&offer), &[local(5000)]).unwrap();
    assert_eq!(agreed.media[0].direction, Direction::RecvOnly);
    assert_eq!(answer.media_view(0).unwrap().direction(), Direction::SendRecv);
    // A trickling WebRTC peer writes the same address and holds nothing.
    let webrtc = offer + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
    let (_, agreed) = Session::new(plain()).answer(&parse(&webrtc), &[local(5000)]).unwrap();
    assert_eq!(agreed.media[0].direction, Direction::SendRecv);
}

#[test]
fn versions_rise_only_with_change() {
    let (mut alice, mut bob) = agreed_pair(Profile::standard(), Profile::standard());
    let version =
        |d: &SessionDescription| d.session().origin().unwrap().version.parse::<u64>().unwrap();
    let (offer, pending) = alice.offer(&[keyed(4000), keyed(4002)]);
    // Encryption was agreed: it is RTP/SAVP from now on.
    assert_eq!(version(&offer), 2);
    let (_, _) = bob.answer(&offer, &[keyed(5000), keyed(5002)]).unwrap();
    drop(pending);
    let (offer, pending) = alice.offer(&[keyed(4000), keyed(4002)]);
    assert_eq!(version(&offer), 2);
    drop(pending);
    let (offer, _pending) = alice.offer(&[keyed(4000), keyed(4008)]);
    assert_eq!(version(&offer), 3);
}

#[test]
fn sections_go_and_come_back_and_change_their_kind() {
    let (mut alice, mut bob) = agreed_pair(plain(), plain());
    // Video goes.
    let (offer, pending) = alice.offer(&[local(4000)]);
    assert_eq!(offer.media.iter().map(|m| m.port).collect::<Vec<_>>(), [4000, 0]);
    let (answer, agreed) = bob.answer(&offer, &[local(5000), local(5002)]).unwrap();
    assert!(!agreed.media[1].accepted && answer.media[1].port == 0);
    assert!(!pending.accept(&answer).unwrap().media[1].accepted);
    // Its place is used by a second audio stream (RFC 3264 §8.1).
    let second = LocalMedia { kind: Some(MediaKind::Audio), ..local(4004) };
    let (offer, pending) = alice.offer(&[local(4000), second]);
    assert_eq!(offer.media[1].kind, MediaKind::Audio);
    let (answer, agreed) = bob.answer(&offer, &[local(5000), local(5004)]).unwrap();
    assert!(agreed.media[1].accepted);
    assert!(pending.accept(&answer).unwrap().media[1].accepted);
}

#[test]
fn glare_is_refused_while_an_offer_lives() {
    let (mut alice, mut bob) = agreed_pair(plain(), plain());
    let (offer, pending) = alice.offer(&[local(4000), local(4002)]);
    let (other, other_pending) = bob.offer(&[local(5000), local(5002)]);
    let refusal = alice.answer(&other, &[local(4000), local(4002)]).unwrap_err();
    assert_eq!((refusal.reason, refusal.status()), (RefusalReason::OfferPending, 491));
    // Bob withdraws and answers; Alice's offer stands.
    drop(other_pending);
    let (answer, _) = bob.answer(&offer, &[local(5000), local(5002)]).unwrap();
    pending.accept(&answer).unwrap();
    assert!(!alice.is_offering());
    let (again, _pending) = bob.offer(&[local(5000), local(5002)]);
    alice.answer(&again, &[local(4000), local(4002)]).unwrap();
}

#[test]
fn an_answer_may_come_twice_and_differ() {
    let (mut alice, mut bob) = (Session::new(plain()), Session::new(plain()));
    let (offer, pending) = alice.offer(&[local(4000)]);
    let (early, _) = bob.answer(&offer, &[local(5000)]).unwrap();
    let in_183 = pending.clone().accept(&early).unwrap();
    let in_200 = pending.clone().accept(&early).unwrap();
    assert_eq!(in_183, in_200);
    // Another description in the same dialog is no answer (RFC 3261 §13.2.1), in another dialog
    // it is that one's.
    let (forked, _) = Session::new(plain()).answer(&offer, &[local(6000)]).unwrap();
    let (mut fork, in_fork) = alice.fork(&pending);
    let refusal = pending.clone().accept(&forked).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::AnswerChanged);
    assert_ne!(in_fork.accept(&forked).unwrap(), in_200);
    // Each goes on by itself.
    let (again, _) = fork.offer(&[local(4000), local(4002)]);
    assert_eq!(again.media.len(), 2);
    assert!(fork.is_offering() || !alice.is_offering());
    let (later, _pending) = alice.offer(&[local(4000)]);
    assert_eq!(later.media.len(), 1);
}

/// What an unreliable response says is read and does not bind (RFC 6337 §3.1.1).
#[test]
fn early_media_does_not_bind() {
    let mut alice = Session::new(plain());
    let (offer, pending) = alice.offer(&[local(4000), local(4002)]);
    let answer = |locals: &[LocalMedia]| Session::new(plain()).answer(&offer, locals).unwrap().0;
    let early = answer(&[local(5000)]);
    assert!(!pending.preview(&early).unwrap().media[1].accepted);
    assert!(alice.is_offering());
    let last = answer(&[local(6000), local(6002)]);
    let agreed = pending.accept(&last).unwrap();
    assert_eq!(agreed.media[1].remote.address.port(), 6002);
    assert!(!alice.is_offering());
}

/// The exchanges that RFC 6337 §2 lists beside INVITE and its 2xx, run by two engines: a delayed
/// offer (2xx and ACK), an offer in a reliable 1xx answered in PRACK, an answer in a reliable 1xx
/// with further offers in PRACK and in UPDATE, both ways, while the INVITE is still open.
#[test]
fn exchanges_before_the_call_is_answered() {
    let exchange = |offerer: &mut Session, answerer: &mut Session, ports: [u16; 2]| {
        let (offer, pending) = offerer.offer(&[local(ports[0])]);
        let (answer, theirs) = answerer.answer(&offer, &[local(ports[1])]).unwrap();
        let ours = pending.accept(&answer).unwrap();
        assert_eq!(ours.media[0].remote.address.port(), ports[1]);
        assert_eq!(theirs.media[0].remote.address.port(), ports[0]);
    };
    // Delayed offer: the callee offers in its 2xx (or in a reliable 1xx), the caller answers in
    // ACK (or PRACK).
    let (mut caller, mut callee) = (Session::new(plain()), Session::new(plain()));
    exchange(&mut callee, &mut caller, [5000, 4000]);
    // INVITE and reliable 183; PRACK and its 200; UPDATE of the caller, then of the callee.
    let (mut caller, mut callee) = (Session::new(plain()), Session::new(plain()));
    exchange(&mut caller, &mut callee, [4000, 5000]);
    exchange(&mut caller, &mut callee, [4010, 5000]);
    exchange(&mut caller, &mut callee, [4020, 5020]);
    exchange(&mut callee, &mut caller, [5030, 4020]);
    // An UPDATE while the answer of the INVITE is missing is refused (RFC 3311 §5.2).
    let (_, _pending) = caller.offer(&[local(4000)]);
    let (offer, _) = callee.offer(&[local(5000)]);
    let refusal = caller.answer(&offer, &[local(4000)]).unwrap_err();
    assert_eq!((refusal.reason, refusal.status()), (RefusalReason::OfferPending, 491));
}

/// RFC 3264 §8.3.1 and §8.3.2: a codec goes, and comes back under the number that it had.
#[test]
fn codecs_change_in_later_offers_and_keep_their_numbers() {
    let (mut alice, mut bob) = agreed_pair(plain(), plain());
    let with = |codecs: Vec<Codec>| LocalMedia { codecs, ..local(4000) };
    let opus = Codec::opus();
    let mut numbers = Vec::new();
    for codecs in [
        vec![Codec::pcma(), opus.clone()],
        vec![Codec::pcmu()],
        vec![Codec { payload_type: Some(99), ..opus.clone() }, Codec::pcmu()],
    ] {
        let (offer, pending) = alice.offer(&[with(codecs.clone())]);
        let theirs = LocalMedia { codecs, ..local(5000) };
        let (answer, at_bob) = bob.answer(&offer, &[theirs]).unwrap();
        let agreed = pending.accept(&answer).unwrap();
        assert_eq!(agreed.media[0].codecs.len(), at_bob.media[0].codecs.len());
        numbers.extend(
            agreed.media[0].codecs.iter().filter(|c| c.codec.name == "opus").map(|c| c.send_pt),
        );
    }
    assert_eq!(numbers, [111, 111]);
}

/// RFC 6157 §4: without ICE a side with addresses of one family cannot take the other's.
#[test]
fn addresses_of_another_family_are_refused_unless_ice_joins_them() {
    let v6 = section("RTP/AVP", false, None)
        .to_string()
        .replace("c=IN IP4 192.0.2.2", "c=IN IP6 2001:db8::2");
    let refusal = Session::new(plain()).answer(&parse(&v6), &[local(5000)]).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::NoCommonCodec);
    let ours = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local(5000) };
    let (answer, _) = Session::new(plain()).answer(&parse(&v6), &[ours]).unwrap();
    assert!(answer.to_string().contains("c=IN IP6 2001:db8::1\r\n"));
    // A second section that can be reached keeps the first one refused, and says why.
    let both = v6 + "m=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\n";
    let (_, agreed) =
        Session::new(plain()).answer(&parse(&both), &[local(5000), local(5002)]).unwrap();
    assert_eq!(agreed.media[0].refused, Some(Why::AddressFamily));
    assert!(agreed.media[1].accepted && agreed.media[1].refused.is_none());
    // With ICE the candidates decide.
    let ice = IceMode::Rfc8445;
    let with_ice = LocalMedia { ice: Some(LocalIce::default()), ..local(5000) };
    let offer = parse(
        &(both
            + "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
        a=candidate:1 1 UDP 1 192.0.2.2 4002 typ host\r\n"),
    );
    let mut session = Session::new(Profile { ice, ..plain() });
    let (_, agreed) = session.answer(&offer, &[local(1), with_ice]).unwrap();
    assert!(agreed.media[1].remote.ice.is_some());
}

/// RFC 8839 §4.2.5: something on the way has changed the address that the peer meant.
#[test]
fn a_default_address_that_is_no_candidate_ends_ice() {
    let offer = |candidate: &str, ip: &str| {
        let text = section("RTP/AVP", false, None).to_string().replace("192.0.2.2", ip);
        parse(&format!("{text}a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n{candidate}"))
    };
    let host = "a=candidate:1 1 UDP 2130706431 192.0.2.2 4000 typ host\r\n";
    let local_ice = LocalIce {
        ufrag: "ours".into(),
        pwd: "0123456789012345678901".into(),
        options: vec!["ice2".into()],
        lite: true,
        end_of_candidates: true,
        ..LocalIce::default()
    };
    let answer = |offer: SessionDescription| {
        let local = LocalMedia { ice: Some(local_ice.clone()), ..local(5000) };
        let mut session = Session::new(Profile { ice: IceMode::Rfc8445, ..plain() });
        let (answer, agreed) = session.answer(&offer, &[local]).unwrap();
        (answer.to_string(), agreed.media[0].remote.ice.is_some())
    };
    let (text, ice) = answer(offer(host, "192.0.2.2"));
    assert!(ice && !text.contains("ice-mismatch"), "{text}");
    for line in ["a=ice-lite\r\n", "a=ice-options:ice2\r\n", "a=end-of-candidates\r\n"] {
        assert!(text.contains(line), "{text}");
    }
    let (text, ice) = answer(offer(host, "198.51.100.7"));
    assert!(!ice && text.contains("a=ice-mismatch\r\n") && !text.contains("ufrag"), "{text}");
    // A peer that says so itself; one that has no candidate yet; names, which cannot be judged.
    assert!(!answer(offer("a=ice-mismatch\r\n", "192.0.2.2")).1);
    assert!(answer(offer("", "198.51.100.7")).1);
    assert!(answer(offer("a=candidate:1 1 UDP 1 x.local 4000 typ host\r\n", "192.0.2.2")).1);
}

/// RFC 5939 §3.6.2: an answer without a=acfg takes the actual configuration.
#[test]
fn capabilities_are_read_and_answered_without() {
    let offer = section("RTP/AVP", false, None).to_string()
        + "a=tcap:1 RTP/SAVPF RTP/SAVP\r\na=acap:1 rtcp-fb:* nack\r\na=pcfg:1 t=1|2 a=1\r\n";
    let offer = parse(&offer);
    let view = offer.media_view(0).unwrap();
    let found: Vec<Capability<'_>> = view.capabilities().collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[2], Capability::Potential { number: 1, configuration: "t=1|2 a=1" });
    let (answer, _) = Session::new(plain()).answer(&offer, &[local(5000)]).unwrap();
    let text = answer.to_string();
    assert!(text.contains("RTP/AVP 0\r\n") && !text.contains("cfg") && !text.contains("cap:"));
}

/// RFC 5506 §5: reduced-size RTCP needs the word of both.
#[test]
fn reduced_size_rtcp_is_agreed_by_both() {
    let offer = parse(&(section("RTP/AVP", false, None).to_string() + "a=rtcp-rsize\r\n"));
    for rtcp_rsize in [false, true] {
        let mut session = Session::new(Profile { rtcp_rsize, ..plain() });
        let (answer, agreed) = session.answer(&offer, &[local(5000)]).unwrap();
        assert_eq!(agreed.media[0].rtcp_rsize, rtcp_rsize);
        assert_eq!(answer.media_view(0).unwrap().rtcp_rsize(), rtcp_rsize);
    }
}

#[test]
fn answers_that_break_a_rule_are_refused() {
    let answer = |text: &str| {
        let (_, pending) = Session::new(plain()).offer(&[local(4000)]);
        pending.accept(&parse(
            &section("RTP/AVP", false, None).to_string().replace("m=audio 4000 RTP/AVP 0", text),
        ))
    };
    let reason = |text| answer(text).unwrap_err().reason;
    assert_eq!(reason("m=audio 1 RTP/AVP 0\r\nm=audio 2 RTP/AVP 0"), RefusalReason::MediaCount);
    assert_eq!(reason("m=video 1 RTP/AVP 97"), RefusalReason::MediaType);
    assert_eq!(reason("m=audio 1 RTP/AVP 3"), RefusalReason::FormatNotOffered);
    assert_eq!(reason("m=audio 1 UDP/TLS/RTP/SAVP 0"), RefusalReason::Transport);
    assert!(!answer("m=audio 0 RTP/AVP 0").unwrap().media[0].accepted);
}

#[test]
fn answers_with_other_numbers_are_mapped_by_encoding() {
    let (_, pending) = Session::new(plain()).offer(&[local(4000)]);
    let text = section("RTP/AVP", false, None).to_string().replace(
        "RTP/AVP 0\r\n",
        "RTP/AVP 99 0 98\r\na=rtpmap:99 G722/8000\r\na=rtpmap:98 telephone-event/8000\r\n",
    );
    let agreed = pending.accept(&parse(&text)).unwrap();
    let numbers: Vec<_> = agreed.media[0]
        .codecs
        .iter()
        .map(|c| (c.codec.name.as_str(), c.send_pt, c.receive_pt))
        .collect();
    assert_eq!(numbers, [("G722", 99, 9), ("PCMU", 0, 0), ("telephone-event", 98, 101)]);
}

#[test]
fn offers_that_cannot_be_answered_are_refused() {
    let mut session = Session::new(plain());
    let opus = section("RTP/AVP", false, None)
        .to_string()
        .replace("AVP 0", "AVP 96\r\na=rtpmap:96 opus/48000/2");
    let refusal = session.answer(&parse(&opus), &[local(5000)]).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::NoCommonCodec);
    let (offer, _) = agreed_pair(plain(), plain()).0.offer(&[local(1), local(2)]);
    let mut bob = agreed_pair(plain(), plain()).1;
    let mut shorter = offer.clone();
    shorter.media.pop();
    assert_eq!(bob.answer(&shorter, &[]).unwrap_err().reason, RefusalReason::MediaRemoved);
    let mut other = offer;
    other.media[1].kind = MediaKind::Audio;
    let refusal = bob.answer(&other, &[local(1), local(2)]).unwrap_err();
    assert_eq!((refusal.reason, refusal.media), (RefusalReason::MediaType, Some(1)));
}

#[test]
fn a_key_of_the_wrong_length_or_with_conditions_is_no_key() {
    for bad in [
        format!("{SUITE} inline:c2hvcnQ="),
        format!("{SUITE} inline:{KEY} KDR=1"),
        format!("AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
        format!("F8_128_HMAC_SHA1_80 inline:{KEY}"),
    ] {
        let mut offer = section("RTP/SAVP", false, None);
        offer.media[0].push_attribute("crypto", Some(&format!("1 {bad}")));
        let refusal = Session::new(Profile::lync()).answer(&offer, &[keyed(5000)]).unwrap_err();
        let cause = MismatchCause::NoUsableKey;
        assert_eq!(refusal.reason, RefusalReason::EncryptionMismatch(cause), "{bad}");
    }
}

#[test]
fn bandwidth_and_packet_time_are_read() {
    let with = |lines: &str| {
        let text = section("RTP/AVP", false, None).to_string() + lines;
        let (_, agreed) = Session::new(plain()).answer(&parse(&text), &[local(5000)]).unwrap();
        (agreed.media[0].send_limit_bps, agreed.media[0].ptime_ms)
    };
    assert_eq!(with(""), (None, None));
    assert_eq!(with("b=AS:64\r\na=ptime:30\r\n"), (Some(64_000), Some(30)));
    assert_eq!(with("b=AS:64\r\nb=TIAS:50000\r\n"), (Some(50_000), None));
    assert_eq!(with("b=CT:99980\r\n"), (None, None));
}
