//! The complete examples of the dialect's reference, translated both ways.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong about its data fails"
)]

use linkspan_sdp::{
    Candidate, CandidateKind, CandidateTransport, Codec, Crypto, Direction, EncryptionLevel,
    IceMode, LocalIce, LocalMedia, Profile, RefusalReason, SessionDescription,
    translate::{self, Outcome, Side, Transform, Why},
};

const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";
const KEY_1: &str = "R95jbA6AbJV7poTWQx+16tdCTQnhXQJMWEjyPR+m";
const KEY_2: &str = "9zYdf2GNFTLnDiDipmaN5/R+hGflRtU+yOKhJXvb";

fn file(name: &str) -> SessionDescription {
    let path = format!("{}/tests/data/ms/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    SessionDescription::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn local(port: u16, key: &str, ssrc: (u32, u32)) -> LocalMedia {
    let address = "203.0.113.80".parse().unwrap();
    let candidate = |component: u16, port| {
        Candidate::new(
            "1",
            component,
            CandidateTransport::Udp,
            2_130_706_431 - 513 * (u32::from(component) - 1),
            (address, port).into(),
            CandidateKind::Host,
        )
    };
    LocalMedia {
        address,
        rtp_port: port,
        rtcp_port: port + 1,
        ice: Some(LocalIce {
            ufrag: format!("u{port}"),
            pwd: "n2N27nGHlzf9X3L41RxKyRtt".into(),
            candidates: vec![candidate(1, port), candidate(2, port + 1)],
            ..LocalIce::default()
        }),
        crypto: vec![Crypto::new(1, SUITE, key)],
        ssrc_range: Some(ssrc),
        ..LocalMedia::default()
    }
}

fn locals(base: u16) -> Vec<LocalMedia> {
    vec![
        local(base, KEY_1, (2_200_000_001, 2_200_000_001)),
        local(base + 2, KEY_2, (2_200_000_002, 2_200_000_101)),
    ]
}

fn lync() -> Profile {
    let mut profile = Profile { encryption: EncryptionLevel::Required, ..Profile::lync() };
    profile.audio.insert(1, Codec::g7221(24_000));
    profile
}

fn standard() -> Profile {
    let fmtp = "max-mbps=245000;max-fs=8160";
    let h264 = |mode| {
        let codec = Codec::h264("42801f", mode);
        Codec { fmtp: codec.fmtp.map(|f| format!("{f};{fmtp}")), ..codec }
    };
    let mut profile = Profile {
        encryption: EncryptionLevel::Required,
        video: vec![h264(1), h264(0)],
        username: "gw".into(),
        ..Profile::standard()
    };
    profile.audio.insert(1, Codec::g7221(24_000));
    profile
}

fn lines(description: &SessionDescription) -> Vec<String> {
    description.to_string().lines().map(Into::into).collect()
}

/// What an example states and the translation has not, and the other way round; lines whose value
/// is the caller's or the moment's are compared by their name.
fn differences(expected: &SessionDescription, got: &SessionDescription) -> Vec<String> {
    let blur = |line: &String| {
        for name in ["a=ice-ufrag", "a=ice-pwd", "a=candidate", "o=", "c="] {
            if line.starts_with(name) {
                return name.to_owned();
            }
        }
        if line.starts_with("a=crypto") {
            let tail = line.rsplit_once("inline:").map_or("", |(_, t)| t.get(40..).unwrap_or(""));
            return format!("{} {tail}", line.split(' ').next().unwrap_or(""));
        }
        match line.strip_prefix("m=") {
            Some(m) => {
                let mut words: Vec<&str> = m.split(' ').collect();
                words[1] = if words[1] == "0" { "0" } else { "port" };
                format!("m={}", words.join(" "))
            }
            None => line.clone(),
        }
    };
    let (mut expected, mut got): (Vec<_>, Vec<_>) =
        (lines(expected).iter().map(blur).collect(), lines(got).iter().map(blur).collect());
    expected.sort();
    got.sort();
    let mut found = Vec::new();
    for line in &expected {
        match got.iter().position(|g| g == line) {
            Some(at) => drop(got.remove(at)),
            None => found.push(format!("- {line}")),
        }
    }
    found.extend(got.into_iter().map(|line| format!("+ {line}")));
    found
}

#[test]
fn standard_offer_becomes_the_lync_offer_of_the_reference() {
    let toward =
        translate::offer(&file("standard_offer"), &standard(), &lync(), &locals(40_100)).unwrap();
    let differences = differences(&file("standard_offer_to_lync"), &toward.description);
    // The endpoint offers no comfort noise, so none is promised for it; RTCP's port is written
    // even where it is the next one (section 1 of the reference).
    assert_eq!(
        differences,
        [
            "- a=rtpmap:13 CN/8000",
            "- m=audio port RTP/SAVP 9 112 0 8 13 101",
            "+ a=rtcp:40101",
            "+ a=rtcp:40103",
            "+ m=audio port RTP/SAVP 9 112 0 8 101",
        ]
    );
    let outcomes: Vec<_> = toward.media.iter().map(|m| m.outcome).collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Mapped,
            Outcome::Mapped,
            Outcome::Refused(Why::Kind),
            Outcome::Refused(Why::Content),
            Outcome::Refused(Why::Kind),
        ]
    );
}

