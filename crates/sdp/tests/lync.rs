//! What only Lync's dialect negotiates: application sharing, video capabilities and the video
//! policy, conference servers' source ids, and offers in two versions of ICE.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong about its data fails"
)]

use linkspan_sdp::{
    Codec, ConnectionUse, Crypto, Direction, LocalMedia, MediaKind, Profile, Session,
    SessionDescription, Setup, Why,
    ms::{self, ApplicationSharing, MaxVideoRate, SharingRole},
};

fn local(port: u16) -> LocalMedia {
    let key = "R95jbA6AbJV7poTWQx+16tdCTQnhXQJMWEjyPR+m";
    LocalMedia {
        address: [192, 0, 2, 1].into(),
        rtp_port: port,
        crypto: vec![Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", key)],
        ..LocalMedia::default()
    }
}

fn sharing_profile() -> Profile {
    Profile { sharing: vec![Codec::x_data()], ..Profile::lync() }
}

fn shared(port: u16, role: SharingRole, flow: Direction) -> LocalMedia {
    LocalMedia {
        kind: Some(MediaKind::ApplicationSharing),
        sharing: Some(ApplicationSharing { role, flow, ..ApplicationSharing::default() }),
        setup: Some(if role == SharingRole::Sharer { Setup::Active } else { Setup::Passive }),
        ..local(port)
    }
}

#[test]
fn a_screen_is_shared_and_looked_at() {
    let (mut sharer, mut viewer) =
        (Session::new(sharing_profile()), Session::new(sharing_profile()));
    let ours = shared(4000, SharingRole::Sharer, Direction::SendOnly);
    let (offer, pending) = sharer.offer(&[ours]);
    let text = offer.to_string();
    for line in [
        "m=applicationsharing 4000 TCP/RTP/AVP 127\r\n",
        "a=x-applicationsharing-session-id:1\r\n",
        "a=x-applicationsharing-role:sharer\r\n",
        "a=x-applicationsharing-media-type:rdp\r\n",
        "a=x-applicationsharing-contentflow:sendonly\r\n",
        "a=setup:active\r\n",
        "a=connection:new\r\n",
        "a=label:applicationsharing\r\n",
        "a=rtpmap:127 x-data/90000\r\n",
    ] {
        assert!(text.contains(line), "{line} {text}");
    }
    let theirs = shared(5000, SharingRole::Viewer, Direction::SendRecv);
    let (answer, at_viewer) = viewer.answer(&offer, &[theirs]).unwrap();
    let text = answer.to_string();
    for line in [
        "m=applicationsharing 5000 TCP/RTP/SAVP 127\r\n",
        "a=x-applicationsharing-role:viewer\r\n",
        "a=x-applicationsharing-contentflow:recvonly\r\n",
        "a=setup:passive\r\n",
    ] {
        assert!(text.contains(line), "{line} {text}");
    }
    let media = &at_viewer.media[0];
    assert_eq!(media.remote.sharing.as_ref().unwrap().role, SharingRole::Sharer);
    assert!(media.encryption && media.connection_use == ConnectionUse::New);
    let at_sharer = pending.accept(&answer).unwrap();
    assert_eq!(at_sharer.media[0].setup, Some(Setup::Active));
    let answered = at_sharer.media[0].remote.sharing.clone().unwrap();
    assert_eq!((answered.flow, answered.role), (Direction::RecvOnly, SharingRole::Viewer));
    assert_eq!(at_sharer.media[0].codecs[0].codec.name, "x-data");
}

#[test]
fn sharing_beside_sound_is_refused_by_who_does_not_know_it() {
    let offer = "v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=session\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\na=mid:1\r\n\
        m=applicationsharing 4002 TCP/RTP/AVP 127\r\na=mid:2\r\na=rtpmap:127 x-data/90000\r\n\
        a=x-application-contentflow:recvonly\r\na=connection:existing\r\n\
        m=data 4004 TCP/RTP/AVP 127\r\n";
    let offer: SessionDescription = offer.parse().unwrap();
    let locals = [local(5000), local(5002), local(5004)];
    let (answer, agreed) = Session::new(Profile::lync()).answer(&offer, &locals).unwrap();
    assert!(agreed.media[0].accepted);
    assert_eq!(agreed.media[1].refused, Some(Why::Kind));
    assert_eq!(agreed.media[2].refused, Some(Why::Kind));
    assert!(answer.to_string().contains("m=applicationsharing 0 TCP/RTP/AVP 127\r\na=mid:2\r\n"));
    // With it: the spelling of the grammar is read too, and the connection goes on only when both
    // want that.
    let theirs = shared(5002, SharingRole::Sharer, Direction::SendRecv);
    let (answer, agreed) =
        Session::new(sharing_profile()).answer(&offer, &[local(5000), theirs]).unwrap();
    assert!(agreed.media[1].accepted);
    let view = answer.media_view(1).unwrap();
    assert_eq!(view.content_flow(), Direction::SendOnly);
    assert_eq!(view.connection_use(), Some(ConnectionUse::New));
    assert_eq!((view.mid(), view.setup()), (Some("2"), None));
}

#[test]
fn the_video_policy_bounds_what_is_said_and_sent() {
    let rtvideo = Codec::new("x-rtvc1", 90_000, 1, Some(121));
    for (rate, kbps) in [
        (MaxVideoRate::Cif250K, 250),
        (MaxVideoRate::Vga600K, 600),
        (MaxVideoRate::Hd720p15M, 1_500),
    ] {
        let profile = Profile {
            max_video_rate: Some(rate),
            video: vec![Codec::x_h264uc(), rtvideo.clone()],
            one_video_codec: false,
            ..Profile::lync()
        };
        let (mut alice, mut bob) = (Session::new(profile), Session::new(Profile::lync()));
        let (offer, pending) = alice.offer(&[local(4000), local(4002)]);
        let text = offer.to_string();
        assert!(text.contains(&format!("a=x-mediabw:main-video send={kbps};recv={kbps}\r\n")));
        let capabilities: Vec<_> = offer.media_view(1).unwrap().video_capabilities().collect();
        assert_eq!(capabilities, [rate.capabilities(121)]);
        let (answer, at_bob) = bob.answer(&offer, &[local(5000), local(5002)]).unwrap();
        assert_eq!(at_bob.media[1].send_limit_bps, Some(kbps * 1_000));
        assert_eq!(at_bob.media[1].remote.video_capabilities, capabilities);
        // Bob would take 4 Mbit/s: the policy does not send them.
        let agreed = pending.accept(&answer).unwrap();
        assert_eq!(agreed.media[1].send_limit_bps, Some(kbps * 1_000));
    }
}

#[test]
fn values_of_a_conference_server_are_written_and_read() {
    let capabilities = ms::default_capabilities(0);
    let ours = LocalMedia {
        source_stream_id: Some(42),
        bypass_id: Some("6b3bb1ce-0f5b-4c0e-9ad4-6b3bb1ce0f5b".into()),
        label: Some("panoramic-video".into()),
        kind: Some(MediaKind::Video),
        video_capabilities: vec![capabilities],
        codecs: vec![Codec::new("x-rtvc1", 90_000, 1, Some(121))],
        ..local(4000)
    };
    let profile = Profile {
        media_settings: vec!["applicationsharing-video=required".into()],
        ..Profile::lync()
    };
    let (offer, _pending) = Session::new(profile).offer(&[ours]);
    let text = offer.to_string();
    for line in [
        "a=x-mediasettings:applicationsharing-video=required\r\n",
        "a=x-mediabw:panoramic-video send=4000;recv=4000\r\n",
        "a=x-source-streamid:42\r\n",
        "a=x-bypassid:6b3bb1ce-0f5b-4c0e-9ad4-6b3bb1ce0f5b\r\n",
        "a=x-caps:121 1:640:480:15.0:600000;2:352:288:15.0:250000\r\n",
        "a=label:panoramic-video\r\na=x-source:panoramic-video\r\n",
    ] {
        assert!(text.contains(line), "{line} {text}");
    }
    let settings: Vec<_> = offer.session().media_settings().collect();
    assert_eq!(settings, [("applicationsharing-video", "required")]);
    let theirs =
        LocalMedia { codecs: vec![Codec::new("x-rtvc1", 90_000, 1, Some(121))], ..local(5000) };
    let (answer, agreed) = Session::new(Profile::lync()).answer(&offer, &[theirs]).unwrap();
    let remote = &agreed.media[0].remote;
    assert_eq!(remote.source_stream_id, Some(42));
    assert_eq!(remote.bypass_id.as_deref(), Some("6b3bb1ce-0f5b-4c0e-9ad4-6b3bb1ce0f5b"));
    assert_eq!(remote.video_capabilities[0].payload_type, 121);
    assert_eq!(answer.media_view(0).unwrap().label(), Some("panoramic-video"));
    // What a peer says about itself is never said back to it.
    assert!(!answer.to_string().contains("bypassid") && !answer.to_string().contains("streamid"));
}

#[test]
fn what_is_only_read_is_read() {
    let text = "v=0\r\no=- 0 0 IN IP4 192.0.2.2\r\ns=session\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
        m=video 4000 RTP/AVP 34\r\na=x-source:main-video\r\na=x-sourceid:camera 1\r\n\
        a=x-candidate-info:network-type=wired\r\na=x-bypass\r\n\
        a=remote-candidate:JWybPk+7SYFG73Awy/lTclLczq3XZLajL7sJrerhCcQ \r\n";
    let description: SessionDescription = text.parse().unwrap();
    let view = description.media_view(0).unwrap();
    assert_eq!(view.source(), (Some("main-video"), Some("camera 1")));
    assert!(view.candidate_info().eq(["network-type=wired"]));
    let users: Vec<_> = view.legacy_remote_candidates().collect();
    assert_eq!(users, ["JWybPk+7SYFG73Awy/lTclLczq3XZLajL7sJrerhCcQ"]);
    assert!(view.attribute("x-bypass").is_some());
}

#[test]
fn an_offer_in_two_versions_of_ice_is_answered_in_the_later_one() {
    let ice = linkspan_sdp::LocalIce {
        ufrag: "abcd".into(),
        pwd: "p".repeat(24),
        ..linkspan_sdp::LocalIce::default()
    };
    let ours = LocalMedia { ice: Some(ice.clone()), ..local(4000) };
    let (real, pending) = Session::new(Profile::lync()).offer(&[ours]);
    let line = |component| {
        format!(
            "JWybPk+7SYFG73Awy/lTclLczq3XZLajL7sJrerhCcQ {component} qZcgOXU1K4eLFFyKQtiEzw \
             UDP 0.830 192.0.2.1 {} ",
            3_999 + component
        )
    };
    let lines = [line(1), line(2)];
    let older: Vec<_> = lines.iter().map(|l| ms::LegacyCandidate::parse(l).unwrap()).collect();
    let fallback = ms::fallback_offer(&real, &[&older]);
    assert_eq!(fallback.media_view(0).unwrap().legacy_candidates().count(), 2);
    let (content_type, body) =
        ms::write_alternative(&fallback.to_bytes(), &real.to_bytes(), "one-or-other");
    let chosen = ms::offer_body(&content_type, &body).unwrap();
    assert_eq!(chosen, real.to_bytes());
    let theirs = LocalMedia { ice: Some(ice), ..local(5000) };
    let offer = SessionDescription::parse(chosen).unwrap();
    let (answer, agreed) = Session::new(Profile::lync()).answer(&offer, &[theirs]).unwrap();
    // Never two versions in one answer (section 5 of the reference).
    assert_eq!(answer.media_view(0).unwrap().legacy_candidates().count(), 0);
    assert!(answer.media_view(0).unwrap().ice_credentials().is_some());
    assert!(agreed.media[0].remote.ice.is_some());
    pending.accept(&answer).unwrap();
}
