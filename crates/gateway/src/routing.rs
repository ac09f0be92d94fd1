//! Where a call goes: pure functions from a request and a configuration to a decision.

use core::fmt;
use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::{Config, NumberPattern, Route};
use crate::dialling::{Dialled, dialled};
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
    /// How many of them go by each named route.
    pub calls_of: &'a [(&'a str, usize)],
    /// The gateway takes no new calls.
    pub draining: bool,
}

/// What becomes of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// It goes out.
    Route {
        /// The route that matched.
        route: &'a Route,
        /// Its position in the configuration.
        index: usize,
        /// User part of the new Request-URI: a number after the dial plan, or the user that it belongs
        /// to.
        user: Cow<'a, str>,
        /// Host part of the new Request-URI.
        host: &'a str,
        /// The new Request-URI is a phone number.
        phone: bool,
    },
    /// It is refused.
    Refuse(RefusalReason),
}

impl Decision<'_> {
    /// The decision in words, for a log line.
    #[must_use]
    pub fn explain(&self) -> String {
        match self {
            Self::Route { route, index, user, host, .. } => {
                let name = route.name.clone().unwrap_or_else(|| route.domain.to_string());
                format!("routes[{index}] ({name}) matches: {user}@{host} to {}", route.to)
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
    /// The routes that match have as many calls as they may.
    RouteFull,
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
            Self::Draining | Self::TooManyCalls | Self::RouteFull => 503,
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
            Self::RouteFull => "the route has as many calls as it may",
            Self::Hairpin => "the route leads back to the side that the call came from",
            Self::NoNextHop => "no next hop of the route has an address",
        })
    }
}

/// Decides about a call.
///
/// The order is: peer, capacity, hops and loops, target, dial plan, users' numbers, route. Among the
/// routes that fit, one for the number wins over one for the domain, the narrower number over the wider
/// one, then an exact domain over a suffix and a longer suffix over a shorter one; equals count in the
/// order of the configuration. One that has as many calls as it may is passed over. A call never goes
/// back to the side that it came from.
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
///     calls_of: &[],
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
    let dialled = dialled(query, config);
    let (mut back, mut full) = (false, false);
    let mut best: Option<(usize, &Route, Weight)> = None;
    for (index, route) in config.routes.iter().enumerate() {
        let Some(weight) = weight(route, &dialled, query.from) else { continue };
        if route.to == query.from {
            back = true;
        } else if is_full(route, query.calls_of) {
            full = true;
        } else if best.is_none_or(|(_, _, most)| weight > most) {
            best = Some((index, route, weight));
        }
    }
    match best {
        Some((_, route, _)) if route.next_hops.iter().all(|hop| hop.addresses.is_empty()) => {
            Decision::Refuse(RefusalReason::NoNextHop)
        }
        Some((index, route, _)) => {
            let host = route.request_host.as_deref().unwrap_or(dialled.host);
            let plain = dialled.user.strip_prefix('+').filter(|_| route.remove_plus);
            let user = plain.map(|user| user.to_owned().into()).unwrap_or(dialled.user);
            Decision::Route { route, index, user, host, phone: dialled.phone }
        }
        None if full => Decision::Refuse(RefusalReason::RouteFull),
        None if back => Decision::Refuse(RefusalReason::Hairpin),
        None => Decision::Refuse(RefusalReason::NoRoute),
    }
}

/// How narrow a route is: its number first, then its domain.
type Weight = (usize, usize);

/// How well a route fits; `None` where it does not.
fn weight(route: &Route, dialled: &Dialled<'_>, from: Side) -> Option<Weight> {
    let fits = route.domain.matches(dialled.host)
        && (!route.phone_only || dialled.phone)
        && route.from.is_none_or(|side| side == from);
    if !fits {
        return None;
    }
    let number = if route.numbers.is_empty() {
        0
    } else {
        let number = dialled.number.as_deref()?;
        let fitting = route.numbers.iter().filter(|pattern| pattern.matches(number));
        fitting.map(NumberPattern::weight).max()?
    };
    Some((number, route.domain.weight()))
}

fn is_full(route: &Route, calls_of: &[(&str, usize)]) -> bool {
    let Some((name, most)) = route.name.as_deref().zip(route.max_calls) else { return false };
    calls_of.iter().any(|(of, calls)| *of == name && *calls >= most)
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
            calls_of: &[],
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

    /// Two trunks for numbers, one of them for its own area and with room for two calls, and rooms.
    fn trunks() -> Config {
        let mut config = Config::default();
        for (name, numbers, hop) in [
            ("abroad", &["+*"][..], "tcp:198.51.100.1"),
            ("seattle", &["+1425*", "+1206*"], "tcp:198.51.100.2"),
            ("rooms", &[], "tcp:198.51.100.3"),
        ] {
            let mut route = Route::new("*".parse().unwrap(), Side::Standard);
            route.name = Some(name.into());
            route.numbers = numbers.iter().map(|text| text.parse().unwrap()).collect();
            route.next_hops.push(hop.parse().unwrap());
            config.routes.push(route);
        }
        config.routes[1].max_calls = Some(2);
        config.routes[1].remove_plus = true;
        let mut route = Route::new("example.test".parse().unwrap(), Side::Lync);
        route.next_hops.push("tls:192.0.2.12".parse().unwrap());
        config.routes.push(route);
        config.users = vec![crate::config::User::new("+14255550100", "alice@example.test")];
        config
    }

    #[test]
    fn numbers_find_the_trunk_with_the_narrowest_pattern_and_with_room() {
        let mut config = trunks();
        let mut failed = Vec::new();
        for (from, user, phone, busy, expected) in [
            (Side::Lync, "+442055501", true, 0, Ok((0, "+442055501"))),
            (Side::Lync, "+12065550101", true, 1, Ok((1, "12065550101"))),
            (Side::Lync, "+12065550101", true, 2, Ok((0, "+12065550101"))),
            (Side::Lync, "room7", false, 2, Ok((2, "room7"))),
            (Side::Lync, "7001", false, 2, Ok((2, "7001"))),
            // Alice's number is the way to alice, not to a trunk.
            (Side::Standard, "+1 425", true, 0, Err(RefusalReason::Hairpin)),
            (Side::Standard, "+14255550100", true, 0, Ok((3, "alice"))),
            (Side::Lync, "+14255550100", true, 0, Ok((2, "alice"))),
        ] {
            let calls_of = [("seattle", busy)];
            let query =
                RouteQuery { user, phone, calls_of: &calls_of, ..query(from, "gw.example.test") };
            let got = match decide(&query, &config) {
                Decision::Route { index, user, .. } => Ok((index, user.into_owned())),
                Decision::Refuse(reason) => Err(reason),
            };
            if got != expected.map(|(index, user)| (index, user.to_owned())) {
                failed.push((from, user, busy, got));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
        config.routes.remove(0);
        config.routes.remove(1);
        let calls_of = [("seattle", 2)];
        let query =
            RouteQuery { user: "+12065550101", calls_of: &calls_of, ..query(Side::Lync, "x") };
        assert_eq!(decide(&query, &config), Decision::Refuse(RefusalReason::RouteFull));
        assert_eq!(RefusalReason::RouteFull.status(), 503);
    }
}