#[test]
fn its_answer_comes_back_as_the_reference_states() {
    let offer = file("standard_offer");
    let mut profile = standard();
    profile.feedback.tmmbr = true;
    let toward = translate::offer(&offer, &profile, &lync(), &locals(40_100)).unwrap();
    // What Lync answers: shape of the offer, without G.722.1.
    let lync_answer = toward
        .description
        .to_string()
        .replace("RTP/SAVP 9 112 0 8 101", "RTP/SAVP 9 0 8 101")
        .replace("a=rtpmap:112 G7221/16000\r\na=fmtp:112 bitrate=24000\r\n", "")
        .replace("IP4 203.0.113.80", "IP4 192.0.2.31");
    let back = translate::answer(&lync_answer.parse().unwrap(), &toward, &locals(41_000)).unwrap();
    let differences = differences(&file("standard_answer"), &back.description);
    assert_eq!(differences, ["+ a=ptime:20"]);

    let video = &back.media[1];
    assert_eq!((video.codecs.len(), video.codecs[0].transform), (1, Transform::AvcToUc));
    assert_eq!((video.codecs[0].a_pt, video.codecs[0].b_pt), (97, 122));
    let b = video.b.as_ref().unwrap();
    assert!(b.encryption && b.feedback.send_source_request && b.feedback.receive_ms_pli);
    assert_eq!(b.remote.ssrc_range, Some((2_200_000_002, 2_200_000_101)));
    let a = video.a.as_ref().unwrap();
    assert!(a.feedback.pli && a.feedback.fir && !a.feedback.nack);
    assert_eq!(a.remote.address, "198.51.100.10:16402".parse().unwrap());
    assert_eq!(a.local_crypto.as_ref().unwrap().tag, 1);
}

#[test]
fn lync_offer_becomes_the_standard_offer_of_the_reference() {
    let toward =
        translate::offer(&file("lync2013_offer"), &lync(), &standard(), &locals(41_010)).unwrap();
    let differences = differences(&file("lync2013_offer_to_standard"), &toward.description);
    // ICE credentials are there because the caller gave some.
    let differences: Vec<_> = differences
        .into_iter()
        .filter(|d| !["+ a=ice-ufrag", "+ a=ice-pwd", "+ a=candidate"].contains(&d.as_str()))
        .collect();
    assert_eq!(differences, ["+ a=ptime:20"]);

    let explained: Vec<String> = toward.explain.iter().map(ToString::to_string).collect();
    let has = |text: &str| explained.iter().any(|e| e.contains(text));
    assert!(has("m=0 codec: 114 x-msrta/16000 dropped: RTAudio"), "{explained:#?}");
    assert!(has("m=1 codec: 122 X-H264UC/90000 mapped to H264"), "{explained:#?}");
    assert!(has("m=0 encryption: offered required"), "{explained:#?}");
}

#[test]
fn the_lync_client_gets_its_key_line_without_mki() {
    let toward =
        translate::offer(&file("lync2013_offer"), &lync(), &standard(), &locals(41_010)).unwrap();
    let answer = file("standard_answer").to_string().replace(
        "m=application 0 UDP/BFCP *\r\nm=video 0 RTP/SAVP 97\r\nm=application 0 RTP/AVP 100\r\n",
        "",
    );
    let back = translate::answer(&answer.parse().unwrap(), &toward, &locals(40_200)).unwrap();
    let text = back.description.to_string();
    assert!(text.contains("m=audio 40200 RTP/SAVP 9 0 8 101\r\n"), "{text}");
    assert!(text.contains("m=video 40202 RTP/SAVP 122\r\n"), "{text}");
    assert!(text.contains(&format!("a=crypto:3 {SUITE} inline:{KEY_1}|2^31\r\n")), "{text}");
    assert!(text.contains("a=x-ssrc-range:2200000002-2200000101\r\n"), "{text}");
    assert!(text.contains("a=label:main-video\r\na=x-source:main-video\r\n"), "{text}");
    assert!(text.contains("a=fmtp:122 packetization-mode=1;mst-mode=NI-TC\r\n"), "{text}");
    let video = &back.media[1];
    assert_eq!((video.codecs[0].a_pt, video.codecs[0].b_pt), (122, 97));
    assert_eq!(video.codecs[0].transform, Transform::UcToAvc);
    let a = video.a.as_ref().unwrap();
    assert_eq!(a.remote.crypto.as_ref().unwrap().tag, 3);
    assert_eq!(a.remote.ice.as_ref().unwrap().candidates.len(), 2);
}

