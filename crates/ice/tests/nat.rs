//! The NAT matrix: every kind of translator against every other, with and without TURN, in both
//! dialects, at four rates of loss. They connect exactly where theory says that they can, on the
//! pair that the priorities give, in the time that pacing allows. `NAT_SEEDS=N` runs more seeds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod support;

use linkspan_ice::{
    AgentConfig, CandidateKind, Dialect, IceEvent, RelayDialect, SelectedPair, Transport,
};
use linkspan_testnet::{Filtering, Link, Mapping, NatConfig};
use std::time::Duration;
use support::internet::{STUN, TURN, World, at};
use support::roles;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    None,
    FullCone,
    AddressRestricted,
    PortRestricted,
    Symmetric,
    SymmetricHairpin,
    Blocked,
}

const PLACES: [Place; 7] = [
    Place::None,
    Place::FullCone,
    Place::AddressRestricted,
    Place::PortRestricted,
    Place::Symmetric,
    Place::SymmetricHairpin,
    Place::Blocked,
];

impl Place {
    const fn nat(self) -> Option<NatConfig> {
        let (one, each) = (Mapping::EndpointIndependent, Mapping::AddressAndPortDependent);
        Some(match self {
            Self::None | Self::Blocked => return None,
            Self::FullCone => NatConfig::new(one, Filtering::EndpointIndependent),
            Self::AddressRestricted => NatConfig::new(one, Filtering::AddressDependent),
            Self::PortRestricted => NatConfig::new(one, Filtering::AddressAndPortDependent),
            Self::Symmetric => NatConfig::new(each, Filtering::AddressAndPortDependent),
            Self::SymmetricHairpin => NatConfig {
                hairpin: true,
                ..NatConfig::new(each, Filtering::AddressAndPortDependent)
            },
        })
    }

    const fn is_symmetric(self) -> bool {
        matches!(self, Self::Symmetric | Self::SymmetricHairpin)
    }

    /// Only packets from where it has written to come in.
    const fn is_strict(self) -> bool {
        self.is_symmetric() || matches!(self, Self::PortRestricted)
    }
}

/// Whether datagrams can go directly: not where one side's port is another for each peer, and the
/// other side takes packets of known ports only.
const fn is_direct(left: Place, right: Place) -> bool {
    if matches!(left, Place::Blocked) || matches!(right, Place::Blocked) {
        return false;
    }
    !(left.is_strict() && right.is_strict() && (left.is_symmetric() || right.is_symmetric()))
}

#[derive(Clone, Copy, Debug)]
struct Case {
    left: Place,
    right: Place,
    has_turn: bool,
    dialect: Dialect,
    loss: f64,
    seed: u64,
}

impl Case {
    const fn connects(&self) -> bool {
        self.has_turn || is_direct(self.left, self.right)
    }

    /// Whose relays the best pair of those that work goes through. Without a direct path the
    /// controlling side's own address counts most (RFC 8445 §6.1.2.3), where it gets out.
    const fn relays(&self) -> (bool, bool) {
        let (left, right) =
            (matches!(self.left, Place::Blocked), matches!(self.right, Place::Blocked));
        match is_direct(self.left, self.right) {
            true => (false, false),
            false => (left, right || !left),
        }
    }

    fn world(&self) -> World {
        let mut world =
            World::new(self.seed, Link { jitter: Duration::from_millis(5), ..Link::default() });
        let (left, right) = roles(self.dialect);
        // Both in rooms behind one translator where it turns packets round.
        let is_shared = self.left == Place::SymmetricHairpin && self.left == self.right;
        let mut shared = None;
        for (index, (config, place)) in
            [(left, self.left), (right, self.right)].into_iter().enumerate()
        {
            self.add(&mut world, config, place, index, shared);
            shared = is_shared.then_some(0);
        }
        world.gather();
        world
    }

    fn add(
        &self,
        world: &mut World,
        config: AgentConfig,
        place: Place,
        index: usize,
        shared: Option<usize>,
    ) {
        let host = match place.nat() {
            Some(_) => format!("10.0.{index}.2:5000"),
            None => format!("192.0.2.{}:5000", index + 1),
        };
        let side = world.add(config, &host, 1);
        if let Some(config) = place.nat() {
            let outside = format!("203.0.113.{}", index + 1).parse().unwrap();
            let nat = shared.unwrap_or_else(|| world.internet.add_nat(config, outside));
            world.internet.place(at(&host).ip(), nat);
        }
        if place == Place::Blocked {
            world.internet.block(at(&host).ip());
        }
        let relay = match self.dialect {
            Dialect::MsIce2 => RelayDialect::MsTurn,
            _ => RelayDialect::Rfc8656,
        };
        let is_blocked = place == Place::Blocked;
        if self.has_turn {
            let transport = if is_blocked { Transport::Tcp } else { Transport::Udp };
            world.relay(side, relay, transport);
        } else if !is_blocked {
            let now = world.now;
            world.sides[side].agent.add_stun_server(at(STUN), now);
        }
    }

