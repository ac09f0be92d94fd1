//! `a=candidate` of MS-ICE, as OCS 2007 and the fallback part of later offers have it.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::attribute::Fields;
use crate::{AttributeError, SessionDescription};

/// A candidate of the older MS-ICE (\[MS-ICE\] 3.1.4.8.1).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct LegacyCandidate<'a> {
    /// User name: base64 of 32 octets without padding; it identifies the candidate.
    pub user: &'a str,
    /// Component: 1 is RTP, 2 is RTCP.
    pub component: u16,
    /// Password: base64 of 16 octets without padding.
    pub password: &'a str,
    /// `UDP` or `TCP`; TCP is active and passive at once.
    pub transport: &'a str,
    /// Preference from 0 to 1, as written.
    pub preference: &'a str,
    /// Address and port.
    pub address: SocketAddr,
}

impl<'a> LegacyCandidate<'a> {
    /// Parses the attribute's value.
    ///
    /// # Errors
    ///
    /// When a field is missing or malformed, as in the candidates of later dialects.
    pub fn parse(value: &'a str) -> Result<Self, AttributeError> {
        let mut fields = Fields { value, rest: value };
        let user = fields.next("a user name")?;
        let component = fields.number("a component number")?;
        let password = fields.next("a password")?;
        let transport = fields.next("a transport")?;
        let not_a_preference = fields.error("a preference from 0 to 1");
        let preference = fields.next("a preference from 0 to 1")?;
        if !preference.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            || !(preference.starts_with("0.") || preference.starts_with("1."))
        {
            return Err(not_a_preference);
        }
        let no_address = fields.error("an address");
        let ip: IpAddr = fields.next("an address")?.parse().map_err(|_| no_address)?;
        let port = fields.number("a port")?;
        if !fields.rest.trim_matches(' ').is_empty() {
            return Err(fields.error("the end"));
        }
        let address = SocketAddr::new(ip, port);
        Ok(Self { user, component, password, transport, preference, address })
    }
}

/// Writes the value with the trailing blank that Microsoft writes.
impl fmt::Display for LegacyCandidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.user, self.component, self.password)?;
        write!(f, "{} {} ", self.transport, self.preference)?;
        write!(f, "{} {} ", self.address.ip(), self.address.port())
    }
}

impl fmt::Debug for LegacyCandidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyCandidate")
            .field("user", &self.user)
            .field("component", &self.component)
            .field("transport", &self.transport)
            .field("preference", &self.preference)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The fallback part of an offer with two versions of ICE: the sections of `real`, with candidates
/// of the older MS-ICE in place of its own. `candidates` has those of each section, in order.
///
/// ```
/// use linkspan_sdp::{SessionDescription, ms};
///
/// let real: SessionDescription =
///     "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=session\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
///      m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n".parse()?;
/// let older = ms::LegacyCandidate::parse(
///     "JWybPk+7SYFG73Awy/lTclLczq3XZLajL7sJrerhCcQ 1 qZcgOXU1K4eLFFyKQtiEzw UDP 0.830 192.0.2.1 4000")?;
/// let fallback = ms::fallback_offer(&real, &[&[older]]);
/// assert!(fallback.to_string().ends_with("UDP 0.830 192.0.2.1 4000 \r\n"));
/// assert!(!fallback.to_string().contains("ice-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn fallback_offer(
    real: &SessionDescription,
    candidates: &[&[LegacyCandidate<'_>]],
) -> SessionDescription {
    const OF_THE_OTHER: [&str; 6] = [
        "ice-ufrag",
        "ice-pwd",
        "ice-options",
        "candidate",
        "x-candidate-ipv6",
        "remote-candidates",
    ];
    let mut fallback = real.clone();
    for (index, media) in fallback.media.iter_mut().enumerate() {
        for name in OF_THE_OTHER {
            media.remove_attribute(name);
        }
        for candidate in candidates.get(index).copied().unwrap_or_default() {
            media.push_attribute("candidate", Some(&candidate.to_string()));
        }
    }
    fallback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let text = "JWybPk+7SYFG73Awy/lTclLczq3XZLajL7sJrerhCcQ 1 qZcgOXU1K4eLFFyKQtiEzw UDP 0.830 192.0.2.31 31848 ";
        let candidate = LegacyCandidate::parse(text).unwrap();
        assert_eq!(candidate.to_string(), text);
        assert!(!format!("{candidate:?}").contains("qZcg"));
        assert!(LegacyCandidate::parse("1 1 UDP 2130706431 192.0.2.31 15676 typ host ").is_err());
    }
}
