//! Calls whose INVITE asks for an offer (RFC 3261 §13.2.1), both ways.
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

use linkspan_gateway::{Encryption, Side, StreamKind};
use linkspan_sdp::EncryptionLevel;
use linkspan_testnet::Link;
use world::{Behaviour, World, config, config_over_udp};

const SIDES: [Side; 2] = [Side::Lync, Side::Standard];

/// A call of `caller` without an offer, after ten seconds.
fn call(caller: Side, link: Link, change: impl Fn(Side, &mut Behaviour)) -> World {
    call_with(config(), caller, link, change)
}

fn call_with(
    config: linkspan_gateway::Config,
    caller: Side,
    link: Link,
    change: impl Fn(Side, &mut Behaviour),
) -> World {
    call_seeded(80, config, caller, [link; 2], change)
}

fn call_seeded(
    seed: u64,
    config: linkspan_gateway::Config,
    caller: Side,
    [link, signalling]: [Link; 2],
    change: impl Fn(Side, &mut Behaviour),
) -> World {
    let mut world = World::calling(seed, config, caller, [link, signalling], |side| {
        let mut behaviour = Behaviour::of(side);
        behaviour.delayed = side == caller;
        change(side, &mut behaviour);
        behaviour
    });
    world.run_for(Duration::from_secs(10));
    world
}

fn flows(world: &mut World, kind: StreamKind) {
    for side in SIDES {
        let stream = world.endpoint(side).stream(kind);
        let got = match kind {
            StreamKind::Audio => stream.received_audio.len(),
            StreamKind::Video => stream.received_pictures,
        };
        assert!(got > 30, "{side} has {got} of {kind:?}: {:#?}", world.tail());
    }
}

fn heard(world: &mut World, side: Side, what: &str) -> usize {
    world.endpoint(side).heard.iter().filter(|h| *h == what).count()
}

#[test]
fn audio_and_video_flow_both_ways_also_under_loss() {
    let loss = Link { loss: 0.1, jitter: Duration::from_millis(20), ..Link::default() };
    for link in [Link::default(), loss] {
        for caller in SIDES {
            let mut world = call(caller, link, |_, _| {});
            flows(&mut world, StreamKind::Audio);
            flows(&mut world, StreamKind::Video);
            // MS-ICE2's last offer goes to Lync, to which the gateway has made the first. A Lync
            // callee hears before that one that the standards caller has no comfort noise.
            let offers = if caller == Side::Lync { 1 } else { 2 };
            assert_eq!(heard(&mut world, Side::Lync, "re-INVITE"), offers, "{:#?}", world.tail());
            assert_eq!(heard(&mut world, Side::Standard, "re-INVITE"), 0, "{:#?}", world.tail());
            let last = world.lync.offers.last().unwrap();
            assert!(last.media_views().all(|v| v.remote_candidates().len() == 2), "{last}");
            world.end_call(caller);
        }
    }
}

#[test]
fn an_answer_that_takes_less_is_told_to_the_callee() {
    for caller in SIDES {
        let mut world = call(caller, Link::default(), |side, behaviour| {
            behaviour.one_codec = side == caller;
            behaviour.video = side != caller;
        });
        flows(&mut world, StreamKind::Audio);
        let callee = caller.other();
        assert!(heard(&mut world, callee, "re-INVITE") >= 1, "{:#?}", world.tail());
        let agreed = world.endpoint(callee).agreed.clone().unwrap();
        assert_eq!(agreed.media[0].codecs[0].codec.name, "PCMA");
        assert!(!agreed.media[1].accepted, "the caller has no video");
        assert_eq!(world.bound(), 4, "{:#?}", world.tail());
        world.end_call(callee);
    }
}

#[test]
fn an_ack_without_the_answer_ends_the_call() {
    for caller in SIDES {
        let mut world = call(caller, Link::default(), |side, behaviour| {
            behaviour.owes_answer = side == caller;
        });
        world.run_to_end();
        for side in SIDES {
            assert_eq!(heard(&mut world, side, "BYE"), 1, "{side}: {:#?}", world.tail());
        }
        assert_eq!(world.ended().unwrap().2, "no answer in the ACK");
        assert_eq!(world.bound(), 0);
    }
}

