use crate::{Role, priority};
use std::time::Instant;

/// State of a candidate pair (RFC 8445 §6.1.2.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PairState {
    Frozen,
    Waiting,
    InProgress,
    Succeeded,
    Failed,
}

/// A candidate pair; its place in the list never changes while checks run.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// Index of a local candidate that is its own base.
    pub(crate) local: usize,
    pub(crate) remote: usize,
    pub(crate) component: u16,
    pub(crate) priority: u64,
    pub(crate) state: PairState,
    /// It is in the triggered-check queue.
    pub(crate) is_triggered: bool,
    /// When it was first checked.
    pub(crate) checked_at: Option<Instant>,
    /// An authentic check of the peer came on it.
    pub(crate) is_heard: bool,
    /// Controlling: a check with USE-CANDIDATE is under way. Controlled: the peer has sent one and
    /// our own check has not succeeded yet.
    pub(crate) is_nominating: bool,
    pub(crate) is_nominated: bool,
    /// What the peer saw of the local side, once a check succeeded.
    pub(crate) valid: Option<Valid>,
}

/// The local candidate of a valid pair (RFC 8445 §7.2.5.3.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Valid {
    /// Index of a signalled candidate.
    Signalled(usize),
    /// Index of a peer-reflexive one.
    Reflexive(usize),
}

impl Pair {
    pub(crate) fn new(local: usize, remote: usize, component: u16, priority: u64) -> Self {
        Self {
            local,
            remote,
            component,
            priority,
            state: PairState::Frozen,
            is_triggered: false,
            checked_at: None,
            is_heard: false,
            is_nominating: false,
            is_nominated: false,
            valid: None,
        }
    }

    /// True while a check of it may still succeed.
    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.state, PairState::Frozen | PairState::Waiting | PairState::InProgress)
    }

    /// True when nobody would miss it.
    pub(crate) const fn is_replaceable(&self) -> bool {
        !self.is_triggered
            && matches!(self.state, PairState::Frozen | PairState::Waiting | PairState::Failed)
    }

    pub(crate) fn reprioritise(&mut self, role: Role, local: u32, remote: u32) {
        self.priority = priority::pair(role, local, remote);
    }
}
