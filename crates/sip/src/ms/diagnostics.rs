//! `ms-diagnostics`, `ms-diagnostics-public` and `ms-client-diagnostics` (`[MS-OCER]`).

use core::fmt;
use std::borrow::Cow;

use crate::error::ValueError;
use crate::lex;
use crate::params::{Params, ParamsRef};

/// A value of the diagnostics family: an id and an unordered list of parameters.
///
/// ```
/// use linkspan_sip::ms::{Diagnostics, diagnostics_id};
///
/// let value = r#"52017;reason="Encryption levels dont match""#;
/// let diagnostics = Diagnostics::parse(value).unwrap();
/// assert_eq!(diagnostics.id, diagnostics_id::ENCRYPTION_MISMATCH);
/// assert_eq!(diagnostics.reason().unwrap(), "Encryption levels dont match");
/// assert_eq!(diagnostics.to_string(), value);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostics {
    /// The id, see [`diagnostics_id`].
    pub id: u32,
    /// The sub-code of OCS 2007 behind a dot.
    pub sub_id: Option<u32>,
    /// source, reason and whatever else stands there.
    pub params: Params,
}

impl Diagnostics {
    /// A value with a reason.
    pub fn new(id: u32, reason: &str) -> Self {
        let mut this = Self { id, sub_id: None, params: Params::default() };
        this.params.set_quoted("reason", reason);
        this
    }

    /// The same with `source`, the name of the server that says it.
    #[must_use]
    pub fn with_source(mut self, source: &str) -> Self {
        let rest = std::mem::take(&mut self.params);
        self.params.set_quoted("source", source);
        self.params = Params::from(ParamsRef::new(&format!("{}{rest}", self.params)));
        self
    }

