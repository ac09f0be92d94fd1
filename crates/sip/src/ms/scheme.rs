//! The challenges of `[MS-SIPAE]`: three schemes, of which one is spoken here.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::AuthValue;
use crate::error::ValueError;
use crate::headers::Headers;

/// How a Lync server lets itself be convinced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SaScheme {
    /// NTLMv2, with the feature `ntlm`.
    Ntlm,
    /// Recognised, and declined.
    Kerberos,
    /// A TLS handshake in headers, with a certificate of a web service. Recognised, and declined.
    TlsDsk,
}

impl SaScheme {
    /// The token of the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ntlm => "NTLM",
            Self::Kerberos => "Kerberos",
            Self::TlsDsk => "TLS-DSK",
        }
    }

    /// Whether it is spoken here.
    pub const fn is_spoken(self) -> bool {
        matches!(self, Self::Ntlm) && cfg!(feature = "ntlm")
    }
}

/// One challenge of WWW-Authenticate or Proxy-Authenticate, `[MS-SIPAE]` 3.2.5.2.
///
/// ```
/// use linkspan_sip::ms::{SaChallenge, SaScheme};
/// use linkspan_sip::{AuthValue, Headers};
///
/// let mut headers = Headers::new();
/// for line in [
///     r#"Kerberos realm="SIP Communications Service", targetname="sip/fe.example.com", version=4"#,
///     r#"TLS-DSK realm="SIP Communications Service", targetname="fe.example.com", version=4, sts-uri="https://fe.example.com:443/CertProv""#,
/// ] {
///     headers.push("WWW-Authenticate", line);
/// }
/// let declined = SaChallenge::choose(&headers).unwrap_err();
/// assert_eq!(declined.offered, [SaScheme::Kerberos, SaScheme::TlsDsk]);
/// assert_eq!(declined.to_string(), "no scheme that is spoken here: Kerberos, TLS-DSK");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaChallenge<'a> {
    /// The scheme.
    pub scheme: SaScheme,
    /// The realm.
    pub realm: Cow<'a, str>,
    /// The server's name; Kerberos puts `sip/` before it.
    pub target: Cow<'a, str>,
    /// The version of the signatures, 2 where it is not said.
    pub version: u32,
    /// The security association, once there is one.
    pub opaque: Option<Cow<'a, str>>,
    /// The server's token.
    pub token: Option<Vec<u8>>,
    /// TLS-DSK: where the certificates come from.
    pub sts_uri: Option<Cow<'a, str>>,
}

/// None of the schemes that a server offers is spoken here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaDeclined {
    /// What it offers of `[MS-SIPAE]`.
    pub offered: Vec<SaScheme>,
}

impl core::fmt::Display for SaDeclined {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names: Vec<&str> = self.offered.iter().map(|scheme| scheme.as_str()).collect();
        write!(f, "no scheme that is spoken here: {}", names.join(", "))
    }
}

impl core::error::Error for SaDeclined {}

impl<'a> SaChallenge<'a> {
    /// Reads a challenge of one of the three schemes; `None` for Digest and others.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where realm or target is missing, or the token is not base64.
    pub fn parse(value: &AuthValue<'a>) -> Result<Option<Self>, ValueError> {
        let schemes = [SaScheme::Ntlm, SaScheme::Kerberos, SaScheme::TlsDsk];
        let Some(scheme) = schemes.into_iter().find(|scheme| value.is(scheme.as_str())) else {
            return Ok(None);
        };
        let fail = |expected| ValueError::new("authentication", expected, 0);
        let token = value.param("gssapi-data").filter(|token| !token.is_empty());
        let token = token.map(|token| STANDARD.decode(token.as_bytes())).transpose();
        let version = value.param("version").map_or(Some(2), |version| version.parse().ok());
        Ok(Some(Self {
            scheme,
            realm: value.param("realm").ok_or_else(|| fail("a realm"))?,
            target: value.param("targetname").ok_or_else(|| fail("a target name"))?,
            version: version.ok_or_else(|| fail("a version"))?,
            opaque: value.param("opaque"),
            token: token.map_err(|_| fail("base64"))?,
            sts_uri: value.param("sts-uri"),
        }))
    }

    /// The first challenge of a 401 or 407 that is spoken here.
    ///
    /// # Errors
    ///
    /// [`SaDeclined`], with what the server offers instead.
    pub fn choose(headers: &'a Headers) -> Result<Self, SaDeclined> {
        let mut offered = Vec::new();
        for value in headers.www_authenticate().chain(headers.proxy_authenticate()) {
            let challenge = value.ok().and_then(|value| Self::parse(&value).ok().flatten());
            let Some(challenge) = challenge else { continue };
            if challenge.scheme.is_spoken() {
                return Ok(challenge);
            }
            offered.push(challenge.scheme);
        }
        Err(SaDeclined { offered })
    }
}
