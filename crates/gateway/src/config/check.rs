use super::{Config, IceKind, SideConfig, SignallingTransport, TurnTransport, is_e164};
use crate::id::Side;
use crate::ports::Ports;

/// A configuration that a gateway would not start with: every problem, not only the first.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} problems in the configuration, first: {}", .problems.len(), Self::first(.problems))]
pub struct ConfigError {
    /// What is wrong, in the order of the fields.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    fn first(problems: &[Problem]) -> String {
        problems.first().map(|p| format!("{}: {}", p.field, p.reason)).unwrap_or_default()
    }
}

/// One thing that is wrong in a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The field, as a path: `routes[2].next-hops`.
    pub field: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Config {
    /// Checks what the types alone cannot say.
    ///
    /// # Errors
    ///
    /// Every problem found.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut report = |field: String, reason: &'static str| {
            problems.push(Problem { field, reason });
        };
        if self.name.is_empty() || self.name.contains(|c: char| c.is_whitespace() || c == '"') {
            report("name".into(), "expected a host name");
        }
        if self.product.contains(|c: char| c.is_control()) {
            report("product".into(), "control characters cannot stand in a header");
        }
        check_side(Side::Lync, &self.lync, &mut report);
        check_side(Side::Standard, &self.standard, &mut report);
        self.check_routes(&mut report);
        self.check_numbers(&mut report);
        self.check_conferences(&mut report);
        self.check_overlap(&mut report);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    fn check_routes(&self, report: &mut impl FnMut(String, &'static str)) {
        for (n, route) in self.routes.iter().enumerate() {
            if route.next_hops.is_empty() {
                report(format!("routes[{n}].next-hops"), "no next hop");
            }
            if route.max_calls.is_some() && route.name.is_none() {
                report(format!("routes[{n}].max-calls"), "calls are counted by the route's name");
            }
            let same = |other: &super::Route| other.name.is_some() && other.name == route.name;
            if self.routes.iter().take(n).any(same) {
                report(format!("routes[{n}].name"), "another route has this name");
            }
            if route.from == Some(route.to) {
                report(format!("routes[{n}].from"), "a call never goes back to where it came from");
            }
            let udp = |hop: &super::NextHop| hop.transport == SignallingTransport::Udp;
            if route.to == Side::Lync && route.next_hops.iter().any(udp) {
                report(format!("routes[{n}].next-hops"), "lync has no UDP");
            }
        }
    }

    fn check_numbers(&self, report: &mut impl FnMut(String, &'static str)) {
        for (n, rule) in self.dial_plan.iter().enumerate() {
            if rule.strip > rule.pattern.shortest() {
                report(format!("dial-plan[{n}].strip"), "longer than what is dialled may be");
            }
            let digits = rule.prepend.strip_prefix('+').unwrap_or(&rule.prepend);
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                report(
                    format!("dial-plan[{n}].prepend"),
                    "expected digits, with + in front or not",
                );
            }
        }
        for (n, user) in self.users.iter().enumerate() {
            if !is_e164(&user.number) {
                report(format!("users[{n}].number"), "expected + and up to 15 digits");
            }
            if user.address().is_none() {
                report(format!("users[{n}].uri"), "expected user@domain");
            }
            if self.users.iter().take(n).any(|other| other.number == user.number) {
                report(format!("users[{n}].number"), "another user has this number");
            }
        }
    }

    fn check_conferences(&self, report: &mut impl FnMut(String, &'static str)) {
        for (n, alias) in self.conferences.iter().enumerate() {
            // One that is built from what is dialled cannot be judged here.
            if alias.focus.is_some() && alias.resolve("", "").is_none() {
                let reason =
                    "expected the address of a focus, or a join link with organizer-domain";
                report(format!("conferences[{n}].focus"), reason);
            }
        }
    }

    fn check_overlap(&self, report: &mut impl FnMut(String, &'static str)) {
        let (a, b) = (&self.lync, &self.standard);
        let apart = a.last_port < b.first_port || b.last_port < a.first_port;
        if a.media_address == b.media_address && !apart {
            report("standard.first-port".into(), "the two sides' media ports overlap");
        }
        for listener in &a.listeners {
            if b.listeners.contains(listener) {
                report("standard.listeners".into(), "a listener belongs to one side only");
            }
        }
    }
}

fn check_side(side: Side, config: &SideConfig, report: &mut impl FnMut(String, &'static str)) {
    let range = config.first_port..=config.last_port;
    if Ports::new(range, core::time::Duration::ZERO).pairs() == 0 || config.first_port == 0 {
        report(format!("{side}.first-port"), "no pair of ports in the range");
    }
    if config.audio.is_empty() {
        report(format!("{side}.audio"), "no audio codec");
    }
    if !(200..=60_000).contains(&config.max_payload) {
        report(format!("{side}.max-payload"), "expected 200 to 60000 octets");
    }
    if side == Side::Standard && config.ice == IceKind::MsIce2 {
        report(format!("{side}.ice"), "MS-ICE2 is Lync's");
    }
    for (n, server) in config.turn.iter().enumerate() {
        if server.relay(linkspan_ice::RelayDialect::Rfc8656).is_none() {
            report(format!("{side}.turn[{n}]"), "expected base64 behind b64:");
        }
        if config.ice == IceKind::None {
            report(format!("{side}.turn[{n}]"), "a relay is of use with ICE only");
        }
        if side == Side::Lync && server.transport == TurnTransport::Tls {
            report(format!("{side}.turn[{n}].transport"), "MS-TURN has tcp, and no tls of its own");
        }
        if server.address.is_ipv4() != config.media_address.is_ipv4() {
            report(format!("{side}.turn[{n}].address"), "not of the media address's family");
        }
    }
    let profile = &config.h264.profile_level_id;
    if profile.len() != 6 || !profile.bytes().all(|b| b.is_ascii_hexdigit()) {
        report(format!("{side}.h264.profile-level-id"), "expected six hex digits");
    }
    if config.media_address.is_unspecified() {
        report(format!("{side}.media-address"), "expected the address of one interface");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DialRule, Route, User};

    fn fields(config: &Config) -> Vec<String> {
        config.check().err().map_or_else(Vec::new, |e| {
            assert!(!e.to_string().is_empty());
            e.problems.into_iter().map(|p| p.field).collect()
        })
    }

    #[test]
    fn defaults_are_sound() {
        assert_eq!(fields(&Config::default()), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_named() {
        let mut config = Config { name: "a b".into(), ..Config::default() };
        config.lync.first_port = 50_001;
        config.lync.last_port = 50_001;
        config.standard.audio.clear();
        config.standard.ice = IceKind::MsIce2;
        config.standard.h264.profile_level_id = "42".into();
        config.standard.max_payload = 10;
        config.routes.push(Route::new("example.test".parse().unwrap(), Side::Lync));
        config.routes.push(Route::new("example.test".parse().unwrap(), Side::Lync));
        config.routes[0].max_calls = Some(3);
        config.routes[1].from = Some(Side::Lync);
        config.routes[1].next_hops.push("udp:192.0.2.1".parse().unwrap());
        let mut rule = DialRule::new("0".parse().unwrap());
        (rule.strip, rule.prepend) = (2, "+1 425".into());
        config.dial_plan.push(rule);
        config.users = vec![User::new("1", "alice@example.test"), User::new("1", "bob")];
        assert_eq!(
            fields(&config),
            [
                "name",
                "lync.first-port",
                "standard.audio",
                "standard.max-payload",
                "standard.ice",
                "standard.h264.profile-level-id",
                "routes[0].next-hops",
                "routes[0].max-calls",
                "routes[1].from",
                "routes[1].next-hops",
                "dial-plan[0].strip",
                "dial-plan[0].prepend",
                "users[0].number",
                "users[1].number",
                "users[1].uri",
                "users[1].number",
                "standard.first-port",
            ]
        );
    }
}
