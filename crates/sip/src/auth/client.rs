//! Answering a Digest challenge.

use core::fmt;

use zeroize::Zeroizing;

use crate::auth::digest::{DigestAlgorithm, Parts};
use crate::auth::value::AuthValue;
use crate::lex;

/// Who we are, in one realm or in all.
///
/// ```
/// use linkspan_sip::Credentials;
///
/// let credentials = Credentials::new("alice", "secret").in_realm("example.com");
/// assert!(!format!("{credentials:?}").contains("secret"));
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The realm that they are for; `None` for every realm.
    pub realm: Option<String>,
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// A password: not printed, and wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a password.
    pub fn new(password: &str) -> Self {
        Self(Zeroizing::new(password.to_owned()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    #[cfg(feature = "ntlm")]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Credentials {
    /// Credentials for every realm.
    pub fn new(username: &str, password: &str) -> Self {
        Self { realm: None, username: username.to_owned(), password: Password::new(password) }
    }

    /// The same for one realm.
    #[must_use]
    pub fn in_realm(mut self, realm: &str) -> Self {
        self.realm = Some(realm.to_owned());
        self
    }

    pub(crate) fn fit(&self, realm: &str) -> bool {
        self.realm.as_deref().is_none_or(|own| own == realm)
    }
}

/// The value of Authorization or Proxy-Authorization that answers a Digest challenge for one
/// request; `None` where the challenge is of another scheme, of an unknown algorithm or quality of
/// protection, or malformed. `cnonce` is a fresh random token, `nc` counts the uses of the nonce.
///
/// ```
/// use linkspan_sip::{AuthValue, Credentials, answer_challenge};
///
/// let challenge = AuthValue::parse(r#"Digest realm="r", nonce="n", qop="auth""#).unwrap();
/// let credentials = Credentials::new("alice", "secret");
/// let answer =
///     answer_challenge(&challenge, &credentials, "REGISTER", "sip:example.com", b"", "c", 1).unwrap();
/// assert!(AuthValue::parse(&answer).unwrap().param("response").is_some());
/// ```
pub fn answer_challenge(
    challenge: &AuthValue<'_>,
    credentials: &Credentials,
    method: &str,
    uri: &str,
    body: &[u8],
    cnonce: &str,
    nc: u32,
) -> Option<String> {
    if !challenge.is("Digest") {
        return None;
    }
    let realm = challenge.param("realm")?;
    let nonce = challenge.param("nonce")?;
    let token = challenge.param("algorithm");
    let algorithm = match &token {
        Some(token) => DigestAlgorithm::from_token(token)?,
        None => DigestAlgorithm::Md5,
    };
    let offered = challenge.param("qop");
    let has = |wanted: &str| {
        let mut list = offered.iter().flat_map(|list| list.split(','));
        list.any(|own| lex::trim(own).eq_ignore_ascii_case(wanted))
    };
    let qop = match &offered {
        None => "",
        Some(_) if has("auth") => "auth",
        Some(_) if has("auth-int") => "auth-int",
        Some(_) => return None,
    };
    let nc = format!("{nc:08x}");
    let name = credentials.username.as_bytes();
    let user = algorithm.hash(&[name, realm.as_bytes(), credentials.password.as_bytes()]);
    let parts = Parts { algorithm, nonce: &nonce, cnonce, nc: &nc, qop, method, uri, body };
    let response = parts.response(&user);
    let mut answer = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
        lex::quote(&credentials.username),
        lex::quote(&realm),
        lex::quote(&nonce),
        lex::quote(uri),
    );
    if token.is_some() {
        answer.push_str(&format!(", algorithm={}", algorithm.as_str()));
    }
    if !qop.is_empty() {
        answer.push_str(&format!(", qop={qop}, nc={nc}, cnonce={}", lex::quote(cnonce)));
    } else if algorithm.is_session() {
        answer.push_str(&format!(", cnonce={}", lex::quote(cnonce)));
    }
    if let Some(opaque) = challenge.param("opaque") {
        answer.push_str(&format!(", opaque={}", lex::quote(&opaque)));
    }
    Some(answer)
}
