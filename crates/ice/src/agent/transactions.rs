//! Requests under way.

use super::{Agent, carrier};
use crate::pair::PairState;
use crate::{IceEvent, Role, StreamId, Transmit, Transport};
use bytes::Bytes;
use linkspan_stun::{Due, Retransmission, RetransmissionConfig, TransactionId, ms};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A request without its response.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: TransactionId,
    pub(super) purpose: Purpose,
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) payload: Bytes,
    /// [MS-ICE2]: the copy with the altered fingerprint.
    pub(super) copy: Option<Bytes>,
    pub(super) retransmission: Retransmission,
    /// A newer check has taken over its pair; its response still counts (RFC 8445 §7.3.1.4).
    pub(super) is_cancelled: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A connectivity check.
    Check {
        stream: usize,
        pair: usize,
        use_candidate: bool,
        insists: bool,
        role: Role,
        priority: u32,
    },
    /// RFC 7675.
    Consent { stream: usize, component: u16 },
    /// A question to a STUN server.
    Gather { stream: usize, local: usize },
}

impl Transaction {
    pub(super) const fn deadline(&self) -> Instant {
        self.retransmission.deadline()
    }

    pub(super) const fn is_check_of(&self, of: usize) -> bool {
        match self.purpose {
            Purpose::Check { stream, .. } | Purpose::Consent { stream, .. } => stream == of,
            Purpose::Gather { .. } => false,
        }
    }

    pub(super) const fn is_for_pair(&self, of: usize, index: usize) -> bool {
        matches!(self.purpose, Purpose::Check { stream, pair, .. } if stream == of && pair == index)
    }
}

impl Agent {
    /// Starts a transaction and sends its first packet.
    pub(super) fn start(
        &mut self,
        id: TransactionId,
        purpose: Purpose,
        path: (Transport, SocketAddr, SocketAddr),
        octets: Vec<u8>,
        now: Instant,
    ) {
        let (transport, local, remote) = path;
        let copy = self.altered(purpose, &octets);
        let retransmission = Retransmission::new(self.timing(purpose), transport, now);
        let payload = Bytes::from(octets);
        self.transactions.push(Transaction {
            id,
            purpose,
            transport,
            local,
            remote,
            payload,
            copy,
            retransmission,
            is_cancelled: false,
        });
        self.emit(self.transactions.len() - 1);
    }

    /// Ends what had no answer, repeats what is due.
    pub(super) fn expire_transactions(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(transaction) = self.transactions.get_mut(index) {
            match transaction.retransmission.handle_timeout(now) {
                Due::Nothing => index += 1,
                Due::Transmit => {
                    self.emit(index);
                    index += 1;
                }
                Due::GiveUp => {
                    let transaction = self.transactions.swap_remove(index);
                    self.fail(&transaction);
                }
            }
        }
    }

    /// Fails the checks between two addresses.
    pub(super) fn fail_path(&mut self, local: SocketAddr, remote: SocketAddr, _now: Instant) {
        let mut index = 0;
        while let Some(transaction) = self.transactions.get(index) {
            if (transaction.local, transaction.remote) == (local, remote)
                && !matches!(transaction.purpose, Purpose::Consent { .. })
            {
                let transaction = self.transactions.swap_remove(index);
                self.fail(&transaction);
            } else {
                index += 1;
            }
        }
    }

    /// Stops repeating the checks of a pair; their responses still count.
    pub(super) fn cancel(&mut self, stream: usize, pair: usize) {
        // At most one cancelled check per pair: the newest.
        self.transactions.retain(|t| !(t.is_cancelled && t.is_for_pair(stream, pair)));
        for transaction in &mut self.transactions {
            if transaction.is_for_pair(stream, pair) {
                transaction.is_cancelled = true;
                transaction.retransmission.cancel();
            }
        }
    }

    /// A request got no usable answer.
    pub(super) fn fail(&mut self, transaction: &Transaction) {
        match transaction.purpose {
            Purpose::Check { stream, pair, use_candidate, .. } => {
                let is_replaced = transaction.is_cancelled
                    || self.transactions.iter().any(|t| t.is_for_pair(stream, pair));
                let Some(this) = self.streams.get_mut(stream) else { return };
                let Some(pair) = this.pairs.get_mut(pair).filter(|_| !is_replaced) else { return };
                if pair.state == PairState::InProgress {
                    pair.state = PairState::Failed;
                }
                // RFC 8445 §8.1.1: a pair that fails its nomination is valid no more; another one
                // is picked.
                if use_candidate && pair.is_nominating && !pair.is_nominated {
                    pair.state = PairState::Failed;
                    pair.is_nominating = false;
                }
            }
            Purpose::Gather { .. } | Purpose::Consent { .. } => {}
        }
    }