    /// Parses a value. Parameters stand in any order, and any of them may be missing.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where the id is no number or a parameter is malformed.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let text = lex::trim(text);
        let end = memchr::memchr(b';', text.as_bytes()).unwrap_or(text.len());
        let code = lex::trim(text.get(..end).unwrap_or(""));
        let (id, sub_id) = match code.split_once('.') {
            Some((id, sub_id)) => (lex::number(id), Some(lex::number(sub_id))),
            None => (lex::number(code), None),
        };
        let fail = ValueError::new("ms-diagnostics", "an error id", 0);
        let params = ParamsRef::new(text.get(end..).unwrap_or(""));
        if let Some(bad) = params.fault() {
            return Err(ValueError::new("ms-diagnostics", "a parameter", end + bad));
        }
        Ok(Self {
            id: id.ok_or(fail)?,
            sub_id: sub_id.map(|sub_id| sub_id.ok_or(fail)).transpose()?,
            params: params.into(),
        })
    }

    /// The reason, unquoted.
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        self.params.as_ref().unquoted("reason")
    }

    /// The server that says it, unquoted.
    pub fn source(&self) -> Option<Cow<'_, str>> {
        self.params.as_ref().unquoted("source")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(sub_id) = self.sub_id {
            write!(f, ".{sub_id}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// The ids that a call meets (`[MS-OCER]`, and logs of real servers).
pub mod diagnostics_id {
    /// The final security handshake failed.
    pub const HANDSHAKE_FAILED: u32 = 1000;
    /// The caller may not talk to public providers.
    pub const PUBLIC_IM_NOT_ALLOWED: u32 = 1001;
    /// The caller may not talk to federated partners.
    pub const FEDERATION_NOT_ALLOWED: u32 = 1002;
    /// The user does not exist.
    pub const USER_UNKNOWN: u32 = 1003;
    /// The route set is no longer valid.
    pub const ROUTE_SET_INVALID: u32 = 1004;
    /// No route to the domain.
    pub const DOMAIN_NOT_ROUTABLE: u32 = 1005;
    /// The connection of the client failed.
    pub const CLIENT_CONNECTION: u32 = 1006;
    /// No route for now.
    pub const TEMPORARILY_NOT_ROUTABLE: u32 = 1007;
    /// The SRV record cannot be resolved.
    pub const SRV_NOT_RESOLVED: u32 = 1008;
    /// The SRV target is not in the domain.
    pub const SRV_DOMAIN_CONFLICT: u32 = 1009;
    /// No certificate trust with the next hop.
    pub const CERTIFICATE_NOT_TRUSTED: u32 = 1010;
    /// The previous hop gave no diagnostics.
    pub const PREVIOUS_HOP_SILENT: u32 = 1011;
    /// The caller may not talk to users outside.
    pub const OUTSIDE_NOT_ALLOWED: u32 = 1012;
    /// Clocks differ too much to authenticate.
    pub const CLOCK_SKEW: u32 = 1013;
    /// The host cannot be resolved.
    pub const HOST_NOT_RESOLVED: u32 = 1014;
    /// The federated peer gave no diagnostics.
    pub const FEDERATED_HOP_SILENT: u32 = 1034;
    /// No connection to the federated peer.
    pub const FEDERATED_PEER_UNREACHABLE: u32 = 1046;
    /// No TLS with the federated peer.
    pub const FEDERATED_TLS_FAILED: u32 = 1047;
    /// Several users own the calling number.
    pub const SEVERAL_OWNERS_OF_SOURCE: u32 = 4002;
    /// The called URI is not enabled or does not exist.
    pub const NOT_ENABLED: u32 = 4005;
    /// Several users own the called number.
    pub const SEVERAL_OWNERS_OF_TARGET: u32 = 4009;
    /// The endpoint id is missing.
    pub const EPID_MISSING: u32 = 4011;
    /// The endpoint id is too long.
    pub const EPID_TOO_LONG: u32 = 4012;
    /// The conferencing server has too many meetings.
    pub const MCU_FULL: u32 = 7000;
    /// The conference does not exist.
    pub const CONFERENCE_UNKNOWN: u32 = 7002;
    /// The conferencing server takes application/sdp alone.
    pub const SDP_ONLY: u32 = 7004;
    /// The user was not added to the conference.
    pub const NOT_PROVISIONED: u32 = 7006;
    /// The session description cannot be parsed.
    pub const SDP_PARSE: u32 = 7008;
    /// The call goes round in a loop.
    pub const CALL_TO_SELF: u32 = 13000;
    /// The user did it.
    pub const USER_ACTION: u32 = 51004;
    /// Media connectivity of the callee, in 200.
    pub const CALLEE_MEDIA: u32 = 51007;
    /// The encryption levels have nothing in common.
    pub const ENCRYPTION_MISMATCH: u32 = 52017;
    /// The call ended as media could not flow.
    pub const CONNECTIVITY_FAILED: u32 = 52031;
    /// The session description is not supported.
    pub const UNSUPPORTED_SDP: u32 = 52063;
    /// The dialog does not exist.
    pub const DIALOG_UNKNOWN: u32 = 52085;

    /// The message cannot be parsed.
    pub const PARSE_FAILURE: u32 = 1018;
    /// This type of request cannot go to or come from federated partners.
    pub const FEDERATION_REQUEST_TYPE: u32 = 1027;
    /// The federation's gateway of media traversal is not available to the conferencing server.
    pub const MCU_NO_TRAVERSAL: u32 = 7001;
    /// The conversation ended as nobody said anything.
    pub const INACTIVITY: u32 = 52094;

    /// What an id says, where it is one of the table.
    ///
    /// ```
    /// use linkspan_sip::ms::diagnostics_id;
    ///
    /// assert_eq!(diagnostics_id::meaning(1003), Some("the user does not exist"));
    /// assert_eq!(diagnostics_id::gateway_status(10486), Some(486));
    /// assert_eq!(diagnostics_id::component(7999), Some("AV conferencing server"));
    /// ```
    pub fn meaning(id: u32) -> Option<&'static str> {
        let found = super::TABLE.binary_search_by_key(&id, |&(own, _)| own);
        let known = found.ok().and_then(|index| super::TABLE.get(index)).map(|&(_, text)| text);
        known.or_else(|| gateway_status(id).map(|_| "the gateway refused"))
    }

    /// Who says it, by the range of the id.
    pub fn component(id: u32) -> Option<&'static str> {
        let found = super::RANGES.iter().find(|(from, to, _)| (*from..=*to).contains(&id));
        found.map(|&(_, _, name)| name)
    }

    /// The SIP status that a gateway gave the Mediation Server: 10404, 10486 and their kin.
    pub fn gateway_status(id: u32) -> Option<u16> {
        let status = u16::try_from(id.checked_sub(10_000)?).ok()?;
        (300..700).contains(&status).then_some(status)
    }
}

