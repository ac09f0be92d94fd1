//! Values of `o=`, `c=` and `b=`.

use core::fmt;
use core::net::IpAddr;

use crate::mline::{decimal, split_token};

/// The `o=` line (RFC 8866 §5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Origin<'a> {
    /// User name, or `-`.
    pub username: &'a str,
    /// Session id, a decimal number as written.
    pub session_id: &'a str,
    /// Session version, a decimal number as written.
    pub version: &'a str,
    /// Network type, `IN`.
    pub network: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// Address or host name.
    pub address: &'a str,
}

impl<'a> Origin<'a> {
    /// Parses the value of an `o=` line: six fields, the second and the third numbers of any
    /// size. A minus sign is let through, because deployed senders print signed numbers.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let number = |s: &str| {
            let digits = s.strip_prefix('-').unwrap_or(s);
            !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        };
        let (username, rest) = split_token(value);
        let (session_id, rest) = split_token(rest);
        let (version, rest) = split_token(rest);
        let (network, rest) = split_token(rest);
        let (address_type, rest) = split_token(rest);
        let (address, rest) = split_token(rest);
        let whole = !username.is_empty()
            && number(session_id)
            && number(version)
            && !address.is_empty()
            && rest.is_empty();
        whole.then_some(Self { username, session_id, version, network, address_type, address })
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {}",
            self.username,
            self.session_id,
            self.version,
            self.network,
            self.address_type,
            self.address
        )
    }
}

/// A `c=` line (RFC 8866 §5.7).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Connection<'a> {
    /// Network type, `IN`.
    pub network: &'a str,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// Address or host name, without TTL and count.
    pub host: &'a str,
    /// TTL and number of addresses, as written after the first `/`.
    pub multicast: Option<&'a str>,
}

impl<'a> Connection<'a> {
    /// Parses the value of a `c=` line.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let (network, rest) = split_token(value);
        let (address_type, rest) = split_token(rest);
        let (address, rest) = split_token(rest);
        if network != "IN" || !matches!(address_type, "IP4" | "IP6") {
            // RFC 8866 §9 lets other networks register; what is no token pair is refused.
            let token = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric());
            if !token(network) || !token(address_type) {
                return None;
            }
        }
        if address.is_empty() || !rest.is_empty() {
            return None;
        }
        let (host, multicast) = match address.split_once('/') {
            Some((host, multicast)) => (host, Some(multicast)),
            None => (address, None),
        };
        Some(Self { network, address_type, host, multicast })
    }

    /// The address, when it is no host name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.network, self.address_type, self.host)?;
        self.multicast.map_or(Ok(()), |m| write!(f, "/{m}"))
    }
}

/// A `b=` line (RFC 8866 §5.8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Bandwidth<'a> {
    /// `CT`, `AS`, `TIAS`, `RR`, `RS` or another modifier.
    pub kind: &'a str,
    /// kbit/s for `CT` and `AS`, bit/s for `TIAS`, `RR` and `RS`.
    pub value: u64,
}

impl<'a> Bandwidth<'a> {
    /// Parses the value of a `b=` line.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Self> {
        let (kind, number) = value.split_once(':')?;
        let number = number.trim_matches(' ');
        if kind.is_empty() || number.is_empty() {
            return None;
        }
        decimal(number).map(|value| Self { kind, value })
    }
}

impl fmt::Display for Bandwidth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}
