use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::dialog::FocusDialog;
use crate::reason::{Diagnostic, Reason};
use crate::request::{Request, RequestId};
use crate::response::{Reply, Response, ResponseCode};

/// The commands that one side of a focus dialog has sent, and what becomes of them.
///
/// A command goes out in an INFO. The SIP answer only says that it was taken (202), or refuses it
/// at once; the outcome comes in an INFO of the focus with the same request id, perhaps after a
/// `pending`. After any `&mut self` call drain [`poll_event`](Self::poll_event), then wait until
/// [`poll_timeout`](Self::poll_timeout) or input.
///
/// ```
/// use linkspan_c3p::{
///     Command, CommandBody, FocusDialog, RequestEvent, Requests, Response, UserKeys,
/// };
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let dialog = FocusDialog::new("sip:alice@x", "sip:focus@x");
/// let mut requests = Requests::new(dialog, 1);
/// let eject = Command::new(CommandBody::DeleteUser(UserKeys::new("sip:focus@x", "sip:bob@x")));
/// let request = requests.send(eject, now)?;
/// // … INFO with request.to_bytes(), 202, then an INFO of the focus:
/// requests.handle_response(Response::success_of(&request))?;
/// assert!(matches!(requests.poll_event(), Some(RequestEvent::Succeeded { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Requests {
    dialog: FocusDialog,
    next: u64,
    waiting: Vec<Waiting>,
    timeout: Duration,
    limit: usize,
    events: VecDeque<RequestEvent>,
}

#[derive(Clone, Debug)]
struct Waiting {
    request: Request,
    deadline: Instant,
}

/// What became of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestEvent {
    /// It is being carried out; the outcome follows.
    Pending {
        /// Which.
        id: RequestId,
    },
    /// It was carried out.
    Succeeded {
        /// What was asked for.
        request: Box<Request>,
        /// What came of it.
        reply: Box<Reply>,
    },
    /// It was not.
    Failed {
        /// What was asked for.
        request: Box<Request>,
        /// Why.
        failure: Failure,
    },
}

/// Why a command failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// The focus says so.
    Reply(Box<Reply>),
    /// The INFO or SERVICE was refused with this status, and with the diagnostic of its
    /// `ms-diagnostics` header.
    Sip {
        /// The status of the response.
        status: u16,
        /// The diagnostic.
        diagnostic: Option<Diagnostic>,
    },
    /// No outcome came in time.
    TimedOut,
    /// The dialog ended before.
    DialogEnded,
}

impl Failure {
    /// The SIP status that tells a standards-side endpoint of it.
    #[must_use]
    pub fn sip_status(&self) -> u16 {
        match self {
            Self::Reply(reply) => {
                let reason = reply.reason.as_ref().or(reply.result.as_ref());
                reason.map_or(500, Reason::sip_status)
            }
            // [MS-CONFBAS]: 603 is refused for good, a command that is not enabled here too
            Self::Sip { status: 603, .. } => 403,
            Self::Sip { diagnostic: Some(diagnostic), .. } => diagnostic.sip_status(),
            Self::Sip { status, .. } => *status,
            Self::TimedOut => 504,
            Self::DialogEnded => 481,
        }
    }
}

/// Why a command cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too many are waiting.
    #[error("too many requests outstanding")]
    TooMany,
    /// It names another conference than the dialog's, or a server of another one.
    #[error("command is about another conference")]
    OtherConference,
}

/// Why a response was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// It does not come from the focus of the dialog, or is not for this user.
    #[error("response of another sender")]
    OtherSender,
    /// No request of that id is waiting: it was answered before, or never sent.
    #[error("no request waits for it")]
    Unknown,
    /// Its one child is not named as the command.
    #[error("response to another command")]
    OtherCommand,
}

impl Requests {
    /// No commands yet. `first` is the first request id: unique for the sender, across its
    /// dialogs.
    #[must_use]
    pub fn new(dialog: FocusDialog, first: u64) -> Self {
        Self {
            dialog,
            next: first,
            waiting: Vec::new(),
            timeout: Duration::from_secs(30),
            limit: 64,
            events: VecDeque::new(),
        }
    }

    /// Waits so long for an outcome. Default 30 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the request that carries a command, and waits for its outcome.
    ///
    /// # Errors
    ///
    /// [`SendError`] when 64 are waiting, or the command is about another conference.
    pub fn send(&mut self, command: Command, now: Instant) -> Result<Request, SendError> {
        if self.waiting.len() >= self.limit {
            return Err(SendError::TooMany);
        }
        let id = RequestId(self.next);
        let request = Request::new(id, &self.dialog.user, &self.dialog.focus, command);
        if self.dialog.check_request(&request).is_err() {
            return Err(SendError::OtherConference);
        }
        self.next += 1;
        self.waiting.push(Waiting { request: request.clone(), deadline: now + self.timeout });
        Ok(request)
    }

    /// Takes a response, from an INFO of the focus or the body of a SIP response.
    ///
    /// # Errors
    ///
    /// [`ResponseError`] when it is nobody's: nothing has changed.
    pub fn handle_response(&mut self, response: Response) -> Result<(), ResponseError> {
        self.dialog.check_response(&response).map_err(|_| ResponseError::OtherSender)?;
        let at = self.position(response.request_id).ok_or(ResponseError::Unknown)?;
        let command = self.waiting.get(at).map(|waiting| waiting.request.command.body.name());
        if command != Some(response.reply.command.local.as_str()) {
            return Err(ResponseError::OtherCommand);
        }
        if response.code == ResponseCode::Pending {
            self.events.push_back(RequestEvent::Pending { id: response.request_id });
            return Ok(());
        }
        let request = Box::new(self.waiting.remove(at).request);
        let reply = Box::new(response.reply);
        self.events.push_back(match response.code {
            ResponseCode::Success => RequestEvent::Succeeded { request, reply },
            _ => RequestEvent::Failed { request, failure: Failure::Reply(reply) },
        });
        Ok(())
    }

