//! Where a call goes: pure functions from a request and a configuration to a decision.

use core::fmt;
use std::net::IpAddr;

use crate::config::{Config, Route};
use crate::id::Side;

/// What the decision about a call is made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouteQuery<'a> {
    /// The side that the INVITE came in by.
    pub from: Side,
    /// Address that it came from.
    pub peer: IpAddr,
    /// Scheme of the Request-URI.
    pub scheme: &'a str,
    /// User part of the Request-URI, undecoded; empty where there is none.
    pub user: &'a str,
    /// Host part of the Request-URI.
    pub host: &'a str,
    /// The Request-URI is a phone number: `user=phone` or `tel:`.
    pub phone: bool,
    /// `Max-Forwards`, 70 where the request has none.
    pub max_forwards: u32,
    /// The request carries this gateway's own mark: it has been here before.
    pub visited: bool,
    /// Calls that the gateway has now.
    pub calls: usize,
    /// The gateway takes no new calls.
    pub draining: bool,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// It goes out.
    Route {
        /// The route that matched.
        route: &'a Route,
        /// Its position in the configuration.
        index: usize,
        /// Host part of the new Request-URI.
        host: &'a str,
    },
    /// It is refused.
    Refuse(RefusalReason),
}

impl Decision<'_> {
    /// The decision in words, for a log line.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::Route { route, index, host } => {
                format!("routes[{index}] ({}) matches {host}: to {}", route.domain, route.to)
            }
            Self::Refuse(reason) => format!("refused with {}: {reason}", reason.status()),
        }
    }
}

/// Why a call was refused before a second leg existed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The sender's address is not among the side's peers.
    UntrustedPeer,
    /// The gateway is being shut down.
    Draining,
    /// The limit on calls is reached.
    TooManyCalls,
    /// `Max-Forwards` is 0.
    TooManyHops,
    /// The request has come through this gateway before.
    Loop,
    /// Neither `sip:` nor `sips:` nor `tel:`.
    UnsupportedScheme,
    /// The Request-URI names no user.
    NoUser,
    /// No route matches the domain.
    NoRoute,
    /// The only routes that match lead back to where the call came from.
    Hairpin,
    /// The matching route has no next hop with an address.
    NoNextHop,
}

impl RefusalReason {
    /// The status code of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::UntrustedPeer => 403,
            Self::Draining | Self::TooManyCalls => 503,
            Self::TooManyHops => 483,
            Self::Loop => 482,
            Self::UnsupportedScheme => 416,
            Self::NoUser | Self::NoRoute | Self::Hairpin => 404,
            Self::NoNextHop => 504,
        }
    }

    /// The id of an `ms-diagnostics` header that says the same ([MS-OCER] §7), where there is one.
    #[must_use]
    pub const fn diagnostic(self) -> Option<u32> {
        match self {
            Self::NoRoute => Some(1005),
            Self::NoUser | Self::Hairpin => Some(1003),
            Self::NoNextHop => Some(1007),
            Self::Loop => Some(13_000),
            _ => None,
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UntrustedPeer => "the sender is not a configured peer",
            Self::Draining => "the gateway takes no new calls",
            Self::TooManyCalls => "the limit on calls is reached",
            Self::TooManyHops => "Max-Forwards is 0",
            Self::Loop => "the request has been here before",
            Self::UnsupportedScheme => "the scheme of the Request-URI is not supported",
            Self::NoUser => "the Request-URI names no user",
            Self::NoRoute => "no route for the domain",
            Self::Hairpin => "the route leads back to the side that the call came from",
            Self::NoNextHop => "no next hop of the route has an address",
        })
    }
}

/// Decides about a call.
///
/// The order is: peer, capacity, hops and loops, target, route. Among the routes that fit, an
/// exact domain wins over a suffix and a longer suffix over a shorter one; equals count in the
/// order of the configuration. A call never goes back to the side that it came from.
///
/// ```
/// use linkspan_gateway::{Config, Decision, RefusalReason, Route, RouteQuery, Side, decide};
///
/// let mut config = Config::default();
/// config.routes.push(Route::new("video.example.test".parse()?, Side::Standard));
/// config.routes[0].next_hops.push("tcp:198.51.100.10".parse()?);
/// let query = RouteQuery {
///     from: Side::Lync,
///     peer: "192.0.2.12".parse()?,
///     scheme: "sip",
///     user: "room7",
///     host: "video.example.test",
///     phone: false,
///     max_forwards: 69,
///     visited: false,
///     calls: 0,
///     draining: false,
/// };
/// assert!(matches!(decide(&query, &config), Decision::Route { index: 0, .. }));
/// let elsewhere = RouteQuery { host: "example.test", ..query };
/// assert_eq!(decide(&elsewhere, &config), Decision::Refuse(RefusalReason::NoRoute));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn decide<'a>(query: &RouteQuery<'a>, config: &'a Config) -> Decision<'a> {
    if let Some(reason) = refuse(query, config) {
        return Decision::Refuse(reason);
    }
    let fits = |route: &Route| {
        route.domain.matches(query.host)
            && (!route.phone_only || query.phone)
            && route.from.is_none_or(|side| side == query.from)
    };
    let mut back = false;
    let mut best: Option<(usize, &Route)> = None;
    for (index, route) in config.routes.iter().enumerate().filter(|(_, r)| fits(r)) {
        if route.to == query.from {
            back = true;
        } else if best.is_none_or(|(_, b)| route.domain.weight() > b.domain.weight()) {
            best = Some((index, route));
        }
    }
    match best {
        Some((_, route)) if route.next_hops.iter().all(|hop| hop.addresses.is_empty()) => {
            Decision::Refuse(RefusalReason::NoNextHop)
        }
        Some((index, route)) => {
            let host = route.request_host.as_deref().unwrap_or(query.host);
            Decision::Route { route, index, host }
        }
        None if back => Decision::Refuse(RefusalReason::Hairpin),
        None => Decision::Refuse(RefusalReason::NoRoute),
    }
}

