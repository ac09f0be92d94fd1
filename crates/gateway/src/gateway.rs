use std::time::Instant;

use linkspan_sip as sip;

use crate::config::{Config, ConfigError};
use crate::event::{GatewayCounters, GatewayEvent};
use crate::id::CallId;
use crate::media::{MediaCommand, MediaEvent};

/// The signalling half of a gateway.
#[derive(Debug)]
pub struct Gateway {}

#[allow(unused_variables, missing_docs, clippy::missing_errors_doc)]
impl Gateway {
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Self, ConfigError> {
        Ok(Self {})
    }
    /// One framed message. `path.local` is the listener's address; for a connection that the
    /// driver opened it is the `local` of the `Transmit` that it was opened for, and `connection`
    /// is set.
    pub fn handle_sip(
        &mut self,
        input: sip::Received<'_>,
        now: Instant,
    ) -> Result<(), sip::InputError> {
        Ok(())
    }
    /// A connection could not be opened, or has failed or closed.
    pub fn handle_sip_transport_error(&mut self, path: sip::Path, now: Instant) {}
    pub fn handle_media_event(&mut self, event: MediaEvent, now: Instant) {}
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn poll_sip_transmit(&mut self) -> Option<sip::Transmit> {
        None
    }
    pub fn poll_media_command(&mut self) -> Option<MediaCommand> {
        None
    }
    pub fn poll_event(&mut self) -> Option<GatewayEvent> {
        None
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    /// Ends a call on both legs.
    pub fn end_call(&mut self, call: CallId, now: Instant) {}
    /// Takes no new calls; running ones go on.
    pub fn drain(&mut self) {}
    /// Ends every call.
    pub fn shut_down(&mut self, now: Instant) {}
    pub fn calls(&self) -> impl Iterator<Item = CallId> + '_ {
        core::iter::empty()
    }
    pub fn counters(&self) -> GatewayCounters {
        GatewayCounters::default()
    }
    /// Routes, policy, timers and limits for calls from now on.
    pub fn set_config(&mut self, config: Config) -> Result<(), ConfigError> {
        Ok(())
    }
}
