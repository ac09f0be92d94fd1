//! The state of one call.

use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use crate::dialog::Dialog;
use crate::headers::Headers;
use crate::path::{Path, Transmit};
use crate::request::{Body, Request};
use crate::transaction::TransactionId;
use crate::ua::expiry::Expiry;
use crate::ua::{RequestId, SessionId};

/// What is rare or short-lived stands behind a pointer: most of the calls of an engine have none of
/// it most of the time.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) caller: bool,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) state: State,
    /// The caller's INVITE, until its transaction is over.
    pub(super) outgoing: Option<Box<Outgoing>>,
    /// An INVITE of the peer, first or later, that waits for our answer.
    pub(super) incoming: Option<Box<Incoming>>,
    /// Early dialogs of a caller, one for each fork.
    pub(super) early: Vec<Early>,
    /// The dialog: a callee's from the start, a caller's from the first 2xx.
    pub(super) dialog: Option<Dialog>,
    /// A re-INVITE of ours.
    pub(super) reinvite: Option<Box<Reinvite>>,
    /// Our 2xx that waits for its ACK.
    pub(super) unacked: Option<Box<Resend>>,
    /// A reliable provisional response of ours that waits for its PRACK.
    pub(super) unpracked: Option<Box<Resend>>,
    pub(super) rseq: u32,
    /// The ACK of the last 2xx, by the CSeq of its INVITE.
    pub(super) ack: Option<(u32, Transmit)>,
    /// The CSeq of an INVITE of ours whose 2xx the application has not acknowledged.
    pub(super) awaiting_ack: Option<u32>,
    /// The session timer (RFC 4028).
    pub(super) expiry: Option<Expiry>,
    /// A re-INVITE that is the engine's own refresh.
    pub(super) refreshing: Option<RequestId>,
    /// Whether the peer's Allow lists UPDATE.
    pub(super) peer_updates: bool,
    /// Our last session description, for refreshes.
    pub(super) local_body: Option<Body>,
    /// The call that this one is to replace (RFC 3891).
    pub(super) replaces: Option<SessionId>,
    /// What stands in the schedule.
    pub(super) scheduled: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// The first INVITE has no final response.
    Early,
    /// `cancel` was called.
    Cancelling,
    /// A 2xx was sent or received.
    Established,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) transaction: TransactionId,
    pub(super) request: Request,
    pub(super) path: Path,
    /// CANCEL waits for the first provisional response (RFC 3261 §9.1).
    pub(super) provisional: bool,
    /// The headers of a CANCEL that waits or was sent.
    pub(super) cancel: Option<Headers>,
    /// When the wait for a 487 ends.
    pub(super) give_up: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) transaction: TransactionId,
    pub(super) request: Request,
    /// Of a re-INVITE.
    pub(super) id: Option<RequestId>,
}

#[derive(Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// The last RSeq that was seen in order.
    pub(super) rseq: u32,
    /// RSeq and CSeq of a response that made the offer: its PRACK is the application's.
    pub(super) offered: Option<(u32, u32)>,
}

#[derive(Debug)]
pub(super) struct Reinvite {
    pub(super) id: RequestId,
    pub(super) transaction: Option<TransactionId>,
    pub(super) cseq: u32,
    pub(super) headers: Headers,
    pub(super) body: Option<Body>,
    pub(super) retries: u8,
    /// When a glare's back-off ends.
    pub(super) retry_at: Option<Instant>,
}

/// Something that is sent again until it is acknowledged.
#[derive(Debug)]
pub(super) struct Resend {
    pub(super) payload: Bytes,
    pub(super) path: Path,
    /// CSeq number of a 2xx, RSeq of a provisional response.
    pub(super) number: u32,
    pub(super) next: Instant,
    pub(super) interval: Duration,
    pub(super) deadline: Instant,
}

impl Resend {
    /// What is due at `now`; `Err` where the wait is over.
    pub(super) fn fire(&mut self, bound: Option<Duration>, now: Instant) -> Result<bool, ()> {
        if self.deadline <= now {
            return Err(());
        }
        if self.next > now {
            return Ok(false);
        }
        let doubled = self.interval.saturating_mul(2);
        self.interval = bound.map_or(doubled, |bound| doubled.min(bound));
        self.next = now.checked_add(self.interval).unwrap_or(self.deadline);
        Ok(true)
    }

    fn due(&self) -> Instant {
        self.next.min(self.deadline)
    }
}

impl Session {
    pub(super) fn new(caller: bool, call_id: String, local_tag: String) -> Self {
        Self {
            caller,
            call_id,
            local_tag,
            state: State::Early,
            outgoing: None,
            incoming: None,
            early: Vec::new(),
            dialog: None,
            reinvite: None,
            unacked: None,
            unpracked: None,
            rseq: 0,
            ack: None,
            awaiting_ack: None,
            expiry: None,
            refreshing: None,
            peer_updates: false,
            local_body: None,
            replaces: None,
            scheduled: None,
        }
    }

    /// The dialog, or before there is one the early one with this fork.
    pub(super) fn dialog_with(&mut self, remote_tag: &str) -> Option<&mut Dialog> {
        let mut early = self.early.iter_mut().map(|early| &mut early.dialog);
        let early = early.find(|dialog| dialog.remote_tag() == remote_tag);
        self.dialog.as_mut().or(early)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        [
            self.unacked.as_deref().map(Resend::due),
            self.unpracked.as_deref().map(Resend::due),
            self.reinvite.as_ref().and_then(|reinvite| reinvite.retry_at),
            self.outgoing.as_ref().and_then(|outgoing| outgoing.give_up),
            self.expiry.map(|expiry| expiry.at),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