    /// The final SIP response to the INFO or SERVICE that carried a request. A 2xx changes
    /// nothing: the outcome follows, or came in its body.
    pub fn handle_sip_status(
        &mut self,
        id: RequestId,
        status: u16,
        diagnostic: Option<Diagnostic>,
    ) {
        if status >= 300
            && let Some(at) = self.position(id)
        {
            let request = Box::new(self.waiting.remove(at).request);
            let failure = Failure::Sip { status, diagnostic };
            self.events.push_back(RequestEvent::Failed { request, failure });
        }
    }

    /// The dialog is over: nothing more will come.
    pub fn handle_end(&mut self) {
        for waiting in self.waiting.drain(..) {
            let request = Box::new(waiting.request);
            let failure = Failure::DialogEnded;
            self.events.push_back(RequestEvent::Failed { request, failure });
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut kept = Vec::with_capacity(self.waiting.len());
        for waiting in self.waiting.drain(..) {
            if now < waiting.deadline {
                kept.push(waiting);
            } else {
                let request = Box::new(waiting.request);
                let failure = Failure::TimedOut;
                self.events.push_back(RequestEvent::Failed { request, failure });
            }
        }
        self.waiting = kept;
    }

    /// What became of a command.
    pub fn poll_event(&mut self) -> Option<RequestEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.deadline).min()
    }

    /// The ends of the dialog.
    #[must_use]
    pub fn dialog(&self) -> &FocusDialog {
        &self.dialog
    }

    fn position(&self, id: RequestId) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.request.request_id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommandBody, ConferenceKeys, UserKeys};

    const FOCUS: &str = "sip:alice@x;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";

    fn eject() -> Command {
        Command::new(CommandBody::DeleteUser(UserKeys::new(FOCUS, "sip:bob@x")))
    }

    fn requests() -> Requests {
        Requests::new(FocusDialog::new("sip:alice@x", FOCUS), 7)
    }

    #[test]
    fn an_outcome_counts_once() {
        let mut requests = requests();
        let request = requests.send(eject(), Instant::now()).unwrap();
        assert_eq!(request.request_id, RequestId(7));
        let mut pending = Response::success_of(&request);
        pending.code = ResponseCode::Pending;
        requests.handle_response(pending).unwrap();
        assert_eq!(requests.poll_event(), Some(RequestEvent::Pending { id: RequestId(7) }));
        let failure = Response::failure_of(&request, Reason::UserDoesntExist);
        requests.handle_response(failure.clone()).unwrap();
        let Some(RequestEvent::Failed { failure: told, .. }) = requests.poll_event() else {
            panic!()
        };
        assert_eq!(told.sip_status(), 404);
        assert_eq!(requests.handle_response(failure), Err(ResponseError::Unknown));
        assert_eq!((requests.poll_event(), requests.poll_timeout()), (None, None));
    }

    #[test]
    fn strangers_are_not_heard() {
        let mut requests = requests();
        let request = requests.send(eject(), Instant::now()).unwrap();
        let mut response = Response::success_of(&request);
        response.from = "sip:mallory@evil.example".into();
        assert_eq!(requests.handle_response(response), Err(ResponseError::OtherSender));
        let mut response = Response::success_of(&request);
        response.reply = Reply::new("modifyEndpointMedia");
        assert_eq!(requests.handle_response(response), Err(ResponseError::OtherCommand));
        assert_eq!(requests.poll_event(), None);
        let other = ConferenceKeys::new("sip:carol@x;gruu;opaque=app:conf:focus:id:OTHER123");
        let command = Command::new(CommandBody::GetConference(other));
        assert_eq!(requests.send(command, Instant::now()), Err(SendError::OtherConference));
    }

    #[test]
    fn silence_refusal_and_the_end_of_the_dialog_are_failures() {
        let now = Instant::now();
        let mut requests = requests();
        for _ in 0..3 {
            requests.send(eject(), now).unwrap();
        }
        requests.handle_sip_status(RequestId(7), 202, None);
        requests.handle_sip_status(RequestId(7), 603, Some(Diagnostic::Unauthorized));
        requests.handle_timeout(now + Duration::from_secs(29));
        assert_eq!(requests.poll_timeout(), Some(now + Duration::from_secs(30)));
        requests.handle_timeout(now + Duration::from_secs(30));
        let mut failures = Vec::new();
        while let Some(RequestEvent::Failed { failure, .. }) = requests.poll_event() {
            failures.push(failure.sip_status());
        }
        assert_eq!(failures, [403, 504, 504]);
        requests.send(eject(), now).unwrap();
        requests.handle_end();
        assert!(matches!(
            requests.poll_event(),
            Some(RequestEvent::Failed { failure: Failure::DialogEnded, .. })
        ));
        for _ in 0..64 {
            requests.send(eject(), now).unwrap();
        }
        assert_eq!(requests.send(eject(), now), Err(SendError::TooMany));
    }
}
