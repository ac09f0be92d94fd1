//! Whole calls through the gateway, both ways, with media in both directions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod world;

use std::time::Duration;

use linkspan_gateway::{DropReason, Side, StreamKind};
use linkspan_svc::{ExtractOptions, extract};
use linkspan_testnet::Link;
use world::endpoint::behaviour::{media_file, numbered, pictures};
use world::{Behaviour, World, config};

const LYNC_TO_STANDARD: &str = "sip:room7@video.example.test";
const STANDARD_TO_LYNC: &str = "sip:alice@example.test";

fn world(seed: u64) -> World {
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    World::new(seed, config(), lync, standard, Link::default())
}

/// A call from `caller`, with media until `seconds` have passed.
fn call(world: &mut World, caller: Side, seconds: u64) {
    let now = world.now;
    let uri = if caller == Side::Lync { LYNC_TO_STANDARD } else { STANDARD_TO_LYNC };
    world.endpoint(caller).place_call(uri, now);
    world.run_for(Duration::from_secs(seconds));
}

fn hang_up(world: &mut World, by: Side) {
    let now = world.now;
    world.endpoint(by).hang_up(now);
    world.run_to_end();
}

/// Lets what is under way arrive.
fn quiet(world: &mut World) {
    for side in [Side::Lync, Side::Standard] {
        for stream in &mut world.endpoint(side).streams {
            stream.most = 0;
        }
    }
    world.run_for(Duration::from_millis(500));
}

#[test]
fn a_video_call_from_lync_carries_everything_both_ways() {
    let mut world = world(1);
    call(&mut world, Side::Lync, 6);
    for (side, digits) in [(Side::Lync, "12#"), (Side::Standard, "*9")] {
        let now = world.now;
        world.endpoint(side).dial(digits, now);
    }
    world.run_for(Duration::from_secs(3));
    quiet(&mut world);
    proofs(&mut world);
    hang_up(&mut world, Side::Lync);
    assert!(world.standard.heard.contains(&"BYE".into()));
    assert_eq!(world.bound(), 0);
}

#[test]
fn a_video_call_to_lync_carries_everything_both_ways() {
    let mut world = world(2);
    call(&mut world, Side::Standard, 6);
    for (side, digits) in [(Side::Lync, "12#"), (Side::Standard, "*9")] {
        let now = world.now;
        world.endpoint(side).dial(digits, now);
    }
    world.run_for(Duration::from_secs(3));
    quiet(&mut world);
    proofs(&mut world);
    // MS-ICE2: who has made the offer makes the last one, with the selected pairs.
    assert_eq!(world.lync.offers.len(), 2, "{:#?}", world.tail());
    let last = &world.lync.offers[1];
    for (index, view) in last.media_views().enumerate() {
        let pairs = world.lync.streams[index].pairs.as_ref().unwrap();
        let named = view.remote_candidates();
        assert_eq!(named.len(), 2, "{last}");
        for ((_, address), pair) in named.iter().zip(pairs) {
            assert_eq!(*address, pair.local);
        }
        assert_eq!(view.candidates().len(), 2, "only what was selected: {last}");
    }
    assert_eq!(world.standard.offers.len(), 0, "the other side hears nothing of it");
    hang_up(&mut world, Side::Lync);
    assert!(world.standard.heard.contains(&"BYE".into()));
    assert_eq!(world.bound(), 0);
}

