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
use support::internet::{STUN, Side, TURN, World, at};
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

/// What one side has for a component after gathering, which may have lost its questions.
#[derive(Clone, Copy, Debug)]
struct Found {
    place: Place,
    has_reflexive: bool,
    has_relay: bool,
}

impl Found {
    fn at(world: &World, side: usize, place: Place, component: u16) -> Self {
        let side = &world.sides[side];
        let has = |kind| {
            let mut candidates = side.agent.local_candidates(side.stream).iter();
            candidates.any(|c| c.kind == kind && c.component == component)
        };
        let (has_reflexive, has_relay) = (has(CandidateKind::Srflx), has(CandidateKind::Relay));
        Self { place, has_reflexive, has_relay }
    }

    /// The peer knows where its packets come from.
    const fn is_known(self) -> bool {
        matches!(self.place, Place::None) || self.has_reflexive
    }

    /// Whoever knows its address reaches it.
    const fn is_open(self) -> bool {
        matches!(self.place, Place::None | Place::FullCone) && self.is_known()
    }

    /// Its packets get into the relay of a peer, which lets in the addresses that it knows.
    const fn passes(self, relay: Self) -> bool {
        !matches!(self.place, Place::Blocked) && self.is_known() && relay.has_relay
    }
}

/// Whether datagrams can go directly: where one side is open, or each writes to the other. Not where
/// one side's port is another for each peer, and the other takes packets of known ports only.
const fn is_direct(left: Found, right: Found) -> bool {
    let (one, two) = (left.place, right.place);
    if matches!(one, Place::Blocked) || matches!(two, Place::Blocked) {
        return false;
    }
    let is_missed =
        one.is_strict() && two.is_strict() && (one.is_symmetric() || two.is_symmetric());
    left.is_open() || right.is_open() || (left.is_known() && right.is_known() && !is_missed)
}

