use crate::{Candidate, Role, SelectedPair, StreamId};
use linkspan_turn::AllocateError;
use std::net::SocketAddr;

/// What an [`Agent`](crate::Agent) has to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IceEvent {
    /// A local candidate was found by gathering: signal it when trickling.
    NewLocalCandidate {
        /// Its stream.
        stream: StreamId,
        /// What to signal.
        candidate: Candidate,
    },
    /// A server gives no relayed candidate for a component.
    RelayFailed {
        /// The stream.
        stream: StreamId,
        /// Its component.
        component: u16,
        /// The server.
        server: SocketAddr,
        /// Why.
        error: AllocateError,
    },
    /// All servers have answered or timed out; the local candidates are complete.
    GatheringComplete,
    /// A component has its selected pair: data may flow.
    ComponentConnected {
        /// Its stream.
        stream: StreamId,
        /// 1 for RTP, 2 for RTCP.
        component: u16,
        /// The pair.
        pair: SelectedPair,
    },
    /// A component moved to another pair: a better one was nominated, or a restart ended.
    PairChanged {
        /// Its stream.
        stream: StreamId,
        /// 1 for RTP, 2 for RTCP.
        component: u16,
        /// The pair.
        pair: SelectedPair,
    },
    /// All components of a stream have their pair.
    StreamConnected {
        /// The stream.
        stream: StreamId,
    },
    /// All streams have all their pairs.
    Completed,
    /// No pair can be found for some component of a stream. Only a restart helps.
    Failed {
        /// The stream.
        stream: StreamId,
    },
    /// RFC 7675: the peer has not agreed for 30 s to receive. Stop sending; only a restart helps.
    ConsentLost {
        /// The stream.
        stream: StreamId,
        /// Its component.
        component: u16,
    },
    /// The network has changed: a restart (RFC 8445 §9) would find a better way, or the only one.
    RestartAdvised {
        /// The stream.
        stream: StreamId,
        /// The address of a selected pair is gone: nothing gets through any more. Otherwise there
        /// is a new address, which may be better.
        is_cut: bool,
    },
    /// A role conflict was repaired (RFC 8445 §7.3.1.1): this side has changed its role.
    RoleChanged {
        /// The role now.
        role: Role,
    },
}