/// Every id that is known, in order.
const TABLE: [(u32, &str); 98] = [
    (22, "call set-up failed, both ends inside"),
    (23, "call set-up failed, one end outside"),
    (24, "call set-up failed, both ends outside"),
    (25, "call set-up failed with a federated end, ours inside"),
    (26, "call set-up failed with a federated end, ours outside"),
    (27, "call set-up failed between federated ends"),
    (31, "media failed in the call, both ends inside"),
    (32, "media failed in the call, one end outside"),
    (33, "media failed in the call, both ends outside"),
    (34, "media failed in the call with a federated end, ours inside"),
    (35, "media failed in the call with a federated end, ours outside"),
    (36, "media failed in the call between federated ends"),
    (1000, "the final security handshake failed"),
    (1001, "the caller may not talk to public providers"),
    (1002, "the caller may not talk to federated partners"),
    (1003, "the user does not exist"),
    (1004, "the route set is no longer valid"),
    (1005, "no route to the domain"),
    (1006, "the connection of the client failed"),
    (1007, "no route for now"),
    (1008, "the SRV record cannot be resolved"),
    (1009, "the SRV target is not in the domain"),
    (1010, "no certificate trust with the next hop"),
    (1011, "the previous hop gave no diagnostics"),
    (1012, "the caller may not talk to users outside"),
    (1013, "clocks differ too much to authenticate"),
    (1014, "the host cannot be resolved"),
    (1015, "no route from the domain of the source"),
    (1016, "the traffic type does not fit the asserted domain"),
    (1017, "the domains of From and To cannot be routed together"),
    (1018, "the message cannot be parsed"),
    (1019, "Referred-By is not valid"),
    (1020, "Referred-By is not signed as it should be"),
    (1021, "Referred-By is too old"),
    (1022, "the destination cannot be processed"),
    (1027, "this type of request is not routed to or from federated partners"),
    (1033, "the previous hop, an internal server, gave no diagnostics"),
    (1034, "the federated peer gave no diagnostics"),
    (1035, "the public provider gave no diagnostics"),
    (1036, "the peer of the shared address space gave no diagnostics"),
    (1037, "the client gave no diagnostics"),
    (1046, "no connection to the federated peer"),
    (1047, "no TLS with the federated peer"),
    (3003, "the conference entity is not valid"),
    (3004, "the conference command is not implemented"),
    (3008, "the way of joining is not acceptable"),
    (3009, "the endpoint entity is malformed"),
    (3010, "session timers are not supported by the client"),
    (3011, "Ms-Mcu-Contact is not valid"),
    (3012, "the conference URI is not valid"),
    (3013, "the URI of the conferencing server is not valid"),
    (3014, "not authorised"),
    (3015, "attendees may not dial out"),
    (3016, "the role is not valid"),
    (4001, "the XML cannot be parsed"),
    (4002, "several users own the calling number"),
    (4003, "the caller is not enabled for remote access"),
    (4004, "the credentials are not allowed for this caller"),
    (4005, "the called URI is not enabled or does not exist"),
    (4006, "the user is not in the pool"),
    (4007, "the resource is unknown"),
    (4009, "several users own the called number"),
    (4010, "the endpoint is missing"),
    (4011, "the endpoint id is missing"),
    (4012, "the endpoint id is too long"),
    (4013, "the content type does not fit"),
    (5001, "the request of the application timed out"),
    (5002, "the request of the application was cancelled"),
    (7000, "the conferencing server has too many meetings"),
    (7001, "the conferencing server has no media traversal"),
    (7002, "the conference does not exist"),
    (7003, "the INVITE timed out"),
    (7004, "the conferencing server takes application/sdp alone"),
    (7005, "the request is malformed or not expected"),
    (7006, "the user was not added to the conference"),
    (7007, "no user may be replaced"),
    (7008, "the session description cannot be parsed"),
    (7009, "an IPv6 address is not supported"),
    (7010, "a field of the session description is missing or not valid"),
    (13000, "the call goes round in a loop"),
    (13001, "no rule gave a suitable response"),
    (13002, "no rule gave a final response"),
    (13003, "a header is not formatted as expected"),
    (13004, "the request was passed to the endpoints"),
    (13005, "the request was passed to further targets"),
    (13006, "the request was forwarded"),
    (13007, "the request was passed to an application"),
    (13008, "the diagnostics were removed for privacy"),
    (17000, "the version filter is overloaded"),
    (17003, "this version is declined"),
    (51004, "the user did it"),
    (51007, "media connectivity of the callee, in 200"),
    (52017, "the encryption levels have nothing in common"),
    (52031, "the call ended as media could not flow"),
    (52032, "the call ended as media could not flow any more"),
    (52063, "the session description is not supported"),
    (52085, "the dialog does not exist"),
    (52094, "the conversation ended as nobody said anything"),
];

/// First and last id, and whose they are.
const RANGES: [(u32, u32, &str); 20] = [
    (0, 999, "common"),
    (1000, 1999, "SIP stack of front end and edge"),
    (2000, 2999, "user services"),
    (3000, 3999, "conferencing"),
    (4000, 4999, "user services"),
    (5000, 5999, "server applications"),
    (6000, 6999, "IM conferencing server"),
    (7000, 7999, "AV conferencing server"),
    (8000, 8999, "telephony conferencing server"),
    (9000, 9999, "media relay authentication"),
    (10_000, 10_999, "Mediation Server"),
    (11_000, 11_999, "metrics"),
    (12_000, 12_999, "outbound routing"),
    (13_000, 13_999, "inbound routing"),
    (14_000, 14_999, "number translation"),
    (15_000, 15_999, "unified messaging"),
    (16_000, 16_999, "IM filter"),
    (17_000, 17_999, "client version filter"),
    (51_000, 52_999, "client"),
    (90_000, 90_999, "public providers"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_each_id_has_a_component() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert!(TABLE.iter().all(|&(id, _)| diagnostics_id::component(id).is_some()));
        assert_eq!(diagnostics_id::meaning(10_404), Some("the gateway refused"));
        assert_eq!(diagnostics_id::meaning(10_001), None);
    }
}
