//! TURN inside the agent, and the two agents of a gateway: one for each dialect, with relayed paths,
//! lite peers and peers without ICE.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod support;

use linkspan_ice::{
    AgentConfig, AgentError, CandidateKind, Dialect, IceEvent, Limits, RelayCredentials,
    RelayDialect, RelayServer, Role, Transport,
};
use linkspan_testnet::{Filtering, Link, Mapping, NatConfig};
use std::time::Duration;
use support::internet::{STUN, TURN, World, at};
use support::roles;

const SYMMETRIC: NatConfig =
    NatConfig::new(Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two hosts behind symmetric translators, with a relay on each side.
fn behind_symmetric(dialect: Dialect, relay: RelayDialect, transport: Transport) -> World {
    let mut world = World::new(1, Link::default());
    let (left, right) = roles(dialect);
    for (config, host, outside) in
        [(left, "10.0.0.2:5000", "203.0.113.1"), (right, "10.0.1.2:5000", "203.0.113.2")]
    {
        let side = world.add(config, host, 2);
        let nat = world.internet.add_nat(SYMMETRIC, outside.parse().unwrap());
        world.internet.place(at(host).ip(), nat);
        world.relay(side, relay, transport);
    }
    world.gather();
    world
}

#[test]
fn an_allocation_gives_a_relayed_and_a_reflexive_candidate() {
    let world = behind_symmetric(Dialect::Rfc8445, RelayDialect::Rfc8656, Transport::Udp);
    let found = world.sides[0].agent.local_candidates(world.sides[0].stream);
    let kinds = |kind| found.iter().filter(|c| c.kind == kind).count();
    assert_eq!(kinds(CandidateKind::Host), 2);
    assert_eq!(kinds(CandidateKind::Srflx), 2);
    assert_eq!(kinds(CandidateKind::Relay), 2);
    let relay = found.iter().find(|c| c.kind == CandidateKind::Relay).unwrap();
    assert_eq!(relay.address.ip(), at(TURN).ip());
    assert_eq!(relay.related.unwrap().ip(), at("203.0.113.1:1").ip());
    let stream = world.sides[0].stream;
    let default = world.sides[0].agent.default_candidate(stream, 1).unwrap();
    assert_eq!(default.kind, CandidateKind::Relay);
}

#[test]
fn relayed_paths_connect_and_carry_data_in_every_dialect() {
    for (dialect, relay, transport) in [
        (Dialect::Rfc8445, RelayDialect::Rfc8656, Transport::Udp),
        (Dialect::Rfc8445, RelayDialect::Rfc8656, Transport::Tcp),
        (Dialect::MsIce2, RelayDialect::MsTurn, Transport::Udp),
        (Dialect::MsIce2, RelayDialect::MsTurn, Transport::Tcp),
    ] {
        let what = format!("{dialect:?} {relay:?} {transport:?}");
        let mut world = behind_symmetric(dialect, relay, transport);
        world.signal(0, 1);
        world.signal(1, 0);
        let limit = world.elapsed() + secs(8);
        world.run_to_completion(limit);
        assert!(world.sides.iter().all(|side| side.is_completed()), "{what}");
        let after = world.elapsed() + secs(1);
        for round in 0..4 {
            for component in [1, 2] {
                // Some of it before channels are bound, the rest behind.
                world.send(0, component, &[0x80, component as u8, round]);
                world.send(1, component, &[0x80, 10 + component as u8, round]);
            }
            let pause = world.elapsed() + Duration::from_millis(100);
            world.run(pause, |_| false);
        }
        world.run(after, |_| false);
        for side in &world.sides {
            assert_eq!(side.data.len(), 8, "{what}");
            for (local, remote, data) in &side.data {
                let pair = side.agent.selected(side.stream, u16::from(data[1] % 10)).unwrap();
                assert_eq!((*local, *remote), (pair.local, pair.remote), "{what}");
            }
        }
        for side in 0..2 {
            world.sides[side].agent.close(world.now);
        }
        let end = world.elapsed() + secs(5);
        world.run(end, |_| false);
        assert_eq!(world.server.allocations(), 0, "{what}: given back");
        assert!(world.sides.iter().all(|side| side.agent.poll_timeout().is_none()), "{what}");
    }
}

#[test]
fn a_relay_that_refuses_ends_the_gathering_and_says_why() {
    let mut world = World::new(1, Link::default());
    let side = world.add(AgentConfig::default(), "192.0.2.1:5000", 1);
    let server = RelayServer::new(at(TURN), RelayCredentials::new("user", "wrong"));
    let now = world.now;
    world.sides[side].agent.add_relay_server(server, now).unwrap();
    world.gather();
    assert!(world.sides[side].has(|event| matches!(event, IceEvent::RelayFailed { .. })));
    assert_eq!(world.sides[side].agent.poll_timeout(), None);
}

#[test]
fn allocations_are_bounded() {
    let mut world = World::new(1, Link::default());
    let limits = Limits { relays: 2, ..Limits::default() };
    let side = world.add(AgentConfig { limits, ..AgentConfig::default() }, "192.0.2.1:5000", 2);
    world.relay(side, RelayDialect::Rfc8656, Transport::Udp);
    let (now, side) = (world.now, &mut world.sides[side]);
    let server = RelayServer::new(at(TURN), RelayCredentials::new("user", "secret"));
    let refused = side.agent.add_relay_server(server, now);
    assert_eq!(refused, Err(AgentError::Limit("relays")));
    let more = side.agent.add_host_candidate(side.stream, 1, at("192.0.2.9:5000"), now);
    assert_eq!(more, Err(AgentError::Limit("relays")));
}

#[test]
fn an_allocation_that_the_server_drops_loses_its_pairs() {
    let mut world = behind_symmetric(Dialect::Rfc8445, RelayDialect::Rfc8656, Transport::Udp);
    world.signal(0, 1);
    world.signal(1, 0);
    let limit = world.elapsed() + secs(8);
    world.run_to_completion(limit);
    world.internet.block(world.sides[1].host.ip());
    let end = world.elapsed() + secs(700);
    world.run(end, |_| false);
    for side in &world.sides {
        assert!(side.has(|event| matches!(event, IceEvent::ConsentLost { .. })));
    }
}

/// What a gateway does for a call: a leg of each dialect, an agent for each, and data from the one to
/// the other.
struct Bridge {
    world: World,
    /// Lync client, gateway toward it, gateway toward the standards, endpoint there.
    sides: [usize; 4],
}

impl Bridge {
    /// The gateway stands behind a translator of its own when `relayed` names a leg.
    fn new(relayed: Option<Dialect>, lite: bool) -> Self {
        let mut world = World::new(1, Link::default());
        let ms = |role| AgentConfig::new(Dialect::MsIce2, role);
        let standard = |role| AgentConfig::new(Dialect::Rfc8445, role);
        let lync = world.add(ms(Role::Controlling), "10.0.0.2:5000", 2);
        let toward_lync = world.add(ms(Role::Controlled), "10.0.1.2:5000", 2);
        let toward_room = world.add(standard(Role::Controlling), "10.0.1.3:6000", 2);
        let config = AgentConfig { lite, ..standard(Role::Controlled) };
        let room = world.add(config, "192.0.2.7:7000", 2);
        if lite {
            world.sides[toward_room].agent.set_remote_lite(true);
        }
        let home = world.internet.add_nat(SYMMETRIC, "203.0.113.1".parse().unwrap());
        world.internet.place(at("10.0.0.2:1").ip(), home);
        let office = world.internet.add_nat(SYMMETRIC, "203.0.113.2".parse().unwrap());
        world.internet.place(at("10.0.1.2:1").ip(), office);
        world.internet.place(at("10.0.1.3:1").ip(), office);
        world.relay(lync, RelayDialect::MsTurn, Transport::Udp);
        match relayed {
            Some(Dialect::MsIce2) => world.relay(toward_lync, RelayDialect::MsTurn, Transport::Udp),
            Some(_) => world.relay(toward_room, RelayDialect::Rfc8656, Transport::Udp),
            None => {}
        }
        let now = world.now;
        for leg in [toward_lync, toward_room] {
            world.sides[leg].agent.add_stun_server(at(STUN), now);
        }
        world.gather();
        Self { world, sides: [lync, toward_lync, toward_room, room] }
    }

    fn connect(&mut self) {
        let [lync, toward_lync, toward_room, room] = self.sides;
        for (one, two) in [(lync, toward_lync), (toward_room, room)] {
            self.world.signal(one, two);
            self.world.signal(two, one);
        }
        let limit = self.world.elapsed() + secs(8);
        self.world.run_to_completion(limit);
    }

    /// A packet from end to end, in both directions and on both components.
    fn check_data(&mut self) {
        let [lync, toward_lync, toward_room, room] = self.sides;
        for component in [1, 2] {
            for (from, leg, other, to) in
                [(lync, toward_lync, toward_room, room), (room, toward_room, toward_lync, lync)]
            {
                let sent = [0x80, component as u8, from as u8];
                self.world.send(from, component, &sent);
                let limit = self.world.elapsed() + secs(1);
                self.world.run(limit, |world| !world.sides[leg].data.is_empty());
                let (_, _, octets) = self.world.sides[leg].data.remove(0);
                self.world.send(other, component, &octets);
                let limit = self.world.elapsed() + secs(1);
                self.world.run(limit, |world| !world.sides[to].data.is_empty());
                let (_, _, octets) = self.world.sides[to].data.remove(0);
                assert_eq!(octets, sent);
            }
        }
    }
}

#[test]
fn a_gateway_bridges_the_dialects_with_a_relayed_path_on_either_leg() {
    for relayed in [Dialect::MsIce2, Dialect::Rfc8445] {
        for lite in [false, true] {
            let mut bridge = Bridge::new(Some(relayed), lite);
            bridge.connect();
            let done = bridge.world.sides.iter().all(|side| side.is_completed());
            assert!(done, "{relayed:?} lite {lite}");
            let kind = |side: usize| {
                let side = &bridge.world.sides[side];
                side.agent.selected(side.stream, 1).unwrap().local_candidate.kind
            };
            let [lync, toward_lync, ..] = bridge.sides;
            assert!([kind(lync), kind(toward_lync)].contains(&CandidateKind::Relay));
            bridge.check_data();
        }
    }
}

#[test]
fn a_gateway_bridges_to_an_endpoint_without_ice() {
    for relayed in [Dialect::MsIce2, Dialect::Rfc8445] {
        let mut bridge = Bridge::new(Some(relayed), false);
        let [lync, toward_lync, toward_room, room] = bridge.sides;
        bridge.world.signal(lync, toward_lync);
        bridge.world.signal(toward_lync, lync);
        // The room sends where the default candidate says, and takes what comes from there.
        let now = bridge.world.now;
        for (one, two) in [(toward_room, room), (room, toward_room)] {
            let side = &bridge.world.sides[two];
            let defaults = [1, 2].map(|component| {
                side.agent.default_candidate(side.stream, component).unwrap().address
            });
            let side = &mut bridge.world.sides[one];
            side.agent.set_remote_without_ice(side.stream, &defaults, now).unwrap();
            assert!(side.agent.selected(side.stream, 2).is_some());
        }
        let limit = bridge.world.elapsed() + secs(8);
        bridge.world.run_to_completion(limit);
        if relayed == Dialect::Rfc8445 {
            let side = &bridge.world.sides[toward_room];
            let pair = side.agent.selected(side.stream, 1).unwrap();
            assert_eq!(pair.local_candidate.kind, CandidateKind::Relay);
            bridge.check_data();
        }
        // Nothing but media ever reaches such an endpoint.
        let before = bridge.world.elapsed();
        bridge.world.run(before + secs(60), |_| false);
        let room = &bridge.world.sides[room];
        assert!(room.agent.poll_timeout().is_none() && room.data.is_empty());
    }
}