#[test]
fn lync_2010_is_answered_in_its_own_words() {
    let mut to = standard();
    to.video.clear();
    let mut from = lync();
    from.audio.retain(|c| c.name != "G7221" && c.name != "CN");
    let toward = translate::offer(&file("lync2010_offer"), &from, &to, &locals(41_000)).unwrap();
    assert_eq!(toward.media[1].outcome, Outcome::Refused(Why::NoCommonCodec));
    let answer = "v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
        m=audio 6000 RTP/SAVP 9 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:1r2jQBvpyMvMyTX2zR9hImrhUziuGjQATTO6DSRq\r\n";
    let back = translate::answer(&answer.parse().unwrap(), &toward, &locals(40_000)).unwrap();
    let differences = differences(&file("lync2010_answer"), &back.description);
    assert_eq!(differences, ["+ a=rtcp:40001"]);
    // The only plain key line offered has an MKI: the answer takes it, in its shape.
    let a = back.media[0].a.as_ref().unwrap();
    assert_eq!(a.remote.crypto.as_ref().unwrap().mki(), Some((1, 1)));
    assert_eq!(a.local_crypto.as_ref().unwrap().mki(), Some((1, 1)));
    assert_eq!(a.local_crypto.as_ref().unwrap().tag, 2);
}

#[test]
fn encryption_mismatch_is_found_before_the_other_side_hears_of_it() {
    let none = Profile { encryption: EncryptionLevel::None, ..lync() };
    let refusal = translate::offer(&file("lync2013_offer"), &none, &standard(), &locals(1_000));
    let refusal = refusal.unwrap_err();
    assert!(refusal.is_encryption_mismatch());
    assert_eq!((refusal.status(), refusal.media), (488, Some(0)));
}

#[test]
fn an_outside_caller_with_optional_encryption_is_encrypted() {
    let mut from = lync();
    from.rtcp_mux = true;
    let to = Profile { encryption: EncryptionLevel::None, ..standard() };
    let toward = translate::offer(&file("s4b_offer"), &from, &to, &locals(41_000)).unwrap();
    assert!(toward.description.to_string().contains("m=audio 41000 RTP/AVP 9 112 0 8 101\r\n"));
    let answer = "v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
        m=audio 6000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let back = translate::answer(&answer.parse().unwrap(), &toward, &locals(40_000)).unwrap();
    let text = back.description.to_string();
    assert!(text.contains("m=audio 40000 RTP/SAVP 8 101\r\n"), "{text}");
    assert!(text.contains("a=rtcp-mux\r\n"), "{text}");
    let a = back.media[0].a.as_ref().unwrap();
    assert_eq!(a.remote.rtcp_address, a.remote.address);
    let candidates = &a.remote.ice.as_ref().unwrap().candidates;
    assert_eq!(candidates.len(), 12);
    assert!(!back.media[0].b.as_ref().unwrap().encryption);
}

