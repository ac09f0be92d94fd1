//! NTLMv2, connectionless, as Lync's SIP uses it (`[MS-NLMP]`, `[MS-SIPAE]`).
//!
//! Only the mode that Lync negotiates is spoken: Unicode, extended session security, 128-bit keys.
//! Time, challenges and session keys are arguments.

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::auth::Password;

/// Why NTLM went no further.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NtlmError {
    /// Not the message that was expected, or cut short.
    #[error("malformed NTLM message")]
    Malformed,
    /// A mode that is not spoken here: NTLMv1, or without extended session security.
    #[error("unsupported NTLM mode")]
    Unsupported,
    /// The response does not fit the password.
    #[error("wrong credentials")]
    Wrong,
}

/// The server's CHALLENGE_MESSAGE (type 2, `[MS-NLMP]` 2.2.1.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NtlmChallenge {
    /// NegotiateFlags.
    pub flags: u32,
    /// ServerChallenge.
    pub challenge: [u8; 8],
    /// TargetInfo, whole.
    pub target_info: Vec<u8>,
    /// TargetName, in UTF-16.
    pub target_name: Vec<u8>,
}

impl NtlmChallenge {
    /// A challenge of a server of this NetBIOS domain and name.
    pub fn new(challenge: [u8; 8], domain: &str, server: &str) -> Self {
        let mut target_info = Vec::new();
        for (id, value) in [(2_u16, utf16(domain)), (1, utf16(server)), (0, Vec::new())] {
            let len = u16::try_from(value.len()).unwrap_or(0);
            target_info.extend_from_slice(&id.to_le_bytes());
            target_info.extend_from_slice(&len.to_le_bytes());
            target_info.extend_from_slice(value.get(..len.into()).unwrap_or(&[]));
        }
        Self { flags: FLAGS, challenge, target_info, target_name: utf16(domain) }
    }

    /// Parses the decoded `gssapi-data`.
    ///
    /// # Errors
    ///
    /// [`NtlmError::Malformed`].
    pub fn parse(octets: &[u8]) -> Result<Self, NtlmError> {
        check_header(octets, 2)?;
        let challenge = octets.get(24..32).and_then(|octets| octets.try_into().ok());
        Ok(Self {
            flags: u32_at(octets, 20)?,
            challenge: challenge.ok_or(NtlmError::Malformed)?,
            target_info: field(octets, 40)?.to_vec(),
            target_name: field(octets, 12)?.to_vec(),
        })
    }

    /// The octets, for `gssapi-data` in base64.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(SIGNATURE);
        out.extend_from_slice(&2_u32.to_le_bytes());
        let name_at = 56;
        push_field(&mut out, &self.target_name, name_at);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.challenge);
        out.extend_from_slice(&[0; 8]);
        push_field(&mut out, &self.target_info, name_at + self.target_name.len());
        out.extend_from_slice(&VERSION);
        out.extend_from_slice(&self.target_name);
        out.extend_from_slice(&self.target_info);
        out
    }
}

/// What a client puts into its AUTHENTICATE_MESSAGE (type 3).
#[derive(Clone, Debug)]
pub struct NtlmAuthenticate<'a> {
    /// The user name.
    pub username: &'a str,
    /// The domain; empty where the user name says it all.
    pub domain: &'a str,
    /// The password.
    pub password: &'a Password,
    /// The client's own challenge: random.
    pub client_challenge: [u8; 8],
    /// The time in 100 ns since the start of 1601.
    pub file_time: u64,
    /// The key of the session: random.
    pub session_key: [u8; 16],
}

/// The keys of an authenticated client and server, which sign messages.
#[derive(Clone)]
pub struct NtlmSession {
    client: Keys,
    server: Keys,
    key_exchange: bool,
}

#[derive(Clone)]
struct Keys {
    signing: Zeroizing<[u8; 16]>,
    sealing: Zeroizing<[u8; 16]>,
}

impl core::fmt::Debug for NtlmSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("NtlmSession(..)")
    }
}

