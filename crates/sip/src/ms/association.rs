//! Security associations with NTLM (`[MS-SIPAE]` 3.2 and 3.3): from the first challenge to signed
//! messages, for both ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::auth::{AuthValue, Credentials, Password};
use crate::lex;
use crate::message::Message;
use crate::ms::{
    NtlmAuthenticate, NtlmChallenge, NtlmError, NtlmSession, SaChallenge, signed_string,
};
use crate::request::{Request, Response};

/// The client's end.
///
/// ```
/// use linkspan_sip::ms::{NtlmClient, NtlmServer, SaChallenge};
/// use linkspan_sip::{AuthValue, Credentials, Message, Method, Password, Request};
///
/// let mut server = NtlmServer::new("SIP Communications Service", "fe.example.com", 4, [7; 8]);
/// let mut client = NtlmClient::new(Credentials::new("alice", "secret"), "");
/// // 401, REGISTER, 401, REGISTER:
/// let offer = server.offer();
/// let offer = SaChallenge::parse(&AuthValue::parse(&offer).unwrap()).unwrap().unwrap();
/// client.answer(&offer, 0, [1; 8], [2; 16]).unwrap();
/// let challenge = server.challenge("A1");
/// let challenge = SaChallenge::parse(&AuthValue::parse(&challenge).unwrap()).unwrap().unwrap();
/// let answer = client.answer(&challenge, 132_000_000_000_000_000, [1; 8], [2; 16]).unwrap();
/// server.accept(&AuthValue::parse(&answer).unwrap(), &Password::new("secret")).unwrap();
/// // From now on every message is signed.
/// let mut request = Request::new(Method::Register, "sip:example.com".parse().unwrap());
/// for (name, value) in [("From", "<sip:alice@example.com>;tag=1"), ("To", "<sip:alice@example.com>"),
///     ("Call-ID", "1"), ("CSeq", "3 REGISTER")] {
///     request.headers.push(name, value);
/// }
/// client.sign(&mut request, false, 0x1331_7733).unwrap();
/// let octets = request.to_bytes();
/// assert!(server.verify(&Message::parse(&octets).unwrap()));
/// ```
#[derive(Debug)]
pub struct NtlmClient {
    credentials: Credentials,
    domain: String,
    association: Option<Association>,
    session: Option<NtlmSession>,
    number: u32,
}

#[derive(Clone, Debug)]
struct Association {
    realm: String,
    target: String,
    version: u32,
    opaque: String,
}

impl Association {
    fn of(challenge: &SaChallenge<'_>) -> Self {
        Self {
            realm: challenge.realm.clone().into_owned(),
            target: challenge.target.clone().into_owned(),
            version: challenge.version,
            opaque: challenge.opaque.clone().unwrap_or_default().into_owned(),
        }
    }

    fn head(&self) -> String {
        let opaque = match self.opaque.as_str() {
            "" => String::new(),
            opaque => format!(", opaque={}", lex::quote(opaque)),
        };
        let (realm, target) = (lex::quote(&self.realm), lex::quote(&self.target));
        format!("NTLM qop=\"auth\"{opaque}, realm={realm}, targetname={target}")
    }
}

impl NtlmClient {
    /// A client of this NetBIOS domain, which may be empty.
    pub fn new(credentials: Credentials, domain: &str) -> Self {
        let domain = domain.to_owned();
        Self { credentials, domain, association: None, session: None, number: 0 }
    }

    /// The value of (Proxy-)Authorization that answers a challenge: the first is answered without a
    /// token, as connectionless NTLM begins with the server's. `file_time` is the time in 100 ns
    /// since the start of 1601; the rest is random.
    ///
    /// # Errors
    ///
    /// [`NtlmError`] where the server's token is malformed or asks for another mode.
    pub fn answer(
        &mut self,
        challenge: &SaChallenge<'_>,
        file_time: u64,
        client_challenge: [u8; 8],
        session_key: [u8; 16],
    ) -> Result<String, NtlmError> {
        let association = Association::of(challenge);
        let (head, version) = (association.head(), association.version);
        self.association = Some(association);
        let Some(token) = &challenge.token else {
            (self.session, self.number) = (None, 0);
            return Ok(format!("{head}, gssapi-data=\"\", version={version}"));
        };
        let parameters = NtlmAuthenticate {
            username: &self.credentials.username,
            domain: &self.domain,
            password: &self.credentials.password,
            client_challenge,
            file_time,
            session_key,
        };
        let (token, session) =
            NtlmSession::authenticate(&NtlmChallenge::parse(token)?, &parameters)?;
        self.session = Some(session);
        let token = STANDARD.encode(token);
        Ok(format!("{head}, gssapi-data=\"{token}\", version={version}"))
    }

