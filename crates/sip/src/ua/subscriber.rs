//! The subscriber's side of RFC 6665, and the referrer's of RFC 3515.

use core::time::Duration;
use std::time::Instant;

use crate::dialog::Dialog;
use crate::headers::Headers;
use crate::message::Message;
use crate::method::{Method, StatusCode};
use crate::name_addr::NameAddr;
use crate::path::Path;
use crate::request::{Request, Response};
use crate::transaction::TransactionId;
use crate::typed::Parametrized;
use crate::ua::subscription::{Home, Role, Subscription, ends_usage};
use crate::ua::{
    ClientUse, Dialect, OutgoingSubscribe, RefusedError, SessionId, SubscriptionEnd,
    SubscriptionId, SubscriptionState, UaEvent, UserAgent, VerbError, index,
};

impl UserAgent {
    /// Asks for a subscription, or refers somebody. `Subscribed` and `Notified` follow; the engine
    /// answers each NOTIFY and refreshes the subscription until `SubscriptionEnded`.
    ///
    /// # Errors
    ///
    /// [`VerbError::Limit`], [`VerbError::Overloaded`].
    pub fn subscribe(
        &mut self,
        subscribe: OutgoingSubscribe,
        now: Instant,
    ) -> Result<SubscriptionId, VerbError> {
        self.check_rest(&subscribe.path, now)?;
        let local_tag = self.draw_token();
        let drawn = self.draw_token();
        let path = subscribe.path;
        let call_id =
            subscribe.call_id.clone().unwrap_or_else(|| format!("{drawn}@{}", path.local.ip()));
        let mut request = subscribe.to_request(&call_id, &local_tag);
        self.complete(&mut request, &subscribe.headers, subscribe.body.clone());
        let refer = subscribe.refer_to.is_some().then_some(1);
        let contact = subscribe.contact.to_string();
        let home = Home::Asked(Box::new(request.clone()));
        let ids = (call_id, local_tag);
        let mut usage =
            self.usage((Role::Subscriber, home), path, ids, subscribe.event, contact, now);
        usage.refer = refer;
        usage.longest = subscribe.expires;
        usage.forks = subscribe.forks;
        self.open_usage(usage, request, path, now)
    }

    /// Refers the peer of a call to somebody (RFC 3515): `refer_to` may carry a Replaces in its
    /// headers part. What becomes of it comes as `Notified`, with a sipfrag.
    ///
    /// # Errors
    ///
    /// [`VerbError::State`] before there is a dialog; [`VerbError::Limit`].
    pub fn refer(
        &mut self,
        session: SessionId,
        refer_to: &NameAddr,
        headers: &Headers,
        now: Instant,
    ) -> Result<SubscriptionId, VerbError> {
        let state = self.sessions.get_mut(&session).ok_or(VerbError::NoSession)?;
        let (call_id, local_tag) = (state.call_id.clone(), state.local_tag.clone());
        let dialog = state.dialog.as_mut().ok_or(VerbError::State)?;
        let mut request = dialog.request(Method::Refer);
        let (path, cseq) = (dialog.next_hop(), dialog.local_cseq());
        let contact = dialog.contact().unwrap_or_default().to_owned();
        request.headers.push("Refer-To", refer_to.to_string());
        self.complete(&mut request, headers, None);
        let event = "refer".to_owned();
        let role = (Role::Subscriber, Home::Session(session));
        let mut usage = self.usage(role, path, (call_id, local_tag), event, contact, now);
        usage.refer = Some(cseq);
        self.open_usage(usage, request, path, now)
    }

    /// A usage that waits for its first NOTIFY.
    pub(super) fn usage(
        &self,
        (role, home): (Role, Home),
        path: Path,
        (call_id, local_tag): (String, String),
        event: String,
        contact: String,
        now: Instant,
    ) -> Subscription {
        let notify_by = now.checked_add(self.config.timers.timeout());
        Subscription {
            role,
            home,
            path,
            call_id,
            local_tag,
            event,
            refer: None,
            contact,
            longest: Duration::ZERO,
            forks: false,
            told: false,
            notify_by: notify_by.filter(|_| role == Role::Subscriber),
            refresh_at: None,
            end_at: None,
            ending: false,
            benotify: false,
            scheduled: None,
        }
    }

    fn open_usage(
        &mut self,
        usage: Subscription,
        mut request: Request,
        path: Path,
        now: Instant,
    ) -> Result<SubscriptionId, VerbError> {
        if self.subscriptions.len() >= self.config.limits.subscriptions {
            return Err(VerbError::Limit);
        }
        let transaction = self.send_request(&mut request, path, now)?;
        let id = self.add_usage(usage);
        self.client_uses.insert(transaction, ClientUse::Subscribe(id));
        Ok(id)
    }

