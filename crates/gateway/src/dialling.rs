//! Who is called and who calls, where numbers are involved: pure functions of the configuration.

use std::borrow::Cow;

use crate::config::{Config, User, is_e164};
use crate::id::Side;
use crate::routing::RouteQuery;

/// What was dialled, after the dial plan and the users' numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dialled<'a> {
    /// User part of the new Request-URI.
    pub(crate) user: Cow<'a, str>,
    /// Host part that routes are looked up by.
    pub(crate) host: &'a str,
    /// The number, where it is one that belongs to no user.
    pub(crate) number: Option<String>,
    /// It is written as a phone number: `user=phone`.
    pub(crate) phone: bool,
}

/// Applies the dial plan, then the users' numbers.
///
/// What is dialled is a number where the URI says so (`tel:`, `user=phone`) or has nothing but digits
/// for a user; a name is left alone. Digits that no rule has touched stay as they were dialled: without
/// `+` and `user=phone` they may be a room's name.
pub(crate) fn dialled<'a>(query: &RouteQuery<'a>, config: &'a Config) -> Dialled<'a> {
    let Some(plain) = number_of(query.user) else {
        let (user, host) = (query.user.into(), query.host);
        return Dialled { user, host, number: None, phone: query.phone };
    };
    let planned = plan(&plain, query.from, config);
    let changed = planned.is_some() || query.phone || plain.starts_with('+');
    let number = planned.unwrap_or(plain);
    if let Some((user, host)) = owner(&number, config).and_then(User::address) {
        return Dialled { user: user.into(), host, number: None, phone: false };
    }
    let user = if changed { number.clone().into() } else { query.user.into() };
    Dialled { user, host: query.host, number: Some(number), phone: changed }
}

/// How the caller is named to the callee.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Caller {
    /// User and host in place of the caller's own.
    pub(crate) address: Option<(String, Option<String>)>,
    /// The address is a number's: `user=phone`.
    pub(crate) phone: bool,
    /// The caller's number, which a Lync callee is told beside the address.
    pub(crate) number: Option<String>,
}

/// Looks the caller up the other way round: toward Lync a number becomes its user's address; toward
/// the standards side, where a number is called, an address becomes its user's number, or the one that
/// the caller's side `asserts`.
pub(crate) fn caller(
    (user, host): (&str, &str),
    from: Side,
    asserted: Option<&str>,
    calls_number: bool,
    config: &Config,
) -> Caller {
    let number = match from {
        Side::Standard => number_of(user).map(|n| plan(&n, from, config).unwrap_or(n)),
        Side::Lync if calls_number => {
            let known = config.users.iter().find(|u| u.is(user, host)).map(|u| u.number.clone());
            known.or_else(|| asserted.and_then(number_of))
        }
        Side::Lync => None,
    };
    let Some(number) = number.filter(|n| is_e164(n)) else { return Caller::default() };
    if from == Side::Lync {
        return Caller { address: Some((number, None)), phone: true, number: None };
    }
    match owner(&number, config).and_then(User::address) {
        Some((user, host)) => {
            let address = Some((user.to_owned(), Some(host.to_owned())));
            Caller { address, phone: false, number: Some(number) }
        }
        None => Caller { address: Some((number.clone(), None)), phone: true, number: Some(number) },
    }
}

/// A user part that is a number, without parameters and visual separators (RFC 3966 §5.1.1).
fn number_of(user: &str) -> Option<String> {
    let user = user.split(';').next().unwrap_or_default();
    let (plus, digits) = match user.strip_prefix('+').or_else(|| user.strip_prefix("%2B")) {
        Some(digits) => ("+", digits),
        None => ("", user),
    };
    let mut number = String::from(plus);
    for c in digits.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')) {
        number.push(Some(c).filter(char::is_ascii_digit)?);
    }
    // ITU-T E.164: 15 digits; more may stand in front of them in what is dialled.
    ((1..=31).contains(&(number.len() - plus.len()))).then_some(number)
}

fn plan(number: &str, from: Side, config: &Config) -> Option<String> {
    let mut rules = config.dial_plan.iter().filter(|r| r.from.is_none_or(|side| side == from));
    rules.find_map(|rule| rule.apply(number))
}

