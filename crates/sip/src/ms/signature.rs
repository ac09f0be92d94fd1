//! What a message signature covers (`[MS-SIPAE]` 3.2.4, `[MS-SIP]` 3.1.4.2).

use crate::auth::AuthValue;
use crate::message::Message;
use crate::name_addr::NameAddrRef;

/// The string that the signature of a message is computed over. `auth` is the value of its
/// (Proxy-)Authorization, or of its (Proxy-)Authentication-Info; `version` is what the challenge
/// said: 2, 3 or 4. `None` where a mandatory header is missing.
///
/// ```
/// use linkspan_sip::{AuthValue, Message, ms::signed_string};
///
/// let octets = b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\n\
///     From: <sip:a@example.com>;tag=F;epid=01\r\nTo: <sip:a@example.com>\r\nCall-ID: C\r\n\
///     CSeq: 3 REGISTER\r\n\r\n";
/// let message = Message::parse(octets).unwrap();
/// let auth = r#"NTLM realm="R", targetname="t", crand="13317733", cnum="1", response="00""#;
/// let auth = AuthValue::parse(auth).unwrap();
/// assert_eq!(
///     signed_string(&message, &auth, 4).unwrap(),
///     "<NTLM><13317733><1><R><t><C><3><REGISTER><sip:a@example.com><F><sip:a@example.com><><><><>",
/// );
/// ```
pub fn signed_string(message: &Message<'_>, auth: &AuthValue<'_>, version: u32) -> Option<String> {
    let mut text = String::with_capacity(256);
    let mut push = |value: &str| {
        text.push('<');
        text.push_str(value);
        text.push('>');
    };
    let param = |names: [&str; 2]| {
        names.iter().find_map(|name| auth.param(name)).unwrap_or_default().into_owned()
    };
    let (from, to) = (message.from().ok()??, message.to().ok()??);
    let cseq = message.cseq().ok()??;
    push(auth.scheme());
    push(&param(["crand", "srand"]));
    push(&param(["cnum", "snum"]));
    push(&param(["realm", "realm"]));
    push(&param(["targetname", "targetname"]));
    push(message.call_id().ok()??);
    push(&cseq.number().to_string());
    push(cseq.method_str());
    push(from.uri().as_str());
    push(from.tag().unwrap_or(""));
    if version < 3 {
        push(to.tag().unwrap_or(""));
    } else {
        push(to.uri().as_str());
        push(to.tag().unwrap_or(""));
        let (sip, tel) = identities(message);
        push(sip);
        push(tel);
    }
    push(message.header("Expires").unwrap_or(""));
    if let Some(status) = message.status() {
        push(&status.to_string());
    }
    Some(text)
}

/// The sip and tel URIs of P-Asserted-Identity, else of P-Preferred-Identity.
fn identities<'a>(message: &Message<'a>) -> (&'a str, &'a str) {
    let (mut sip, mut tel) = ("", "");
    let mut asserted = message.asserted_identities().peekable();
    let take = |address: NameAddrRef<'a>| {
        let uri = address.uri();
        let slot = if uri.is_tel() { &mut tel } else { &mut sip };
        if slot.is_empty() {
            *slot = uri.as_str();
        }
    };
    if asserted.peek().is_some() {
        asserted.filter_map(Result::ok).for_each(take);
    } else {
        message.preferred_identities().filter_map(Result::ok).for_each(take);
    }
    (sip, tel)
}
