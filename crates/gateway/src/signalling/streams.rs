//! The media sockets and transports of a call, seen from the signalling half.

use std::net::SocketAddr;
use std::time::Instant;

use linkspan_ice as ice;

use super::core::{Both, Core};
use crate::config::IceKind;
use crate::id::{CallId, Side, StreamId, StreamKind};
use crate::media::{LocalIce, MediaCommand, MediaKey, TransportConfig};

/// One m-line of a call that carries audio or video: its two ends.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) index: u8,
    pub(super) kind: StreamKind,
    /// The side that has offered it; none where the gateway offers it to both.
    offerer: Option<Side>,
    /// Position of its m-line in each side's descriptions, where it has one.
    pub(super) section: Both<Option<usize>>,
    pub(super) ends: Both<End>,
}

/// One leg's end of an m-line.
#[derive(Debug)]
pub(super) struct End {
    pub(super) state: EndState,
    pub(super) key: MediaKey,
    pub(super) ssrc: u32,
    pub(super) pairs: Option<Vec<ice::SelectedPair>>,
    /// What was agreed, as far as it was told to the media half.
    pub(super) connected: bool,
    /// Media does not go both ways.
    pub(super) held: bool,
}

#[derive(Debug)]
pub(super) enum EndState {
    /// Sockets are being bound.
    Binding { port: u16, tries: u8, ice: bool },
    /// The media half is setting up the transport.
    Opening { port: u16 },
    /// Ready.
    Open { port: u16, ice: Option<LocalIce> },
    /// The media half is taking it down.
    Closing { port: u16 },
    /// No socket, no transport.
    Closed,
}

impl End {
    pub(super) const fn port(&self) -> Option<u16> {
        match &self.state {
            EndState::Binding { port, .. }
            | EndState::Opening { port }
            | EndState::Open { port, .. }
            | EndState::Closing { port } => Some(*port),
            EndState::Closed => None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, EndState::Open { .. })
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, EndState::Closed)
    }

    pub(super) const fn ice(&self) -> Option<&LocalIce> {
        match &self.state {
            EndState::Open { ice, .. } => ice.as_ref(),
            _ => None,
        }
    }
}

/// What the ends of a stream are set up with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// ICE on the leg, where both the configuration and the peer have it.
    pub(super) ice: Both<bool>,
    /// First SSRC.
    pub(super) ssrc: Both<u32>,
    /// The side that has offered the stream; none where the gateway offers it to both.
    pub(super) offerer: Option<Side>,
}

const TRIES: u8 = 8;

impl Stream {
    /// Takes ports for both ends and has them bound; `None` when there are none left.
    pub(super) fn open(
        core: &mut Core,
        (call, index, kind): (CallId, u8, StreamKind),
        wanted: Wanted,
        now: Instant,
    ) -> Option<Self> {
        let lync = core.ports.of_mut(Side::Lync).take(now)?;
        let Some(standard) = core.ports.of_mut(Side::Standard).take(now) else {
            core.ports.of_mut(Side::Lync).give_back(lync, now);
            return None;
        };
        let ends = Both::new(|side| {
            let port = if side == Side::Lync { lync } else { standard };
            End {
                state: EndState::Binding { port, tries: 1, ice: *wanted.ice.of(side) },
                key: MediaKey::generate(core.seed()),
                ssrc: *wanted.ssrc.of(side),
                pairs: None,
                connected: false,
                held: false,
            }
        });
        let stream =
            Self { index, kind, offerer: wanted.offerer, section: Both::new(|_| None), ends };
        for side in [Side::Lync, Side::Standard] {
            stream.bind(core, call, side);
        }
        Some(stream)
    }

    /// Both ends are down, or on their way down.
    pub(super) fn is_done(&self) -> bool {
        let done = |end: &End| matches!(end.state, EndState::Closing { .. } | EndState::Closed);
        done(&self.ends.lync) && done(&self.ends.standard)
    }

    pub(super) const fn id(&self, call: CallId, side: Side) -> StreamId {
        StreamId { call, side, index: self.index }
    }