    /// RFC 7675 §5.1: without consent nothing is sent.
    pub(super) fn lose_consent(&mut self, stream: usize, component: u16) {
        let Some(this) = self.streams.get_mut(stream) else { return };
        if let Some(component) = this.component_mut(component) {
            component.selected = None;
        }
        this.end();
        self.is_completed = false;
        self.transactions.retain(|transaction| !transaction.is_check_of(stream));
        self.events.push_back(IceEvent::ConsentLost { stream: StreamId(stream), component });
    }

    fn emit(&mut self, index: usize) {
        let Some(transaction) = self.transactions.get(index) else { return };
        let transmit = Transmit {
            transport: transaction.transport,
            local: transaction.local,
            remote: transaction.remote,
            payload: transaction.payload.clone(),
        };
        let copy = transaction.copy.clone().filter(|_| self.wants_copies(transaction.purpose));
        let copy = copy.map(|payload| Transmit { payload, ..transmit.clone() });
        self.transmit(transmit);
        if let Some(copy) = copy {
            self.transmit(copy);
        }
    }

    fn altered(&self, purpose: Purpose, octets: &[u8]) -> Option<Bytes> {
        let wanted = self.wants_copies(purpose);
        wanted.then(|| ms::altered_copy(octets)).flatten().map(Bytes::from)
    }

    fn wants_copies(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Check { stream, .. } => self.wants_copies_for(stream),
            Purpose::Consent { .. } | Purpose::Gather { .. } => false,
        }
    }

    /// [MS-ICE2] 3.1.4.8.2.1: until the peer has shown its version.
    pub(super) fn wants_copies_for(&self, stream: usize) -> bool {
        self.config.dialect == crate::Dialect::MsIce2
            && self.config.altered_copies
            && self.streams.get(stream).is_some_and(|stream| stream.peer_version.is_none())
    }

    fn timing(&self, purpose: Purpose) -> RetransmissionConfig {
        match purpose {
            // A nomination goes where checks have just passed: it may insist.
            Purpose::Check { insists: true, .. } => RetransmissionConfig {
                rto: self.config.rto,
                rc: 48,
                rm: 4,
                rto_max: self.config.rto_max.max(self.config.rto),
                ..RetransmissionConfig::default()
            },
            Purpose::Check { .. } => {
                let rto = self.check_rto();
                let (rc, rto_max) = (self.check_rc(), self.config.rto_max.max(rto));
                let rm = self.config.rm;
                RetransmissionConfig { rto, rc, rm, rto_max, ..RetransmissionConfig::default() }
            }
            // RFC 7675 §5.1: each consent check is a transaction of its own, never repeated.
            Purpose::Consent { .. } => RetransmissionConfig {
                rto: Duration::from_secs(5),
                rc: 1,
                rm: 1,
                ..Default::default()
            },
            Purpose::Gather { .. } => {
                RetransmissionConfig { rto: self.config.rto, rc: 5, rm: 4, ..Default::default() }
            }
        }
    }

    /// RFC 8445 §14.3: the more checks, the longer they wait.
    fn check_rto(&self) -> Duration {
        let pairs = self.streams.iter().flat_map(|stream| &stream.pairs);
        let active = pairs
            .filter(|pair| matches!(pair.state, PairState::Waiting | PairState::InProgress))
            .count();
        let spread = self.config.ta.saturating_mul(u32::try_from(active).unwrap_or(u32::MAX));
        self.config.rto.max(spread)
    }

    /// RFC 8445 §6.1.2.5: with few pairs there are more transmissions for each.
    fn check_rc(&self) -> u32 {
        let pairs = self.streams.iter().map(|stream| stream.pairs.len()).sum::<usize>();
        let share = MAX_TRANSMISSIONS / u32::try_from(pairs.max(1)).unwrap_or(u32::MAX);
        self.config.rc.min(share.max(RC))
    }

    /// The path of a pair.
    pub(super) fn path_of(
        &self,
        stream: usize,
        pair: usize,
    ) -> Option<(Transport, SocketAddr, SocketAddr)> {
        let this = self.streams.get(stream)?;
        let pair = this.pairs.get(pair)?;
        let local = this.locals.get(pair.local)?;
        let remote = this.remotes.get(pair.remote)?;
        Some((carrier(local.transport), *this.bases.get(pair.local)?, remote.address))
    }
}

/// RFC 8489 §6.2.1.
const RC: u32 = 7;
/// RFC 8445 §6.1.2.5: a hundred pairs.
const MAX_TRANSMISSIONS: u32 = 100 * RC;
