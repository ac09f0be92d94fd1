//! Offers before a call is answered: RFC 3311, RFC 3262 §5, [MS-SDPEXT] 3.1.5.13.
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

use linkspan_gateway::{Side, StreamKind};
use linkspan_sdp::Direction;
use linkspan_sip::Message;
use linkspan_testnet::{Link, Network};
use world::{Behaviour, World, config, config_over_udp};

const SIDES: [Side; 2] = [Side::Lync, Side::Standard];

/// The callee's 200 is that of a device which has not been heard of.
fn answered_by_another(body: Vec<u8>) -> world::endpoint::Rewrite {
    Box::new(move |octets| {
        let message = Message::parse(octets).unwrap();
        let invite = message.cseq().unwrap().is_some_and(|cseq| cseq.method_str() == "INVITE");
        let mut response = message.to_response().filter(|r| invite && r.status.is_success())?;
        let to = response.headers.first("To").unwrap().to_owned() + "-other";
        response.headers.set("To", to);
        let body = String::from_utf8(body.clone()).unwrap();
        response.set_body(linkspan_sip::Body::sdp(body));
        Some(response.to_bytes())
    })
}

/// A call whose callee has answered in a reliable 183 and is not picked up yet.
fn ringing(caller: Side, change: impl Fn(Side, &mut Behaviour)) -> World {
    let mut world = prepared(81, config(), caller, change);
    world.run_for(Duration::from_secs(2));
    world
}

fn prepared(
    seed: u64,
    config: linkspan_gateway::Config,
    caller: Side,
    change: impl Fn(Side, &mut Behaviour),
) -> World {
    World::calling(seed, config, caller, [Link::default(); 2], |side| {
        let mut behaviour = Behaviour::of(side);
        let callee = side != caller;
        (behaviour.early, behaviour.reliable, behaviour.waits) = (callee, callee, callee);
        change(side, &mut behaviour);
        behaviour
    })
}

/// The answer in a 2xx is another one than that in the 183: A-law alone.
fn otherwise(body: &[u8]) -> Vec<u8> {
    let mut answer = linkspan_sdp::SessionDescription::parse(body).unwrap();
    answer.media[0].formats.retain(|format| format == "8");
    answer.to_bytes()
}

/// What a side heard after `from` things.
fn heard(world: &mut World, side: Side, from: usize) -> Vec<String> {
    world.endpoint(side).heard[from..].to_vec()
}

fn pick_up(world: &mut World, callee: Side) {
    let now = world.now;
    world.endpoint(callee).pick_up(now);
    world.run_for(Duration::from_secs(3));
}

fn update(world: &mut World, side: Side, direction: Direction) {
    let now = world.now;
    world.endpoint(side).update(direction, now);
    world.run_for(Duration::from_secs(1));
}

fn retry_after(world: &mut World, side: Side) -> u32 {
    let response = world.endpoint(side).responses.last().unwrap();
    response.headers.first("Retry-After").unwrap().parse().unwrap()
}

#[test]
fn a_reliable_answer_is_passed_on_reliably_and_said_once() {
    for caller in SIDES {
        let callee = caller.other();
        let mut world = ringing(caller, |_, _| {});
        let endpoint = world.endpoint(caller);
        assert_eq!(endpoint.heard, ["180", "183"]);
        let early = endpoint.responses.last().unwrap();
        assert!(early.headers.require().has("100rel") && early.headers.allow().has("UPDATE"));
        // Early media, once ICE has its pairs.
        assert_eq!(world.audio_flows(), [true, true], "{:#?}", world.tail());
        pick_up(&mut world, callee);
        let responses = &world.endpoint(caller).responses;
        let of = |status| &responses.iter().find(|r| r.status.as_u16() == status).unwrap().body;
        match caller {
            Side::Lync => assert_eq!(of(200), of(183), "Lync's peers say it again"),
            Side::Standard => assert!(of(200).is_empty(), "RFC 6337 §3.1.1"),
        }
        assert_eq!(world.audio_flows(), [true, true]);
        world.end_call(caller);
    }
}