    /// Signs a request that is complete otherwise: adds Authorization, or Proxy-Authorization.
    ///
    /// # Errors
    ///
    /// [`NtlmError::Unsupported`] before there is an association, [`NtlmError::Malformed`] where
    /// the request lacks what is signed.
    pub fn sign(
        &mut self,
        request: &mut Request,
        proxy: bool,
        crand: u32,
    ) -> Result<(), NtlmError> {
        let (Some(association), Some(session)) = (&self.association, &self.session) else {
            return Err(NtlmError::Unsupported);
        };
        self.number = self.number.wrapping_add(1);
        let head = association.head();
        let value = format!("{head}, crand=\"{crand:08x}\", cnum=\"{}\"", self.number);
        let text = text_of(&request.to_bytes(), &value, association.version)?;
        let response = session.sign_as_client(&text);
        let name = if proxy { "Proxy-Authorization" } else { "Authorization" };
        request.headers.push(name, format!("{value}, response=\"{response}\""));
        Ok(())
    }

    /// Whether the server's signature of a message fits.
    pub fn verify(&self, message: &Message<'_>) -> bool {
        let (Some(association), Some(session)) = (&self.association, &self.session) else {
            return false;
        };
        let infos = ["Authentication-Info", "Proxy-Authentication-Info"];
        signatures(message, &infos, "rspauth", association.version)
            .any(|(text, signature)| session.verify_server(&text, &signature))
    }
}

/// The server's end of one association.
#[derive(Debug)]
pub struct NtlmServer {
    association: Association,
    challenge: NtlmChallenge,
    session: Option<NtlmSession>,
    number: u32,
}

impl NtlmServer {
    /// A server that signs by this version (2, 3 or 4), with a random challenge.
    pub fn new(realm: &str, target: &str, version: u32, challenge: [u8; 8]) -> Self {
        let association = Association {
            realm: realm.to_owned(),
            target: target.to_owned(),
            version,
            opaque: String::new(),
        };
        let host = target.split('.').next().unwrap_or(target).to_ascii_uppercase();
        let challenge = NtlmChallenge::new(challenge, &host, &host);
        Self { association, challenge, session: None, number: 0 }
    }

    /// The first challenge, without an association.
    pub fn offer(&self) -> String {
        let Association { realm, target, version, .. } = &self.association;
        let (realm, target) = (lex::quote(realm), lex::quote(target));
        format!("NTLM realm={realm}, targetname={target}, version={version}")
    }

    /// The second, with the server's token, for the association that is called `opaque`.
    pub fn challenge(&mut self, opaque: &str) -> String {
        self.association.opaque = opaque.to_owned();
        let token = STANDARD.encode(self.challenge.to_bytes());
        let opaque = lex::quote(opaque);
        format!("{}, opaque={opaque}, gssapi-data=\"{token}\"", self.offer())
    }

    /// Takes the client's token.
    ///
    /// # Errors
    ///
    /// [`NtlmError`].
    pub fn accept(
        &mut self,
        credentials: &AuthValue<'_>,
        password: &Password,
    ) -> Result<(), NtlmError> {
        let token = credentials.param("gssapi-data").ok_or(NtlmError::Malformed)?;
        let token = STANDARD.decode(token.as_bytes()).map_err(|_| NtlmError::Malformed)?;
        self.session = Some(NtlmSession::verify(&token, &self.challenge.challenge, password)?);
        Ok(())
    }

    /// Whether the client's signature of a message fits.
    pub fn verify(&self, message: &Message<'_>) -> bool {
        let Some(session) = &self.session else { return false };
        let names = ["Authorization", "Proxy-Authorization"];
        signatures(message, &names, "response", self.association.version)
            .any(|(text, signature)| session.verify_client(&text, &signature))
    }

