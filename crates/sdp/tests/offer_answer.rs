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
    Codec, Crypto, Direction, EncryptionHint, EncryptionLevel, LocalMedia, MediaKind, MediaView,
    MismatchCause, Profile, RefusalReason, Session, SessionDescription,
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
    for (proto, tag, expected) in rows {
        for (level, expected) in [Required, Supported, Never].into_iter().zip(expected) {
            let profile = Profile { encryption: level, ..Profile::lync() };
            let (offer, pending) = Session::new(profile).offer(&[keyed(4000)]);
            let view = offer.media_view(0).unwrap();
            assert_eq!(view.profile().secure, level == Required);
            assert_eq!(view.crypto().len(), usize::from(level != Never));
            let mut answer = section(proto, false, None);
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
    let (forked, _) = Session::new(plain()).answer(&offer, &[local(6000)]).unwrap();
    let other = pending.accept(&forked).unwrap();
    assert_ne!(other.media[0].remote.address, in_200.media[0].remote.address);
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