    pub(super) fn add_usage(&mut self, usage: Subscription) -> SubscriptionId {
        let id = SubscriptionId(self.draw_id());
        self.usages.entry(index(&usage.call_id, &usage.local_tag)).or_default().push(id);
        self.subscriptions.insert(id, usage);
        self.rewatch(id);
        id
    }

    /// Ends a subscription of ours: SUBSCRIBE without time. The last NOTIFY comes still, then
    /// `SubscriptionEnded`.
    ///
    /// # Errors
    ///
    /// [`VerbError::NoSubscription`]; [`VerbError::State`] before it is answered, and for a
    /// notifier, who ends one with [`UserAgent::notify`].
    pub fn unsubscribe(
        &mut self,
        subscription: SubscriptionId,
        now: Instant,
    ) -> Result<(), VerbError> {
        let wait = now.checked_add(self.config.timers.timeout());
        let usage = self.subscriptions.get_mut(&subscription).ok_or(VerbError::NoSubscription)?;
        if usage.role != Role::Subscriber || usage.ending {
            return Err(VerbError::State);
        }
        usage.ending = true;
        if !self.send_subscribe(subscription, Duration::ZERO, now) {
            if let Some(usage) = self.subscriptions.get_mut(&subscription) {
                usage.ending = false;
            }
            return Err(VerbError::State);
        }
        if let Some(usage) = self.subscriptions.get_mut(&subscription) {
            (usage.notify_by, usage.refresh_at) = (wait, None);
        }
        self.rewatch(subscription);
        Ok(())
    }

    fn send_subscribe(&mut self, id: SubscriptionId, time: Duration, now: Instant) -> bool {
        let Some(usage) = self.subscriptions.get(&id) else { return false };
        let mut event = usage.event.clone();
        if let Some(cseq) = usage.refer {
            event = format!("refer;id={cseq}");
        }
        let Some(dialog) = self.usage_dialog(id) else { return false };
        let mut request = dialog.request(Method::Subscribe);
        let path = dialog.next_hop();
        request.headers.push("Event", event);
        request.headers.push("Expires", time.as_secs().to_string());
        self.complete(&mut request, &Headers::new(), None);
        let Ok(transaction) = self.send_request(&mut request, path, now) else { return false };
        self.client_uses.insert(transaction, ClientUse::Subscribe(id));
        true
    }

    pub(super) fn usage_dialog(&mut self, id: SubscriptionId) -> Option<&mut Dialog> {
        match &mut self.subscriptions.get_mut(&id)?.home {
            Home::Own(dialog) => Some(dialog),
            Home::Session(session) => self.sessions.get_mut(session)?.dialog.as_mut(),
            Home::Asked(_) => None,
        }
    }

    /// The answer to a SUBSCRIBE or REFER of ours.
    pub(super) fn subscribe_response(
        &mut self,
        id: SubscriptionId,
        response: Response,
        now: Instant,
    ) {
        let Some(usage) = self.subscriptions.get_mut(&id) else { return };
        if response.status.is_provisional() {
            return;
        }
        if !response.status.is_success() {
            let over = ends_usage(response.status) || usage.ending;
            return match usage.told {
                false => self.end_usage(id, SubscriptionEnd::Refused(Box::new(response))),
                // RFC 6665 §4.1.2.2: anything else leaves it in force until its time is out.
                true if over => self.end_usage(id, SubscriptionEnd::Lost(response.status)),
                true => {}
            };
        }
        if let Home::Asked(request) = &usage.home
            && let Some(mut dialog) = Dialog::from_response(request, &response, usage.path)
        {
            // [MS-SIP]: the first notification came along, and has its number.
            if let Some(cseq) = response.headers.first("ms-piggyback-cseq") {
                dialog.accept_cseq(crate::lex::number(cseq).unwrap_or(0));
                usage.notify_by = None;
            }
            usage.home = Home::Own(Box::new(dialog));
        }
        if usage.refer.is_none() && !usage.ending {
            let granted = response.headers.expires().ok().flatten();
            let granted = granted.map_or(usage.longest, |secs| Duration::from_secs(secs.into()));
            usage.run_for(granted.min(usage.longest), now);
        }
        let first = !core::mem::replace(&mut usage.told, true);
        self.rewatch(id);
        if first {
            self.emit(UaEvent::Subscribed { subscription: id, response });
        }
    }

