//! The hashes of Digest.

use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// The algorithms of RFC 7616 and RFC 8760, each with its `-sess` form.
///
/// ```
/// use linkspan_sip::DigestAlgorithm;
///
/// let algorithm = DigestAlgorithm::from_token("SHA-256-sess").unwrap();
/// assert!(algorithm.is_session());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// `MD5`, which RFC 3261 names and everybody has.
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
    /// `SHA-512-256`
    Sha512_256,
    /// `SHA-512-256-sess`
    Sha512_256Sess,
}

impl DigestAlgorithm {
    /// All of them, strongest first.
    pub const ALL: [Self; 6] = [
        Self::Sha512_256,
        Self::Sha512_256Sess,
        Self::Sha256,
        Self::Sha256Sess,
        Self::Md5,
        Self::Md5Sess,
    ];

    /// The token of the parameter `algorithm`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
            Self::Sha512_256 => "SHA-512-256",
            Self::Sha512_256Sess => "SHA-512-256-sess",
        }
    }

    /// The algorithm of a token, without regard to case.
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.as_str().eq_ignore_ascii_case(token))
    }

    /// Whether the session key takes in nonce and cnonce.
    pub const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess | Self::Sha512_256Sess)
    }

    /// The hash of the parts, joined by colons, in hexadecimal.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 | Self::Md5Sess => hash::<Md5>(parts),
            Self::Sha256 | Self::Sha256Sess => hash::<Sha256>(parts),
            Self::Sha512_256 | Self::Sha512_256Sess => hash::<Sha512_256>(parts),
        }
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> String {
    let mut digest = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            digest.update(b":");
        }
        digest.update(part);
    }
    hex(&digest.finalize())
}

pub(crate) fn hex(octets: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

/// What a response is computed of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) algorithm: DigestAlgorithm,
    pub(crate) nonce: &'a str,
    pub(crate) cnonce: &'a str,
    /// Eight hexadecimal digits.
    pub(crate) nc: &'a str,
    /// `auth`, `auth-int`, or empty for RFC 2069's form.
    pub(crate) qop: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) body: &'a [u8],
}

impl Parts<'_> {
    /// RFC 7616 §3.4.1 to §3.4.3, from H(username:realm:password).
    pub(crate) fn response(&self, user_hash: &str) -> String {
        let bytes = str::as_bytes;
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let session;
        let ha1 = if self.algorithm.is_session() {
            session = hash(&[bytes(user_hash), bytes(self.nonce), bytes(self.cnonce)]);
            &session
        } else {
            user_hash
        };
        let ha2 = if self.qop.eq_ignore_ascii_case("auth-int") {
            let body = hash(&[self.body]);
            hash(&[bytes(self.method), bytes(self.uri), bytes(&body)])
        } else {
            hash(&[bytes(self.method), bytes(self.uri)])
        };
        if self.qop.is_empty() {
            return hash(&[bytes(ha1), bytes(self.nonce), bytes(&ha2)]);
        }
        hash(&[
            bytes(ha1),
            bytes(self.nonce),
            bytes(self.nc),
            bytes(self.cnonce),
            bytes(self.qop),
            bytes(&ha2),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.1.
    #[test]
    fn the_examples_of_rfc_7616() {
        for (algorithm, expected) in [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                DigestAlgorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let parts = Parts {
                algorithm,
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                nc: "00000001",
                qop: "auth",
                method: "GET",
                uri: "/dir/index.html",
                body: b"",
            };
            let user = algorithm.hash(&[b"Mufasa", b"http-auth@example.org", b"Circle of Life"]);
            assert_eq!(parts.response(&user), expected);
        }
    }
}
