use std::net::SocketAddr;
use std::time::Instant;

use linkspan_sip as sip;

use crate::id::{CallId, Side, StreamId, StreamKind};
use crate::media::{DropReason, StreamStatistics};

/// What a [`Gateway`](crate::Gateway) tells people, logs and scripts.
///
/// Nothing depends on these events: a driver may ignore them all. Their strings are for reading;
/// they hold no keys, and what came from the network is shown in part only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GatewayEvent {
    /// A SIP message came or goes: one line of the call ladder.
    Message(Box<LadderLine>),
    /// A decision, with its reason.
    Decided {
        /// The call, where there is one already.
        call: Option<CallId>,
        /// What was decided and why.
        explanation: String,
    },
    /// A call has moved on.
    Call {
        /// The call.
        call: CallId,
        /// What it is doing now.
        state: CallState,
    },
    /// A description was translated: what became of each line and why.
    Translated {
        /// The call.
        call: CallId,
        /// The side that the description came from.
        from: Side,
        /// The name of the description: `offer` or `answer`.
        what: &'static str,
        /// One entry per decision.
        explanation: Vec<String>,
    },
    /// What a stream of a call will carry.
    Stream {
        /// The stream.
        stream: StreamId,
        /// Audio or video.
        kind: StreamKind,
        /// Main codec, as in the description.
        codec: &'static str,
        /// SRTP both ways.
        encrypted: bool,
        /// ICE is used.
        ice: bool,
    },
    /// ICE has found the way of a stream.
    Connected {
        /// The stream.
        stream: StreamId,
        /// Local address.
        local: SocketAddr,
        /// The peer's address.
        remote: SocketAddr,
    },
    /// A digit was dialled.
    Digit {
        /// The stream that it came by.
        stream: StreamId,
        /// `0` to `9`, `*`, `#`, `A` to `D`, or `!` for a hook flash.
        digit: char,
    },
    /// Packets or NAL units were dropped.
    Dropped {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: DropReason,
        /// How many since the last such event.
        count: u64,
    },
    /// Input was malformed or could not be answered: counted, and answered where the protocol
    /// says so.
    Refused {
        /// The side that it came in by; `None` where no listener has its address.
        side: Option<Side>,
        /// Who sent it.
        remote: SocketAddr,
        /// What was wrong with it.
        reason: String,
        /// How many there have been on that side since the last such event: there is at most one
        /// a second.
        count: u64,
    },
    /// Something failed that an operator should look at.
    Failed {
        /// The call, where there is one.
        call: Option<CallId>,
        /// What failed.
        reason: String,
    },
    /// Something changed on the roster of the conference that a call is in.
    Roster {
        /// The call.
        call: CallId,
        /// What changed.
        change: linkspan_c3p::RosterEvent,
    },
    /// The last figures of a stream that has ended.
    Statistics {
        /// The stream.
        stream: StreamId,
        /// The figures.
        statistics: Box<StreamStatistics>,
    },
    /// A call is over, and everything that it held is given back.
    Ended {
        /// The call.
        call: CallId,
        /// The side that ended it; `None` when it was the gateway.
        by: Option<Side>,
        /// The final status of a call that was never answered.
        status: Option<u16>,
        /// Why, in words.
        reason: String,
    },
}

/// What a call is doing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CallState {
    /// An INVITE has come; media ports are being bound.
    Opening,
    /// The second leg's INVITE is out.
    Calling,
    /// The caller waits in the lobby of a conference.
    Waiting,
    /// The callee rings.
    Ringing,
    /// The callee sends early media.
    EarlyMedia,
    /// Answered.
    Active,
    /// On hold, by either side.
    Held,
}

impl CallState {
    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Calling => "calling",
            Self::Waiting => "waiting",
            Self::Ringing => "ringing",
            Self::EarlyMedia => "early-media",
            Self::Active => "active",
            Self::Held => "held",
        }
    }
}

/// What a call is, for a list of calls.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallSummary {
    /// The call.
    pub call: CallId,
    /// The side that it came in by.
    pub caller: Side,
    /// Who calls, as the callee's side is told.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// What it is doing; `None` when it is ending.
    pub state: Option<CallState>,
    /// The next hop that was chosen.
    pub next_hop: Option<SocketAddr>,
    /// When its INVITE came.
    pub since: Instant,
}

/// One line of a call ladder.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LadderLine {
    /// The call, where the message belongs to one.
    pub call: Option<CallId>,
    /// The side that it crosses.
    pub side: Side,
    /// The gateway received it; otherwise it sent it.
    pub inbound: bool,
    /// The way.
    pub path: sip::Path,
    /// Method, or status and reason.
    pub label: String,
    /// CSeq.
    pub cseq: String,
    /// Content type of the body; empty without one.
    pub content_type: String,
    /// Octets of the message.
    pub octets: usize,
}

/// What a gateway counts over its whole life.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct GatewayCounters {
    /// INVITEs for new calls.
    pub calls_received: u64,
    /// Calls refused before a second leg existed.
    pub calls_refused: u64,
    /// Calls that were answered.
    pub calls_answered: u64,
    /// Calls that the callee's side rejected, or that nobody answered.
    pub calls_failed: u64,
    /// Calls that are over, of whatever kind.
    pub calls_ended: u64,
    /// SIP messages received.
    pub messages_received: u64,
    /// SIP messages sent.
    pub messages_sent: u64,
    /// Messages that were malformed or could not be answered.
    pub messages_refused: u64,
    /// Session descriptions that were malformed or could not be joined.
    pub descriptions_refused: u64,
    /// Events that were lost because nobody polled them.
    pub events_lost: u64,
}
