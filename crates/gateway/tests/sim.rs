//! Whole calls through the gateway, both ways, with media in both directions.

mod world;

use std::time::Duration;

use linkspan_gateway::{Side, StreamKind};
use linkspan_svc::{ExtractForm, ExtractOptions, extract};
use linkspan_testnet::Link;
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
    let form = ExtractOptions { form: ExtractForm::Avc, ..ExtractOptions::default() };
    let expected = extract(&sent, &form);
    assert!(world.standard.stream(StreamKind::Video).received_pictures > 100);
    assert!(
        expected.ends_with(&received),
        "picture from Lync: {} of {}",
        received.len(),
        expected.len()
    );

    let sent = world.standard.stream(StreamKind::Video).sent_video.clone();
    let received = world.lync.stream(StreamKind::Video).received_video.clone();
    let plain = extract(&received, &form);
    assert!(world.lync.stream(StreamKind::Video).received_pictures > 100);
    assert!(sent.ends_with(&plain), "picture to Lync: {} of {}", plain.len(), sent.len());
}
