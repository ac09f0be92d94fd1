//! What tells transactions apart.

use crate::message::Message;
use crate::path::Path;

/// RFC 3261 §17.1.3: the branch of the top Via and the method of CSeq.
pub(crate) fn client_key(message: &Message<'_>) -> Option<Box<str>> {
    let via = message.via().ok()??;
    let cseq = message.cseq().ok()??;
    Some(join(&[via.branch()?, cseq.method_str()]))
}

/// RFC 3261 §17.2.3: branch, sent-by and method, where ACK belongs to INVITE.
pub(crate) fn server_key(message: &Message<'_>, path: &Path) -> Option<Box<str>> {
    let method = match message.method_str()? {
        "ACK" => "INVITE",
        method => method,
    };
    key(message, path, method)
}

/// The key of the INVITE that a CANCEL or an ACK belongs to.
pub(crate) fn invite_key(message: &Message<'_>, path: &Path) -> Option<Box<str>> {
    key(message, path, "INVITE")
}

fn key(message: &Message<'_>, path: &Path, method: &str) -> Option<Box<str>> {
    let via = message.via().ok()??;
    if let Some(branch) = via.unique_branch() {
        let port = via.port().map(|port| port.to_string()).unwrap_or_default();
        return Some(join(&[branch, &via.host().to_ascii_lowercase(), &port, method]));
    }
    // The rule for RFC 2543 peers, and for Lync clients, whose Via has no branch. The To tag is
    // left out: it is the one value in which an ACK differs from its INVITE. Two clients share
    // Call-IDs in practice, hence the address.
    let from = message.from().ok()??;
    let cseq = message.cseq().ok()??;
    Some(join(&[
        message.uri()?.as_str(),
        from.tag().unwrap_or(""),
        message.call_id().ok()??,
        &cseq.number().to_string(),
        via.as_str(),
        &path.remote.to_string(),
        method,
    ]))
}

/// Joined by an octet that no part holds.
fn join(parts: &[&str]) -> Box<str> {
    parts.join("\n").into_boxed_str()
}
