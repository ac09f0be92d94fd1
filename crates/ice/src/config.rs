use crate::Limits;
use std::time::Duration;

/// Which ICE the peer speaks. A leg never changes it in a session.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// RFC 8445, and RFC 5245 as read.
    #[default]
    Rfc8445,
    /// [MS-ICE2]: Office Communicator 2007 R2, Lync, Skype for Business.
    MsIce2,
    /// The older [MS-ICE], ICE draft 06: Office Communicator 2007. See
    /// [`set_remote_older`](crate::Agent::set_remote_older).
    MsIce1,
}

/// Which side decides the pair (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Role {
    /// This side nominates: it sent the first offer, or the peer is lite.
    #[default]
    Controlling,
    /// The peer nominates.
    Controlled,
}

impl Role {
    /// The other one.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Controlling => Self::Controlled,
            Self::Controlled => Self::Controlling,
        }
    }
}

/// How a controlling agent nominates. A controlled agent follows either.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Nomination {
    /// RFC 8445 §8.1.1: checks first, then one more check with USE-CANDIDATE on the best pair.
    #[default]
    Regular,
    /// RFC 5245 §8.1.1.2: USE-CANDIDATE in every check. One round trip less.
    Aggressive,
}

/// Configuration of an [`Agent`](crate::Agent).
///
/// ```
/// use linkspan_ice::{AgentConfig, Dialect, Role};
///
/// let config = AgentConfig { lite: false, ..AgentConfig::new(Dialect::MsIce2, Role::Controlled) };
/// assert_eq!(config.limits.pairs, 80);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AgentConfig {
    /// Dialect of the peer.
    pub dialect: Dialect,
    /// Role at the start; a role conflict may change it.
    pub role: Role,
    /// How to nominate while controlling.
    pub nomination: Nomination,
    /// RFC 8445 §2.5: answer checks, send none. The peer must be full.
    pub lite: bool,
    /// RFC 8838: the peer's candidates may still come after
    /// [`set_remote`](crate::Agent::set_remote), until
    /// [`end_of_remote_candidates`](crate::Agent::end_of_remote_candidates).
    pub trickle: bool,
    /// Time between two new checks, RFC 8445 §14.2. Default 50 ms; 20 ms in MS-ICE2.
    pub ta: Duration,
    /// Least time until a check is repeated, RFC 8445 §14.3. Default 500 ms.
    pub rto: Duration,
    /// Time until a check is repeated once more: doubled, it grows no further than this, or than
    /// its first. Default 500 ms, which is no growth.
    ///
    /// RFC 8445 §14.3 makes the first interval as long as all pairs at the pace of `ta` take, so
    /// that a constant one keeps to the pace too. Doubled to the end, as RFC 8489 §6.2.1 has it, a
    /// check is sent seven times in 40 s: too few where half of the packets are lost.
    pub rto_max: Duration,
    /// Most transmissions of one check, RFC 8489 §6.2.1 `Rc`. Default 64, 40 in MS-ICE2: as many as
    /// there is patience for. All pairs together send no more than a hundred pairs would with
    /// seven each, which is what RFC 8445 §6.1.2.5 and RFC 8489 allow.
    pub rc: u32,
    /// How long a check waits for its answer after its last transmission, in units of the first
    /// interval, RFC 8489 §6.2.1 `Rm`. Default 16.
    pub rm: u32,
    /// Regular nomination: how long after the first success a better pair may still come. The best
    /// pair of all is nominated at once. Default 500 ms; 3 s in MS-ICE2 ([MS-ICE] 3.1.6.2).
    pub nomination_delay: Duration,
    /// How long to go on before giving up, even with no pair left (RFC 8863). Default 39.5 s; 10 s
    /// in MS-ICE2.
    pub patience: Duration,
    /// Time between two Binding indications on a selected pair where consent checks are off,
    /// RFC 8445 §11. Default 15 s.
    pub keepalive: Duration,
    /// RFC 7675 consent freshness on selected pairs. Default on; off in MS-ICE2, which has none.
    pub consent: Option<Consent>,
    /// MS-ICE2: send a second copy of each check and response with the altered fingerprint until
    /// the peer has shown an implementation version, which products before Lync 2013 need. Only
    /// where the two fingerprints differ. Default on.
    pub altered_copies: bool,
    /// Bounds.
    pub limits: Limits,
}

impl AgentConfig {
    /// The defaults of a dialect.
    #[must_use]
    pub fn new(dialect: Dialect, role: Role) -> Self {
        let ms = dialect != Dialect::Rfc8445;
        Self {
            dialect,
            role,
            nomination: Nomination::Regular,
            lite: false,
            trickle: false,
            ta: Duration::from_millis(if ms { 20 } else { 50 }),
            rto: Duration::from_millis(500),
            rto_max: Duration::from_millis(500),
            rc: if ms { 40 } else { 64 },
            rm: 16,
            nomination_delay: Duration::from_millis(if ms { 3000 } else { 500 }),
            patience: Duration::from_millis(if ms { 10_000 } else { 39_500 }),
            keepalive: Duration::from_secs(15),
            consent: (!ms).then(Consent::default),
            altered_copies: true,
            limits: Limits {
                pairs: if ms { 80 } else { 100 },
                candidates: if dialect == Dialect::MsIce1 { 20 } else { 128 },
                ..Limits::default()
            },
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self::new(Dialect::default(), Role::default())
    }
}

/// Timing of consent checks (RFC 7675 §5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Consent {
    /// Mean time between two checks; each is drawn from 80 % to 120 % of it. Default 5 s.
    pub interval: Duration,
    /// Without an answer for so long the consent is lost. Default 30 s.
    pub expiry: Duration,
}

impl Default for Consent {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), expiry: Duration::from_secs(30) }
    }
}