fn refuse(query: &RouteQuery<'_>, config: &Config) -> Option<RefusalReason> {
    let scheme = |name: &str| query.scheme.eq_ignore_ascii_case(name);
    let known = ["sip", "sips", "tel"].into_iter().any(scheme);
    if !config.side(query.from).trusts(query.peer) {
        Some(RefusalReason::UntrustedPeer)
    } else if query.draining {
        Some(RefusalReason::Draining)
    } else if query.calls >= config.limits.calls {
        Some(RefusalReason::TooManyCalls)
    } else if query.max_forwards == 0 {
        // RFC 3261 §16.3: a request with Max-Forwards 0 is not forwarded.
        Some(RefusalReason::TooManyHops)
    } else if query.visited {
        Some(RefusalReason::Loop)
    } else if !known {
        Some(RefusalReason::UnsupportedScheme)
    } else if query.user.is_empty() {
        Some(RefusalReason::NoUser)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        for (domain, to, hop) in [
            ("*", Side::Standard, "tcp:198.51.100.1"),
            ("*.example.test", Side::Standard, "tcp:198.51.100.2"),
            ("video.example.test", Side::Standard, "tcp:198.51.100.3"),
            ("example.test", Side::Lync, "tls:192.0.2.12"),
            ("dark.example.test", Side::Standard, "tls:unresolved.example.test"),
        ] {
            let mut route = Route::new(domain.parse().unwrap(), to);
            route.next_hops.push(hop.parse().unwrap());
            config.routes.push(route);
        }
        config.lync.peers = vec!["192.0.2.0/24".parse().unwrap()];
        config.limits.calls = 10;
        config
    }

    fn query<'a>(from: Side, host: &'a str) -> RouteQuery<'a> {
        RouteQuery {
            from,
            peer: "192.0.2.12".parse().unwrap(),
            scheme: "sip",
            user: "room7",
            host,
            phone: false,
            max_forwards: 70,
            visited: false,
            calls: 0,
            draining: false,
        }
    }

    #[test]
    fn the_narrowest_route_that_does_not_lead_back_wins() {
        use RefusalReason::{Hairpin, NoNextHop};
        use Side::{Lync, Standard};
        let config = config();
        let mut failed = Vec::new();
        for (from, host, expected) in [
            (Lync, "video.example.test", Ok(2)),
            (Lync, "VIDEO.example.test.", Ok(2)),
            (Lync, "other.example.test", Ok(1)),
            (Lync, "elsewhere.test", Ok(0)),
            // The exact route leads back to Lync, the catch-all does not.
            (Lync, "example.test", Ok(0)),
            (Standard, "example.test", Ok(3)),
            (Standard, "video.example.test", Err(Hairpin)),
            (Standard, "elsewhere.test", Err(Hairpin)),
            (Lync, "dark.example.test", Err(NoNextHop)),
        ] {
            let got = match decide(&query(from, host), &config) {
                Decision::Route { index, .. } => Ok(index),
                Decision::Refuse(reason) => Err(reason),
            };
            if got != expected {
                failed.push((from, host, got));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn refusals_come_in_their_order() {
        let config = config();
        let good = query(Side::Lync, "video.example.test");
        let rows = [
            (
                RouteQuery { peer: "203.0.113.1".parse().unwrap(), ..good },
                RefusalReason::UntrustedPeer,
                403,
            ),
            (RouteQuery { draining: true, ..good }, RefusalReason::Draining, 503),
            (RouteQuery { calls: 10, ..good }, RefusalReason::TooManyCalls, 503),
            (RouteQuery { max_forwards: 0, ..good }, RefusalReason::TooManyHops, 483),
            (RouteQuery { visited: true, ..good }, RefusalReason::Loop, 482),
            (RouteQuery { scheme: "mailto", ..good }, RefusalReason::UnsupportedScheme, 416),
            (RouteQuery { user: "", ..good }, RefusalReason::NoUser, 404),
        ];
        for (query, reason, status) in rows {
            let decision = decide(&query, &config);
            assert_eq!(decision, Decision::Refuse(reason));
            assert_eq!(reason.status(), status);
            assert!(decision.explain().contains(&status.to_string()));
        }
        // The standards side has no list of peers: anybody may call.
        let stranger = RouteQuery {
            peer: "203.0.113.1".parse().unwrap(),
            ..query(Side::Standard, "example.test")
        };
        assert!(matches!(decide(&stranger, &config), Decision::Route { index: 3, .. }));
    }

    #[test]
    fn phone_routes_take_phone_numbers_only_and_hosts_are_replaced() {
        let mut config = Config::default();
        let mut route = Route::new("*".parse().unwrap(), Side::Standard);
        route.phone_only = true;
        route.request_host = Some("pbx.example.test".into());
        route.next_hops.push("tcp:198.51.100.1".parse().unwrap());
        config.routes.push(route);
        let number = RouteQuery { phone: true, ..query(Side::Lync, "example.test") };
        let Decision::Route { host, .. } = decide(&number, &config) else { panic!("refused") };
        assert_eq!(host, "pbx.example.test");
        let name = query(Side::Lync, "example.test");
        assert_eq!(decide(&name, &config), Decision::Refuse(RefusalReason::NoRoute));
    }
}
