use crate::{
    AgentConfig, AgentError, Candidate, Credentials, IceEvent, InputError, Received, Role,
    SelectedPair, Transmit,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// A stream of an [`Agent`]: what one media line of SDP describes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub(crate) u16);

/// One ICE agent of a call leg.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    credentials: Credentials,
    transmits: VecDeque<Transmit>,
    events: VecDeque<IceEvent>,
}

impl Agent {
    /// An agent without streams. All its random choices come from `seed`.
    #[must_use]
    pub fn new(config: AgentConfig, seed: [u8; 32], now: Instant) -> Self {
        let _ = (seed, now);
        let credentials = Credentials::new("", "");
        Self { config, credentials, transmits: VecDeque::new(), events: VecDeque::new() }
    }
    /// Adds a stream with components 1 to `components`.
    ///
    /// # Errors
    ///
    /// [`AgentError::Limit`] when the agent has as many streams as its limits allow.
    pub fn add_stream(&mut self, components: u16) -> Result<StreamId, AgentError> {
        Ok(StreamId(components))
    }
    /// Adds a host candidate over UDP; `address` is the local address of a bound socket.
    ///
    /// # Errors
    ///
    /// See [`AgentError`].
    pub fn add_host_candidate(
        &mut self,
        stream: StreamId,
        component: u16,
        address: SocketAddr,
        now: Instant,
    ) -> Result<(), AgentError> {
        let _ = (stream, component, address, now);
        Ok(())
    }
    /// No more local candidates will be added.
    pub fn end_of_candidates(&mut self, now: Instant) {
        let _ = now;
    }
    /// This side's credentials for the SDP; empty text for an unknown stream.
    #[must_use]
    pub fn local_credentials(&self, _stream: StreamId) -> &Credentials {
        &self.credentials
    }
    /// This side's candidates for the SDP, without peer-reflexive ones.
    #[must_use]
    pub fn local_candidates(&self, _stream: StreamId) -> &[Candidate] {
        &[]
    }
    /// The peer's credentials and candidates; checks start. Called again with other credentials,
    /// the peer has restarted.
    ///
    /// # Errors
    ///
    /// See [`AgentError`].
    pub fn set_remote(
        &mut self,
        stream: StreamId,
        credentials: Credentials,
        candidates: Vec<Candidate>,
        now: Instant,
    ) -> Result<(), AgentError> {
        let _ = (stream, credentials, candidates, now);
        Ok(())
    }
    /// Adds a candidate of the peer (RFC 8838).
    ///
    /// # Errors
    ///
    /// See [`AgentError`].
    pub fn add_remote_candidate(
        &mut self,
        stream: StreamId,
        candidate: Candidate,
        now: Instant,
    ) -> Result<(), AgentError> {
        let _ = (stream, candidate, now);
        Ok(())
    }
    /// The peer will add no more candidates (RFC 8838).
    ///
    /// # Errors
    ///
    /// See [`AgentError`].
    pub fn end_of_remote_candidates(
        &mut self,
        stream: StreamId,
        now: Instant,
    ) -> Result<(), AgentError> {
        let _ = (stream, now);
        Ok(())
    }
    /// The peer is lite (RFC 8445 §6.1.1): this side controls, with regular nomination.
    pub fn set_remote_lite(&mut self, lite: bool) {
        let _ = lite;
    }
    /// Sets the role, before checks have begun.
    pub fn set_role(&mut self, role: Role) {
        self.config.role = role;
    }
    /// The role now.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.config.role
    }
    /// New credentials and new checks for a stream (RFC 8445 §9). The selected pairs stay until the
    /// new ones are there.
    ///
    /// # Errors
    ///
    /// See [`AgentError`].
    pub fn restart(&mut self, stream: StreamId, now: Instant) -> Result<(), AgentError> {
        let _ = (stream, now);
        Ok(())
    }
    /// The pair that carries a component.
    #[must_use]
    pub fn selected(&self, stream: StreamId, component: u16) -> Option<SelectedPair> {
        let _ = (stream, component);
        None
    }
    /// Takes a packet.
    ///
    /// # Errors
    ///
    /// See [`InputError`]: `NotMine` is data, or for another engine.
    pub fn handle_input(&mut self, input: Received<'_>, now: Instant) -> Result<(), InputError> {
        let _ = (input, now);
        Err(InputError::NotMine)
    }
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }
    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<IceEvent> {
        self.events.pop_front()
    }
    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
