//! What a subscription is (RFC 6665), for both of its ends.

use core::time::Duration;
use std::time::Instant;

use crate::dialog::Dialog;
use crate::headers::Headers;
use crate::method::{Method, StatusCode};
use crate::name_addr::NameAddr;
use crate::path::Path;
use crate::request::{Body, Request, Response};
use crate::typed::Parametrized;
use crate::ua::SessionId;
use crate::uri::Uri;

/// One SUBSCRIBE usage, or the implicit one of a REFER, from its first request to its end.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SubscriptionId(pub(crate) u64);

impl SubscriptionId {
    /// The number, for logs.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// A subscription to ask for, or a REFER outside a call.
///
/// ```
/// use linkspan_sip::{OutgoingSubscribe, Path, Transport};
///
/// let path = Path::new(Transport::Tcp, "192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
/// let subscribe = OutgoingSubscribe::new(
///     path,
///     "sip:bob@example.com".parse().unwrap(),
///     "<sip:alice@example.com>".parse().unwrap(),
///     "<sip:alice@192.0.2.1;transport=tcp>".parse().unwrap(),
///     "presence",
/// );
/// assert_eq!(subscribe.expires.as_secs(), 3600);
/// ```
#[derive(Clone, Debug)]
pub struct OutgoingSubscribe {
    /// The way to the first hop.
    pub path: Path,
    /// The Request-URI.
    pub uri: Uri,
    /// From; its tag is drawn by the engine, an epid is kept.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: NameAddr,
    /// Route, first hop first.
    pub routes: Vec<NameAddr>,
    /// Call-ID; drawn by the engine where it is `None`.
    pub call_id: Option<String>,
    /// The event package, with its parameters.
    pub event: String,
    /// How long the subscription is wanted for, before it is refreshed (an hour).
    pub expires: Duration,
    /// Whether the notifiers that a forking proxy finds beyond the first are taken as
    /// subscriptions of their own; otherwise they are told that there is none (RFC 6665 §4.1.4).
    pub forks: bool,
    /// Makes it a REFER (RFC 3515), whose package is `refer`.
    pub refer_to: Option<NameAddr>,
    /// Further headers: Accept, Supported and their kin.
    pub headers: Headers,
    /// A body.
    pub body: Option<Body>,
}

impl OutgoingSubscribe {
    /// A subscription for an hour to a package at `uri`, which is To as well.
    pub fn new(path: Path, uri: Uri, from: NameAddr, contact: NameAddr, event: &str) -> Self {
        Self {
            path,
            to: NameAddr::new(uri.clone()),
            uri,
            from,
            contact,
            routes: Vec::new(),
            call_id: None,
            event: event.to_owned(),
            expires: Duration::from_secs(3600),
            forks: false,
            refer_to: None,
            headers: Headers::new(),
            body: None,
        }
    }

    /// A REFER outside any call.
    pub fn refer(
        path: Path,
        uri: Uri,
        from: NameAddr,
        contact: NameAddr,
        refer_to: NameAddr,
    ) -> Self {
        Self { refer_to: Some(refer_to), ..Self::new(path, uri, from, contact, "refer") }
    }

    /// The request, without what the engine adds.
    pub(super) fn to_request(&self, call_id: &str, tag: &str) -> Request {
        let method = if self.refer_to.is_some() { Method::Refer } else { Method::Subscribe };
        let mut request = Request::new(method.clone(), self.uri.clone());
        for route in &self.routes {
            request.headers.push("Route", route.to_string());
        }
        let (mut from, mut to) = (self.from.clone(), self.to.clone());
        from.set_tag(tag);
        to.params.remove("tag");
        request.headers.push("From", from.to_string());
        request.headers.push("To", to.to_string());
        request.headers.push("Call-ID", call_id);
        request.headers.push("CSeq", format!("1 {method}"));
        request.headers.push("Max-Forwards", "70");
        request.headers.push("Contact", self.contact.to_string());
        match &self.refer_to {
            Some(refer_to) => request.headers.push("Refer-To", refer_to.to_string()),
            None => {
                request.headers.push("Event", &self.event);
                request.headers.push("Expires", self.expires.as_secs().to_string());
            }
        }
        request
    }
}

/// What a NOTIFY says of its subscription: Subscription-State (RFC 6665 §4.1.3).
///
/// ```
/// use linkspan_sip::{Parametrized, SubscriptionState};
///
/// let value = Parametrized::parse("terminated;reason=probation;retry-after=30").unwrap();
/// let SubscriptionState::Terminated { reason, retry_after } = SubscriptionState::from_value(&value)
/// else { panic!() };
/// assert_eq!((reason.as_deref(), retry_after.unwrap().as_secs()), (Some("probation"), 30));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SubscriptionState {
    /// It is in force.
    Active,
    /// It is not decided whether it will be.
    Pending,
    /// It is over.
    Terminated {
        /// `deactivated`, `probation`, `rejected`, `timeout`, `giveup`, `noresource`, `invariant`.
        reason: Option<String>,
        /// How long to wait before another try.
        retry_after: Option<Duration>,
    },
}