    /// The sockets are bound: the media half sets up the transport.
    pub(super) fn bound(&mut self, core: &mut Core, call: CallId, side: Side) {
        let stream = self.id(call, side);
        let end = self.ends.of_mut(side);
        let EndState::Binding { port, ice, .. } = end.state else { return };
        end.state = EndState::Opening { port };
        let [rtp, rtcp] = sockets(core, side, port);
        let mut config = TransportConfig::new(self.kind, rtp, rtcp);
        config.ssrc = end.ssrc;
        config.cname = format!("{}@{}", call.0, core.config.name);
        config.rtcp_interval = core.config.timers.rtcp();
        config.silence = core.config.timers.silence();
        config.queued_packets = core.config.limits.queued_packets;
        config.candidates = core.config.limits.candidates;
        // RFC 8445 §6.1.1: who makes the offer controls; to the other side that is the gateway.
        let role =
            if self.offerer == Some(side) { ice::Role::Controlled } else { ice::Role::Controlling };
        config.ice = match core.config.side(side).ice {
            _ if !ice => None,
            IceKind::None => None,
            IceKind::Rfc8445 => Some((ice::Dialect::Rfc8445, role)),
            IceKind::MsIce2 => Some((ice::Dialect::MsIce2, role)),
        };
        let dialect = match config.ice {
            Some((ice::Dialect::MsIce2, _)) => ice::RelayDialect::MsTurn,
            _ => ice::RelayDialect::Rfc8656,
        };
        if config.ice.is_some() {
            let servers = &core.config.side(side).turn;
            config.relays = servers.iter().filter_map(|server| server.relay(dialect)).collect();
        }
        core.commands.push_back(MediaCommand::Open { stream, config: Box::new(config) });
    }

    /// The sockets could not be bound: other ports, a few times. False when that is over.
    pub(super) fn bind_failed(
        &mut self,
        core: &mut Core,
        call: CallId,
        side: Side,
        now: Instant,
    ) -> bool {
        let end = self.ends.of_mut(side);
        let EndState::Binding { port, tries, ice } = end.state else { return true };
        core.ports.of_mut(side).give_back(port, now);
        let next = core.ports.of_mut(side).take(now).filter(|_| tries < TRIES);
        let Some(port) = next else {
            end.state = EndState::Closed;
            return false;
        };
        end.state = EndState::Binding { port, tries: tries + 1, ice };
        self.bind(core, call, side);
        true
    }

    pub(super) fn opened(&mut self, side: Side, ice: Option<LocalIce>) {
        let end = self.ends.of_mut(side);
        if let EndState::Opening { port } = end.state {
            end.state = EndState::Open { port, ice };
        }
    }

    /// Takes an end down.
    pub(super) fn close(&mut self, core: &mut Core, call: CallId, side: Side, now: Instant) {
        let stream = self.id(call, side);
        let end = self.ends.of_mut(side);
        match end.state {
            EndState::Opening { port } | EndState::Open { port, .. } => {
                end.state = EndState::Closing { port };
                core.commands.push_back(MediaCommand::Close { stream });
            }
            // The driver may be binding right now: it unbinds in the same order.
            EndState::Binding { port, .. } => {
                end.state = EndState::Closed;
                unbind(core, stream, port, now);
            }
            EndState::Closing { .. } | EndState::Closed => {}
        }
    }

    /// The media half has let go of an end.
    pub(super) fn closed(&mut self, core: &mut Core, call: CallId, side: Side, now: Instant) {
        let stream = self.id(call, side);
        let end = self.ends.of_mut(side);
        if let Some(port) = end.port() {
            end.state = EndState::Closed;
            unbind(core, stream, port, now);
        }
    }

    fn bind(&self, core: &mut Core, call: CallId, side: Side) {
        let Some(port) = self.ends.of(side).port() else { return };
        let sockets = sockets(core, side, port).to_vec();
        core.commands.push_back(MediaCommand::Bind { stream: self.id(call, side), sockets });
    }
}

fn unbind(core: &mut Core, stream: StreamId, port: u16, now: Instant) {
    let sockets = sockets(core, stream.side, port).to_vec();
    core.commands.push_back(MediaCommand::Unbind { stream, sockets });
    core.ports.of_mut(stream.side).give_back(port, now);
}

fn sockets(core: &Core, side: Side, port: u16) -> [SocketAddr; 2] {
    let address = core.config.side(side).media_address;
    [SocketAddr::new(address, port), SocketAddr::new(address, port.saturating_add(1))]
}