    /// A NOTIFY or BENOTIFY for a subscription of ours.
    pub(super) fn receive_notify(
        &mut self,
        id: SubscriptionId,
        message: &Message<'_>,
        request: Request,
        transaction: TransactionId,
        path: Path,
        now: Instant,
    ) {
        let Some((id, fork_of)) = self.notified_usage(id, &request, path) else {
            return self.refuse(message, transaction, path, StatusCode::CALL_DOES_NOT_EXIST, now);
        };
        if !self.accept_usage_cseq(id, message) {
            let status = StatusCode::SERVER_INTERNAL_ERROR;
            return self.refuse(message, transaction, path, status, now);
        }
        if request.method == Method::Notify {
            self.answer(message, transaction, StatusCode::OK, &Headers::new(), now);
        }
        let value = request.headers.subscription_state().ok().flatten();
        let state = value.as_ref().map_or(SubscriptionState::Active, SubscriptionState::from_value);
        let left = value
            .and_then(|value| value.params().value("expires"))
            .and_then(crate::lex::number::<u32>)
            .map(|secs| Duration::from_secs(secs.into()));
        if let Some(usage) = self.subscriptions.get_mut(&id) {
            usage.notify_by = usage.notify_by.filter(|_| usage.ending);
            if let Some(left) = left.or_else(|| usage.end_at.is_none().then_some(usage.longest)) {
                usage.run_for(left, now);
            }
        }
        self.rewatch(id);
        self.emit(UaEvent::Notified { subscription: id, request, fork_of });
        if let SubscriptionState::Terminated { reason, retry_after } = state {
            let ending = self.subscriptions.get(&id).is_some_and(|usage| usage.ending);
            let cause = SubscriptionEnd::Terminated { reason, retry_after };
            self.end_usage(id, if ending { SubscriptionEnd::Local } else { cause });
        }
    }

    /// The subscription whose dialog the NOTIFY is of: the one found, or a fork of it
    /// (RFC 6665 §4.1.4); `None` where forks are not wanted.
    fn notified_usage(
        &mut self,
        id: SubscriptionId,
        notify: &Request,
        path: Path,
    ) -> Option<(SubscriptionId, Option<SubscriptionId>)> {
        let usage = self.subscriptions.get_mut(&id)?;
        let tag = notify.headers.from().ok()??.tag()?.to_owned();
        // RFC 6665 §4.4.1: the first NOTIFY makes the dialog.
        let new_dialog = |cseq: u32| {
            let mut dialog = Dialog::from_request(notify, &usage.local_tag, path)?;
            dialog.raise_local_cseq(cseq);
            dialog.set_contact_raw(&usage.contact);
            Some(dialog)
        };
        match &usage.home {
            Home::Session(_) => return Some((id, None)),
            Home::Own(dialog) if dialog.remote_tag() == tag => return Some((id, None)),
            Home::Asked(request) => {
                let cseq = request.headers.cseq().ok()??.number();
                usage.home = Home::Own(Box::new(new_dialog(cseq)?));
                return Some((id, None));
            }
            Home::Own(_) => {}
        }
        let wanted = usage.forks && self.subscriptions.len() < self.config.limits.subscriptions;
        let usage = self.subscriptions.get(&id).filter(|_| wanted)?;
        let key = index(&usage.call_id, &usage.local_tag);
        if self.usages.get(&key).is_some_and(|all| all.len() > self.config.limits.early_dialogs) {
            return None;
        }
        let mut dialog = Dialog::from_request(notify, &usage.local_tag, path)?;
        dialog.raise_local_cseq(1);
        dialog.set_contact_raw(&usage.contact);
        let fork = Subscription {
            home: Home::Own(Box::new(dialog)),
            path,
            call_id: usage.call_id.clone(),
            local_tag: usage.local_tag.clone(),
            event: usage.event.clone(),
            contact: usage.contact.clone(),
            told: true,
            forks: false,
            notify_by: None,
            refresh_at: None,
            end_at: None,
            scheduled: None,
            ..*usage
        };
        Some((self.add_usage(fork), Some(id)))
    }

    /// RFC 3261 §12.2.2, and the peer's new Contact.
    pub(super) fn accept_usage_cseq(&mut self, id: SubscriptionId, message: &Message<'_>) -> bool {
        let cseq = message.cseq().ok().flatten().map_or(0, |cseq| cseq.number());
        let Some(dialog) = self.usage_dialog(id) else { return true };
        let fresh = dialog.accept_cseq(cseq);
        if fresh {
            dialog.refresh_target(&message.to_headers());
        }
        fresh
    }

