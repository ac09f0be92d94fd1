use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::collections::HashMap;
use std::fmt;
use zeroize::Zeroizing;

/// A user name and its password. `Debug` shows neither the password nor its length.
///
/// ```
/// use linkspan_turn::Credentials;
///
/// let credentials = Credentials::new("user", "secret");
/// assert!(!format!("{credentials:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Credentials {
    username: Vec<u8>,
    password: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Long-term credentials. For MS-TURN the octets that the credential service gave, decoded
    /// from base64.
    #[must_use]
    pub fn new(username: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Self {
        Self {
            username: username.as_ref().to_vec(),
            password: Zeroizing::new(password.as_ref().to_vec()),
        }
    }

    /// Time-limited credentials of a secret shared with the server (the "REST API for access to
    /// TURN services"): the user name is `expiry:user`, the password its HMAC-SHA1 in base64.
    ///
    /// ```
    /// use linkspan_turn::Credentials;
    ///
    /// let credentials = Credentials::time_limited("north", "alice", 1_433_895_918);
    /// assert_eq!(credentials.username(), b"1433895918:alice");
    /// ```
    #[must_use]
    pub fn time_limited(secret: impl AsRef<[u8]>, user: &str, expires_unix_secs: u64) -> Self {
        let username = if user.is_empty() {
            expires_unix_secs.to_string()
        } else {
            format!("{expires_unix_secs}:{user}")
        };
        let password = time_limited_password(secret.as_ref(), username.as_bytes());
        Self { username: username.into_bytes(), password }
    }

    /// The user name.
    #[must_use]
    pub fn username(&self) -> &[u8] {
        &self.username
    }

    pub(crate) fn password(&self) -> &[u8] {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, ..)", self.username.escape_ascii())
    }
}

/// Who may use a server.
///
/// ```
/// use linkspan_turn::{Credentials, Users};
///
/// let mut users = Users::default();
/// users.add(Credentials::new("user", "secret"));
/// users.share_secret("north");
/// ```
#[derive(Clone, Default)]
pub struct Users {
    fixed: HashMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    secrets: Vec<Zeroizing<Vec<u8>>>,
}

impl Users {
    /// Lets a user in, for ever.
    pub fn add(&mut self, credentials: Credentials) {
        self.fixed.insert(credentials.username, credentials.password);
    }

    /// Lets everybody in who has time-limited credentials of that secret, until they expire. Of
    /// several secrets each is tried: that is how one is replaced by another.
    pub fn share_secret(&mut self, secret: impl AsRef<[u8]>) {
        self.secrets.push(Zeroizing::new(secret.as_ref().to_vec()));
    }

    /// The passwords that are right for a user at that time: none for a user who is not known.
    pub(crate) fn passwords(&self, username: &[u8], unix_secs: u64) -> Vec<Zeroizing<Vec<u8>>> {
        if let Some(password) = self.fixed.get(username) {
            return vec![password.clone()];
        }
        let expiry = username.split(|octet| *octet == b':').next().unwrap_or_default();
        let expiry = std::str::from_utf8(expiry).ok().and_then(|text| text.parse::<u64>().ok());
        if expiry.is_none_or(|expiry| expiry < unix_secs) {
            return Vec::new();
        }
        self.secrets.iter().map(|secret| time_limited_password(secret, username)).collect()
    }

    /// The names that do not expire.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fixed.keys().map(Vec::as_slice)
    }

    /// Whether anybody may come whose name is not known beforehand.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The name that quotas go by: of time-limited credentials the part behind the expiry, so
    /// that new credentials give no new quota.
    pub(crate) fn quota_name<'u>(&self, username: &'u [u8]) -> &'u [u8] {
        if self.fixed.contains_key(username) {
            return username;
        }
        let colon = username.iter().position(|octet| *octet == b':');
        colon.and_then(|at| username.get(at + 1..)).unwrap_or(username)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({} fixed, {} secrets)", self.fixed.len(), self.secrets.len())
    }
}

fn time_limited_password(secret: &[u8], username: &[u8]) -> Zeroizing<Vec<u8>> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return Zeroizing::default() };
    mac.update(username);
    Zeroizing::new(STANDARD.encode(mac.finalize().into_bytes()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limited_credentials_expire() {
        let mut users = Users::default();
        users.share_secret("old");
        users.share_secret("north");
        let credentials = Credentials::time_limited("north", "alice", 1000);
        let right = |now| {
            let passwords = users.passwords(credentials.username(), now);
            passwords.iter().any(|password| password.as_slice() == credentials.password())
        };
        assert!(right(999) && right(1000) && !right(1001));
        assert!(users.passwords(b"alice", 0).is_empty());
        assert_eq!(users.quota_name(credentials.username()), b"alice");
    }

    #[test]
    fn the_password_is_the_one_of_the_scheme() {
        // printf 1433895918:alice | openssl dgst -sha1 -hmac north -binary | base64
        let credentials = Credentials::time_limited("north", "alice", 1_433_895_918);
        assert_eq!(credentials.password(), EXPECTED);
    }

    const EXPECTED: &[u8] = b"RqMvcGPYTJMGThVLSi4amT4zFtI=";
}