#[test]
fn the_final_answer_waits_for_the_prack() {
    for caller in SIDES {
        let mut world = ringing(caller, |_, behaviour| behaviour.waits = false);
        let ladder = world.ladder(caller);
        let at = |what: &str| {
            let found = ladder.iter().position(|line| line.starts_with(what));
            found.unwrap_or_else(|| panic!("no {what}: {ladder:#?}"))
        };
        assert!(at("> PRACK") < at("< 200"), "{ladder:#?}");
        assert_eq!(world.audio_flows(), [true, true]);
        world.end_call(caller);
    }
}

#[test]
fn an_update_of_the_caller_goes_to_a_callee_that_takes_it() {
    let (caller, callee) = (Side::Lync, Side::Standard);
    let mut world = ringing(caller, |_, _| {});
    for (direction, expected) in
        [(Direction::Inactive, [false, false]), (Direction::SendRecv, [true, true])]
    {
        let before = SIDES.map(|s| world.endpoint(s).heard.len());
        update(&mut world, caller, direction);
        assert_eq!(heard(&mut world, callee, before[1]), ["UPDATE"], "{:#?}", world.tail());
        assert_eq!(heard(&mut world, caller, before[0]), ["re 200"]);
        assert_eq!(world.audio_flows(), expected, "{:#?}", world.tail());
    }
    pick_up(&mut world, callee);
    assert_eq!(world.audio_flows(), [true, true]);
    // Nothing was left untold, and ICE's last word is the caller's.
    assert!(!world.standard.heard.iter().any(|h| h == "re-INVITE"), "{:#?}", world.tail());
    world.end_call(callee);
}

#[test]
fn added_video_goes_by_update_too() {
    let mut world = ringing(Side::Lync, |side, b| b.video = side == Side::Standard);
    let now = world.now;
    let before = world.lync.heard.len();
    world.lync.add_video_by_update(now);
    world.run_for(Duration::from_secs(2));
    assert_eq!(heard(&mut world, Side::Lync, before), ["re 200"], "{:#?}", world.tail());
    pick_up(&mut world, Side::Standard);
    assert!(world.lync.stream(StreamKind::Video).received_pictures > 10, "{:#?}", world.tail());
    world.end_call(Side::Lync);
}

#[test]
fn a_hold_for_a_callee_that_takes_no_update_is_answered_here_and_told_later() {
    // Lync has one exchange before the answer; a standards callee may lack UPDATE, or say so late.
    for (caller, refuses) in [(Side::Standard, false), (Side::Lync, false), (Side::Lync, true)] {
        let callee = caller.other();
        let mut world = ringing(caller, |side, behaviour| {
            behaviour.no_update = side == Side::Standard && callee == side && !refuses;
            if refuses && side == callee {
                behaviour.refuses = vec![405];
            }
        });
        let before = SIDES.map(|s| world.endpoint(s).heard.len());
        update(&mut world, caller, Direction::Inactive);
        let at = |side: Side| usize::from(side == Side::Standard);
        assert_eq!(heard(&mut world, caller, before[at(caller)]), ["re 200"]);
        let expected: &[&str] = if refuses { &["UPDATE"] } else { &[] };
        assert_eq!(heard(&mut world, callee, before[at(callee)]), expected, "{:#?}", world.tail());
        assert_eq!(world.audio_flows(), [false, false]);
        pick_up(&mut world, callee);
        let invites: Vec<_> = world
            .endpoint(callee)
            .requests
            .iter()
            .filter(|r| r.method.as_str() == "INVITE")
            .collect();
        let last = String::from_utf8(invites.last().unwrap().body.to_vec()).unwrap();
        assert!(invites.len() > 1 && last.contains("a=inactive"), "{:#?}", world.tail());
        // The version is the one behind that of the INVITE: nothing between them was sent.
        let version = |request: &&linkspan_sip::Request| -> u64 {
            let text = String::from_utf8(request.body.to_vec()).unwrap();
            let origin = text.lines().find(|l| l.starts_with("o=")).unwrap().to_owned();
            origin.split(' ').nth(2).unwrap().parse().unwrap()
        };
        assert_eq!(version(&invites[1]), version(&invites[0]) + 1);
        let now = world.now;
        world.endpoint(caller).hold(Direction::SendRecv, now);
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.audio_flows(), [true, true], "{caller} {:#?}", world.tail());
        world.end_call(caller);
    }
}