/// A call set up by Lync: its last offer after ICE, hold and resume by either side.
#[test]
fn later_offers_go_the_same_way() {
    let offer = file("lync2013_offer");
    let toward = translate::offer(&offer, &lync(), &standard(), &locals(41_010)).unwrap();
    let answer = file("standard_answer").to_string().replace(
        "m=application 0 UDP/BFCP *\r\nm=video 0 RTP/SAVP 97\r\nm=application 0 RTP/AVP 100\r\n",
        "",
    );
    let answer: SessionDescription = answer.parse().unwrap();
    let first = translate::answer(&answer, &toward, &locals(40_200)).unwrap();

    // MS-ICE2's last offer: the selected candidates and nothing new for the other side.
    let last = offer.to_string().replace(
        "a=cryptoscale",
        "a=remote-candidates:1 203.0.113.80 40200 2 203.0.113.80 40201 \r\na=cryptoscale",
    );
    let again =
        translate::reoffer(&last.parse().unwrap(), Side::A, &first.context, &locals(41_010))
            .unwrap();
    assert!(!again.changed);
    let back = translate::answer(&answer, &again, &locals(40_200)).unwrap();
    let remote = &back.media[0].a.as_ref().unwrap().remote;
    assert_eq!(remote.remote_candidates.len(), 2);
    // Nothing new for Lync either: the version stays.
    assert_eq!(back.description.to_bytes(), first.description.to_bytes());

    // The standard side holds, with music; Lync hears `inactive`.
    let hold =
        answer.to_string().replace("o=gw 1 1", "o=gw 1 2").replace("a=sendrecv", "a=sendonly");
    let held = translate::reoffer(&hold.parse().unwrap(), Side::B, &back.context, &locals(40_200))
        .unwrap();
    assert!(held.changed);
    let text = held.description.to_string();
    assert_eq!(text.matches("a=inactive\r\n").count(), 2, "{text}");
    assert!(text.contains("o=- 0 1 IN IP4"), "{text}");
    assert!(text.contains("m=video 40202 RTP/SAVP 122\r\n"), "{text}");
    let lync_held = last.replace("a=ptime:20\r\n", "a=ptime:20\r\na=inactive\r\n").replace(
        "a=rtpmap:123 x-ulpfecuc/90000\r\n",
        "a=rtpmap:123 x-ulpfecuc/90000\r\na=inactive\r\n",
    );
    // Lync's own answer takes one key.
    let lync_held: String = lync_held
        .lines()
        .filter(|l| !l.starts_with("a=cryptoscale") && !l.starts_with("a=crypto:3"))
        .map(|l| format!("{}\r\n", l.replace("a=crypto:2", "a=crypto:1")))
        .collect();
    let resumed = translate::answer(&lync_held.parse().unwrap(), &held, &locals(41_010)).unwrap();
    assert_eq!(resumed.description.to_string().matches("a=inactive\r\n").count(), 2);
    let audio = &resumed.media[0];
    assert_eq!(audio.a.as_ref().unwrap().direction, Direction::Inactive);
    assert_eq!((audio.a_index, audio.b_index), (Some(0), Some(0)));
    assert_eq!((resumed.media[1].codecs[0].a_pt, resumed.media[1].codecs[0].b_pt), (122, 97));
    assert_eq!(resumed.media[1].codecs[0].transform, Transform::UcToAvc);
}

#[test]
fn unjoined_sections_keep_their_place_when_the_other_side_offers() {
    let offer = file("standard_offer");
    let toward = translate::offer(&offer, &standard(), &lync(), &locals(40_100)).unwrap();
    let answer: SessionDescription = toward.description.to_string().parse().unwrap();
    let first = translate::answer(&answer, &toward, &locals(41_000)).unwrap();
    assert_eq!(first.description.media.len(), 5);
    let back = translate::reoffer(&answer, Side::B, &first.context, &locals(41_000)).unwrap();
    let ports: Vec<u16> = back.description.media.iter().map(|m| m.port).collect();
    assert_eq!(ports, [41_000, 41_002, 0, 0, 0]);
    assert_eq!(back.description.media[2].proto.as_str(), "UDP/BFCP");
}

#[test]
fn ice_is_left_out_where_the_side_does_none() {
    let to = Profile { ice: IceMode::None, ..standard() };
    let bare: Vec<LocalMedia> =
        locals(41_010).into_iter().map(|l| LocalMedia { ice: None, ..l }).collect();
    let toward = translate::offer(&file("lync2013_offer"), &lync(), &to, &bare).unwrap();
    assert!(!toward.description.to_string().contains("a=ice"));
}

#[test]
fn an_offer_that_cannot_be_joined_says_why() {
    let offer = file("lync2013_offer");
    let reason = |offer: &SessionDescription, to: &Profile, local: &[LocalMedia]| {
        translate::offer(offer, &lync(), to, local).unwrap_err().reason
    };
    let nothing = Profile { audio: Vec::new(), video: Vec::new(), ..standard() };
    assert_eq!(reason(&offer, &nothing, &locals(41_000)), RefusalReason::NoCommonCodec);
    let mut unused = offer.clone();
    unused.media.iter_mut().for_each(|m| m.port = 0);
    assert_eq!(reason(&unused, &standard(), &locals(41_000)), RefusalReason::NoMedia);
    assert_eq!(reason(&offer, &standard(), &[]), RefusalReason::NoCommonCodec);
}
