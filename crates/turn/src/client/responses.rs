//! What the client reads.

use linkspan_stun::{
    AttributeType, Class, IntegrityError, Message, NonceFeatures, PasswordAlgorithm, ms,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{
    AllocateError, Allocation, CHANNEL_REFRESH, ClientEvent, Offer, PERMISSION_REFRESH, Purpose,
    RequestError, State, Transaction, TurnClient,
};
use crate::{ConnectionId, IcmpError, InputError, Transport};

impl TurnClient {
    pub(super) fn handle_response(
        &mut self,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), InputError> {
        let id = message.transaction_id();
        let at = self.transactions.iter().position(|transaction| transaction.id == id);
        let Some(transaction) = at.and_then(|at| self.transactions.get(at)) else {
            return Err(InputError::NotMine);
        };
        if message.has_fingerprint() {
            message.verify_fingerprint()?;
        }
        self.check_integrity(transaction, message)?;
        let Some(transaction) = at.map(|at| self.transactions.remove(at)) else { return Ok(()) };
        if message.class() == Class::Success {
            self.succeed(transaction.purpose, message, now);
        } else {
            self.refuse(&transaction, message, now);
        }
        Ok(())
    }

    /// RFC 8489 §9.2.5: the answer to a signed request is signed, but for errors that tell that
    /// the signature could not be read. Servers leave other errors unsigned too (coturn does): the
    /// transaction id vouches for those.
    fn check_integrity(
        &self,
        transaction: &Transaction,
        message: &Message<'_>,
    ) -> Result<(), InputError> {
        let code = message.error_code().map(|error| error.code);
        match &self.key {
            Some(key) if transaction.is_signed => {
                let is_success = message.class() == Class::Success;
                if message.has_integrity_sha256() && !self.is_ms() {
                    message.verify_integrity_sha256(key)?;
                } else if message.has_integrity() && !(is_success && self.offer.algorithm.is_some())
                {
                    message.verify_integrity(key)?;
                } else if is_success || (!self.is_ms() && code == Some(400)) {
                    // RFC 8489 §9.2.5 names 400: a forged one must not end the exchange
                    return Err(IntegrityError::Missing.into());
                }
            }
            // Nothing was signed: a success now would be an open relay, or a forgery.
            _ if message.class() == Class::Success => return Err(InputError::Unexpected),
            _ => {}
        }
        Ok(())
    }

    fn refuse(&mut self, transaction: &Transaction, message: &Message<'_>, now: Instant) {
        let purpose = transaction.purpose;
        let (code, reason) = match message.error_code() {
            Some(error) => (error.code, error.reason.chars().take(128).collect()),
            None => (0, String::new()),
        };
        let challenge = message.realm().zip(message.nonce());
        let is_ms = self.is_ms();
        // [MS-TURN] relays name themselves here, or the one to go to.
        let elsewhere = message.alternate_server().filter(|server| {
            is_ms && *server != self.config.server && self.config.transport == Transport::Udp
        });
        match (code, challenge) {
            (401, _) if elsewhere.is_some() && purpose == Purpose::Allocate => {
                self.redirect(elsewhere, now);
            }
            // RFC 8489 §9.2.5: the challenge; with credentials of this realm already used, the end
            (401, Some((realm, nonce))) if !transaction.is_signed || self.realm != realm => {
                if transaction.attempts >= MAX_ATTEMPTS {
                    self.fail(purpose, RequestError::Refused { code, reason }, now);
                    return;
                }
                self.try_again(transaction, message, realm, nonce, now);
            }
            (438, Some((realm, nonce))) if transaction.attempts < MAX_ATTEMPTS => {
                self.try_again(transaction, message, realm, nonce, now);
            }
            // RFC 8016 §3.1: without mobility, then
            (405, _) if purpose == Purpose::Allocate && self.config.mobility => {
                self.config.mobility = false;
                self.request(purpose, transaction.attempts, now);
            }
            (300, _) if purpose == Purpose::Allocate => {
                self.redirect(message.alternate_server(), now);
            }
            (401, _) | (431 | 436, _) if purpose == Purpose::Allocate && (code == 401 || is_ms) => {
                self.end(ClientEvent::AllocateFailed { error: AllocateError::Credentials });
            }
            _ => self.fail(purpose, RequestError::Refused { code, reason }, now),
        }
    }

    fn try_again(
        &mut self,
        transaction: &Transaction,
        message: &Message<'_>,
        realm: &[u8],
        nonce: &[u8],
        now: Instant,
    ) {
        let offer = if self.is_ms() { Some(Offer::default()) } else { self.offer(message, nonce) };
        // RFC 8489 §9.2.5: once SHA-256 was used, an offer without it is not the server's.
        let is_worse = |offer: &Offer| {
            self.key.is_some() && self.offer.algorithm.is_some() && offer.algorithm.is_none()
        };
        let Some(offer) = offer.filter(|offer| !is_worse(offer)) else {
            return self.fail(transaction.purpose, RequestError::BidDown, now);
        };
        let algorithm = |offer: &Offer| offer.algorithm.as_ref().map(|(_, chosen)| *chosen);
        let is_new = self.realm != realm || algorithm(&self.offer) != algorithm(&offer);
        if is_new || self.key.is_none() {
            self.realm = realm.to_vec();
            let credentials = &self.config.credentials;
            let (username, password) = (credentials.username(), credentials.password());
            self.key = if self.is_ms() {
                Some(ms::long_term_key(username, realm, password))
            } else {
                let algorithm = algorithm(&offer).unwrap_or(PasswordAlgorithm::Md5);
                algorithm.key(username, realm, password)
            };
        }
        self.offer = offer;
        let kept = std::mem::replace(&mut self.nonce, nonce.to_vec());
        self.request(transaction.purpose, transaction.attempts + 1, now);
        if matches!(transaction.purpose, Purpose::Bind(..)) {
            // Nonces are good for one connection: this one is no use to the others.
            self.nonce = kept;
        }
    }

    /// What a challenge offers; `None` when it cannot be answered (RFC 8489 §9.2.5): its algorithms
    /// are unknown, or its nonce says that there are some and they are not there.
    fn offer(&self, message: &Message<'_>, nonce: &[u8]) -> Option<Offer> {
        let features = NonceFeatures::read(nonce).unwrap_or_default();
        let algorithm = match message.attribute(AttributeType::PASSWORD_ALGORITHMS) {
            Some(offered) => {
                let chosen = PasswordAlgorithm::list(offered).find(|one| one.is_supported())?;
                Some((offered.to_vec(), chosen))
            }
            None if features.password_algorithms => return None,
            None => None,
        };
        Some(Offer { algorithm, hides_username: features.username_anonymity })
    }

    fn redirect(&mut self, server: Option<SocketAddr>, now: Instant) {
        let error = match server {
            None => AllocateError::Incomplete,
            Some(server) if self.config.transport == Transport::Tcp => {
                AllocateError::Redirected(server)
            }
            Some(server) if self.config.max_redirects == 0 || server == self.config.server => {
                AllocateError::Redirects
            }
            Some(server) if server.is_ipv4() != self.config.local.is_ipv4() => {
                AllocateError::Redirected(server)
            }
            Some(server) => {
                self.config.max_redirects -= 1;
                self.config.server = server;
                self.key = None;
                self.realm.clear();
                self.nonce.clear();
                self.offer = Offer::default();
                self.request(Purpose::Allocate, 0, now);
                return;
            }
        };
        self.end(ClientEvent::AllocateFailed { error });
    }

    fn succeed(&mut self, purpose: Purpose, message: &Message<'_>, now: Instant) {
        match purpose {
            Purpose::Allocate => self.allocated(message, now),
            Purpose::Refresh | Purpose::Move => {
                let lifetime = self.granted(message);
                self.note_sequence(message);
                if let State::Allocated { refresh_at, expires_at, .. } = &mut self.state {
                    *refresh_at = now + refresh_after(lifetime);
                    *expires_at = now + lifetime;
                }
                if purpose == Purpose::Move {
                    self.note_ticket(message);
                    self.events.push_back(ClientEvent::Moved);
                    for purpose in std::mem::take(&mut self.postponed) {
                        self.request(purpose, 0, now);
                    }
                }
            }
            Purpose::Release => self.end(ClientEvent::Released),
            Purpose::Permission(peer) => {
                if let Some(permission) = self.permissions.get_mut(&peer.ip()) {
                    let is_new = !permission.is_granted;
                    permission.is_granted = true;
                    permission.refresh_at = now + PERMISSION_REFRESH;
                    if is_new {
                        self.events.push_back(ClientEvent::PermissionCreated { peer: peer.ip() });
                    }
                }
            }
            Purpose::Channel(number, peer) => {
                let mut channels = self.channels.iter_mut();
                let found = channels.find(|one| one.number == number && one.peer == peer);
                if let Some(channel) = found {
                    let is_new = !channel.is_bound;
                    channel.is_bound = true;
                    channel.refresh_at = now + CHANNEL_REFRESH;
                    if is_new {
                        self.events.push_back(ClientEvent::ChannelBound { peer, channel: number });
                    }
                }
            }
            Purpose::Connect(peer) => self.events.push_back(match connection_id(message) {
                Some(connection) => ClientEvent::Connected { peer, connection },
                None => ClientEvent::ConnectFailed { peer, error: RequestError::Incomplete },
            }),
            Purpose::Bind(connection, local) => {
                self.events.push_back(ClientEvent::ConnectionBound { connection, local });
            }
        }
    }

    fn allocated(&mut self, message: &Message<'_>, now: Instant) {
        // RFC 8656 §7.3: an answer without them is dropped by giving up.
        let Some(relayed) = message.relayed_address() else {
            self.end(ClientEvent::AllocateFailed { error: AllocateError::Incomplete });
            return;
        };
        // RFC 8656 §7.2: with both families there are two attributes of the same type.
        let additional = (!self.is_ms()).then(|| second_relayed(message)).flatten();
        let lifetime = self.granted(message);
        self.note_sequence(message);
        self.note_ticket(message);
        let mut all = vec![relayed];
        all.extend(additional);
        self.state = State::Allocated {
            refresh_at: now + refresh_after(lifetime),
            expires_at: now + lifetime,
            relayed: all,
        };
        let token = message.attribute(AttributeType::RESERVATION_TOKEN);
        self.events.push_back(ClientEvent::Allocated(Allocation {
            relayed,
            relayed_additional: additional,
            mapped: message.xor_mapped_address(),
            lifetime,
            reservation_token: token.and_then(|token| token.try_into().ok()),
        }));
    }

    /// RFC 6062 §4.4: a peer has connected.
    pub(super) fn handle_attempt(&mut self, message: &Message<'_>) -> Result<(), InputError> {
        let is_expected = matches!(self.state, State::Allocated { .. })
            && self.config.relayed_transport == Transport::Tcp
            && message.class() == Class::Indication;
        let (true, Some(peer), Some(connection)) =
            (is_expected, message.peer_address(), connection_id(message))
        else {
            return Err(InputError::Unexpected);
        };
        if !self.permissions.contains_key(&peer.ip()) {
            return Err(InputError::NotPermitted);
        }
        if self.events.len() >= self.config.max_queue {
            return Err(InputError::QueueFull);
        }
        self.events.push_back(ClientEvent::ConnectionAttempt { peer, connection });
        Ok(())
    }

    /// RFC 8656 §11.6: not both data and an error, and of known peers only.
    pub(super) fn handle_icmp(&mut self, message: &Message<'_>) -> Result<(), InputError> {
        let error = message.attribute(AttributeType::ICMP).and_then(IcmpError::read);
        let (Some(peer), Some(error), None, false) =
            (message.peer_address(), error, message.data(), self.is_ms())
        else {
            return Err(InputError::NotMine);
        };
        if !self.is_known(peer.ip()) {
            return Err(InputError::NotPermitted);
        }
        if self.events.len() >= self.config.max_queue {
            return Err(InputError::QueueFull);
        }
        self.events.push_back(ClientEvent::Icmp { peer, error });
        Ok(())
    }

    fn granted(&self, message: &Message<'_>) -> Duration {
        // A server that grants nothing would have us ask without end.
        let seconds = message.lifetime_secs().map(u64::from);
        seconds.map_or(self.config.lifetime, Duration::from_secs).max(Duration::from_secs(10))
    }

    fn note_ticket(&mut self, message: &Message<'_>) {
        let ticket = message.attribute(AttributeType::MOBILITY_TICKET);
        let ticket = ticket.filter(|ticket| !ticket.is_empty() && self.config.mobility);
        self.ticket = ticket.map(<[u8]>::to_vec).or_else(|| self.ticket.take());
    }

    fn note_sequence(&mut self, message: &Message<'_>) {
        let value = message.attribute(AttributeType::MS_SEQUENCE_NUMBER);
        let Some((connection, number)) = value.and_then(<[u8]>::split_first_chunk::<20>) else {
            return;
        };
        if let Ok(number) = number.try_into() {
            self.sequence = Some((*connection, u32::from_be_bytes(number)));
        }
    }

    pub(super) fn fail(&mut self, purpose: Purpose, error: RequestError, now: Instant) {
        match purpose {
            Purpose::Allocate => {
                self.end(ClientEvent::AllocateFailed { error: error.into() });
            }
            Purpose::Refresh => match &mut self.state {
                // No answer: once more while it lasts.
                State::Allocated { refresh_at, expires_at, .. }
                    if error == RequestError::TimedOut && now < *expires_at =>
                {
                    *refresh_at = now + Duration::from_secs(1);
                }
                _ => self.end(ClientEvent::Lost { error }),
            },
            Purpose::Move => self.end(ClientEvent::Lost { error }),
            Purpose::Release => self.end(ClientEvent::Released),
            Purpose::Permission(peer) => {
                self.permissions.remove(&peer.ip());
                self.events.push_back(ClientEvent::PermissionFailed { peer: peer.ip(), error });
            }
            Purpose::Channel(number, peer) => {
                // [MS-TURN] 3.1.10: the server may have heard it all the same, and then sends what
                // comes from that peer without a header.
                if !self.is_ms() || error != RequestError::TimedOut {
                    self.channels.retain(|one| one.number != number || one.peer != peer);
                }
                self.events.push_back(ClientEvent::ChannelFailed { peer, error });
            }
            Purpose::Connect(peer) => {
                self.events.push_back(ClientEvent::ConnectFailed { peer, error });
            }
            Purpose::Bind(connection, local) => {
                let event = ClientEvent::ConnectionFailed { connection, local, error };
                self.events.push_back(event);
            }
        }
    }
}

fn connection_id(message: &Message<'_>) -> Option<ConnectionId> {
    message.u32(AttributeType::CONNECTION_ID).map(ConnectionId::new)
}

fn second_relayed(message: &Message<'_>) -> Option<SocketAddr> {
    // A view of the second attribute alone: the message's own getters stop at the first.
    let mut found = message
        .attributes()
        .filter(|attribute| attribute.kind == AttributeType::XOR_RELAYED_ADDRESS)
        .skip(1);
    crate::address::read_xor(found.next()?.value, &message.transaction_id())
}

/// A minute before the end, or at half of a short life.
fn refresh_after(lifetime: Duration) -> Duration {
    if lifetime > Duration::from_secs(120) {
        lifetime - Duration::from_secs(60)
    } else {
        lifetime / 2
    }
}

/// Challenges and stale nonces that one request goes through.
const MAX_ATTEMPTS: u8 = 3;