#[test]
fn a_hold_of_the_callee_for_a_caller_that_takes_no_update_is_told_later() {
    // Lync's caller; and one whose offer of SRTP was optional.
    for level in [linkspan_sdp::EncryptionLevel::Required, linkspan_sdp::EncryptionLevel::Supported]
    {
        let (caller, callee) = (Side::Lync, Side::Standard);
        let mut world = ringing(caller, |side, b| {
            b.encryption = if side == caller { level } else { b.encryption };
        });
        let before = SIDES.map(|s| world.endpoint(s).heard.len());
        for direction in [Direction::SendRecv, Direction::Inactive] {
            update(&mut world, callee, direction);
        }
        assert_eq!(heard(&mut world, callee, before[1]), ["re 200", "re 200"]);
        assert!(heard(&mut world, caller, before[0]).is_empty(), "{:#?}", world.tail());
        assert_eq!(world.audio_flows(), [false, false]);
        pick_up(&mut world, callee);
        assert_eq!(heard(&mut world, caller, before[0]), ["200", "re-INVITE"]);
        let told = world.lync.offers.last().unwrap();
        assert!(told.media_views().all(|m| m.direction() == Direction::Inactive), "{told}");
        let now = world.now;
        world.standard.hold(Direction::SendRecv, now);
        world.run_for(Duration::from_secs(2));
        assert_eq!(world.audio_flows(), [true, true], "{:#?}", world.tail());
        world.end_call(callee);
    }
}

#[test]
fn a_hold_that_is_over_before_the_answer_is_not_told() {
    let mut world = ringing(Side::Standard, |_, _| {});
    for direction in [Direction::SendOnly, Direction::SendRecv] {
        update(&mut world, Side::Standard, direction);
    }
    assert_eq!(world.audio_flows(), [true, true]);
    pick_up(&mut world, Side::Lync);
    // ICE's last word alone.
    let offers = world.lync.heard.iter().filter(|h| *h == "re-INVITE").count();
    assert_eq!(offers, 1, "{:#?}", world.tail());
    assert_eq!(world.audio_flows(), [true, true]);
    world.end_call(Side::Standard);
}

#[test]
fn added_video_for_a_callee_that_takes_no_update_is_500_and_the_call_goes_on() {
    let mut world = ringing(Side::Standard, |side, b| b.video = side == Side::Lync);
    let now = world.now;
    world.standard.add_video_by_update(now);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.standard.heard.last().unwrap(), "re 500", "{:#?}", world.tail());
    assert!(retry_after(&mut world, Side::Standard) <= 10);
    pick_up(&mut world, Side::Lync);
    assert_eq!(world.audio_flows(), [true, true]);
    world.end_call(Side::Standard);
}

#[test]
fn an_update_before_the_answer_to_the_invite_is_500_or_491() {
    for caller in SIDES {
        // The callee has not answered the INVITE's offer at all, or not reliably.
        for early in [false, true] {
            let mut world = ringing(caller, |_, behaviour| {
                (behaviour.early, behaviour.reliable) = (early && behaviour.early, false);
            });
            // Toward Lync early media is reliable whatever the callee does.
            let settled = early && caller == Side::Lync;
            if !settled {
                update(&mut world, caller, Direction::Inactive);
                assert_eq!(world.endpoint(caller).heard.last().unwrap(), "re 500");
                assert!(retry_after(&mut world, caller) <= 10);
            }
            let callee = caller.other();
            update(&mut world, callee, Direction::Inactive);
            assert_eq!(world.endpoint(callee).heard.last().unwrap(), "re 491");
        }
    }
}