fn proofs(world: &mut World) {
    assert_eq!(
        (world.digits(Side::Lync), world.digits(Side::Standard)),
        ("12#".into(), "*9".into())
    );
    for side in [Side::Lync, Side::Standard] {
        let sent = world.endpoint(side).stream(StreamKind::Audio).sent_audio.clone();
        let received =
            world.endpoint(side.other()).stream(StreamKind::Audio).received_audio.clone();
        assert!(sent.len() > 300, "{side} sent {} audio packets", sent.len());
        // The first packets may cross before the other leg has its path.
        let at = sent.iter().position(|p| Some(p) == received.first()).expect("audio arrived");
        assert!(at < 60, "{at} audio packets were lost at the start");
        assert_eq!(sent[at..], received[..], "audio from {side}");
    }
    assert_eq!(world.standard.stream(StreamKind::Audio).digits, "12#");
    assert_eq!(world.lync.stream(StreamKind::Audio).digits, "*9");

    let sent = world.lync.stream(StreamKind::Video).sent_video.clone();
    let received = world.standard.stream(StreamKind::Video).received_video.clone();
    let form = ExtractOptions::avc_base();
    let expected = extract(&sent, &form);
    assert!(world.standard.stream(StreamKind::Video).received_pictures > 40);
    assert!(
        expected.ends_with(&received),
        "picture from Lync: {} of {}",
        received.len(),
        expected.len()
    );

    let sent = world.standard.stream(StreamKind::Video).sent_video.clone();
    let received = world.lync.stream(StreamKind::Video).received_video.clone();
    let plain = extract(&received, &form);
    assert!(world.lync.stream(StreamKind::Video).received_pictures > 40);
    assert!(sent.ends_with(&plain), "picture to Lync: {} of {}", plain.len(), sent.len());
}

/// No media, so that virtual minutes cost nothing.
fn mute(world: &mut World) {
    for side in [Side::Lync, Side::Standard] {
        for stream in &mut world.endpoint(side).streams {
            stream.most = 0;
        }
    }
}

fn statuses(world: &mut World, side: Side) -> Vec<u16> {
    world.endpoint(side).responses.iter().map(|r| r.status.as_u16()).collect()
}

#[test]
fn clear_media_without_ice_reaches_an_encrypted_lync_client() {
    let mut standard = Behaviour::of(Side::Standard);
    standard.ice = false;
    standard.encryption = linkspan_sdp::EncryptionLevel::None;
    for caller in [Side::Lync, Side::Standard] {
        let lync = Behaviour::of(Side::Lync);
        let mut world = World::new(3, config(), lync, standard.clone(), Link::default());
        call(&mut world, caller, 8);
        for (side, digits) in [(Side::Lync, "12#"), (Side::Standard, "*9")] {
            let now = world.now;
            world.endpoint(side).dial(digits, now);
        }
        world.run_for(Duration::from_secs(3));
        quiet(&mut world);
        proofs(&mut world);
        hang_up(&mut world, caller.other());
    }
}

#[test]
fn early_media_passes_before_the_answer() {
    let mut standard = Behaviour::of(Side::Standard);
    standard.early = true;
    let mut world = World::new(4, config(), Behaviour::of(Side::Lync), standard, Link::default());
    call(&mut world, Side::Lync, 6);
    let codes = statuses(&mut world, Side::Lync);
    assert_eq!(codes, [180, 183, 200]);
    let [_, early, last] = &world.lync.responses[..] else { panic!() };
    assert_eq!(early.body, last.body, "the same answer twice");
    assert_eq!(early.headers.first("ms-accepted-content-id"), Some("<new@example.test>"));
    assert!(world.lync.stream(StreamKind::Audio).received_audio.len() > 50);
    hang_up(&mut world, Side::Standard);
    assert!(world.lync.heard.contains(&"BYE".into()));
}

#[test]
fn rejections_are_told_with_diagnostics_to_lync() {
    for (status, told, diagnostic) in
        [(486, 486, "10486"), (404, 404, "10404"), (603, 603, "10603"), (302, 480, "10302")]
    {
        let mut standard = Behaviour::of(Side::Standard);
        standard.reject = Some((status, None));
        let mut world =
            World::new(5, config(), Behaviour::of(Side::Lync), standard, Link::default());
        call(&mut world, Side::Lync, 2);
        world.run_to_end();
        let response = world.lync.responses.last().unwrap();
        assert_eq!(response.status.as_u16(), told);
        let header = response.headers.first("ms-diagnostics").unwrap();
        assert!(header.starts_with(diagnostic), "{header}");
        assert_eq!(world.bound(), 0);
        assert_eq!(world.ended().unwrap().1, Some(told));
    }
}

