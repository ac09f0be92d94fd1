//! Properties: round trips, and agreement of two engines over any run of offers and answers.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong about its data fails"
)]

use linkspan_sdp::{
    Agreed, AgreedMedia, Candidate, Codec, Crypto, Description, Dialect, Direction,
    EncryptionLevel, LocalDtls, LocalMedia, MediaKind, Profile, RefusalReason, Session,
    SessionDescription, Setup, ms,
    translate::{self, Explanation, FormatFate, MediaOutcome, Outcome, Side},
};
use proptest::prelude::*;

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[abce-ln-z]=[ -~]{0,40}".prop_filter("checked lines", |l| {
            !l.starts_with("b=") && !l.starts_with("c=") && !l.starts_with("t=")
        }),
        "a=[a-z-]{1,12}(:[ -~]{0,30})?",
        Just("b=AS:64".to_owned()),
        Just("c=IN IP4 192.0.2.7".to_owned()),
        Just(String::new()),
    ]
}

fn section() -> impl Strategy<Value = String> {
    let head = "m=(audio|video|x)  ?[0-9]{1,4}(/2)? (RTP/AVP|x) ( ?[0-9]{1,3}){0,4} ?";
    (head, proptest::collection::vec(line(), 0..6))
        .prop_map(|(head, lines)| [vec![head], lines].concat().join("\r\n") + "\r\n")
}

fn description() -> impl Strategy<Value = String> {
    let session = proptest::collection::vec(line(), 0..5);
    (session, proptest::collection::vec(section(), 0..4), "(\r\n|\n|)").prop_map(
        |(session, sections, end)| {
            let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\n";
            let session: String = session.iter().map(|l| format!("{l}{end}")).collect();
            let session = if end.is_empty() { String::new() } else { session };
            format!("{head}{session}{}", sections.concat())
        },
    )
}

fn key() -> impl Strategy<Value = String> {
    "[A-Za-z0-9+/]{40}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(d) = Description::parse(&octets) {
            prop_assert_eq!(d.to_owned().to_bytes(), octets);
        }
    }

    #[test]
    fn untouched_descriptions_come_back(text in description()) {
        let Ok(parsed) = SessionDescription::parse(text.as_bytes()) else { return Ok(()) };
        prop_assert_eq!(parsed.to_string(), &*text);
        prop_assert_eq!(SessionDescription::parse(&parsed.to_bytes()).unwrap(), parsed);
    }

    #[test]
    fn edits_show_and_stay_parseable(
        text in description(), port in 0_u16.., name in "[a-z]{1,8}", value in "[ -~\r\n]{0,20}",
    ) {
        let Ok(mut d) = SessionDescription::parse(text.as_bytes()) else { return Ok(()) };
        let lines = text.lines().count();
        d.push_attribute("added", Some(&value));
        d.set_line('s', &value);
        let mut media = 0;
        for m in &mut d.media {
            m.port = port;
            m.set_attribute(&name, &value);
            m.set_line('i', &value);
            media += 1;
        }
        // No section is left without a connection: the session has one.
        let again = SessionDescription::parse(&d.to_bytes()).unwrap();
        prop_assert_eq!(again.media.len(), media);
        for view in again.media_views() {
            prop_assert_eq!(view.port(), port);
            prop_assert!(view.attribute(&name).is_some());
        }
        prop_assert!(again.to_string().lines().count() <= lines + 2 + 2 * media);
    }

    #[test]
    fn key_lines_round_trip(
        tag in 0_u32..1_000_000_000, key in key(), mki in proptest::option::of((1_u8.., 1_u8..5)),
    ) {
        let mki = mki.map(|(v, l)| format!("|{v}:{l}")).unwrap_or_default();
        let text = format!("{tag} AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31{mki}");
        let crypto = Crypto::parse(&text).unwrap();
        prop_assert_eq!(crypto.to_string(), &*text);
        prop_assert_eq!(crypto.key(), key);
        prop_assert_eq!(crypto.mki().is_some(), !mki.is_empty());
    }

    #[test]
    fn candidates_round_trip_in_both_dialects(
        foundation in "[a-z0-9]{1,32}", component in 1_u16..257, priority: u32, ip: std::net::IpAddr,
        port: u16, kind in "host|srflx|prflx|relay", tcp in 0_usize..4,
        related in proptest::option::of((any::<std::net::IpAddr>(), any::<u16>())),
    ) {
        let (transport, tcptype) =
            [("UDP", ""), ("TCP", " tcptype active"), ("TCP", " tcptype passive"), ("TCP", " tcptype so")][tcp];
        let related = related.map(|(ip, port)| format!(" raddr {ip} rport {port}")).unwrap_or_default();
        let text = format!("{foundation} {component} {transport} {priority} {ip} {port} typ {kind}{related}{tcptype}");
        let candidate = Candidate::parse(&text).unwrap();
        prop_assert_eq!(candidate.to_string(), text);
        if tcp < 3 {
            let lync = candidate.to_text(Dialect::Lync);
            prop_assert!(lync.ends_with(' '));
            prop_assert_eq!(Candidate::parse(&lync).unwrap(), candidate);
        }
    }

    #[test]
    fn attribute_values_never_panic(value in "[ -~]{0,60}") {
        let _ = (Candidate::parse(&value), Crypto::parse(&value), Crypto::parse_cryptoscale(&value));
        let _ = (ms::VideoCapabilities::parse(&value), ms::MediaBandwidth::parse(&value));
        let _ = (ms::LegacyCandidate::parse(&value), ms::parse_ssrc_range(&value));
    }
}