impl SubscriptionState {
    /// Reads a Subscription-State. A state of an extension counts as pending.
    pub fn from_value(value: &Parametrized<'_>) -> Self {
        let seconds = |name| value.params().value(name).and_then(crate::lex::number::<u32>);
        match value.value() {
            state if state.eq_ignore_ascii_case("active") => Self::Active,
            state if state.eq_ignore_ascii_case("terminated") => Self::Terminated {
                reason: value.params().value("reason").map(str::to_owned),
                retry_after: seconds("retry-after").map(|secs| Duration::from_secs(secs.into())),
            },
            _ => Self::Pending,
        }
    }

    /// The end of a subscription, with a reason of the registry.
    pub fn terminated(reason: &str) -> Self {
        Self::Terminated { reason: Some(reason.to_owned()), retry_after: None }
    }

    pub(super) fn write(&self, left: Duration) -> String {
        match self {
            Self::Active => format!("active;expires={}", left.as_secs()),
            Self::Pending => format!("pending;expires={}", left.as_secs()),
            Self::Terminated { reason, retry_after } => {
                let mut text = String::from("terminated");
                if let Some(reason) = reason {
                    text.push_str(&format!(";reason={reason}"));
                }
                if let Some(wait) = retry_after {
                    text.push_str(&format!(";retry-after={}", wait.as_secs()));
                }
                text
            }
        }
    }
}

/// Why a subscription ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The notifier ended it.
    Terminated {
        /// Its reason.
        reason: Option<String>,
        /// How long to wait before another try.
        retry_after: Option<Duration>,
    },
    /// Our SUBSCRIBE or REFER was refused, or nobody answered.
    Refused(Box<Response>),
    /// It was accepted, and no NOTIFY came (timer N of RFC 6665 §4.1.2.4).
    Silent,
    /// Its time ran out. A notifier has told its subscriber.
    Expired,
    /// We ended it.
    Local,
    /// The peer does not know it any more, or does not answer.
    Lost(StatusCode),
}

/// Whose end of a subscription is ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Subscriber,
    Notifier,
}

/// The dialog of a subscription.
#[derive(Debug)]
pub(super) enum Home {
    /// Our first request has no answer yet.
    Asked(Box<Request>),
    Own(Box<Dialog>),
    /// It shares the dialog of a call (RFC 5057).
    Session(SessionId),
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) role: Role,
    pub(super) home: Home,
    pub(super) path: Path,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    /// The value of Event.
    pub(super) event: String,
    /// The CSeq number of the REFER that made it.
    pub(super) refer: Option<u32>,
    pub(super) contact: String,
    /// The longest time that is asked for or granted.
    pub(super) longest: Duration,
    pub(super) forks: bool,
    /// Whether the application knows that it was accepted.
    pub(super) told: bool,
    /// A NOTIFY has to come until then.
    pub(super) notify_by: Option<Instant>,
    pub(super) refresh_at: Option<Instant>,
    pub(super) end_at: Option<Instant>,
    /// `unsubscribe` was called, or the peer's SUBSCRIBE asked for no time.
    pub(super) ending: bool,
    /// Notifications go out as BENOTIFY.
    pub(super) benotify: bool,
    pub(super) scheduled: Option<Instant>,
}

impl Subscription {
    pub(super) fn due(&self) -> Option<Instant> {
        [self.notify_by, self.refresh_at, self.end_at].into_iter().flatten().min()
    }

    /// Whether it is the one that an Event value names (RFC 6665 §8.2.1: package and id).
    pub(super) fn is_of(&self, event: &Parametrized<'_>) -> bool {
        let id = event.params().value("id");
        if let Some(cseq) = self.refer {
            // RFC 3515 §2.4.6: the id is the CSeq number of the REFER, and may be left out.
            let ours = id.is_none_or(|id| crate::lex::number(id) == Some(cseq));
            return ours && event.value().eq_ignore_ascii_case("refer");
        }
        Parametrized::parse(&self.event).is_ok_and(|own| {
            own.value().eq_ignore_ascii_case(event.value()) && own.params().value("id") == id
        })
    }

    /// Starts the time that was agreed on, at the end of which a subscriber refreshes.
    pub(super) fn run_for(&mut self, time: Duration, now: Instant) {
        self.end_at = now.checked_add(time);
        let refreshes = self.role == Role::Subscriber && self.refer.is_none() && !self.ending;
        let early = time.saturating_sub(REFRESH_BEFORE.min(time / 3));
        self.refresh_at = if refreshes { now.checked_add(early) } else { None };
    }
}

/// RFC 5057 §5.1: failures that end the usage or the dialog that they are for.
pub(super) fn ends_usage(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 502 | 604)
}

/// Time for a refresh and its retransmissions: 64*T1.
const REFRESH_BEFORE: Duration = Duration::from_secs(32);