#[test]
fn rejections_from_lync_reach_a_standards_caller_by_their_diagnostics() {
    for (status, diagnostic, told) in [
        (404, "1003;source=\"fe.example.test\";reason=\"User does not exist\"", 404),
        (504, "1012;reason=\"From URI is not authorized\"", 403),
        (605, "1000;reason=\"declined\"", 603),
    ] {
        let mut lync = Behaviour::of(Side::Lync);
        lync.reject = Some((status, Some(diagnostic)));
        let mut world =
            World::new(6, config(), lync, Behaviour::of(Side::Standard), Link::default());
        call(&mut world, Side::Standard, 2);
        world.run_to_end();
        let response = world.standard.responses.last().unwrap();
        assert_eq!(response.status.as_u16(), told);
        assert!(response.headers.iter().all(|(name, _)| !name.starts_with("ms-")));
    }
}

#[test]
fn encryption_levels_that_do_not_match_end_with_488_and_52017() {
    // Lync's side required, and the caller does not encrypt.
    let mut lync = Behaviour::of(Side::Lync);
    lync.encryption = linkspan_sdp::EncryptionLevel::None;
    let standard = Behaviour::of(Side::Standard);
    let mut world = World::new(7, config(), lync.clone(), standard.clone(), Link::default());
    call(&mut world, Side::Lync, 2);
    world.run_to_end();
    let response = world.lync.responses.last().unwrap();
    assert_eq!(response.status.as_u16(), 488);
    let told = "52017;reason=\"Encryption levels dont match\"";
    assert_eq!(response.headers.first("ms-client-diagnostics"), Some(told));
    assert!(world.standard.heard.is_empty(), "refused before the callee hears of it");

    // The far side required, and the callee has none.
    let mut config = config();
    config.standard.encryption = linkspan_gateway::Encryption::Required;
    let mut standard = standard;
    standard.encryption = linkspan_sdp::EncryptionLevel::None;
    let lync = Behaviour::of(Side::Lync);
    let mut world = World::new(8, config, lync, standard, Link::default());
    call(&mut world, Side::Lync, 2);
    world.run_to_end();
    let response = world.lync.responses.last().unwrap();
    assert_eq!(response.status.as_u16(), 488);
    assert_eq!(response.headers.first("ms-client-diagnostics"), Some(told));
    assert_eq!(world.bound(), 0);
}

#[test]
fn no_common_codec_is_488() {
    let mut standard = Behaviour::of(Side::Standard);
    standard.odd_codecs = true;
    let mut world = World::new(9, config(), Behaviour::of(Side::Lync), standard, Link::default());
    call(&mut world, Side::Standard, 2);
    world.run_to_end();
    assert_eq!(statuses(&mut world, Side::Standard), [488]);
    assert!(world.lync.heard.is_empty());
}

