//! The notifier's side of RFC 6665, and that of who was referred (RFC 3515).

use core::time::Duration;
use std::time::Instant;

use crate::dialog::Dialog;
use crate::headers::Headers;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::name_addr::NameAddr;
use crate::path::Path;
use crate::request::{Body, Request, Response};
use crate::transaction::TransactionId;
use crate::ua::subscription::{Home, Role, ends_usage};
use crate::ua::{
    ClientUse, Dialect, RequestId, SubscriptionEnd, SubscriptionId, SubscriptionState, UaEvent,
    UserAgent, VerbError,
};

impl UserAgent {
    /// Accepts a SUBSCRIBE (200) or a REFER (202) that came as [`UaEvent::Request`], for no longer
    /// than `longest`. A [`notify`](Self::notify) is due at once, and after each
    /// `SubscriptionRefreshed`; the engine answers the refreshes, and ends what is not refreshed.
    ///
    /// # Errors
    ///
    /// [`VerbError::NoRequest`], [`VerbError::Method`] for other requests, [`VerbError::Limit`].
    pub fn accept_subscription(
        &mut self,
        id: RequestId,
        contact: &NameAddr,
        longest: Duration,
        headers: Headers,
        now: Instant,
    ) -> Result<SubscriptionId, VerbError> {
        let asked = self.asked.get(&id).ok_or(VerbError::NoRequest)?;
        let status = match asked.request.method {
            Method::Subscribe => StatusCode::OK,
            Method::Refer => StatusCode::ACCEPTED,
            _ => return Err(VerbError::Method),
        };
        if self.subscriptions.len() >= self.config.limits.subscriptions {
            return Err(VerbError::Limit);
        }
        let (request, path, session) = (asked.request.clone(), asked.path, asked.session);
        let state = session.and_then(|session| self.sessions.get(&session));
        let tag = state.map_or(&asked.to_tag, |state| &state.local_tag).clone();
        let call_id = request.headers.first("Call-ID").unwrap_or_default().to_owned();
        let event = request.headers.first("Event").unwrap_or("refer").to_owned();
        let contact = contact.to_string();
        let home = match session {
            Some(session) => Home::Session(session),
            None => {
                let dialog = Dialog::from_request(&request, &tag, path);
                let mut dialog = dialog.ok_or(VerbError::NoRequest)?;
                dialog.set_contact_raw(&contact);
                Home::Own(Box::new(dialog))
            }
        };
        let ids = (call_id, tag);
        let mut usage = self.usage((Role::Notifier, home), path, ids, event, contact.clone(), now);
        usage.longest = longest;
        let cseq = request.headers.cseq().ok().flatten().map(|cseq| cseq.number());
        usage.refer = cseq.filter(|_| request.method == Method::Refer);
        usage.benotify =
            self.config.dialect == Dialect::Lync && request.headers.supported().has("ms-benotify");
        let granted = granted(&request.headers, longest);
        usage.ending = granted.is_zero();
        usage.run_for(if usage.ending { self.config.timers.timeout() } else { granted }, now);
        let mut extra = Headers::new();
        request.headers.all("Record-Route").for_each(|route| extra.push("Record-Route", route));
        extra.push("Contact", contact);
        if request.method == Method::Subscribe {
            extra.push("Expires", granted.as_secs().to_string());
        }
        extra.extend(&headers);
        self.respond(id, status, extra, None, now)?;
        Ok(self.add_usage(usage))
    }

    /// Tells a subscriber what there is to know. [`SubscriptionState::Terminated`] ends the
    /// subscription.
    ///
    /// # Errors
    ///
    /// [`VerbError::NoSubscription`]; [`VerbError::State`] for a subscriber.
    pub fn notify(
        &mut self,
        subscription: SubscriptionId,
        state: &SubscriptionState,
        headers: &Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        let usage = self.subscriptions.get(&subscription).ok_or(VerbError::NoSubscription)?;
        if usage.role != Role::Notifier {
            return Err(VerbError::State);
        }
        self.send_notify(subscription, state, headers, body, now);
        if matches!(state, SubscriptionState::Terminated { .. }) {
            self.end_usage(subscription, SubscriptionEnd::Local);
        }
        Ok(())
    }

    fn send_notify(
        &mut self,
        id: SubscriptionId,
        state: &SubscriptionState,
        headers: &Headers,
        body: Option<Body>,
        now: Instant,
    ) {
        let Some(usage) = self.subscriptions.get(&id) else { return };
        let left = usage.end_at.map_or(Duration::ZERO, |end| end.saturating_duration_since(now));
        let left = if usage.ending { Duration::ZERO } else { left };
        let method = if usage.benotify { Method::Benotify } else { Method::Notify };
        // RFC 3515 §2.4.6: the id tells several REFERs of a dialog apart.
        let event = match usage.refer {
            Some(cseq) if matches!(usage.home, Home::Session(_)) => format!("refer;id={cseq}"),
            _ => usage.event.clone(),
        };
        let Some(dialog) = self.usage_dialog(id) else { return };
        let mut request = dialog.request(method);
        let path = dialog.next_hop();
        request.headers.push("Event", event);
        request.headers.push("Subscription-State", state.write(left));
        self.complete(&mut request, headers, body);
        if let Ok(transaction) = self.send_request(&mut request, path, now) {
            self.client_uses.insert(transaction, ClientUse::Notify(id));
        }
    }

    /// The answer to a NOTIFY of ours.
    pub(super) fn notify_response(&mut self, id: SubscriptionId, response: &Response) {
        if response.status.is_success() {
            if let Some(dialog) = self.usage_dialog(id) {
                dialog.refresh_target(&response.headers);
            }
        } else if ends_usage(response.status) {
            self.end_usage(id, SubscriptionEnd::Lost(response.status));
        }
    }

    /// A SUBSCRIBE within the dialog: more time, or no more.
    pub(super) fn receive_refresh(
        &mut self,
        id: SubscriptionId,
        message: &Message<'_>,
        request: Request,
        transaction: TransactionId,
        path: Path,
        now: Instant,
    ) {
        if !self.accept_usage_cseq(id, message) {
            let status = StatusCode::SERVER_INTERNAL_ERROR;
            return self.refuse(message, transaction, path, status, now);
        }
        let wait = self.config.timers.timeout();
        let Some(usage) = self.subscriptions.get_mut(&id) else { return };
        let expires = granted(&request.headers, usage.longest);
        usage.ending = expires.is_zero();
        // The last NOTIFY is the application's; without it, ours.
        usage.run_for(if usage.ending { wait } else { expires }, now);
        let mut extra = Headers::new();
        extra.push("Contact", &usage.contact);
        extra.push("Expires", expires.as_secs().to_string());
        self.rewatch(id);
        self.answer(message, transaction, StatusCode::OK, &extra, now);
        self.emit(UaEvent::SubscriptionRefreshed { subscription: id, request, expires });
    }

    /// RFC 6665 §4.2.2: who was not refreshed is told.
    pub(super) fn expire_notifier(&mut self, id: SubscriptionId, now: Instant) {
        let state = SubscriptionState::terminated("timeout");
        self.send_notify(id, &state, &Headers::new(), None, now);
        self.end_usage(id, SubscriptionEnd::Expired);
    }
}

/// What is granted: what is asked for, but no more than the longest.
fn granted(headers: &Headers, longest: Duration) -> Duration {
    let asked = headers.expires().ok().flatten();
    asked.map_or(longest, |secs| Duration::from_secs(secs.into()).min(longest))
}