#[test]
fn a_callee_that_does_not_encrypt_is_488_with_52017() {
    let mut required = config();
    required.standard.encryption = Encryption::Required;
    let mut world = call_with(required, Side::Lync, Link::default(), |side, behaviour| {
        if side == Side::Standard {
            behaviour.encryption = EncryptionLevel::None;
        }
    });
    world.run_to_end();
    let response = world.lync.responses.last().unwrap();
    assert_eq!(response.status.as_u16(), 488);
    let told = "52017;reason=\"Encryption levels dont match\"";
    assert_eq!(response.headers.first("ms-client-diagnostics"), Some(told));
    assert_eq!(world.bound(), 0);
}

#[test]
fn a_caller_in_clear_reaches_an_encrypted_lync_callee() {
    let mut world = call(Side::Standard, Link::default(), |side, behaviour| {
        if side == Side::Standard {
            behaviour.encryption = EncryptionLevel::None;
            behaviour.ice = false;
        }
    });
    flows(&mut world, StreamKind::Audio);
    flows(&mut world, StreamKind::Video);
    world.end_call(Side::Lync);
}

#[test]
fn an_answer_in_clear_to_an_offer_of_srtp_ends_the_call_with_52017() {
    let mut world = call(Side::Lync, Link::default(), |side, behaviour| {
        behaviour.answers_in_clear = side == Side::Lync;
    });
    world.run_to_end();
    for side in SIDES {
        assert_eq!(heard(&mut world, side, "BYE"), 1, "{side}: {:#?}", world.tail());
    }
    let bye = world.lync.requests.last().unwrap();
    let told = "52017;reason=\"Encryption levels dont match\"";
    assert_eq!(bye.headers.first("ms-client-diagnostics"), Some(told));
    assert_eq!(world.bound(), 0);
}

#[test]
fn an_early_answer_of_the_callee_waits_for_the_final_one() {
    for caller in SIDES {
        let mut world = call(caller, Link::default(), |side, behaviour| {
            behaviour.early = side != caller;
        });
        let codes: Vec<(u16, bool)> = world
            .endpoint(caller)
            .responses
            .iter()
            .map(|r| (r.status.as_u16(), r.body.is_empty()))
            .collect();
        assert_eq!(codes, [(180, true), (183, true), (200, false)]);
        flows(&mut world, StreamKind::Audio);
        flows(&mut world, StreamKind::Video);
        world.end_call(caller);
    }
}

#[test]
fn a_later_invite_without_an_offer_refreshes_holds_and_resumes() {
    use linkspan_sdp::Direction::{Inactive, SendRecv};
    for (caller, asker) in SIDES.into_iter().flat_map(|c| SIDES.map(|a| (c, a))) {
        let mut world = call(caller, Link::default(), |_, behaviour| behaviour.delayed = false);
        let other = asker.other();
        let heard_before = heard(&mut world, other, "re-INVITE");
        for (direction, flows) in
            [(SendRecv, true), (Inactive, false), (SendRecv, true), (SendRecv, true)]
        {
            let now = world.now;
            world.endpoint(asker).ask_again(direction, now);
            world.run_for(Duration::from_secs(3));
            assert_eq!(world.audio_flows(), [flows; 2], "{caller} {asker} {:#?}", world.tail());
        }
        // Held and resumed: a refresh is nothing to tell.
        let told = heard(&mut world, other, "re-INVITE") - heard_before;
        assert!(told <= 3, "{caller} {asker}: {told} {:#?}", world.tail());
        world.end_call(asker);
    }
}

/// The caller's answer takes less than the callee has agreed to, which has to hear of it.
fn with_less(caller: Side, refuses: &[u16]) -> World {
    call(caller, Link::default(), |side, behaviour| {
        behaviour.one_codec = side == caller;
        behaviour.video = side != caller;
        if side != caller {
            behaviour.refuses = refuses.to_vec();
        }
    })
}

#[test]
fn a_callee_that_does_not_take_what_the_ack_answered_ends_the_call() {
    for caller in SIDES {
        for status in [488, 500, 603] {
            let mut world = with_less(caller, &[status]);
            world.run_to_end();
            for side in SIDES {
                assert_eq!(heard(&mut world, side, "BYE"), 1, "{side}: {:#?}", world.tail());
            }
            assert_eq!(
                world.ended().unwrap().2,
                "the other side does not take what the ACK answered"
            );
            if caller == Side::Lync {
                // Lync is told what the gateway's far side said.
                let bye = world.lync.requests.last().unwrap();
                let told = ["ms-client-diagnostics", "ms-diagnostics"];
                let told = told.iter().find_map(|name| bye.headers.first(name)).unwrap();
                let id = if status == 488 { "52063".to_owned() } else { format!("10{status}") };
                assert!(told.starts_with(&id), "{told}");
            }
            assert_eq!(world.bound(), 0);
        }
    }
}

