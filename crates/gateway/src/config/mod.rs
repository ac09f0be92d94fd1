//! What an operator decides: addresses, routes, encryption, limits.

mod check;
mod conference;
#[cfg(feature = "serde")]
mod file;
mod hop;
mod number;
mod route;
mod side;
mod turn;

pub use check::{ConfigError, Problem};
pub use conference::ConferenceAlias;
pub(crate) use conference::focus_of;
pub use hop::{NextHop, NextHopError};
pub(crate) use number::is_e164;
pub use number::{DialRule, NumberPattern, NumberPatternError, User};
pub use route::{DomainPattern, PatternError, Route};
pub use side::{
    AddressRange, AudioCodec, DamagedVideo, Encryption, H264, IceKind, Listener,
    PacketizationModes, SideConfig, SignallingTransport,
};
pub use turn::{TurnServer, TurnTransport};

use std::net::{IpAddr, SocketAddr};

use crate::id::Side;
use crate::limits::{Limits, Timers};

/// The configuration of a [`Gateway`](crate::Gateway).
///
/// With the feature `serde` it is read from any format; the names are in kebab case:
///
/// ```toml
/// name = "gw.example.test"
/// [lync]
/// listeners = [{ transport = "tls", address = "192.0.2.80:5061" }]
/// media-address = "192.0.2.80"
/// encryption = "required"
/// [standard]
/// listeners = [{ transport = "tcp", address = "198.51.100.80:5060" }]
/// media-address = "198.51.100.80"
/// [[routes]]
/// domain = "video.example.test"
/// to = "standard"
/// next-hops = ["tcp:198.51.100.10:5060"]
/// ```
///
/// ```
/// use linkspan_gateway::{Config, Route, Side};
///
/// let mut config = Config::default();
/// config.routes.push(Route::new("*.video.example.test".parse()?, Side::Standard));
/// config.routes[0].next_hops.push("tcp:198.51.100.10:5060".parse()?);
/// assert!(config.check().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct Config {
    /// Name of the gateway: host part of its Contacts where a side names none, `source` of its
    /// diagnostics.
    pub name: String,
    /// `User-Agent` and `Server`.
    pub product: String,
    /// The Lync side.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "file::lync"))]
    pub lync: SideConfig,
    /// The standards side.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "file::standard"))]
    pub standard: SideConfig,
    /// What numbers become before they are looked up; the first rule that matches counts.
    pub dial_plan: Vec<DialRule>,
    /// Whose numbers are whose: reverse number lookup.
    pub users: Vec<User>,
    /// Where calls go: the narrowest that fits, as [`decide`](crate::decide) tells.
    pub routes: Vec<Route>,
    /// What standards-side callers dial to join Lync conferences; the first that matches counts,
    /// before any route. The way there is the route of the organiser's domain.
    pub conferences: Vec<ConferenceAlias>,
    /// Upper bound on video in kbit/s, written into both sides' descriptions and requests. A file
    /// may name a deployment's `MaxVideoRateAllowed` instead: `"VGA600K"`.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "file::video_kbps"))]
    pub max_video_kbps: u32,
    /// How long the gateway waits.
    pub timers: Timers,
    /// What it holds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "gateway.invalid".into(),
            product: concat!("linkspan-gateway/", env!("CARGO_PKG_VERSION")).into(),
            lync: SideConfig::lync(),
            standard: SideConfig::standard(),
            dial_plan: Vec::new(),
            users: Vec::new(),
            routes: Vec::new(),
            conferences: Vec::new(),
            max_video_kbps: 4_000,
            timers: Timers::default(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The configuration of one side.
    #[must_use]
    pub const fn side(&self, side: Side) -> &SideConfig {
        match side {
            Side::Lync => &self.lync,
            Side::Standard => &self.standard,
        }
    }

    /// Host names of next hops that have no address yet, each once.
    ///
    /// The gateway does not resolve names: whoever runs it does, before and whenever it likes,
    /// and tells the addresses to [`set_addresses`](Self::set_addresses).
    #[must_use]
    pub fn unresolved(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for hop in self.routes.iter().flat_map(|r| &r.next_hops) {
            if hop.addresses.is_empty() && !names.contains(&hop.host.as_str()) {
                names.push(&hop.host);
            }
        }
        names
    }

    /// Sets the addresses of every next hop called `host`.
    pub fn set_addresses(&mut self, host: &str, addresses: &[IpAddr]) {
        for hop in self.routes.iter_mut().flat_map(|r| &mut r.next_hops) {
            if hop.host.eq_ignore_ascii_case(host) {
                hop.addresses = addresses.to_vec();
            }
        }
    }

    /// The name that a TLS certificate of the next hop at `remote` must carry.
    #[must_use]
    pub fn tls_name(&self, remote: SocketAddr) -> Option<&str> {
        self.routes
            .iter()
            .flat_map(|r| &r.next_hops)
            .find(|hop| hop.port == remote.port() && hop.addresses.contains(&remote.ip()))
            .map(NextHop::tls_name)
    }
}