#[test]
fn an_update_of_the_callee_goes_to_a_caller_that_takes_it() {
    let (caller, callee) = (Side::Standard, Side::Lync);
    let mut world = ringing(caller, |_, _| {});
    let before = SIDES.map(|s| world.endpoint(s).heard.len());
    update(&mut world, callee, Direction::Inactive);
    assert_eq!(heard(&mut world, caller, before[1]), ["UPDATE"], "{:#?}", world.tail());
    assert_eq!(heard(&mut world, callee, before[0]), ["re 200"]);
    assert_eq!(world.audio_flows(), [false, false]);
    pick_up(&mut world, callee);
    let now = world.now;
    world.lync.hold(Direction::SendRecv, now);
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.audio_flows(), [true, true], "{:#?}", world.tail());
    world.end_call(caller);
}

#[test]
fn offers_that_meet_are_491_and_a_second_one_is_500() {
    let mut world = ringing(Side::Lync, |_, _| {});
    let now = world.now;
    // The gateway has passed the caller's on when the callee's comes: both are in the way of the
    // other, and both are to be tried again.
    world.lync.update(Direction::Inactive, now);
    world.run_for(Duration::from_millis(7));
    let now = world.now;
    world.standard.update(Direction::SendOnly, now);
    world.run_for(Duration::from_secs(1));
    assert!(world.standard.heard.contains(&"re 491".to_owned()), "{:#?}", world.tail());
    assert_eq!(world.lync.heard.last().unwrap(), "re 491", "{:#?}", world.tail());
    let now = world.now;
    world.lync.update(Direction::Inactive, now);
    world.lync.update(Direction::SendRecv, now);
    world.run_for(Duration::from_secs(1));
    let last = world.lync.heard.len() - 2;
    let mut statuses = heard(&mut world, Side::Lync, last);
    statuses.sort();
    assert_eq!(statuses, ["re 200", "re 500"], "{:#?}", world.tail());
}

#[test]
fn a_call_that_is_answered_while_an_update_is_under_way_goes_on_after_it() {
    let mut world = ringing(Side::Lync, |_, _| {});
    let now = world.now;
    world.lync.update(Direction::Inactive, now);
    world.run_for(Duration::from_millis(7));
    // The 200 to the INVITE overtakes the one to the UPDATE.
    let now = world.now;
    world.standard.pick_up(now);
    world.run_for(Duration::from_secs(2));
    let heard = world.lync.heard.clone();
    let at = |what: &str| heard.iter().position(|h| h == what).unwrap();
    assert!(at("re 200") < at("200"), "{heard:?}");
    assert_eq!(world.audio_flows(), [false, false]);
    world.end_call(Side::Standard);
}

#[test]
fn a_prack_may_make_an_offer() {
    for caller in SIDES {
        let mut world = ringing(caller, |side, behaviour| {
            behaviour.prack_offers = side == caller;
        });
        let heard = world.endpoint(caller).heard.clone();
        assert_eq!(heard, ["180", "183", "prack 200"], "{:#?}", world.tail());
        // It says nothing new: no UPDATE has to go on.
        assert!(!world.endpoint(caller.other()).heard.contains(&"UPDATE".to_owned()));
        assert_eq!(world.audio_flows(), [true, true]);
        pick_up(&mut world, caller.other());
        assert_eq!(world.audio_flows(), [true, true]);
        world.end_call(caller);
    }
}

#[test]
fn a_caller_that_gives_up_has_its_pending_update_answered() {
    let mut world = ringing(Side::Lync, |_, _| {});
    world.standard.behaviour.dead = true;
    update(&mut world, Side::Lync, Direction::Inactive);
    let now = world.now;
    world.lync.hang_up(now);
    world.run_for(Duration::from_secs(1));
    // The INVITE and the UPDATE.
    let ladder = world.ladder(Side::Lync);
    let terminated = ladder.iter().filter(|line| line.starts_with("< 487")).count();
    assert_eq!(terminated, 2, "{ladder:#?}");
    world.run_to_end();
    assert_eq!(world.bound(), 0);
}