#[test]
fn what_the_ack_answered_is_told_again_after_a_glare() {
    for caller in SIDES {
        let mut world = with_less(caller, &[491, 491]);
        world.run_for(Duration::from_secs(5));
        let callee = caller.other();
        assert!(heard(&mut world, callee, "re-INVITE") >= 3, "{:#?}", world.tail());
        let agreed = world.endpoint(callee).agreed.clone().unwrap();
        assert_eq!(agreed.media[0].codecs[0].codec.name, "PCMA");
        flows(&mut world, StreamKind::Audio);
        world.end_call(caller);
    }
}

#[test]
fn what_the_ack_answered_waits_for_an_invite_that_is_under_way() {
    use linkspan_sdp::Direction::Inactive;
    let mut config = config();
    config.timers.session_ms = 90_000;
    // The callee has no UPDATE: its session is refreshed by re-INVITE.
    let caller = Side::Lync;
    let mut world = call_with(config, caller, Link::default(), |side, behaviour| {
        behaviour.delayed = false;
        behaviour.no_update = side != caller;
        behaviour.video = false;
        behaviour.slow = side != caller;
    });
    let refreshed = world.run(Duration::from_secs(60), |w| w.standard.is_asked());
    assert!(refreshed, "{:#?}", world.tail());
    let now = world.now;
    world.lync.ask_again(Inactive, now);
    world.run_for(Duration::from_secs(3));
    // The ACK has answered, and the callee has not answered the refresh.
    let ladder = world.ladder(caller);
    assert_eq!(ladder.last().unwrap(), "> ACK", "{ladder:#?}");
    assert_eq!(heard(&mut world, Side::Standard, "re-INVITE"), 1);
    world.standard.behaviour.slow = false;
    let now = world.now;
    world.standard.answer_asked(now);
    world.run_for(Duration::from_secs(2));
    assert_eq!(heard(&mut world, Side::Standard, "re-INVITE"), 2, "{:#?}", world.tail());
    let last = world.standard.offers.last().unwrap();
    assert!(last.media_views().all(|m| m.effective_direction() == Inactive), "{last}");
    world.end_call(caller);
}

#[test]
fn an_answer_in_a_reliable_response_alone_is_the_offer_to_the_caller() {
    for caller in SIDES {
        let mut world = call(caller, Link::default(), |side, behaviour| {
            (behaviour.early, behaviour.reliable) = (side != caller, side != caller);
        });
        let codes: Vec<(u16, bool)> = world
            .endpoint(caller)
            .responses
            .iter()
            .map(|r| (r.status.as_u16(), r.body.is_empty()))
            .collect();
        assert_eq!(codes, [(180, true), (183, true), (200, false)], "{:#?}", world.tail());
        flows(&mut world, StreamKind::Audio);
        flows(&mut world, StreamKind::Video);
        world.end_call(caller.other());
    }
}

#[test]
fn offers_asked_for_under_loss_doubling_and_reordering_of_messages() {
    use linkspan_sdp::Direction::{Inactive, SendRecv};
    let link =
        Link { loss: 0.2, duplication: 0.2, jitter: Duration::from_millis(60), ..Link::default() };
    for seed in 0..8 {
        // Two each of every pair of caller and asker.
        let sides = |n: u64| SIDES[(seed >> n) as usize & 1];
        let (caller, asker) = (sides(0), sides(1));
        let mut config = config_over_udp();
        (config.lync.video, config.standard.video) = (false, false);
        let mut world =
            call_seeded(seed, config, caller, [Link::default(), link], |side, behaviour| {
                behaviour.delayed = side == caller;
                behaviour.udp = side == Side::Standard;
                behaviour.video = false;
            });
        world.run_for(Duration::from_secs(10));
        for (direction, flows) in [(Inactive, false), (SendRecv, true)] {
            assert!(world.ended().is_none(), "seed {seed}: {:#?}", world.tail());
            // A glare with ICE's last word, or with an offer that is on its way, is tried again.
            let now = world.now;
            world.endpoint(asker).ask_again(direction, now);
            world.run_for(Duration::from_secs(20));
            assert_eq!(world.audio_flows(), [flows; 2], "seed {seed}: {:#?}", world.tail());
        }
        let now = world.now;
        world.endpoint(asker).hang_up(now);
        world.run_to_end();
        assert_eq!(world.bound(), 0, "seed {seed}");
    }
}
