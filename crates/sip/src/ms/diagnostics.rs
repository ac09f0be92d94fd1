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

    /// What an id says; ids of the Mediation Server carry the status of the gateway beyond it.
    ///
    /// ```
    /// use linkspan_sip::ms::diagnostics_id;
    ///
    /// assert_eq!(diagnostics_id::meaning(1003), Some("the user does not exist"));
    /// assert_eq!(diagnostics_id::gateway_status(10486), Some(486));
    /// ```
    pub fn meaning(id: u32) -> Option<&'static str> {
        Some(match id {
            HANDSHAKE_FAILED => "the final security handshake failed",
            PUBLIC_IM_NOT_ALLOWED => "the caller may not talk to public providers",
            FEDERATION_NOT_ALLOWED => "the caller may not talk to federated partners",
            USER_UNKNOWN => "the user does not exist",
            ROUTE_SET_INVALID => "the route set is no longer valid",
            DOMAIN_NOT_ROUTABLE => "no route to the domain",
            CLIENT_CONNECTION => "the connection of the client failed",
            TEMPORARILY_NOT_ROUTABLE => "no route for now",
            SRV_NOT_RESOLVED => "the SRV record cannot be resolved",
            SRV_DOMAIN_CONFLICT => "the SRV target is not in the domain",
            CERTIFICATE_NOT_TRUSTED => "no certificate trust with the next hop",
            PREVIOUS_HOP_SILENT => "the previous hop gave no diagnostics",
            OUTSIDE_NOT_ALLOWED => "the caller may not talk to users outside",
            CLOCK_SKEW => "clocks differ too much to authenticate",
            HOST_NOT_RESOLVED => "the host cannot be resolved",
            FEDERATED_HOP_SILENT => "the federated peer gave no diagnostics",
            FEDERATED_PEER_UNREACHABLE => "no connection to the federated peer",
            FEDERATED_TLS_FAILED => "no TLS with the federated peer",
            SEVERAL_OWNERS_OF_SOURCE => "several users own the calling number",
            NOT_ENABLED => "the called URI is not enabled or does not exist",
            SEVERAL_OWNERS_OF_TARGET => "several users own the called number",
            EPID_MISSING => "the endpoint id is missing",
            EPID_TOO_LONG => "the endpoint id is too long",
            MCU_FULL => "the conferencing server has too many meetings",
            CONFERENCE_UNKNOWN => "the conference does not exist",
            SDP_ONLY => "the conferencing server takes application/sdp alone",
            NOT_PROVISIONED => "the user was not added to the conference",
            SDP_PARSE => "the session description cannot be parsed",
            CALL_TO_SELF => "the call goes round in a loop",
            USER_ACTION => "the user did it",
            CALLEE_MEDIA => "media connectivity of the callee, in 200",
            ENCRYPTION_MISMATCH => "the encryption levels have nothing in common",
            CONNECTIVITY_FAILED => "the call ended as media could not flow",
            UNSUPPORTED_SDP => "the session description is not supported",
            DIALOG_UNKNOWN => "the dialog does not exist",
            10_000..=10_999 => "the gateway refused",
            _ => return None,
        })
    }

    /// The SIP status that a gateway gave the Mediation Server: 10404, 10486 and their kin.
    pub fn gateway_status(id: u32) -> Option<u16> {
        let status = u16::try_from(id.checked_sub(10_000)?).ok()?;
        (300..700).contains(&status).then_some(status)
    }
}