impl NtlmSession {
    /// The client's side: its type 3 message and the session behind it.
    ///
    /// ```
    /// use linkspan_sip::{Password, ms::{NtlmAuthenticate, NtlmChallenge, NtlmSession}};
    ///
    /// let challenge = NtlmChallenge::new([7; 8], "LAB", "FE01");
    /// let (token, client) = NtlmSession::authenticate(&challenge, &NtlmAuthenticate {
    ///     username: "alice",
    ///     domain: "",
    ///     password: &Password::new("secret"),
    ///     client_challenge: [1; 8],
    ///     file_time: 132_000_000_000_000_000,
    ///     session_key: [2; 16],
    /// }).unwrap();
    /// let server =
    ///     NtlmSession::verify(&token, &challenge.challenge, &Password::new("secret")).unwrap();
    /// assert!(server.verify_client("<NTLM><..>", &client.sign_as_client("<NTLM><..>")));
    /// assert!(NtlmSession::verify(&token, &[8; 8], &Password::new("secret")).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`NtlmError::Unsupported`] where the server does not offer the mode.
    pub fn authenticate(
        challenge: &NtlmChallenge,
        client: &NtlmAuthenticate<'_>,
    ) -> Result<(Vec<u8>, Self), NtlmError> {
        if challenge.flags & EXTENDED_SECURITY == 0 {
            return Err(NtlmError::Unsupported);
        }
        let flags = FLAGS & (challenge.flags | KEEP);
        let user_key = user_key(client.username, client.domain, client.password);
        // [MS-NLMP] 3.3.2: the blob of the response.
        let mut blob = vec![1, 1, 0, 0, 0, 0, 0, 0];
        blob.extend_from_slice(&client.file_time.to_le_bytes());
        blob.extend_from_slice(&client.client_challenge);
        blob.extend_from_slice(&[0; 4]);
        blob.extend_from_slice(&challenge.target_info);
        blob.extend_from_slice(&[0; 4]);
        let proof = hmac_md5(&user_key[..], &[&challenge.challenge, &blob]);
        let base_key = hmac_md5(&user_key[..], &[&proof]);
        let lm = hmac_md5(&user_key[..], &[&challenge.challenge, &client.client_challenge]);
        let key_exchange = flags & KEY_EXCHANGE != 0;
        let (session_key, encrypted) = if key_exchange {
            let mut encrypted = client.session_key;
            rc4(&base_key, &mut encrypted);
            (client.session_key, encrypted.to_vec())
        } else {
            (base_key, Vec::new())
        };
        let parts: [Vec<u8>; 6] = [
            [&lm[..], &client.client_challenge].concat(),
            [&proof[..], &blob].concat(),
            utf16(client.domain),
            utf16(client.username),
            utf16("linkspan"),
            encrypted,
        ];
        let mut out = Vec::new();
        out.extend_from_slice(SIGNATURE);
        out.extend_from_slice(&3_u32.to_le_bytes());
        let mut at = 72;
        for part in &parts {
            push_field(&mut out, part, at);
            at += part.len();
        }
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&VERSION);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        Ok((out, Self::new(&session_key, key_exchange)))
    }

    /// The server's side: checks a type 3 message against the challenge it was given.
    ///
    /// # Errors
    ///
    /// [`NtlmError`].
    pub fn verify(
        octets: &[u8],
        challenge: &[u8; 8],
        password: &Password,
    ) -> Result<Self, NtlmError> {
        check_header(octets, 3)?;
        let flags = u32_at(octets, 60)?;
        if flags & EXTENDED_SECURITY == 0 {
            return Err(NtlmError::Unsupported);
        }
        let (domain, user) = (field(octets, 28)?, field(octets, 36)?);
        let key = user_key(&from_utf16(user), &from_utf16(domain), password);
        let (proof, blob) =
            field(octets, 20)?.split_at_checked(16).ok_or(NtlmError::Unsupported)?;
        let expected = hmac_md5(&key[..], &[challenge, blob]);
        if !bool::from(expected.ct_eq(proof)) {
            return Err(NtlmError::Wrong);
        }
        let mut session_key = hmac_md5(&key[..], &[proof]);
        let key_exchange = flags & KEY_EXCHANGE != 0;
        if key_exchange {
            let encrypted: [u8; 16] =
                field(octets, 52)?.try_into().map_err(|_| NtlmError::Malformed)?;
            let mut exported = encrypted;
            rc4(&session_key, &mut exported);
            session_key = exported;
        }
        Ok(Self::new(&session_key, key_exchange))
    }

    /// The user name in a type 3 message, to find the password by.
    ///
    /// # Errors
    ///
    /// [`NtlmError::Malformed`].
    pub fn username(octets: &[u8]) -> Result<String, NtlmError> {
        check_header(octets, 3)?;
        field(octets, 36).map(from_utf16)
    }

    /// `response`: the client's signature of a [`signed_string`](super::signed_string).
    pub fn sign_as_client(&self, text: &str) -> String {
        self.sign(&self.client, text)
    }

    /// `rspauth`: the server's signature.
    pub fn sign_as_server(&self, text: &str) -> String {
        self.sign(&self.server, text)
    }

    /// Whether a client's signature fits.
    pub fn verify_client(&self, text: &str, signature: &str) -> bool {
        same(&self.sign(&self.client, text), signature)
    }

    /// Whether a server's signature fits.
    pub fn verify_server(&self, text: &str, signature: &str) -> bool {
        same(&self.sign(&self.server, text), signature)
    }

    /// [MS-NLMP] 3.4.5: the keys of both directions.
    fn new(session_key: &[u8; 16], key_exchange: bool) -> Self {
        let derive = |way: &str, use_: &str| {
            let magic = format!("session key to {way} {use_} key magic constant\0");
            Zeroizing::new(md5(&[session_key, magic.as_bytes()]))
        };
        let keys = |way| Keys { signing: derive(way, "signing"), sealing: derive(way, "sealing") };
        Self { client: keys("client-to-server"), server: keys("server-to-client"), key_exchange }
    }

    /// [MS-NLMP] 3.4.4.2, connectionless: every message is number 100, and the cipher starts anew
    /// for it.
    fn sign(&self, keys: &Keys, text: &str) -> String {
        const NUMBER: [u8; 4] = 100_u32.to_le_bytes();
        let mac = hmac_md5(&keys.signing[..], &[&NUMBER, text.as_bytes()]);
        let [c0, c1, c2, c3, c4, c5, c6, c7, ..] = mac;
        let mut checksum = [c0, c1, c2, c3, c4, c5, c6, c7];
        if self.key_exchange {
            rc4(&md5(&[&keys.sealing[..], &NUMBER]), &mut checksum);
        }
        let octets = [&1_u32.to_le_bytes()[..], &checksum, &NUMBER].concat();
        octets.iter().map(|octet| format!("{octet:02X}")).collect()
    }
}