const fn connects(left: Found, right: Found) -> bool {
    let has_relays = left.has_relay && right.has_relay;
    is_direct(left, right) || has_relays || left.passes(right) || right.passes(left)
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
    /// Whose relays the best pair of those that work goes through. Without a direct path the
    /// controlling side's own address counts most (RFC 8445 §6.1.2.3), where it gets out.
    const fn relays(&self, is_direct: bool) -> (bool, bool) {
        let (left, right) =
            (matches!(self.left, Place::Blocked), matches!(self.right, Place::Blocked));
        if is_direct { (false, false) } else { (left, right || !left) }
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
        self.lose(&mut world);
        world.gather();
        world
    }

    /// Of the packets between the two the given share is lost, and of those to servers as many or
    /// fewer: at both ends, or all of it at one.
    fn lose(&self, world: &mut World) {
        let each = 1.0 - (1.0 - self.loss).sqrt();
        let shares = match self.seed % 4 {
            0 | 2 => [each, each],
            1 => [self.loss, 0.0],
            _ => [0.0, self.loss],
        };
        for (side, share) in world.sides.iter().zip(shares) {
            world.internet.set_loss(side.host.ip(), share);
        }
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
        let side = world.add(config, &host, COMPONENTS);
        if let Some(config) = place.nat() {
            let outside = format!("203.0.113.{}", index + 1).parse().unwrap();
            let nat = shared.unwrap_or_else(|| world.internet.add_nat(config, outside));
            world.internet.place(at(&host).ip(), nat);
        }
        if place == Place::Blocked {
            world.internet.block(at(&host).ip());
        }
        let relay = match self.dialect {
            Dialect::Rfc8445 => RelayDialect::Rfc8656,
            _ => RelayDialect::MsTurn,
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

    /// How long it took to connect, where that was possible, or what is wrong with the outcome.
    fn outcome(&self) -> Result<Option<Duration>, String> {
        let mut world = self.world();
        let found: Vec<(Found, Found)> = (1..=COMPONENTS)
            .map(|component| {
                let left = Found::at(&world, 0, self.left, component);
                (left, Found::at(&world, 1, self.right, component))
            })
            .collect();
        let connects = found.iter().all(|(left, right)| connects(*left, *right));
        let begun = world.elapsed();
        world.signal(0, 1);
        world.signal(1, 0);
        let failed = |world: &World| {
            world.sides.iter().all(|side| side.has(|e| matches!(e, IceEvent::Failed { .. })))
        };
        world.run(begun + Duration::from_secs(160), |world| {
            failed(world) || world.sides.iter().all(|side| side.is_completed())
        });
        let took = world.elapsed() - begun;
        if world.sides.iter().all(|side| side.is_completed()) != connects {
            let events: Vec<_> = world.sides.iter().map(Side::brief).collect();
            return Err(format!("connected: {} after {took:?}; {found:?} {events:?}", !connects));
        }
        if !connects {
            // One may have selected what the other could not.
            let ends =
                |e: &IceEvent| matches!(e, IceEvent::Failed { .. } | IceEvent::ConsentLost { .. });
            let is_over = world.sides.iter().all(|side| side.is_completed() || side.has(ends));
            return is_over.then_some(None).ok_or_else(|| {
                let events: Vec<_> = world.sides.iter().map(Side::brief).collect();
                format!("neither connected nor failed: {found:?} {events:?}")
            });
        }
        if self.dialect == Dialect::MsIce1 {
            agree(&mut world)?;
        }
        for (component, (left, right)) in (1..).zip(found) {
            self.check_pair(&world, component, is_direct(left, right))?;
        }
        if self.loss == 0.0 && took > self.bound() {
            return Err(format!("{took:?} where {:?} would do", self.bound()));
        }
        Ok(Some(took))
    }

    /// Both have selected the same pair, the best where nothing was lost, and through relays where
    /// there is no other way.
    fn check_pair(&self, world: &World, component: u16, is_direct: bool) -> Result<(), String> {
        let pairs: Vec<SelectedPair> = world
            .sides
            .iter()
            .map(|side| side.agent.selected(side.stream, component).unwrap())
            .collect();
        // The older MS-ICE agrees by the final offer on a pair that one side may not have checked:
        // then it does not know how its own address is seen.
        let is_unseen =
            self.dialect == Dialect::MsIce1 && pairs[1].local == pairs[1].local_candidate.address;
        if pairs[0].local_candidate.address != pairs[1].remote
            || (pairs[0].remote != pairs[1].local_candidate.address && !is_unseen)
        {
            return Err(format!("component {component}: not the same pair: {pairs:?}"));
        }
        let relays = (is_relayed(&pairs[0]), is_relayed(&pairs[1]));
        let wanted = self.relays(is_direct);
        let is_right = match self.loss > 0.0 {
            false => relays == wanted,
            // A better pair may have lost its packets, but there is no way out of a blocked network.
            true => {
                (is_direct || relays.0 || relays.1)
                    && (self.left != Place::Blocked || relays.0)
                    && (self.right != Place::Blocked || relays.1)
            }
        };
        is_right.then_some(()).ok_or_else(|| {
            format!("component {component}: relays {relays:?} instead of {wanted:?}: {pairs:?}")
        })
    }

    /// Six pairs for each component at the pace of the dialect, one repetition where the first
    /// packet met a closed door, the wait for a better pair, once more for one checked late, and
    /// three round trips through two relays with jitter.
    fn bound(&self) -> Duration {
        let config = AgentConfig::new(self.dialect, linkspan_ice::Role::Controlling);
        let pairs = 6 * u32::from(COMPONENTS);
        let waits = config.rto + config.nomination_delay + config.rto * 3 / 2;
        config.ta * pairs + waits + Duration::from_millis(3 * 90)
    }

    /// In how much time nine of ten worlds have connected: of each component a check of either side
    /// and the nomination, one after the other, each as often as all of them succeed in nine of ten
    /// cases, when question and answer get through together with this chance.
    fn bound_of_most(&self) -> Duration {
        let config = AgentConfig::new(self.dialect, linkspan_ice::Role::Controlling);
        let misses = 1.0 - (1.0 - self.loss).powi(2);
        let trips = f64::from(3 * COMPONENTS);
        let tries = if self.loss > 0.0 { ((0.1 / trips).ln() / misses.ln()).ceil() } else { 1.0 };
        self.bound() + config.rto.mul_f64(3.0 * (tries - 1.0))
    }
}

/// The final offer of the older MS-ICE: each side had chosen for itself.
fn agree(world: &mut World) -> Result<(), String> {
    for component in 1..=COMPONENTS {
        let caller = &world.sides[0];
        let pair = caller.agent.selected(caller.stream, component).unwrap();
        let (user, remote) = (pair.remote_candidate.foundation, pair.local_candidate.address);
        let (now, callee) = (world.now, &mut world.sides[1]);
        let agreed = callee.agent.set_final_pair(callee.stream, component, &user, remote, now);
        agreed.map_err(|error| format!("component {component}: the final offer: {error}"))?;
    }
    Ok(())
}

fn is_relayed(pair: &SelectedPair) -> bool {
    pair.local.ip() == at(TURN).ip() && pair.local_candidate.kind == CandidateKind::Relay
}

/// RTP and RTCP.
const COMPONENTS: u16 = 2;

/// Two, and one of the older dialect, so that an ordinary run stays short.
fn seeds(dialect: Dialect) -> u64 {
    let ordinary = if dialect == Dialect::MsIce1 { 1 } else { 2 };
    std::env::var("NAT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(ordinary)
}

fn run(dialect: Dialect, loss: f64) {
    let (mut faults, mut times, mut count) = (Vec::new(), Vec::new(), 0);
    for left in PLACES {
        for right in PLACES {
            for has_turn in [false, true] {
                for seed in 0..seeds(dialect) {
                    let case = Case { left, right, has_turn, dialect, loss, seed };
                    count += 1;
                    match case.outcome() {
                        Ok(took) => times.extend(took),
                        Err(fault) => faults.push(format!("{case:?}: {fault}")),
                    }
                }
            }
        }
    }
    times.sort_unstable();
    let (most, last) = (times[times.len() * 9 / 10], times[times.len() - 1]);
    let connected = times.len();
    println!(
        "{dialect:?} at {loss} loss: {count} worlds, {connected} connected, nine of ten in {most:?}, \
         all in {last:?}, {} faults",
        faults.len()
    );
    let shown = faults.get(..faults.len().min(4)).unwrap_or(&faults);
    assert!(faults.is_empty(), "{} of {count} worlds:\n{}", faults.len(), shown.join("\n"));
    let place = Place::None;
    let any = Case { left: place, right: place, has_turn: true, dialect, loss, seed: 0 };
    assert!(most <= any.bound_of_most(), "{most:?} where {:?} would do", any.bound_of_most());
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
    ms_ice1_without_loss: MsIce1, 0.0;
    ms_ice1_at_30_percent: MsIce1, 0.3;
}