#[test]
fn a_caller_that_gives_up_cancels_the_callee() {
    for caller in [Side::Lync, Side::Standard] {
        let (mut lync, mut standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
        lync.silent = true;
        standard.silent = true;
        let mut world = World::new(10, config(), lync, standard, Link::default());
        call(&mut world, caller, 3);
        assert_eq!(statuses(&mut world, caller), [180]);
        hang_up(&mut world, caller);
        assert_eq!(world.endpoint(caller.other()).heard, ["INVITE", "CANCEL"]);
        assert_eq!(statuses(&mut world, caller), [180, 487]);
        assert_eq!(world.bound(), 0);
    }
}

#[test]
fn nobody_answers() {
    let mut standard = Behaviour::of(Side::Standard);
    standard.silent = true;
    let mut config = config();
    config.timers.no_answer_ms = 60_000;
    let mut world = World::new(11, config, Behaviour::of(Side::Lync), standard, Link::default());
    call(&mut world, Side::Lync, 59);
    assert!(world.ended().is_none(), "{:#?}", world.tail());
    world.run_to_end();
    assert_eq!(statuses(&mut world, Side::Lync), [180, 480]);
    assert_eq!(world.standard.heard, ["INVITE", "CANCEL"]);
}

#[test]
fn the_next_hop_is_tried_when_the_first_is_dead_or_unreachable() {
    let mut config = config();
    for hop in ["tcp:198.51.100.99:5060", "tcp:198.51.100.98:5060"] {
        config.routes[0].next_hops.insert(0, hop.parse().unwrap());
    }
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    let mut world = World::new(12, config.clone(), lync.clone(), standard.clone(), Link::default());
    call(&mut world, Side::Lync, 3);
    assert_eq!(statuses(&mut world, Side::Lync), [180, 200], "{:#?}", world.tail());
    mute(&mut world);
    hang_up(&mut world, Side::Lync);

    // All of them are: 503 or 408 in the end, within their timers.
    let mut dead = standard;
    dead.dead = true;
    let mut world = World::new(13, config, lync, dead, Link::default());
    call(&mut world, Side::Lync, 9);
    assert!(world.ended().is_none(), "{:#?}", world.tail());
    world.run_to_end();
    let codes = statuses(&mut world, Side::Lync);
    assert!(matches!(codes[..], [408] | [503]), "{codes:?}");
}

#[test]
fn ports_that_others_have_are_passed_over() {
    let mut world = world(14);
    world.taken = [40_000, 40_003, 50_000, 50_004].into();
    call(&mut world, Side::Lync, 5);
    assert_eq!(statuses(&mut world, Side::Lync), [180, 200]);
    mute(&mut world);
    hang_up(&mut world, Side::Lync);
    assert_eq!(world.bound(), 0);

    let mut world = self::world(15);
    world.taken = (40_000..60_000).collect();
    call(&mut world, Side::Lync, 5);
    assert_eq!(statuses(&mut world, Side::Lync), [503]);
    assert_eq!(world.bound(), 0);
}

#[test]
fn hold_and_resume_from_each_side() {
    for (caller, holder) in [
        (Side::Lync, Side::Lync),
        (Side::Lync, Side::Standard),
        (Side::Standard, Side::Lync),
        (Side::Standard, Side::Standard),
    ] {
        let mut world = world(16);
        call(&mut world, caller, 6);
        let other = holder.other();
        let now = world.now;
        world.endpoint(holder).hold(linkspan_sdp::Direction::Inactive, now);
        world.run_for(Duration::from_secs(2));
        let held = world.endpoint(other).agreed.clone().unwrap();
        let held_offer = world.endpoint(other).offers.last().unwrap().clone();
        for (view, media) in held_offer.media_views().zip(&held.media) {
            assert_eq!(view.direction(), linkspan_sdp::Direction::Inactive, "{held_offer}");
            assert!(!media.direction.sends() && !media.direction.receives());
        }
        let before = world.endpoint(other).stream(StreamKind::Audio).received_audio.len();
        world.run_for(Duration::from_secs(2));
        let after = world.endpoint(other).stream(StreamKind::Audio).received_audio.len();
        assert_eq!(before, after, "nothing comes while held");

        let now = world.now;
        world.endpoint(holder).hold(linkspan_sdp::Direction::SendRecv, now);
        world.run_for(Duration::from_secs(3));
        let resumed = world.endpoint(other).stream(StreamKind::Audio).received_audio.len();
        assert!(resumed > after + 100, "{caller} {holder}: {after} {resumed} {:#?}", world.tail());
        let back = world.endpoint(holder).stream(StreamKind::Video).received_pictures;
        world.run_for(Duration::from_secs(1));
        assert!(world.endpoint(holder).stream(StreamKind::Video).received_pictures > back + 5);
        mute(&mut world);
        hang_up(&mut world, holder);
    }
}

#[test]
fn the_last_offer_of_a_lync_caller_is_answered_here() {
    let mut world = world(17);
    call(&mut world, Side::Lync, 6);
    let messages = world.ladder(Side::Standard).len();
    let now = world.now;
    world.lync.reoffer(now);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.lync.heard.last().map(String::as_str), Some("re 200"));
    assert_eq!(world.ladder(Side::Standard).len(), messages, "{:#?}", world.tail());
    let answer = world.lync.answers.last().unwrap();
    for view in answer.media_views() {
        assert_eq!(view.candidates().len(), 2, "only what was selected: {answer}");
    }
    let before = world.lync.stream(StreamKind::Audio).received_audio.len();
    world.run_for(Duration::from_secs(1));
    assert!(world.lync.stream(StreamKind::Audio).received_audio.len() > before + 40);
    mute(&mut world);
    hang_up(&mut world, Side::Lync);
}

