//! The sign-in of a Lync client that is not ours: its proof and every signature fit.
#![cfg(feature = "ntlm")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where it is surprised"
)]

use std::collections::HashMap;

use linkspan_sip::{AuthValue, Message, Password, ms};

fn decode(text: &str) -> Vec<u8> {
    let value = |octet: u8| match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for quad in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = quad.iter().fold(0_u32, |bits, &octet| bits << 6 | u32::from(value(octet)));
        let bits = bits << (6 * (4 - quad.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..quad.len()]);
    }
    out
}

#[test]
fn captured_signatures_fit() {
    let Some(dir) = linkspan_testnet::vectors("sipe") else { return };
    for (capture, at_least) in [("05-ntlm-signin", 25), ("06-tls-ntlm-av-call", 30)] {
        let mut paths: Vec<_> = std::fs::read_dir(dir.join(capture).join("msgs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sip"))
            .collect();
        paths.sort();
        let mut challenges: HashMap<String, [u8; 8]> = HashMap::new();
        let mut sessions: HashMap<String, ms::NtlmSession> = HashMap::new();
        let (mut client, mut server) = (0, 0);
        for path in paths {
            let octets = std::fs::read(&path).unwrap();
            let message = Message::parse(&octets).unwrap();
            for name in [
                "WWW-Authenticate",
                "Authorization",
                "Proxy-Authorization",
                "Authentication-Info",
                "Proxy-Authentication-Info",
            ] {
                for line in message.header_all(name) {
                    let auth = AuthValue::parse(line).unwrap();
                    let Some(opaque) = auth.param("opaque") else { continue };
                    let data = auth.param("gssapi-data").map(|data| decode(&data));
                    if let Some(data) = data.filter(|data| !data.is_empty()) {
                        if name == "WWW-Authenticate" {
                            let challenge = ms::NtlmChallenge::parse(&data).unwrap();
                            assert_eq!(
                                ms::NtlmChallenge::parse(&challenge.to_bytes()),
                                Ok(challenge.clone())
                            );
                            challenges.insert(opaque.to_string(), challenge.challenge);
                        } else {
                            let challenge = &challenges[opaque.as_ref()];
                            let wrong =
                                ms::NtlmSession::verify(&data, challenge, &Password::new("guess"));
                            assert_eq!(wrong.unwrap_err(), ms::NtlmError::Wrong);
                            let session =
                                ms::NtlmSession::verify(&data, challenge, &Password::new("secret"));
                            sessions.insert(opaque.to_string(), session.unwrap());
                        }
                    }
                    let text = ms::signed_string(&message, &auth, 4).unwrap();
                    let Some(session) = sessions.get(opaque.as_ref()) else { continue };
                    let file = path.display();
                    if let Some(response) = auth.param("response") {
                        assert!(session.verify_client(&text, &response), "{file}: {text}");
                        client += 1;
                    }
                    if let Some(rspauth) = auth.param("rspauth") {
                        assert!(session.verify_server(&text, &rspauth), "{file}: {text}");
                        server += 1;
                    }
                }
            }
        }
        assert!(client >= at_least && server >= 10, "{capture}: {client} and {server}");
    }
}
