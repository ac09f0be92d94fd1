//! Sending a request again as the response asks: with credentials, or for a longer time.

use std::time::Instant;

use bytes::Bytes;

use crate::message::Message;
use crate::method::Method;
use crate::path::Path;
use crate::request::Request;
use crate::transaction::TransactionId;
use crate::ua::session::State;
use crate::ua::subscription::Home;
use crate::ua::{ClientUse, UserAgent};

impl UserAgent {
    /// The request that a response wants changed, where we have something to change. It has to be
    /// taken before the transactions see the response, which may end the transaction.
    pub(super) fn retriable(&self, response: &Message<'_>) -> Option<(Bytes, Path)> {
        let asks = match response.status()?.as_u16() {
            401 | 407 => !self.config.credentials.is_empty(),
            422 => response.header("Min-SE").is_some(),
            423 => response.header("Min-Expires").is_some(),
            _ => false,
        };
        let sent = asks.then(|| self.transactions.sent_for(response)).flatten();
        sent.map(|(sent, path)| (sent.clone(), path))
    }

    /// Sends the request again. `false` where nothing can be changed, or was in vain.
    pub(super) fn retry(
        &mut self,
        id: TransactionId,
        sent: &Bytes,
        path: Path,
        response: &Message<'_>,
        now: Instant,
    ) -> bool {
        let Some(&use_) = self.client_uses.get(&id) else { return false };
        let original = Message::parse(sent).ok().and_then(|message| message.to_request());
        let Some(mut request) = original.filter(|request| request.method != Method::Cancel) else {
            return false;
        };
        if let ClientUse::Invite(session) = use_
            && self.sessions.get(&session).is_none_or(|state| state.state == State::Cancelling)
        {
            return false;
        }
        let changed = match response.status().map(|status| status.as_u16()) {
            Some(422) => lengthen_session(&mut request, response),
            Some(423) => lengthen_expires(&mut request, response),
            _ => self.add_credentials(&mut request, response),
        };
        if !changed {
            return false;
        }
        // RFC 3261 §22.2, RFC 4028 §7.3: the next number, and a transaction of its own.
        let Some(cseq) = request.headers.cseq().ok().flatten().map(|cseq| cseq.number() + 1) else {
            return false;
        };
        request.headers.set("CSeq", format!("{cseq} {}", request.method));
        request.headers.remove_first("Via");
        let Ok(new) = self.send_request(&mut request, path, now) else { return false };
        self.client_uses.remove(&id);
        self.client_uses.insert(new, use_);
        self.replace_transaction(use_, new, request, cseq);
        true
    }

    fn replace_transaction(
        &mut self,
        use_: ClientUse,
        new: TransactionId,
        request: Request,
        cseq: u32,
    ) {
        let session = match use_ {
            ClientUse::Invite(session)
            | ClientUse::Reinvite(session)
            | ClientUse::Refresh(session)
            | ClientUse::Own(session) => Some(session),
            ClientUse::Request { session, .. } => session,
            ClientUse::Subscribe(id) | ClientUse::Notify(id) => {
                let Some(usage) = self.subscriptions.get_mut(&id) else { return };
                if request.method == Method::Refer {
                    usage.refer = Some(cseq);
                }
                if let Home::Asked(asked) = &mut usage.home {
                    **asked = request;
                } else if let Some(dialog) = self.usage_dialog(id) {
                    dialog.raise_local_cseq(cseq);
                }
                return;
            }
        };
        let Some(state) = session.and_then(|session| self.sessions.get_mut(&session)) else {
            return;
        };
        if let Some(dialog) = &mut state.dialog {
            dialog.raise_local_cseq(cseq);
        }
        match use_ {
            ClientUse::Invite(_) => {
                state.early.clear();
                if let Some(outgoing) = &mut state.outgoing {
                    outgoing.transaction = new;
                    outgoing.request = request;
                    outgoing.provisional = false;
                }
            }
            ClientUse::Reinvite(_) => {
                if let Some(reinvite) = &mut state.reinvite {
                    reinvite.transaction = Some(new);
                    reinvite.cseq = cseq;
                }
            }
            _ => {}
        }
    }
}

/// RFC 4028 §7.3: the interval that the response names, unless it was asked for already.
fn lengthen_session(request: &mut Request, response: &Message<'_>) -> bool {
    let least = response.min_se().ok().flatten().and_then(|value| value.number());
    let asked = request.headers.session_expires().ok().flatten();
    let (Some(least), Some(asked)) = (least, asked) else { return false };
    if asked.number().is_none_or(|asked| asked >= least) {
        return false;
    }
    let value = format!("{least}{}", asked.params());
    request.headers.set("Session-Expires", value);
    request.headers.set("Min-SE", least.to_string());
    true
}

/// RFC 6665 §4.1.2.1 and RFC 3261 §10.3: the time that the response names.
fn lengthen_expires(request: &mut Request, response: &Message<'_>) -> bool {
    let least = response.min_expires().ok().flatten();
    let asked = request.headers.expires().ok().flatten();
    let (Some(least), Some(asked)) = (least, asked) else { return false };
    if asked == 0 || asked >= least {
        return false;
    }
    request.headers.set("Expires", least.to_string());
    true
}
