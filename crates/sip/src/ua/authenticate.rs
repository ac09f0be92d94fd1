//! Answering 401 and 407 by ourselves.

use std::time::Instant;

use bytes::Bytes;

use crate::auth::{AuthValue, answer_challenge};
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::path::Path;
use crate::request::Request;
use crate::transaction::TransactionId;
use crate::ua::session::State;
use crate::ua::{ClientUse, UserAgent};

impl UserAgent {
    /// The request that a challenge is for, where we have something to answer. It has to be taken
    /// before the transactions see the response, which may end the transaction.
    pub(super) fn challenged(&self, response: &Message<'_>) -> Option<(Bytes, Path)> {
        let asks = matches!(response.status()?.as_u16(), 401 | 407);
        if !asks || self.config.credentials.is_empty() {
            return None;
        }
        self.transactions.sent_for(response).map(|(sent, path)| (sent.clone(), path))
    }

    /// Sends the request again with credentials. `false` where there are none that fit, or they
    /// were refused.
    pub(super) fn authenticate(
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
        if !self.add_credentials(&mut request, response) {
            return false;
        }
        // RFC 3261 §22.2: the next number, and a transaction of its own.
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

    /// Answers the challenges of every realm for which we are somebody.
    fn add_credentials(&mut self, request: &mut Request, response: &Message<'_>) -> bool {
        let proxy = response.status() == Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let (asks, answers) = if proxy {
            ("Proxy-Authenticate", "Proxy-Authorization")
        } else {
            ("WWW-Authenticate", "Authorization")
        };
        let mut done: Vec<String> = Vec::new();
        for line in response.header_all(asks) {
            let Ok(challenge) = AuthValue::parse(line) else { continue };
            let Some(realm) = challenge.param("realm") else { continue };
            // RFC 8760 §2.4: the topmost challenge of a realm that we can answer.
            if done.iter().any(|done| *done == realm) {
                continue;
            }
            let stale = challenge.param("stale").is_some_and(|stale| stale == "true");
            if !stale && has_answered(request, answers, &realm) {
                return false;
            }
            let cnonce = self.draw_token();
            let fits = self.config.credentials.iter().find(|own| own.fit(&realm));
            let method = request.method.as_str();
            let uri = request.uri.as_str();
            let answer = fits.and_then(|own| {
                answer_challenge(&challenge, own, method, uri, &request.body, &cnonce, 1)
            });
            let Some(answer) = answer else { continue };
            drop_answers(request, answers, &realm);
            request.headers.push(answers, answer);
            done.push(realm.into_owned());
        }
        !done.is_empty()
    }
}

fn has_answered(request: &Request, name: &str, realm: &str) -> bool {
    request.headers.all(name).any(|line| is_of(line, realm))
}

fn drop_answers(request: &mut Request, name: &str, realm: &str) {
    let kept = request.headers.all(name).filter(|line| !is_of(line, realm));
    let kept: Vec<String> = kept.map(str::to_owned).collect();
    request.headers.remove(name);
    for line in kept {
        request.headers.push(name, line);
    }
}

fn is_of(line: &str, realm: &str) -> bool {
    let value = AuthValue::parse(line);
    value.is_ok_and(|value| value.param("realm").is_some_and(|own| own == realm))
}