/// What two engines can do.
fn profile(dialect: Dialect) -> impl Strategy<Value = Profile> {
    let audio = Just(vec![
        Codec::pcmu(),
        Codec::pcma(),
        Codec::g722(),
        Codec::g7221(24_000),
        Codec::opus(),
        Codec::telephone_event(),
        Codec::comfort_noise(),
    ]);
    let video = Just(vec![
        Codec::x_h264uc(),
        Codec::h264("42e01f", 1),
        Codec::h264("42801e", 0),
        Codec::h264("640028", 1),
    ]);
    let level = prop_oneof![
        Just(EncryptionLevel::Required),
        Just(EncryptionLevel::Supported),
        Just(EncryptionLevel::None)
    ];
    (
        audio.prop_shuffle(),
        1_usize..8,
        video.prop_shuffle(),
        0_usize..5,
        level,
        any::<[bool; 4]>(),
        Just((96_u8..128).collect::<Vec<u8>>()).prop_shuffle(),
    )
        .prop_map(move |(mut audio, some, mut video, few, encryption, flags, numbers)| {
            audio.truncate(some);
            video.truncate(few);
            let base = match dialect {
                Dialect::Standard => Profile::standard(),
                Dialect::Lync => Profile::lync(),
            };
            // Static numbers stay, dynamic ones are any, and some are left to the engine.
            for (codec, number) in audio.iter_mut().chain(&mut video).zip(numbers) {
                if codec.payload_type.is_some_and(|pt| pt >= 96) {
                    codec.payload_type = Some(number).filter(|n| n % 4 != 0);
                }
            }
            let [rtcp_mux, one_video_codec, dtls, bundle] = flags;
            let dtls = dtls && dialect == Dialect::Standard;
            let header_extensions =
                if bundle { Profile::webrtc().header_extensions } else { Vec::new() };
            Profile {
                audio,
                video,
                encryption,
                rtcp_mux,
                one_video_codec,
                dtls,
                bundle: bundle && dialect == Dialect::Standard,
                header_extensions,
                ..base
            }
        })
}

