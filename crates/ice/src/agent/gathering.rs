//! Server-reflexive candidates (RFC 8445 §5.1.1.2).

use super::transactions::Purpose;
use super::{Agent, FoundationKey};
use crate::{Candidate, CandidateKind, IceEvent, StreamId, Transport};
use linkspan_stun::{Class, Dialect, MessageBuilder, Method, TransactionId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// What is still to be asked.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    servers: Vec<SocketAddr>,
    /// Stream, local candidate, server.
    questions: VecDeque<(usize, usize, SocketAddr)>,
    /// The application has no more candidates.
    pub(super) is_ended: bool,
    is_reported: bool,
}

impl Gathering {
    /// More has been asked for.
    pub(super) fn reopen(&mut self) {
        self.is_reported = false;
    }

    /// Nothing will be asked any more.
    pub(super) fn close(&mut self) {
        self.servers.clear();
        self.questions.clear();
    }

    /// The local candidates of a stream get other places, or are gone.
    pub(super) fn forget(&mut self, stream: usize) {
        self.questions.retain(|(of, _, _)| *of != stream);
    }

    pub(super) fn has_work(&self) -> bool {
        !self.questions.is_empty()
    }
}

impl Agent {
    /// Asks a STUN server, over UDP from every host candidate of its address family, how it sees
    /// them. Host candidates added later ask it too.
    pub fn add_stun_server(&mut self, server: SocketAddr, now: Instant) {
        if self.gathering.servers.contains(&server) || self.gathering.servers.len() >= 8 {
            return;
        }
        self.gathering.servers.push(server);
        self.gathering.is_reported = false;
        for stream in 0..self.streams.len() {
            let count = self.streams.get(stream).map_or(0, |this| this.locals.len());
            (0..count).for_each(|local| self.question(stream, local, server));
        }
        self.pump(now);
    }

    /// Asks all servers about a new host candidate.
    pub(super) fn gather_for(&mut self, stream: usize, local: usize, now: Instant) {
        self.gathering.reopen();
        self.gathering.is_ended = false;
        for server in self.gathering.servers.clone() {
            self.question(stream, local, server);
        }
        let host = self.streams.get(stream).and_then(|this| this.locals.get(local));
        let Some((component, base)) = host.map(|host| (host.component, host.address)) else {
            return;
        };
        for server in self.relay_servers.clone() {
            if server.address.is_ipv4() == base.is_ipv4() {
                self.queue_relay(&server, stream, component, base, now);
            }
        }
    }

    pub(super) fn ask_server(&mut self, now: Instant) -> bool {
        let Some((stream, local, server)) = self.gathering.questions.pop_front() else {
            return false;
        };
        let base = self.streams.get(stream).and_then(|this| this.bases.get(local)).copied();
        let Some(base) = base else { return true };
        let id = TransactionId::random(&mut self.random);
        let mut octets = Vec::with_capacity(28);
        let question =
            MessageBuilder::new(&mut octets, Dialect::Rfc8489, Class::Request, Method::Binding, id);
        if question.finish().is_ok() {
            let path = (Transport::Udp, base, server);
            self.start(id, Purpose::Gather { stream, local }, path, octets, now);
        }
        true
    }

    /// RFC 8445 §5.1.1.2, §5.1.3: a server-reflexive candidate, unless it is redundant.
    pub(super) fn add_reflexive(
        &mut self,
        stream: usize,
        local: usize,
        mapped: SocketAddr,
        server: SocketAddr,
    ) {
        let limit = self.config.limits.candidates;
        let Some(this) = self.streams.get(stream) else { return };
        let (Some(host), Some(base)) = (this.locals.get(local), this.bases.get(local)) else {
            return;
        };
        let (component, transport, base) = (host.component, host.transport, *base);
        if this.has_local(component, transport, mapped) || this.locals.len() >= limit {
            return;
        }
        let rank = this.rank_of(component, base.ip());
        let kind = CandidateKind::Srflx;
        let key = FoundationKey { kind, transport, base: base.ip(), server: Some(server.ip()) };
        let candidate = Candidate {
            foundation: self.foundation_of(stream, key),
            component,
            transport,
            priority: self.priority_of(kind, transport, rank, component),
            address: mapped,
            kind,
            related: Some(base),
        };
        if let Some(this) = self.streams.get_mut(stream) {
            this.locals.push(candidate.clone());
            this.bases.push(base);
        }
        self.events.push_back(IceEvent::NewLocalCandidate { stream: StreamId(stream), candidate });
    }

    pub(super) fn report_gathering(&mut self) {
        let is_asking =
            self.transactions.iter().any(|t| matches!(t.purpose, Purpose::Gather { .. }));
        if self.gathering.is_ended
            && !self.gathering.is_reported
            && !self.gathering.has_work()
            && !is_asking
            && !self.is_allocating()
        {
            self.gathering.is_reported = true;
            self.events.push_back(IceEvent::GatheringComplete);
        }
    }

    fn question(&mut self, stream: usize, local: usize, server: SocketAddr) {
        let host = self.streams.get(stream).and_then(|this| this.locals.get(local));
        let is_asked = host.is_some_and(|host| {
            host.kind == CandidateKind::Host
                && host.transport.is_udp()
                && host.address.is_ipv4() == server.is_ipv4()
        });
        if is_asked {
            self.gathering.questions.push_back((stream, local, server));
        }
    }
}