#[test]
fn keyframe_requests_cross_the_bridge_once_each() {
    let mut world = world(18);
    call(&mut world, Side::Lync, 6);
    let asked =
        |world: &mut World, side| world.endpoint(side).stream(StreamKind::Video).keyframe_requests;
    for side in [Side::Lync, Side::Standard] {
        let (before, now) = (asked(&mut world, side.other()), world.now);
        let idr = world.endpoint(side).stream(StreamKind::Video).idr_received;
        for repetition in 0..5 {
            let now = now + Duration::from_millis(repetition);
            world.endpoint(side).want_keyframe(9, now);
        }
        world.run_for(Duration::from_millis(400));
        assert_eq!(asked(&mut world, side.other()), before + 1, "{side}: {:#?}", world.tail());
        assert!(world.endpoint(side).stream(StreamKind::Video).idr_received > idr);
    }
    // Lync was asked for video before it sent any, always by the same number.
    let requests = &world.lync.stream(StreamKind::Video).source_requests;
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|r| r.request_id == requests[0].request_id));
    assert!(requests[0].key_frame && requests[0].entries.len() == 1);
    mute(&mut world);
    hang_up(&mut world, Side::Lync);
}

#[test]
fn a_receiver_of_mode_0_gets_what_fits_and_the_rest_is_counted() {
    let mut standard = Behaviour::of(Side::Standard);
    standard.single_nal = true;
    // Slices of at most 1,080 octets fit.
    let mut world =
        World::new(19, config(), Behaviour::of(Side::Lync), standard.clone(), Link::default());
    call(&mut world, Side::Lync, 7);
    assert!(world.standard.stream(StreamKind::Video).received_pictures > 25);
    assert_eq!(dropped(&world, DropReason::OversizeNal), 0);
    mute(&mut world);
    hang_up(&mut world, Side::Lync);

    // One slice a picture does not.
    let mut lync = Behaviour::of(Side::Lync);
    lync.picture = pictures(&media_file("standard-640x360.264"));
    let mut world = World::new(20, config(), lync, standard, Link::default());
    call(&mut world, Side::Lync, 8);
    assert!(dropped(&world, DropReason::OversizeNal) > 10, "{:#?}", world.tail());
    mute(&mut world);
    hang_up(&mut world, Side::Lync);
}

fn dropped(world: &World, wanted: DropReason) -> u64 {
    let count = |event: &linkspan_gateway::GatewayEvent| match event {
        linkspan_gateway::GatewayEvent::Dropped { reason, count, .. } if *reason == wanted => {
            *count
        }
        _ => 0,
    };
    world.events.iter().map(count).sum()
}

#[test]
fn the_picture_keeps_coming_under_loss_and_keyframe_requests_stay_bounded() {
    for (loss, least) in [(0.1, 100), (0.3, 30)] {
        let (mut lync, mut standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
        for behaviour in [&mut lync, &mut standard] {
            behaviour.interval = Duration::from_millis(40);
        }
        let mut world = World::new(21, config(), lync, standard, Link::default());
        call(&mut world, Side::Lync, 6);
        let jitter = Duration::from_millis(15);
        world.network.set_link(Link { loss, jitter, duplication: 0.02, ..Link::default() });
        let before = [Side::Lync, Side::Standard].map(|side| {
            let stream = world.endpoint(side).stream(StreamKind::Video);
            (stream.received_pictures, stream.keyframe_requests)
        });
        world.run_for(Duration::from_secs(10));
        for (side, (pictures, requests)) in [Side::Lync, Side::Standard].into_iter().zip(before) {
            let stream = world.endpoint(side).stream(StreamKind::Video);
            let pictures = stream.received_pictures - pictures;
            let requests = stream.keyframe_requests - requests;
            assert!(pictures > least, "{side} got {pictures} pictures at {loss}");
            assert!(requests <= 20, "{side} was asked {requests} times in ten seconds");
            let ssrcs = &stream.ssrcs;
            assert_eq!(ssrcs.len(), 1, "one source whatever is lost: {ssrcs:?}");
        }
        // A Lync sender is asked for less.
        let asked = |world: &mut World| {
            let requests = &world.lync.stream(StreamKind::Video).source_requests;
            requests.iter().map(|r| r.entries[0].bitrate_per_level_bps).collect::<Vec<_>>()
        };
        let rates = asked(&mut world);
        assert!(rates.len() > 1 && rates.last() < rates.first(), "{rates:?} at {loss}");
        // And it recovers.
        world.network.set_link(Link::default());
        world.run_for(Duration::from_secs(3));
        let damaged = world.standard.stream(StreamKind::Video).damaged;
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.standard.stream(StreamKind::Video).damaged, damaged);
        mute(&mut world);
        hang_up(&mut world, Side::Standard);
    }
}