fn local() -> impl Strategy<Value = LocalMedia> {
    let direction = prop_oneof![
        3 => Just(Direction::SendRecv),
        1 => Just(Direction::SendOnly),
        1 => Just(Direction::RecvOnly),
        1 => Just(Direction::Inactive)
    ];
    let kind = proptest::option::of(prop_oneof![Just(MediaKind::Audio), Just(MediaKind::Video)]);
    let setup = proptest::option::of(prop_oneof![
        Just(Setup::Active),
        Just(Setup::Passive),
        Just(Setup::ActPass)
    ]);
    (prop_oneof![4 => 1024_u16..60_000, 1 => Just(0)], key(), direction, kind, setup).prop_map(
        |(port, key, direction, kind, setup)| LocalMedia {
            dtls: Some(LocalDtls {
                fingerprint: format!(
                    "sha-256 {}",
                    vec![format!("{:02X}", port % 251); 32].join(":")
                ),
                tls_id: None,
            }),
            setup,
            address: [192, 0, 2, 1].into(),
            rtp_port: port,
            crypto: vec![Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", &key)],
            direction,
            kind,
            ..LocalMedia::default()
        },
    )
}

#[derive(Clone, Debug)]
struct Step {
    by_alice: bool,
    offerer: Vec<LocalMedia>,
    answerer: Vec<LocalMedia>,
    withdrawn: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let locals = || proptest::collection::vec(local(), 1..4);
    (any::<bool>(), locals(), locals(), proptest::bool::weighted(0.1)).prop_map(
        |(by_alice, offerer, answerer, withdrawn)| Step { by_alice, offerer, answerer, withdrawn },
    )
}

/// Both sides mean the same by a section.
fn assert_agree(offerer: &AgreedMedia, answerer: &AgreedMedia, context: &str) {
    assert_eq!(offerer.kind, answerer.kind, "{context}");
    assert_eq!(offerer.accepted, answerer.accepted, "{context}");
    if !offerer.accepted {
        return;
    }
    assert_eq!(offerer.direction, answerer.direction.reversed(), "{context}");
    assert_eq!(offerer.encryption, answerer.encryption, "{context}");
    assert_eq!(offerer.rtcp_mux, answerer.rtcp_mux, "{context}");
    assert_eq!(offerer.local_crypto, answerer.remote.crypto, "{context}");
    assert_eq!(offerer.remote.crypto, answerer.local_crypto, "{context}");
    assert_eq!(offerer.bundle, answerer.bundle, "{context}");
    assert_eq!(offerer.mid, answerer.mid, "{context}");
    assert_eq!(offerer.header_extensions, answerer.header_extensions, "{context}");
    assert_eq!(offerer.dtls.is_some(), answerer.dtls.is_some(), "{context}");
    assert_eq!(offerer.setup, answerer.setup.map(Setup::counterpart), "{context}");
    if offerer.dtls.is_some() {
        assert_ne!(offerer.setup, answerer.setup, "{context}");
        assert!(offerer.local_crypto.is_none() && offerer.encryption, "{context}");
    }
    assert_eq!(offerer.codecs.len(), answerer.codecs.len(), "{context}");
    assert!(!offerer.codecs.is_empty(), "{context}");
    for (ours, theirs) in offerer.codecs.iter().zip(&answerer.codecs) {
        assert!(ours.codec.is_same_encoding(&theirs.codec), "{context}");
        assert_eq!(
            (ours.send_pt, ours.receive_pt),
            (theirs.receive_pt, theirs.send_pt),
            "{context}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engines_agree_after_every_exchange(
        (a, b) in prop_oneof![
            (profile(Dialect::Standard), profile(Dialect::Standard)),
            (profile(Dialect::Lync), profile(Dialect::Lync)),
        ],
        steps in proptest::collection::vec(step(), 1..13),
    ) {
        let (mut alice, mut bob) = (Session::new(a), Session::new(b));
        let mut numbers: Vec<(usize, u8, String)> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let context = format!("step {index}");
            let (offerer, answerer) =
                if step.by_alice { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
            let (offer, pending) = offerer.offer(&step.offerer);
            let offer: SessionDescription = offer.to_string().parse().unwrap();
            prop_assert!(offerer.is_offering());
            if step.withdrawn {
                drop(pending);
                prop_assert!(!offerer.is_offering());
                continue;
            }
            match answerer.answer(&offer, &step.answerer) {
                Ok((answer, theirs)) => {
                    let answer: SessionDescription = answer.to_string().parse().unwrap();
                    prop_assert_eq!(answer.media.len(), offer.media.len());
                    match pending.accept(&answer) {
                        Ok(ours) => {
                            agree(&ours, &theirs, &context);
                            check_bindings(&offer, &ours, &mut numbers, &context);
                        }
                        Err(refusal) => panic!("{context}: {refusal}\n{offer}\n{answer}"),
                    }
                }
                Err(refusal) => {
                    let legal = matches!(
                        refusal.reason,
                        RefusalReason::EncryptionMismatch(_) | RefusalReason::NoCommonCodec
                            | RefusalReason::MediaRemoved
                    );
                    prop_assert!(legal, "{}: {}", context, refusal);
                }
            }
        }
    }

    #[test]
    fn translations_are_total(
        (a, b) in prop_oneof![
            (profile(Dialect::Lync), profile(Dialect::Standard)),
            (profile(Dialect::Standard), profile(Dialect::Lync)),
        ],
        caller in proptest::collection::vec(local(), 1..4),
        far in proptest::collection::vec(local(), 1..4),
        near in proptest::collection::vec(local(), 1..4),
        callee in proptest::collection::vec(local(), 1..4),
    ) {
        // Endpoints of each dialect around a gateway with the same capabilities on each side.
        let (mut alice, mut bob) = (Session::new(a.clone()), Session::new(b.clone()));
        let (offer, pending) = alice.offer(&caller);
        let Ok(toward) = translate::offer(&offer, &a, &b, &far) else { return Ok(()) };
        prop_assert_eq!(toward.media.len(), offer.media.len());
        assert_total(&offer, &toward.media, &toward.explain, &toward.explain_lines());
        let Ok((answer, _)) = bob.answer(&toward.description, &callee) else { return Ok(()) };
        let port = |index: usize| LocalMedia { rtp_port: 2_000, ..near[index % near.len()].clone() };
        let near: Vec<LocalMedia> = (0..offer.media.len()).map(port).collect();
        let Ok(back) = translate::answer(&answer, &toward, &near) else { return Ok(()) };
        let agreed = pending.accept(&back.description).unwrap();
        for (media, view) in back.media.iter().zip(offer.media_views()) {
            // What the answer did not take has its reason by now.
            prop_assert!(media.formats.iter().map(|f| f.format.as_str()).eq(view.formats()));
            for format in &media.formats {
                let goes = media.codecs.iter().any(|c| c.a_pt.to_string() == format.format);
                prop_assert_eq!(goes, matches!(format.fate, FormatFate::Mapped(_)), "{}", format);
            }
        }
        for (media, agreed) in back.media.iter().zip(&agreed.media) {
            prop_assert_eq!(media.outcome == Outcome::Mapped, agreed.accepted);
            prop_assert_eq!(media.codecs.is_empty(), !agreed.accepted);
            if let (Some(a), Some(b)) = (&media.a, &media.b) {
                assert_agree(agreed, a, "the caller's leg");
                // Media that one side may send is media that the other one receives.
                prop_assert!(!a.direction.sends() || b.direction.receives());
                prop_assert!(!a.direction.receives() || b.direction.sends());
                for map in &media.codecs {
                    prop_assert!(agreed.codecs.iter().any(|c| c.send_pt == map.a_pt));
                    prop_assert!(b.codecs.iter().any(|c| c.send_pt == map.b_pt));
                }
            }
        }
        // The same again, from the other side: everything keeps its place.
        let again = translate::reoffer(&answer, Side::B, &back.context, &near)
            .unwrap_or_else(|refusal| panic!("{refusal}\n{answer}"));
        let used = |d: &SessionDescription| -> Vec<bool> { d.media.iter().map(|m| m.port != 0).collect() };
        prop_assert_eq!(used(&again.description), used(&back.description));
        prop_assert_eq!(again.description.media.len(), offer.media.len());
    }
}

/// Every section, every format and every line has a stated outcome.
fn assert_total(
    offer: &SessionDescription,
    media: &[MediaOutcome],
    explain: &[Explanation],
    lines: &[Explanation],
) {
    for (index, view) in offer.media_views().enumerate() {
        let about = |subject: &str| -> Vec<&str> {
            let of = |e: &&Explanation| e.media == Some(index) && e.subject == subject;
            explain.iter().filter(of).map(|e| e.text.as_str()).collect()
        };
        assert_eq!(about("section").len(), 1, "{explain:#?}");
        let formats: Vec<&str> = view.formats().collect();
        let said: Vec<&str> =
            about("codec").iter().map(|text| text.split(' ').next().unwrap()).collect();
        assert_eq!(said, formats, "{explain:#?}");
        let outcomes: Vec<&str> = media[index].formats.iter().map(|f| f.format.as_str()).collect();
        assert_eq!(outcomes, formats);
        for attribute in view.attributes() {
            let name = format!("a={}", attribute.name);
            let of = |e: &&Explanation| e.media == Some(index) && e.text.starts_with(&name);
            assert!(lines.iter().any(|e| of(&e)), "{name}: {lines:#?}");
        }
    }
}

fn agree(offerer: &Agreed, answerer: &Agreed, context: &str) {
    assert_eq!(offerer.media.len(), answerer.media.len(), "{context}");
    for (ours, theirs) in offerer.media.iter().zip(&answerer.media) {
        assert_agree(ours, theirs, context);
    }
}

/// RFC 3264 §8.3.2: a number that a stream has once had, in an offer of either side, keeps its
/// codec. A section that is refused ends its stream.
fn check_bindings(
    offer: &SessionDescription,
    agreed: &Agreed,
    numbers: &mut Vec<(usize, u8, String)>,
    context: &str,
) {
    for (index, view) in offer.media_views().enumerate() {
        if !agreed.media[index].accepted {
            numbers.retain(|(section, ..)| *section != index);
            continue;
        }
        for pt in view.payload_types() {
            let name = view.rtpmap(pt).unwrap().to_string();
            match numbers.iter().find(|(section, number, _)| (*section, *number) == (index, pt)) {
                Some((.., bound)) => assert_eq!(*bound, name, "{context}"),
                None => numbers.push((index, pt, name)),
            }
        }
    }
}
