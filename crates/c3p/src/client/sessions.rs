use std::time::{Duration, Instant};

use crate::token::McuType;

/// The user's sessions with the conferencing servers: called, called again while a server comes
/// up or fails over, and ended.
#[derive(Debug)]
pub(super) struct Sessions {
    list: Vec<Session>,
    window: Duration,
}

#[derive(Debug)]
struct Session {
    mcu: McuType,
    state: State,
    /// Attempts of this window.
    attempts: u32,
    /// When the server has to be there.
    until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Idle,
    /// Called at that time, or again.
    Due(Instant),
    Calling,
    Up,
    Down,
}

/// What comes of a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// Nobody waits for it.
    Nothing,
    /// The server is called again.
    Again,
    /// That was the last attempt.
    Failed,
}

impl Sessions {
    pub(super) fn new(modalities: &[McuType]) -> Self {
        let sip = modalities.iter().filter(|mcu| !mcu.is_psom() && **mcu != McuType::Focus);
        let mut list: Vec<Session> = Vec::new();
        for mcu in sip {
            if list.iter().all(|one| one.mcu != *mcu) {
                let mcu = mcu.clone();
                list.push(Session { mcu, state: State::Idle, attempts: 0, until: None });
            }
        }
        Self { list, window: Duration::ZERO }
    }

    /// All are to be called.
    pub(super) fn begin(&mut self, now: Instant, window: Duration) {
        self.window = window;
        for session in &mut self.list {
            session.state = State::Due(now);
        }
    }

    /// A server to call now; it counts as called.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<McuType> {
        let due = |session: &&mut Session| matches!(session.state, State::Due(at) if at <= now);
        let session = self.list.iter_mut().find(due)?;
        session.state = State::Calling;
        session.attempts = session.attempts.saturating_add(1);
        session.until = session.until.or(Some(now + self.window));
        Some(session.mcu.clone())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.list.iter().filter_map(|session| match session.state {
            State::Due(at) => Some(at),
            _ => None,
        });
        due.min()
    }

    pub(super) fn answered(&mut self, mcu: &McuType) {
        if let Some(session) = self.find(mcu, State::Calling) {
            (session.state, session.attempts, session.until) = (State::Up, 0, None);
        }
    }

    /// The server has refused, or its session has ended by itself.
    pub(super) fn lost(&mut self, mcu: &McuType, status: Option<u16>, now: Instant) -> Outcome {
        let state = if status.is_some() { State::Calling } else { State::Up };
        let window = self.window;
        let Some(session) = self.find(mcu, state) else { return Outcome::Nothing };
        let until = *session.until.get_or_insert(now + window);
        // 1 s, 2 s, 4 s …: a server that was just allotted, or has failed over, needs some time.
        let pause = Duration::from_secs(1 << session.attempts.min(4));
        let may_recover = status.is_none_or(|status| matches!(status, 408 | 480 | 500 | 503 | 504));
        if may_recover && now + pause < until {
            session.state = State::Due(now + pause);
            Outcome::Again
        } else {
            session.state = State::Down;
            Outcome::Failed
        }
    }

    pub(super) fn give_up(&mut self, mcu: &McuType) {
        if let Some(session) = self.list.iter_mut().find(|one| one.mcu == *mcu) {
            session.state = State::Down;
        }
    }

    /// Those that have to be ended.
    pub(super) fn drain(&mut self) -> Vec<McuType> {
        let list = std::mem::take(&mut self.list).into_iter();
        let live = list.filter(|one| matches!(one.state, State::Calling | State::Up));
        live.map(|session| session.mcu).collect()
    }

    fn find(&mut self, mcu: &McuType, state: State) -> Option<&mut Session> {
        self.list.iter_mut().find(|one| one.mcu == *mcu && one.state == state)
    }
}