#[test]
fn an_update_that_is_not_answered_is_refused_before_its_client_gives_up() {
    let mut world = ringing(Side::Lync, |_, _| {});
    world.standard.behaviour.dead = true;
    let now = world.now;
    world.lync.update(Direction::Inactive, now);
    world.run_for(Duration::from_secs(25));
    assert_eq!(world.lync.heard.last().unwrap(), "re 504", "{:#?}", world.tail());
    world.standard.behaviour.dead = false;
    update(&mut world, Side::Lync, Direction::Inactive);
    assert_eq!(world.lync.heard.last().unwrap(), "re 200", "{:#?}", world.tail());
    pick_up(&mut world, Side::Standard);
    world.end_call(Side::Lync);
}

#[test]
fn a_final_answer_that_differs_is_told_to_a_caller_that_has_one_for_good() {
    // Toward Lync early media is reliable, toward the callee it was not.
    let mut world = ringing(Side::Lync, |_, behaviour| behaviour.reliable = false);
    assert_eq!(world.lync.agreed.as_ref().unwrap().media[0].codecs[0].codec.name, "G722");
    let held = world.standard.held.as_mut().unwrap().as_mut().unwrap();
    held.bytes = otherwise(&held.bytes).into();
    pick_up(&mut world, Side::Standard);
    assert_eq!(world.lync.heard, ["180", "183", "200", "re-INVITE"], "{:#?}", world.tail());
    let [offer] = &world.lync.offers[..] else { panic!("{:?}", world.lync.offers) };
    let audio = offer.media_view(0).unwrap();
    assert!(audio.payload_types().any(|pt| pt == 8) && audio.payload_types().all(|pt| pt != 9));
    assert_eq!(world.lync.agreed.as_ref().unwrap().media[0].codecs[0].codec.name, "PCMA");
    world.end_call(Side::Lync);
}

#[test]
fn another_fork_that_answers_the_call_counts() {
    let mut world = ringing(Side::Lync, |_, _| {});
    let early = world.lync.responses.last().unwrap().body.clone();
    let body = otherwise(&world.standard.answered.clone().unwrap());
    world.standard.rewrite = Some(answered_by_another(body));
    pick_up(&mut world, Side::Standard);
    let ladder = world.ladder(Side::Standard);
    assert!(ladder.iter().any(|line| line == "< ACK"), "{ladder:#?}");
    assert_eq!(world.lync.heard, ["180", "183", "200", "re-INVITE"], "{:#?}", world.tail());
    assert_eq!(world.lync.responses.last().unwrap().body, early, "what was said for good");
    assert_eq!(world.lync.agreed.as_ref().unwrap().media[0].codecs[0].codec.name, "PCMA");
}

#[test]
fn another_fork_is_offered_what_was_agreed_since() {
    let mut world = ringing(Side::Lync, |_, _| {});
    update(&mut world, Side::Lync, Direction::Inactive);
    let body = world.standard.answered.clone().unwrap();
    world.standard.rewrite = Some(answered_by_another(body));
    pick_up(&mut world, Side::Standard);
    let ladder = world.ladder(Side::Standard);
    let after = ladder.iter().skip_while(|line| *line != "< ACK").nth(1).unwrap();
    assert_eq!(after, "< INVITE", "{ladder:#?}");
    // The scripted callee knows no such dialog, so that it ends here.
    assert!(ladder.contains(&"> 481 Call/Transaction Does Not Exist".to_owned()), "{ladder:#?}");
    world.run_to_end();
    assert_eq!(world.bound(), 0);
}

#[test]
fn the_update_of_a_fork_that_has_not_answered_is_491() {
    let mut world = ringing(Side::Standard, |_, _| {});
    world.lync.rewrite = Some(Box::new(|octets| {
        let mut request = Message::parse(octets).unwrap().to_request()?;
        let from = request.headers.first("From").unwrap().to_owned() + "-other";
        request.headers.set("From", from);
        Some(request.to_bytes())
    }));
    update(&mut world, Side::Lync, Direction::Inactive);
    assert_eq!(world.lync.heard.last().unwrap(), "re 491", "{:#?}", world.tail());
    assert!(!world.standard.heard.contains(&"UPDATE".to_owned()));
}

