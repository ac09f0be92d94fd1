//! What a user agent tells.

use core::time::Duration;

use crate::error::ParseError;
use crate::method::StatusCode;
use crate::path::Path;
use crate::request::{Body, Request, Response};
use crate::ua::{SubscriptionEnd, SubscriptionId};

/// One INVITE usage: a call, from its first request to its end.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub(crate) u64);

impl SessionId {
    /// The number, for logs.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// One request that waits for its final response, ours or the peer's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// The number, for logs.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// An event of a [`UserAgent`](crate::UserAgent).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UaEvent {
    /// A new call. Answer with `progress`, `accept` or `reject`; 100 is sent by the engine.
    Invite {
        /// The call.
        session: SessionId,
        /// The INVITE.
        request: Request,
        /// The way it came.
        path: Path,
    },
    /// A provisional response to our INVITE, 100 excepted. Responses of one fork share a To tag.
    Progress {
        /// The call.
        session: SessionId,
        /// The response.
        response: Response,
    },
    /// Our INVITE was answered with 2xx; `ack` is due. Further 2xx of other forks are acknowledged
    /// and ended by the engine.
    Accepted {
        /// The call.
        session: SessionId,
        /// The response.
        response: Response,
    },
    /// Our INVITE was answered with 300 to 699, or nobody answered (see
    /// [`Response::origin`](crate::Response)). The session is over.
    Rejected {
        /// The call.
        session: SessionId,
        /// The response.
        response: Response,
    },
    /// The ACK for our 2xx arrived: of the call, or of a re-INVITE.
    Acked {
        /// The call.
        session: SessionId,
        /// The body of the ACK: the answer, where our 2xx made the offer.
        body: Option<Body>,
    },
    /// The PRACK for a reliable provisional response of ours arrived, and was answered; where it
    /// makes an offer it has come as `Request` before, for its 200 to answer.
    ProgressAcked {
        /// The call.
        session: SessionId,
        /// The RSeq that it acknowledged.
        rseq: u32,
        /// The body of the PRACK.
        body: Option<Body>,
    },
    /// The caller gave up before we answered; 487 was sent. The session is over.
    Cancelled {
        /// The call.
        session: SessionId,
        /// The CANCEL, whose Reason or diagnostics may say why.
        request: Request,
    },
    /// A re-INVITE. Answer with `respond`.
    Reinvite {
        /// The call.
        session: SessionId,
        /// What to answer.
        id: RequestId,
        /// The re-INVITE.
        request: Request,
    },
    /// Any other request, within a call or outside. Answer with `respond`, or a SUBSCRIBE and a
    /// REFER with `accept_subscription`; one that the protocol never answers (BENOTIFY) takes no
    /// answer, and `respond` says so.
    Request {
        /// The call, where it belongs to one.
        session: Option<SessionId>,
        /// What to answer.
        id: RequestId,
        /// The request.
        request: Request,
        /// The way it came.
        path: Path,
    },
    /// The final response to a `request`, `reinvite` or `send` of ours. A timeout is a 408 and a
    /// transport failure a 503 that were made here, as [`Response::origin`](crate::Response) tells.
    Response {
        /// The call, where it belongs to one.
        session: Option<SessionId>,
        /// What it answers.
        id: RequestId,
        /// The response.
        response: Response,
    },
    /// An answered call is over.
    Ended {
        /// The call.
        session: SessionId,
        /// Why.
        cause: EndCause,
    },
    /// Our SUBSCRIBE or REFER was accepted. A NOTIFY may have come before.
    Subscribed {
        /// The subscription.
        subscription: SubscriptionId,
        /// The response; from a Lync server it may carry the first notification.
        response: Response,
    },
    /// A NOTIFY or BENOTIFY of a subscription of ours, answered by the engine. `Notified` with
    /// `terminated` is followed by `SubscriptionEnded`.
    Notified {
        /// The subscription.
        subscription: SubscriptionId,
        /// The notification.
        request: Request,
        /// The subscription that this new one is a fork of (RFC 6665 §4.1.4).
        fork_of: Option<SubscriptionId>,
    },
    /// A subscriber asked for more time, or with no time for the end, and was answered; `notify`
    /// is due.
    SubscriptionRefreshed {
        /// The subscription.
        subscription: SubscriptionId,
        /// The SUBSCRIBE.
        request: Request,
        /// What was granted; zero is the end.
        expires: Duration,
    },
    /// A subscription is over, whichever end of it is ours.
    SubscriptionEnded {
        /// The subscription.
        subscription: SubscriptionId,
        /// Why.
        cause: SubscriptionEnd,
    },
    /// Input that could not be understood. Where the protocol has an answer, it was sent.
    Refused {
        /// The way it came.
        path: Path,
        /// What was wrong.
        error: RefusedError,
    },
}

/// Why a call ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndCause {
    /// The peer sent BYE, answered by the engine; it may carry Reason or `ms-client-diagnostics`.
    Bye(Box<Request>),
    /// We sent BYE, or refused the call.
    Local,
    /// The ACK for our 2xx never came (RFC 3261 §13.3.1.4); BYE was sent.
    NoAck,
    /// A reliable provisional response was never acknowledged (RFC 3262 §3).
    NoPrack,
    /// The session timer ran out (RFC 4028 §10); BYE was sent.
    SessionExpired,
    /// The peer answered 408 or 481 to a request within the dialog, or nothing (RFC 3261 §12.2.1.2).
    Lost(StatusCode),
    /// The connection failed and no other way is known.
    TransportFailure,
    /// Another call took its place (RFC 3891); BYE was sent.
    Replaced(SessionId),
}

/// Why input was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedError {
    /// The octets are not a sound message.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// A request that the engine answered by itself with this status.
    #[error("answered {0}")]
    Answered(StatusCode),
    /// A response to nothing that is known.
    #[error("response without request")]
    StrayResponse,
    /// An ACK for nothing that is known.
    #[error("ACK without INVITE")]
    StrayAck,
}

/// Why `handle_input` took nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Too much waits for the driver: drain the queues first.
    #[error("queues are full")]
    QueueFull,
}

/// Why a verb was refused; nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VerbError {
    /// The session is over, or never was.
    #[error("no such session")]
    NoSession,
    /// The request was answered already, or never was.
    #[error("no such request")]
    NoRequest,
    /// The session is not in a state for it.
    #[error("not in this state")]
    State,
    /// Another INVITE of the session is under way (RFC 3261 §14.1).
    #[error("another INVITE is pending")]
    Pending,
    /// The status code is not of the class that the verb sends.
    #[error("wrong class of status code")]
    Status,
    /// The subscription is over, or never was.
    #[error("no such subscription")]
    NoSubscription,
    /// The peer asked for rest, see `resting_until`.
    #[error("the peer asked for rest")]
    Overloaded,
    /// A limit of [`Limits`](crate::Limits) is reached.
    #[error("too many transactions, sessions or subscriptions")]
    Limit,
    /// The method has a verb of its own.
    #[error("the method has a verb of its own")]
    Method,
    /// A request of this method is never answered.
    #[error("the method takes no answer")]
    NoAnswer,
}
