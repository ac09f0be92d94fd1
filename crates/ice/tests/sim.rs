//! Two agents on a virtual network: they connect, on the right pair, in time, under loss.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod support;

use linkspan_ice::{AgentConfig, CandidateKind, Dialect, IceEvent, Nomination, Role};
use linkspan_testnet::Link;
use std::time::{Duration, Instant};
use support::{Peer, World, roles, signal};

const DIALECTS: [Dialect; 3] = [Dialect::Rfc8445, Dialect::MsIce2, Dialect::MsIce1];

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn world(
    configs: (AgentConfig, AgentConfig),
    shape: (usize, u16),
    hosts: usize,
    seed: u64,
    link: Link,
) -> World {
    let start = Instant::now();
    let left = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let right = ["198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"];
    let left = Peer::new(configs.0, 1, start, shape, &left[..hosts]);
    let right = Peer::new(configs.1, 2, start, shape, &right[..hosts]);
    World::new(left, right, start, seed, link)
}

fn connect(world: &mut World, limit: Duration) {
    let now = world.now;
    let (left, right) = (&mut world.left, &mut world.right);
    signal(left, right, now);
    signal(right, left, now);
    world.run_to_completion(limit);
}

#[test]
fn two_components_connect_in_both_dialects_and_modes() {
    for dialect in DIALECTS {
        for nomination in [Nomination::Regular, Nomination::Aggressive] {
            let (left, right) = roles(dialect);
            let left = AgentConfig { nomination, ..left };
            let mut world = world((left, right), (1, 2), 1, 1, Link::default());
            connect(&mut world, ms(1000));
            for component in [1, 2] {
                let (l, r) =
                    (world.left.selected(0, component), world.right.selected(0, component));
                assert_eq!((l.local, l.remote), (r.remote, r.local));
                assert_eq!(l.local_candidate.kind, CandidateKind::Host);
            }
            assert!(world.elapsed() < ms(200), "{dialect:?} {nomination:?} {:?}", world.elapsed());
        }
    }
}

#[test]
fn the_fewest_trips_that_the_mode_allows() {
    for (nomination, trips) in [(Nomination::Aggressive, 3), (Nomination::Regular, 4)] {
        let (left, right) = roles(Dialect::Rfc8445);
        let left = AgentConfig { nomination, ..left };
        let mut world = world((left, right), (1, 1), 4, 1, Link::default());
        connect(&mut world, ms(1000));
        assert!(world.elapsed() <= ms(trips * 10), "{nomination:?} {:?}", world.elapsed());
        let sent = world.left.sent + world.right.sent;
        assert!(sent <= 10, "{nomination:?}: {sent} messages");
        let end = world.elapsed() + ms(1000);
        world.run(end, |_| false);
        let after = world.left.sent + world.right.sent - sent;
        assert!(after <= 10, "{nomination:?}: {after} messages in the second after");
    }
}