    /// The subscription that a NOTIFY, BENOTIFY or SUBSCRIBE within a dialog is for.
    pub(super) fn subscription_of(&self, message: &Message<'_>) -> Option<SubscriptionId> {
        let role = match message.method_str()? {
            "NOTIFY" | "BENOTIFY" => Role::Subscriber,
            "SUBSCRIBE" => Role::Notifier,
            _ => return None,
        };
        let tag = message.to().ok()??.tag()?;
        let event = message.event().ok()??;
        let from_tag = message.from().ok()??.tag().unwrap_or("");
        let all = self.usages.get(&index(message.call_id().ok()??, tag))?;
        let fits = |id: &&SubscriptionId, exact: bool| {
            self.subscriptions.get(*id).is_some_and(|usage| {
                let ours = match &usage.home {
                    Home::Own(dialog) => dialog.remote_tag() == from_tag || !exact,
                    Home::Asked(_) | Home::Session(_) => true,
                };
                ours && usage.role == role && usage.is_of(&event)
            })
        };
        let exact = all.iter().find(|id| fits(id, true));
        let fork = || all.iter().find(|id| role == Role::Subscriber && fits(id, false));
        exact.or_else(fork).copied()
    }

    pub(super) fn fire_subscriptions(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.watch.first()
            && at <= now
        {
            self.watch.pop_first();
            let Some(usage) = self.subscriptions.get_mut(&id) else { continue };
            usage.scheduled = None;
            let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            if usage.role == Role::Notifier {
                self.expire_notifier(id, now);
            } else if passed(usage.notify_by) {
                let ending = usage.ending;
                let cause = if ending { SubscriptionEnd::Local } else { SubscriptionEnd::Silent };
                self.end_usage(id, cause);
            } else if passed(usage.end_at) {
                self.end_usage(id, SubscriptionEnd::Expired);
            } else if passed(usage.refresh_at) {
                usage.refresh_at = None;
                let time = usage.longest;
                // RFC 6665 §4.1.2.4; a Lync server extends by itself, and may send nothing.
                if self.config.dialect == Dialect::Standard {
                    usage.notify_by = now.checked_add(self.config.timers.timeout());
                }
                self.send_subscribe(id, time, now);
            }
            self.rewatch(id);
        }
    }

    /// Brings a subscription's place in the schedule up to date.
    pub(super) fn rewatch(&mut self, id: SubscriptionId) {
        let Some(usage) = self.subscriptions.get_mut(&id) else { return };
        let due = usage.due();
        if let Some(was) = core::mem::replace(&mut usage.scheduled, due) {
            self.watch.remove(&(was, id));
        }
        if let Some(due) = due {
            self.watch.insert((due, id));
        }
    }

    pub(super) fn end_usage(&mut self, id: SubscriptionId, cause: SubscriptionEnd) {
        let Some(usage) = self.subscriptions.remove(&id) else { return };
        if let Some(was) = usage.scheduled {
            self.watch.remove(&(was, id));
        }
        let key = index(&usage.call_id, &usage.local_tag);
        if let Some(all) = self.usages.get_mut(&key) {
            all.retain(|own| *own != id);
            if all.is_empty() {
                self.usages.remove(&key);
            }
        }
        self.emit(UaEvent::SubscriptionEnded { subscription: id, cause });
    }

    /// RFC 5057 §4: the dialog of a call that is over lives on in its subscriptions.
    pub(super) fn inherit_dialog(
        &mut self,
        session: SessionId,
        key: &str,
        dialog: Option<&Dialog>,
    ) {
        let all = self.usages.get(key).cloned().unwrap_or_default();
        for id in all {
            let Some(usage) = self.subscriptions.get_mut(&id) else { continue };
            if !matches!(usage.home, Home::Session(own) if own == session) {
                continue;
            }
            match dialog {
                Some(dialog) => usage.home = Home::Own(Box::new(dialog.clone())),
                None => self.end_usage(id, SubscriptionEnd::Lost(StatusCode::CALL_DOES_NOT_EXIST)),
            }
        }
    }

    /// A NOTIFY or SUBSCRIBE within a dialog, for a subscription that is known.
    pub(super) fn in_subscription(
        &mut self,
        id: SubscriptionId,
        message: &Message<'_>,
        request: Request,
        transaction: TransactionId,
        path: Path,
        now: Instant,
    ) {
        if request.method == Method::Subscribe {
            self.receive_refresh(id, message, request, transaction, path, now);
        } else {
            self.receive_notify(id, message, request, transaction, path, now);
        }
    }

    /// What a malformed Event header gets (RFC 6665 §4.2.1.1), from who serves subscriptions.
    pub(super) fn refuse_event(
        &mut self,
        message: &Message<'_>,
        transaction: TransactionId,
        path: Path,
        now: Instant,
    ) -> bool {
        let asks = matches!(message.method_str(), Some("SUBSCRIBE" | "PUBLISH"));
        let sound = message.event().is_ok_and(|event: Option<Parametrized<'_>>| event.is_some());
        if !asks || sound {
            return false;
        }
        self.answer(message, transaction, StatusCode::BAD_EVENT, &Headers::new(), now);
        let error = RefusedError::Answered(StatusCode::BAD_EVENT);
        self.emit(UaEvent::Refused { path, error });
        true
    }
}