    /// Signs a response that is complete otherwise: adds Authentication-Info, or its proxy kin.
    ///
    /// # Errors
    ///
    /// As [`NtlmClient::sign`].
    pub fn sign(
        &mut self,
        response: &mut Response,
        proxy: bool,
        srand: u32,
    ) -> Result<(), NtlmError> {
        let session = self.session.as_ref().ok_or(NtlmError::Unsupported)?;
        self.number = self.number.wrapping_add(1);
        let head = self.association.head();
        let value = format!("{head}, srand=\"{srand:08X}\", snum=\"{}\"", self.number);
        let text = text_of(&response.to_bytes(), &value, self.association.version)?;
        let signature = session.sign_as_server(&text);
        let name = if proxy { "Proxy-Authentication-Info" } else { "Authentication-Info" };
        response.headers.push(name, format!("{value}, rspauth=\"{signature}\""));
        Ok(())
    }
}

fn text_of(octets: &[u8], value: &str, version: u32) -> Result<String, NtlmError> {
    let message = Message::parse(octets).map_err(|_| NtlmError::Malformed)?;
    let value = AuthValue::parse(value).map_err(|_| NtlmError::Malformed)?;
    signed_string(&message, &value, version).ok_or(NtlmError::Malformed)
}

/// The signatures of a message, each with the text that it covers.
fn signatures<'m>(
    message: &'m Message<'_>,
    names: &'m [&'m str],
    param: &'m str,
    version: u32,
) -> impl Iterator<Item = (String, String)> + 'm {
    let lines = names.iter().flat_map(|name| message.header_all(name));
    lines.filter_map(move |line| {
        let value = AuthValue::parse(line).ok().filter(|value| value.is("NTLM"))?;
        let signature = value.param(param)?.into_owned();
        Some((signed_string(message, &value, version)?, signature))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{Method, StatusCode};

    fn parsed(text: &str) -> SaChallenge<'_> {
        SaChallenge::parse(&AuthValue::parse(text).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn both_ends_sign_and_verify_in_every_version() {
        for version in [2, 3, 4] {
            let mut server = NtlmServer::new("SIP Service", "fe.example.com", version, [9; 8]);
            let mut client = NtlmClient::new(Credentials::new("bob", "pw"), "LAB");
            client.answer(&parsed(&server.offer()), 0, [1; 8], [2; 16]).unwrap();
            let challenge = server.challenge("00CA");
            let answer = client.answer(&parsed(&challenge), 1 << 56, [1; 8], [2; 16]).unwrap();
            let answer = AuthValue::parse(&answer).unwrap();
            assert_eq!(server.accept(&answer, &Password::new("no")), Err(NtlmError::Wrong));
            server.accept(&answer, &Password::new("pw")).unwrap();
            let mut request = Request::new(Method::Invite, "sip:a@b".parse().unwrap());
            for (name, value) in [
                ("From", "\"B\" <sip:bob@example.com>;tag=1;epid=2"),
                ("To", "<sip:a@b>"),
                ("Call-ID", "7"),
                ("CSeq", "4 INVITE"),
                ("P-Preferred-Identity", "<sip:bob@example.com>, <tel:+14255550100>"),
            ] {
                request.headers.push(name, value);
            }
            client.sign(&mut request, true, 5).unwrap();
            let octets = request.to_bytes();
            assert!(server.verify(&Message::parse(&octets).unwrap()));
            // Version 3 covers the identities, version 2 the tags alone.
            request.headers.set("P-Preferred-Identity", "<sip:eve@example.com>");
            let forged = request.to_bytes();
            let covered = !server.verify(&Message::parse(&forged).unwrap());
            assert_eq!(covered, version > 2);
            let mut response = request.response(StatusCode::OK, "t");
            server.sign(&mut response, true, 6).unwrap();
            let octets = response.to_bytes();
            assert!(client.verify(&Message::parse(&octets).unwrap()));
            let forged = String::from_utf8_lossy(&octets).replace(" 200 OK", " 299 OK");
            assert!(!client.verify(&Message::parse(forged.as_bytes()).unwrap()));
        }
    }
}