fn same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.to_ascii_uppercase().as_bytes()).into()
}

/// NTOWFv2, [MS-NLMP] 3.3.2.
fn user_key(username: &str, domain: &str, password: &Password) -> Zeroizing<[u8; 16]> {
    let password = Zeroizing::new(utf16(password.as_str()));
    let hash: Zeroizing<[u8; 16]> = Zeroizing::new(Md4::digest(&password[..]).into());
    let name = utf16(&(username.to_uppercase() + domain));
    Zeroizing::new(hmac_md5(&hash[..], &[&name]))
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else { return [0; 16] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn rc4(key: &[u8; 16], data: &mut [u8]) {
    use rc4::KeyInit as _;
    if let Ok(mut cipher) = Rc4::new_from_slice(key) {
        cipher.apply_keystream(data);
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn from_utf16(octets: &[u8]) -> String {
    let units =
        octets.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(unit.try_into().ok()?)));
    char::decode_utf16(units).map(|char| char.unwrap_or('\u{fffd}')).collect()
}

fn check_header(octets: &[u8], kind: u32) -> Result<(), NtlmError> {
    let sound = octets.starts_with(SIGNATURE) && u32_at(octets, 8)? == kind;
    if sound { Ok(()) } else { Err(NtlmError::Malformed) }
}

fn u32_at(octets: &[u8], at: usize) -> Result<u32, NtlmError> {
    let value = octets.get(at..at + 4).and_then(|value| value.try_into().ok());
    value.map(u32::from_le_bytes).ok_or(NtlmError::Malformed)
}

/// Length, room and offset, [MS-NLMP] 2.2.1.
fn field(octets: &[u8], at: usize) -> Result<&[u8], NtlmError> {
    let len = u32_at(octets, at)? as usize & 0xffff;
    let start = u32_at(octets, at + 4)? as usize;
    let end = start.checked_add(len).ok_or(NtlmError::Malformed)?;
    octets.get(start..end).ok_or(NtlmError::Malformed)
}

fn push_field(out: &mut Vec<u8>, value: &[u8], at: usize) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
}

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Of the product: 10.0, revision 15.
const VERSION: [u8; 8] = [10, 0, 0, 0, 0, 0, 0, 15];
const EXTENDED_SECURITY: u32 = 0x0008_0000;
const KEY_EXCHANGE: u32 = 0x4000_0000;
/// Unicode, target, sign, datagram, NTLM, always sign, extended security, identify, target info,
/// version, 128-bit, key exchange.
const FLAGS: u32 = 0x6298_8255;
/// What a client says whether or not the server does.
const KEEP: u32 = 0x0200_8255;