#[test]
fn early_offers_under_loss_doubling_and_reordering_of_messages() {
    let link =
        Link { loss: 0.3, duplication: 0.3, jitter: Duration::from_millis(400), ..Link::default() };
    for seed in 0..4 {
        let caller = SIDES[seed as usize & 1];
        let mut config = config_over_udp();
        (config.lync.video, config.standard.video) = (false, false);
        let mut world = prepared(seed, config, caller, |side, behaviour| {
            behaviour.udp = side == Side::Standard;
            behaviour.video = false;
        });
        world.datagrams = Network::new(seed, link);
        let rung = world.run(Duration::from_secs(40), |world| {
            world.lync.agreed.is_some() && world.standard.agreed.is_some()
        });
        assert!(rung, "seed {seed}: {:#?}", world.tail());
        world.run_for(Duration::from_secs(15));
        update(&mut world, caller, Direction::Inactive);
        world.run_for(Duration::from_secs(15));
        assert_eq!(world.audio_flows(), [false, false], "seed {seed}: {:#?}", world.tail());
        update(&mut world, caller, Direction::SendRecv);
        world.run_for(Duration::from_secs(15));
        assert_eq!(world.audio_flows(), [true, true], "seed {seed}: {:#?}", world.tail());
        pick_up(&mut world, caller.other());
        world.run_for(Duration::from_secs(15));
        assert!(world.endpoint(caller).heard.contains(&"200".to_owned()), "seed {seed}");
        assert_eq!(world.audio_flows(), [true, true], "seed {seed}: {:#?}", world.tail());
        world.end_call(caller);
    }
}

/// Offers of every kind, from both sides, before and after the answer, at random: in the end both
/// sides mean the same, and media flow as they say. `LINKSPAN_SEEDS` says how many series.
#[test]
fn whatever_is_offered_and_when_both_sides_come_to_the_same() {
    let seeds = std::env::var("LINKSPAN_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        let mut state = u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let caller = SIDES[draw(2) as usize];
        let (no_update, reliable, prack) = (draw(3) == 0, draw(4) != 0, draw(3) == 0);
        let mut world = prepared(seed, config(), caller, |side, behaviour| {
            behaviour.video = false;
            behaviour.no_update = no_update && side == Side::Standard;
            behaviour.reliable &= reliable;
            behaviour.prack_offers = prack && side == caller;
        });
        world.run_for(Duration::from_millis(200 + draw(800)));
        let mut done = Vec::new();
        for _ in 0..8 {
            let side = SIDES[draw(2) as usize];
            let direction = [Direction::Inactive, Direction::SendRecv][draw(2) as usize];
            let verb = draw(6);
            let now = world.now;
            let answered = !world.endpoint(caller.other()).is_held();
            let busy = world.endpoint(side).is_waiting();
            match verb {
                0 | 1 if !busy => world.endpoint(side).update(direction, now),
                2 if !busy && answered => world.endpoint(side).try_invite(direction, false, now),
                3 if !busy && answered => world.endpoint(side).try_invite(direction, true, now),
                4 if !answered => world.endpoint(caller.other()).pick_up(now),
                5 => world.endpoint(side).behaviour.refuses = vec![491],
                _ => {}
            }
            done.push((side, verb, direction));
            world.run_for(Duration::from_millis([1, 6, 12, 30, 400, 3_000][draw(6) as usize]));
        }
        let context = format!("seed {seed} {caller} {no_update} {reliable} {prack} {done:?}");
        if world.endpoint(caller.other()).is_held() {
            pick_up(&mut world, caller.other());
        }
        world.run_for(Duration::from_secs(20));
        assert!(world.ended().is_none(), "{context} {:#?}", world.tail());
        let said = SIDES.map(|side| {
            let agreed = world.endpoint(side).agreed.as_ref().expect("an answer");
            agreed.media[0].direction
        });
        assert_eq!(said[0], said[1].reversed(), "{context} {:#?}", world.tail());
        let expected = said[0] == Direction::SendRecv;
        assert_eq!(world.audio_flows(), [expected; 2], "{context} {:#?}", world.tail());
        world.end_call(caller);
    }
}
