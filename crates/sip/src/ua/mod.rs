//! The user agent: transactions and dialogs in one engine.

mod config;
mod event;

pub use config::{Dialect, SessionTimer, Timers, UaConfig};
pub use event::{EndCause, InputError, RefusedError, RequestId, SessionId, UaEvent, VerbError};

use std::time::Instant;

use crate::headers::Headers;
use crate::method::{Method, StatusCode};
use crate::name_addr::NameAddr;
use crate::path::{Path, Received, Transmit};
use crate::request::{Body, Request};
use crate::uri::Uri;

/// A call to place.
#[derive(Clone, Debug)]
pub struct OutgoingInvite {
    /// The way to the first hop.
    pub path: Path,
    /// The Request-URI.
    pub uri: Uri,
    /// From; its tag is drawn by the engine, an epid is kept.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Contact.
    pub contact: NameAddr,
    /// Route, first hop first.
    pub routes: Vec<NameAddr>,
    /// Call-ID; drawn by the engine where it is `None`.
    pub call_id: Option<String>,
    /// Further headers.
    pub headers: Headers,
    /// The offer.
    pub body: Option<Body>,
}

/// The engine.
#[derive(Debug)]
pub struct UserAgent {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl UserAgent {
    pub fn new(config: UaConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {}
    }
    pub fn handle_input(&mut self, input: Received<'_>, now: Instant) -> Result<(), InputError> {
        Ok(())
    }
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn handle_transport_error(&mut self, path: Path, now: Instant) {}
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
    pub fn poll_event(&mut self) -> Option<UaEvent> {
        None
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub fn invite(&mut self, invite: OutgoingInvite, now: Instant) -> Result<SessionId, VerbError> {
        Err(VerbError::Limit)
    }
    pub fn cancel(&mut self, s: SessionId, h: Headers, now: Instant) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn progress(
        &mut self,
        session: SessionId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn accept(
        &mut self,
        session: SessionId,
        contact: NameAddr,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn reject(
        &mut self,
        session: SessionId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn ack(
        &mut self,
        session: SessionId,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn reinvite(
        &mut self,
        session: SessionId,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<RequestId, VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn request(
        &mut self,
        session: SessionId,
        method: Method,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<RequestId, VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn bye(&mut self, s: SessionId, headers: Headers, now: Instant) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn end(&mut self, s: SessionId, headers: Headers, now: Instant) -> Result<(), VerbError> {
        Err(VerbError::NoSession)
    }
    pub fn send(&mut self, r: Request, path: Path, now: Instant) -> Result<RequestId, VerbError> {
        Err(VerbError::Limit)
    }
    pub fn respond(
        &mut self,
        id: RequestId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
        now: Instant,
    ) -> Result<(), VerbError> {
        Err(VerbError::NoRequest)
    }
}
