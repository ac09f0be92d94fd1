//! Replaces (RFC 3891): a call that takes the place of another.

use std::time::Instant;

use crate::headers::Headers;
use crate::message::Message;
use crate::method::StatusCode;
use crate::typed::Parametrized;
use crate::ua::session::State;
use crate::ua::{EndCause, SessionId, UserAgent, index};

impl UserAgent {
    /// The call that a new one is to replace, as its INVITE asked by Replaces. `accept` ends that
    /// call by itself, with [`EndCause::Replaced`].
    pub fn replaces(&self, session: SessionId) -> Option<SessionId> {
        self.sessions.get(&session)?.replaces
    }

    /// RFC 3891 §3: the call that an INVITE replaces, or what it is answered.
    pub(super) fn find_replaced(
        &self,
        message: &Message<'_>,
    ) -> Result<Option<SessionId>, StatusCode> {
        let mut lines = message.header_all("Replaces");
        let served = self.config.supported.iter().any(|own| own.eq_ignore_ascii_case("replaces"));
        let Some(line) = lines.next().filter(|_| served) else { return Ok(None) };
        if lines.next().is_some() {
            return Err(StatusCode::BAD_REQUEST);
        }
        let value = Parametrized::parse(line).map_err(|_| StatusCode::BAD_REQUEST)?;
        let tag = |name| value.params().value(name).ok_or(StatusCode::BAD_REQUEST);
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        let gone = StatusCode::CALL_DOES_NOT_EXIST;
        let id = *self.by_local.get(&index(value.value(), to_tag)).ok_or(gone)?;
        let state = self.sessions.get(&id).ok_or(gone)?;
        // A tag of 0 stands for that of an RFC 2543 peer, which has none.
        let fits = |tag: &str| tag == from_tag || (tag.is_empty() && from_tag == "0");
        let known = match &state.dialog {
            Some(dialog) => fits(dialog.remote_tag()),
            None => state.early.iter().any(|early| fits(early.dialog.remote_tag())),
        };
        match state.state {
            _ if !known => Err(gone),
            State::Established if value.params().contains("early-only") => {
                Err(StatusCode::BUSY_HERE)
            }
            State::Established => Ok(Some(id)),
            // An early dialog can be replaced only where we made the call.
            State::Early if state.caller => Ok(Some(id)),
            State::Early | State::Cancelling => Err(gone),
        }
    }

    pub(super) fn end_replaced(&mut self, session: SessionId, now: Instant) {
        let state = self.sessions.get_mut(&session);
        let Some(old) = state.and_then(|state| state.replaces.take()) else { return };
        let established =
            self.sessions.get(&old).is_some_and(|state| state.state == State::Established);
        if established {
            self.say_bye(old, &Headers::new(), now);
            self.end_session(old, EndCause::Replaced(session), now);
        } else {
            // An early call of ours: its end comes as `Rejected`.
            let _ = self.cancel(old, Headers::new(), now);
        }
    }
}