#[test]
fn connects_under_loss_duplication_and_reordering() {
    let mut failed = Vec::new();
    for dialect in DIALECTS {
        for loss in [0.1, 0.3, 0.5] {
            for seed in 0..seeds() {
                let link = Link { loss, duplication: 0.2, jitter: ms(40), ..Link::default() };
                let mut world = world(roles(dialect), (2, 2), 2, seed, link);
                connect(&mut world, ms(39_000));
                let is_done = world.left.is_completed() && world.right.is_completed();
                let what = (dialect, loss, seed, brief(&world.left), brief(&world.right));
                if !is_done {
                    failed.push(format!("{what:#?}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} worlds: {}", failed.len(), failed.join("\n"));
}

#[test]
fn checks_before_the_answer_are_answered_and_used() {
    for dialect in DIALECTS {
        let mut world = world(roles(dialect), (1, 2), 1, 1, Link::default());
        let now = world.now;
        // The answerer knows the offer and checks; its answer takes 300 ms.
        signal(&world.left, &mut world.right, now);
        world.run(ms(300), |_| false);
        assert!(!world.left.is_completed());
        world.now = world.start + ms(300);
        let now = world.now;
        signal(&world.right, &mut world.left, now);
        world.run_to_completion(ms(1000));
        assert!(world.elapsed() <= ms(400), "{dialect:?} {:?}", world.elapsed());
    }
}

#[test]
fn a_nat_gives_peer_reflexive_candidates() {
    for dialect in DIALECTS {
        let mut world = world(roles(dialect), (1, 2), 1, 1, Link::default());
        for port in [5001, 5002] {
            let inside = format!("192.0.2.1:{port}").parse().unwrap();
            let outside = format!("203.0.113.9:{}", port + 1000).parse().unwrap();
            world.nat.push((inside, outside));
            world.blocked.push((format!("198.51.100.1:{port}").parse().unwrap(), inside));
        }
        connect(&mut world, ms(5000));
        let (left, right) = (world.left.selected(0, 1), world.right.selected(0, 1));
        assert_eq!(left.local_candidate.kind, CandidateKind::Prflx, "{dialect:?}");
        assert_eq!(left.local_candidate.address, "203.0.113.9:6001".parse().unwrap());
        assert_eq!(left.local, "192.0.2.1:5001".parse().unwrap());
        assert_eq!(right.remote_candidate.kind, CandidateKind::Prflx);
        assert_eq!(right.remote, left.local_candidate.address);
    }
}

#[test]
fn a_role_conflict_is_repaired() {
    for dialect in [Dialect::Rfc8445, Dialect::MsIce2] {
        for role in [Role::Controlling, Role::Controlled] {
            let config = AgentConfig::new(dialect, role);
            let mut world = world((config.clone(), config), (1, 2), 1, 1, Link::default());
            connect(&mut world, ms(10_000));
            assert!(
                world.left.is_completed() && world.right.is_completed(),
                "{dialect:?} {role:?}"
            );
            assert_ne!(world.left.agent.role(), world.right.agent.role());
            let changes = |peer: &Peer| {
                peer.events
                    .iter()
                    .filter(|(_, e)| matches!(e, IceEvent::RoleChanged { .. }))
                    .count()
            };
            assert_eq!(changes(&world.left) + changes(&world.right), 1, "{dialect:?} {role:?}");
        }
    }
}

/// An agent that sends a check three times, as libnice does, and nominates aggressively.
fn hasty(role: Role) -> AgentConfig {
    let nomination = Nomination::Aggressive;
    AgentConfig { rc: 3, rm: 1, nomination, ..AgentConfig::new(Dialect::MsIce2, role) }
}

/// True for a check that the peer of port 5002 sends.
fn is_check_of_rtcp(from: std::net::SocketAddr, octets: &[u8]) -> bool {
    from == "192.0.2.1:5002".parse().unwrap() && octets.starts_with(&[0, 1])
}

#[test]
fn a_peer_that_gave_up_its_nomination_is_reminded() {
    let config = AgentConfig::new(Dialect::MsIce2, Role::Controlled);
    let mut world = world((hasty(Role::Controlling), config), (1, 2), 1, 1, Link::default());
    // RTP is nominated; of RTCP our check succeeds, and all those of the peer are lost.
    world.loses = |at, from, octets| at < ms(3500) && is_check_of_rtcp(from, octets);
    connect(&mut world, ms(8000));
    assert!(world.left.is_completed() && world.right.is_completed(), "{:?}", brief(&world.right));
    let early = world.right.time_of(|e| matches!(e, IceEvent::ComponentConnected { .. })).unwrap();
    assert!(early < ms(100), "RTP did not wait: {early:?}");
    assert!(world.elapsed() < ms(4200), "{:?}", world.elapsed());
}

#[test]
fn a_peer_that_missed_every_answer_is_reminded() {
    for role in [Role::Controlling, Role::Controlled] {
        let config = AgentConfig::new(Dialect::MsIce2, role.reversed());
        let mut world = world((hasty(role), config), (1, 2), 1, 1, Link::default());
        // Answers to the peer's checks of RTCP: ours succeed, and the peer's nominate at our side.
        world.loses = |at, from, octets| {
            at < ms(2500)
                && from == "198.51.100.1:5002".parse().unwrap()
                && octets.starts_with(&[1, 1])
        };
        connect(&mut world, ms(8000));
        let brief = (brief(&world.left), brief(&world.right));
        assert!(world.left.is_completed() && world.right.is_completed(), "{role:?}: {brief:#?}");
    }
}

#[test]
fn hasty_peers_connect_at_30_percent_loss() {
    let mut failed = Vec::new();
    for seed in 0..seeds() * 25 {
        for role in [Role::Controlling, Role::Controlled] {
            let config = AgentConfig::new(Dialect::MsIce2, role.reversed());
            let link = Link { loss: 0.3, jitter: ms(10), ..Link::default() };
            let mut world = world((hasty(role), config), (2, 2), 1, seed, link);
            connect(&mut world, ms(15_000));
            if !(world.left.is_completed() && world.right.is_completed()) {
                failed.push((seed, role, brief(&world.left), brief(&world.right)));
            }
        }
    }
    let first = failed.first();
    assert!(failed.is_empty(), "{} of {}: {first:#?}", failed.len(), seeds() * 50);
}

/// Names of the events with their times.
fn brief(peer: &Peer) -> Vec<String> {
    let name = |event: &IceEvent| format!("{event:?}").chars().take(70).collect::<String>();
    peer.events.iter().map(|(at, event)| format!("{at:?} {}", name(event))).collect()
}

/// `ICE_SEEDS` for a longer run.
fn seeds() -> u64 {
    std::env::var("ICE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(4)
}