#[test]
fn calls_set_up_under_loss() {
    for seed in 30..33 {
        let link = Link { loss: 0.2, jitter: Duration::from_millis(20), ..Link::default() };
        let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
        let mut world = World::new(seed, config(), lync, standard, link);
        let caller = if seed % 2 == 0 { Side::Lync } else { Side::Standard };
        call(&mut world, caller, 12);
        for side in [Side::Lync, Side::Standard] {
            let stream = world.endpoint(side).stream(StreamKind::Video);
            assert!(stream.received_pictures > 30, "seed {seed} {side}: {:#?}", world.tail());
        }
        mute(&mut world);
        hang_up(&mut world, caller);
    }
}

#[test]
fn video_is_added_to_a_call_and_taken_away() {
    for (caller, adder) in [
        (Side::Lync, Side::Lync),
        (Side::Lync, Side::Standard),
        (Side::Standard, Side::Lync),
        (Side::Standard, Side::Standard),
    ] {
        let (mut lync, mut standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
        for behaviour in [&mut lync, &mut standard] {
            behaviour.video = false;
        }
        let mut world = World::new(50, config(), lync, standard, Link::default());
        call(&mut world, caller, 5);
        assert_eq!(world.bound(), 4);
        let now = world.now;
        world.endpoint(adder).add_video(now);
        world.run_for(Duration::from_secs(6));
        assert_eq!(world.bound(), 8, "{caller} {adder}: {:#?}", world.tail());
        for side in [Side::Lync, Side::Standard] {
            let pictures = world.endpoint(side).stream(StreamKind::Video).received_pictures;
            assert!(pictures > 10, "{caller} {adder} {side}: {pictures} {:#?}", world.tail());
        }
        let now = world.now;
        world.endpoint(adder).drop_video(now);
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.bound(), 4, "{caller} {adder}: {:#?}", world.tail());
        let heard = world.endpoint(adder).stream(StreamKind::Audio).received_audio.len();
        world.run_for(Duration::from_secs(1));
        assert!(world.endpoint(adder).stream(StreamKind::Audio).received_audio.len() > heard + 40);
        mute(&mut world);
        hang_up(&mut world, adder);
    }
}

#[test]
fn a_call_without_a_media_path_ends_on_both_sides() {
    let mut world = world(60);
    world.network.set_link(Link { loss: 1.0, ..Link::default() });
    call(&mut world, Side::Lync, 5);
    assert_eq!(statuses(&mut world, Side::Lync), [180, 200]);
    world.run_to_end();
    for side in [Side::Lync, Side::Standard] {
        assert!(world.endpoint(side).heard.contains(&"BYE".into()), "{side}");
    }
    let (by, _, reason) = world.ended().unwrap();
    assert_eq!((by, reason.as_str()), (None, "no media path"));
    let bye = world.lync.requests.last().unwrap();
    assert!(bye.headers.first("ms-client-diagnostics").unwrap().starts_with("32;"));
}

#[test]
fn silence_ends_a_call_where_it_is_configured() {
    let mut config = config();
    config.timers.silence_ms = 10_000;
    let mut standard = Behaviour::of(Side::Standard);
    standard.ice = false;
    let mut world = World::new(61, config, Behaviour::of(Side::Lync), standard, Link::default());
    call(&mut world, Side::Lync, 20);
    assert!(world.ended().is_none(), "{:#?}", world.tail());
    world.network.set_link(Link { loss: 1.0, ..Link::default() });
    world.run_for(Duration::from_secs(15));
    assert!(world.ended().is_some());
    world.run_to_end();
}