fn owner<'a>(number: &str, config: &'a Config) -> Option<&'a User> {
    config.users.iter().find(|user| user.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DialRule;

    fn config() -> Config {
        let mut config = Config::default();
        for (pattern, strip, prepend) in [("XXXX", 0, "+1425555"), ("9*", 1, "+")] {
            let mut rule = DialRule::new(pattern.parse().unwrap());
            (rule.strip, rule.prepend) = (strip, prepend.into());
            config.dial_plan.push(rule);
        }
        config.users = vec![User::new("+14255550100", "alice@example.test")];
        config
    }

    #[test]
    fn numbers_are_read_planned_and_looked_up() {
        let config = config();
        let mut failed = Vec::new();
        for (user, phone, expected) in [
            ("room7", false, ("room7", "pbx.test", None, false)),
            ("room7", true, ("room7", "pbx.test", None, true)),
            ("0100", false, ("alice", "example.test", None, false)),
            ("+1-425-555-0100", true, ("alice", "example.test", None, false)),
            ("%2B14255550100", true, ("alice", "example.test", None, false)),
            ("0101", false, ("+14255550101", "pbx.test", Some("+14255550101"), true)),
            ("944205550100", true, ("+44205550100", "pbx.test", Some("+44205550100"), true)),
            ("(425)555.0101", true, ("4255550101", "pbx.test", Some("4255550101"), true)),
            (
                "1234;phone-context=x",
                true,
                ("+14255551234", "pbx.test", Some("+14255551234"), true),
            ),
            // No rule, and nothing says that it is more than a room's name.
            ("70-01", false, ("+14255557001", "pbx.test", Some("+14255557001"), true)),
            ("70010", false, ("70010", "pbx.test", Some("70010"), false)),
            ("+44205550100", false, ("+44205550100", "pbx.test", Some("+44205550100"), true)),
            ("", true, ("", "pbx.test", None, true)),
            ("+", true, ("+", "pbx.test", None, true)),
        ] {
            let query = RouteQuery {
                from: Side::Lync,
                peer: "192.0.2.1".parse().unwrap(),
                scheme: "sip",
                user,
                host: "pbx.test",
                phone,
                max_forwards: 70,
                visited: false,
                calls: 0,
                calls_of: &[],
                draining: false,
            };
            let got = dialled(&query, &config);
            let seen = (got.user.as_ref(), got.host, got.number.as_deref(), got.phone);
            if seen != expected {
                failed.push((user, got));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn a_rule_may_be_for_one_side() {
        let mut config = config();
        config.dial_plan[0].from = Some(Side::Standard);
        assert_eq!(plan("0100", Side::Lync, &config), None);
        assert_eq!(plan("0100", Side::Standard, &config).as_deref(), Some("+14255550100"));
    }

    #[test]
    fn callers_are_looked_up_the_other_way_round() {
        let config = config();
        let told = |from, (user, host), asserted, number| {
            caller((user, host), from, asserted, number, &config)
        };
        let pbx = |user| told(Side::Standard, (user, "pbx.test"), None, false);
        let owned = |text: &str| Some(text.to_owned());
        let address = Some(("alice".to_owned(), owned("example.test")));
        let alice = Caller { address, phone: false, number: owned("+14255550100") };
        assert_eq!((pbx("+14255550100"), pbx("0100")), (alice.clone(), alice));
        let number = "+442055501".to_owned();
        let stranger =
            Caller { address: Some((number.clone(), None)), phone: true, number: Some(number) };
        assert_eq!(pbx("+442055501"), stranger);
        assert_eq!((pbx("bob"), pbx("70010")), (Caller::default(), Caller::default()));

        let lync = |user, asserted, number| {
            told(Side::Lync, (user, "Example.test"), asserted, number).address
        };
        assert_eq!(lync("alice", None, true), Some(("+14255550100".into(), None)));
        assert_eq!(lync("bob", Some("+1-425-555-0101"), true), Some(("+14255550101".into(), None)));
        assert_eq!(lync("bob", Some("0101"), true), None);
        // A room is told who calls, not from which telephone.
        assert_eq!(lync("alice", None, false), None);
    }
}