    /// What is wrong with the outcome.
    fn fault(&self) -> Option<String> {
        let mut world = self.world();
        let begun = world.elapsed();
        // All of it at one end, so that it counts once between the two and once to the relay.
        let lossy = world.sides[self.seed as usize % 2].host.ip();
        world.internet.set_loss(lossy, self.loss);
        world.signal(0, 1);
        world.signal(1, 0);
        let failed = |world: &World| {
            world.sides.iter().all(|side| side.has(|e| matches!(e, IceEvent::Failed { .. })))
        };
        world.run(begun + Duration::from_secs(80), |world| {
            failed(world) || world.sides.iter().all(|side| side.is_completed())
        });
        let took = world.elapsed() - begun;
        if world.sides.iter().all(|side| side.is_completed()) != self.connects() {
            let events: Vec<_> =
                world.sides.iter().map(|side| format!("{:?}", side.events)).collect();
            return Some(format!("connected: {} after {took:?}; {events:?}", !self.connects()));
        }
        if !self.connects() {
            return (!failed(&world)).then(|| "neither connected nor failed".to_owned());
        }
        let pairs: Vec<SelectedPair> =
            world.sides.iter().map(|side| side.agent.selected(side.stream, 1).unwrap()).collect();
        if (pairs[0].local_candidate.address, pairs[0].remote)
            != (pairs[1].remote, pairs[1].local_candidate.address)
        {
            return Some(format!("not the same pair: {pairs:?}"));
        }
        if self.loss > 0.0 {
            return None;
        }
        let relays = (is_relayed(&pairs[0]), is_relayed(&pairs[1]));
        if relays != self.relays() {
            return Some(format!("relays {relays:?} instead of {:?}: {pairs:?}", self.relays()));
        }
        (took > self.bound()).then(|| format!("{took:?} where {:?} would do", self.bound()))
    }

    /// Six pairs at the pace of the dialect, one repetition where the first packet met a closed
    /// door, the wait for a better pair, and three round trips through two relays with jitter.
    fn bound(&self) -> Duration {
        let config = AgentConfig::new(self.dialect, linkspan_ice::Role::Controlling);
        config.ta * 6 + config.rto + config.nomination_delay + Duration::from_millis(3 * 90)
    }
}

fn is_relayed(pair: &SelectedPair) -> bool {
    pair.local.ip() == at(TURN).ip() && pair.local_candidate.kind == CandidateKind::Relay
}

fn seeds() -> u64 {
    std::env::var("NAT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(2)
}

fn run(dialect: Dialect, loss: f64) {
    let mut faults = Vec::new();
    let mut count = 0;
    for left in PLACES {
        for right in PLACES {
            for has_turn in [false, true] {
                for seed in 0..seeds() {
                    let case = Case { left, right, has_turn, dialect, loss, seed };
                    count += 1;
                    faults.extend(case.fault().map(|fault| format!("{case:?}: {fault}")));
                }
            }
        }
    }
    println!("{dialect:?} at {loss} loss: {count} worlds, {} faults", faults.len());
    let shown = faults.get(..faults.len().min(12)).unwrap_or(&faults);
    assert!(faults.is_empty(), "{} of {count} worlds:\n{}", faults.len(), shown.join("\n"));
}

macro_rules! matrix {
    ($($name:ident: $dialect:ident, $loss:literal;)*) => {
        $(#[test]
        fn $name() {
            run(Dialect::$dialect, $loss);
        })*
    };
}

matrix! {
    rfc8445_without_loss: Rfc8445, 0.0;
    rfc8445_at_10_percent: Rfc8445, 0.1;
    rfc8445_at_30_percent: Rfc8445, 0.3;
    rfc8445_at_50_percent: Rfc8445, 0.5;
    ms_ice2_without_loss: MsIce2, 0.0;
    ms_ice2_at_10_percent: MsIce2, 0.1;
    ms_ice2_at_30_percent: MsIce2, 0.3;
    ms_ice2_at_50_percent: MsIce2, 0.5;
}