#[test]
fn reports_come_every_five_seconds_also_on_hold() {
    let mut world = world(62);
    call(&mut world, Side::Lync, 6);
    let now = world.now;
    world.lync.hold(linkspan_sdp::Direction::Inactive, now);
    world.run_for(Duration::from_secs(2));
    let reports = |world: &mut World| {
        let sides = [Side::Lync, Side::Standard];
        sides.map(|side| {
            let streams = &world.endpoint(side).streams;
            streams.iter().map(|s| s.transport.statistics().rtcp_received).min().unwrap()
        })
    };
    let mut last = reports(&mut world);
    for _ in 0..6 {
        world.run_for(Duration::from_secs(5));
        let next = reports(&mut world);
        assert!(next.iter().zip(&last).all(|(next, last)| next > last), "{last:?} {next:?}");
        last = next;
    }
    let stream = world.lync.stream(StreamKind::Audio).transport.statistics();
    assert_eq!(stream.lost, 0);
    let round_trip = stream.round_trip.expect("both sides report");
    assert!((19..25).contains(&round_trip.as_millis()), "{round_trip:?} over a link of 10 ms");
    hang_up(&mut world, Side::Lync);
    let last = |event: &linkspan_gateway::GatewayEvent| match event {
        linkspan_gateway::GatewayEvent::Statistics { stream, statistics } => {
            Some((*stream, statistics.clone()))
        }
        _ => None,
    };
    let statistics: Vec<_> = world.events.iter().filter_map(last).collect();
    assert_eq!(statistics.len(), 4);
    for (stream, statistics) in statistics {
        assert!(statistics.encrypted && statistics.sent.packets > 0, "{stream}: {statistics:?}");
        assert_eq!((statistics.lost, statistics.lost_at_peer), (0, 0), "{stream}");
        let video = statistics.kind == Some(StreamKind::Video);
        assert_eq!(statistics.picture, video.then_some((640, 360)), "{stream}");
    }
}

/// A Lync client whose temporal layers have numbers and sources of their own, 30 pictures a second.
fn layered() -> Behaviour {
    let mut lync = Behaviour::of(Side::Lync);
    lync.picture = numbered(&lync.picture);
    lync.source_per_layer = true;
    lync.interval = Duration::from_millis(33);
    lync
}

/// How many layers of Lync's video came too late for their pictures.
fn late_layers(world: &World) -> u64 {
    let statistics = world.events.iter().find_map(|event| match event {
        linkspan_gateway::GatewayEvent::Statistics { stream, statistics } => {
            let video = statistics.kind == Some(StreamKind::Video);
            (stream.side == Side::Lync && video).then_some(statistics)
        }
        _ => None,
    });
    statistics.expect("the call is over").dropped(DropReason::LateLayer)
}

#[test]
fn temporal_layers_on_sources_of_their_own_arrive_as_one_stream() {
    let standard = Behaviour::of(Side::Standard);
    let mut world = World::new(70, config(), layered(), standard, Link::default());
    call(&mut world, Side::Lync, 6);
    // What waits for other sources gets out by its timer.
    quiet(&mut world);
    let lync = world.lync.stream(StreamKind::Video);
    assert_eq!(lync.layers.len(), 3);
    let expected = extract(&lync.sent_video, &ExtractOptions::avc_base());
    let sent = lync.sent_pictures;
    let standard = world.standard.stream(StreamKind::Video);
    assert_eq!((standard.received_pictures, standard.damaged), (sent, 0));
    assert!(sent > 90, "{sent}");
    assert!(standard.received_video == expected, "every picture, in order");
    hang_up(&mut world, Side::Lync);
    assert_eq!(late_layers(&world), 0);
}

#[test]
fn a_layer_behind_its_picture_is_counted() {
    // Two pictures with one timestamp are one picture (RFC 6190 §6.2): when its base layer has
    // gone out, what else comes of it is too late.
    let mut lync = layered();
    lync.repeats_timestamp_at = Some(5);
    let standard = Behaviour::of(Side::Standard);
    let mut world = World::new(71, config(), lync, standard, Link::default());
    call(&mut world, Side::Lync, 6);
    quiet(&mut world);
    let sent = world.lync.stream(StreamKind::Video).sent_pictures;
    assert_eq!(world.standard.stream(StreamKind::Video).received_pictures, sent - 1);
    hang_up(&mut world, Side::Lync);
    assert_eq!(late_layers(&world), 1);
}
