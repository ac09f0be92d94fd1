//! Messages as lines of a call ladder.

use linkspan_sip::{Message, Path};

use super::core::Core;
use crate::event::{GatewayEvent, LadderLine};
use crate::id::{CallId, Side};

/// Tells of a message that came or goes.
pub(crate) fn show(core: &mut Core, side: Side, inbound: bool, path: Path, octets: &[u8]) {
    // What cannot be read was or will be reported as refused.
    let Ok(message) = Message::parse(octets) else { return };
    let label = match (message.method_str(), message.status()) {
        (Some(method), _) => method.to_owned(),
        (None, Some(status)) => {
            format!("{} {}", status.as_u16(), message.reason().unwrap_or_default())
        }
        (None, None) => return,
    };
    let call = call_of(core, side, &message);
    let line = LadderLine {
        call,
        side,
        inbound,
        path,
        label,
        cseq: message.header("CSeq").unwrap_or_default().to_owned(),
        content_type: message.header("Content-Type").unwrap_or_default().to_owned(),
        octets: octets.len(),
    };
    core.tell(GatewayEvent::Message(Box::new(line)));
}

/// The call that a message belongs to.
pub(crate) fn call_of(core: &Core, side: Side, message: &Message<'_>) -> Option<CallId> {
    let call_id = message.header("Call-ID").unwrap_or_default();
    core.call_ids.get(&(side, call_id.into())).copied()
}
