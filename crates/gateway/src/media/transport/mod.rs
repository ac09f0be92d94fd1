//! One m-line of one leg: the way between its RTP packets and the network.

mod error;
mod key;
mod latch;
mod link;
mod values;

pub use error::{ConnectError, MediaInputError, SendError};
pub use key::{KeyError, MediaKey};
pub use values::{
    Incoming, MediaTransmit, RemoteIce, RemoteMedia, TransportConfig, TransportEvent,
};

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use linkspan_ice as ice;
use linkspan_rtp::{Compound, RtpPacket};
use linkspan_srtp as srtp;
use linkspan_stun::{PacketKind, demultiplex};

use self::latch::Latch;
use self::link::{Link, LinkEvent};
use super::command::{DropReason, LocalIce};
use super::reports::Reports;
use super::stats::StreamStatistics;

/// One m-line of one leg: ICE or symmetric latching, demultiplexing, SRTP both ways, RTCP reports.
///
/// It owns no socket: the local addresses only name them. After any `&mut self` call drain
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), then wait until
/// [`poll_timeout`](Self::poll_timeout) or input.
///
/// Two of them back to back, in clear and without ICE:
///
/// ```
/// use bytes::BytesMut;
/// use linkspan_gateway::{Incoming, MediaTransport, RemoteMedia, StreamKind, TransportConfig};
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let (a, b) = ("192.0.2.1:4000".parse()?, "192.0.2.2:5000".parse()?);
/// let (ar, br) = ("192.0.2.1:4001".parse()?, "192.0.2.2:5001".parse()?);
/// let mut left = MediaTransport::new(TransportConfig::new(StreamKind::Audio, a, ar), [1; 32], now);
/// let mut right = MediaTransport::new(TransportConfig::new(StreamKind::Audio, b, br), [2; 32], now);
/// left.connect(RemoteMedia::new(b), None, None, now)?;
/// right.connect(RemoteMedia::new(a), None, None, now)?;
///
/// let packet = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9, 0xd5, 0xd5];
/// left.send_rtp(BytesMut::from(&packet[..]), now)?;
/// let mut sent = left.poll_transmit().expect("queued");
/// let received = right.handle_input(sent.remote, sent.local, &mut sent.payload, now)?;
/// assert_eq!(received, Incoming::Rtp(packet.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MediaTransport {
    config: TransportConfig,
    remote: Option<Remote>,
    link: Option<Link>,
    keys: Keys,
    reports: Reports,
    statistics: StreamStatistics,
    last_received: Option<Instant>,
    /// When to look whether the peer has fallen silent.
    silence_at: Option<Instant>,
    transmits: VecDeque<MediaTransmit>,
    events: VecDeque<TransportEvent>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Remote {
    media: RemoteMedia,
    rtp: Latch,
    rtcp: Latch,
}

#[derive(Debug, Default)]
struct Keys {
    send: Option<(MediaKey, Box<srtp::Sender>)>,
    receive: Option<(MediaKey, Box<srtp::Receiver>)>,
}

impl MediaTransport {
    /// A transport whose peer is not known yet. ICE checks that come early are answered.
    ///
    /// All its random choices come from `seed`.
    #[must_use]
    pub fn new(config: TransportConfig, seed: [u8; 32], now: Instant) -> Self {
        let sockets = [config.rtp, config.rtcp];
        let count = if config.rtp == config.rtcp { 1 } else { 2 };
        let link = config.ice.and_then(|ice| {
            let sockets = sockets.get(..count).unwrap_or_default();
            Link::new(ice, sockets, &config.relays, seed, now).ok()
        });
        let reports = Reports::new(&config, seed, now);
        let statistics =
            StreamStatistics { kind: Some(config.kind), ..StreamStatistics::default() };
        Self {
            config,
            remote: None,
            link,
            keys: Keys::default(),
            reports,
            statistics,
            last_received: None,
            silence_at: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            scratch: Vec::new(),
        }
    }

    /// Sets the peer, or changes it after a later offer. Keys that stay the same keep their
    /// replay windows and counters; ICE credentials that stay the same keep the pairs.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; the peer stays as it was.
    pub fn connect(
        &mut self,
        remote: RemoteMedia,
        send_key: Option<MediaKey>,
        receive_key: Option<MediaKey>,
        now: Instant,
    ) -> Result<(), ConnectError> {
        let (sender, receiver) = self.fresh_contexts(send_key.as_ref(), receive_key.as_ref())?;
        match (&remote.ice, &mut self.link) {
            (Some(half), Some(link)) => {
                link.set_remote(half, remote.rtcp_mux, self.config.candidates, now)?;
            }
            (Some(_), None) => return Err(ConnectError::NoIce),
            // RFC 8839 §4.2.5, and MS-ICE2 as well: no candidates, no ICE.
            (None, link) => *link = None,
        }
        match (send_key, sender) {
            (Some(key), Some(sender)) => self.keys.send = Some((key, Box::new(sender))),
            (Some(_), None) => {}
            (None, _) => self.keys.send = None,
        }
        match (receive_key, receiver) {
            (Some(key), Some(receiver)) => self.keys.receive = Some((key, Box::new(receiver))),
            (Some(_), None) => {}
            (None, _) => self.keys.receive = None,
        }
        self.statistics.encrypted = self.keys.send.is_some() && self.keys.receive.is_some();
        let rtcp = if remote.rtcp_mux { remote.rtp } else { remote.rtcp };
        match &mut self.remote {
            Some(known) => {
                known.rtp.signal(remote.rtp);
                known.rtcp.signal(rtcp);
                known.media = remote;
            }
            None => {
                let rtp = Latch::new(remote.rtp);
                self.remote = Some(Remote { rtp, rtcp: Latch::new(rtcp), media: remote });
                self.heard(now);
            }
        }
        self.reports.start(now);
        self.drain_link();
        Ok(())
    }

    /// Takes a datagram that arrived at one of the local addresses. What it carries is deciphered
    /// in place.
    ///
    /// # Errors
    ///
    /// [`MediaInputError`]: it was dropped and counted, and has changed nothing else.
    pub fn handle_input(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Incoming, MediaInputError> {
        self.take(ice::Transport::Udp, local, remote, packet, now)
    }

    /// Takes a whole message that came over the TCP connection to a TURN server.
    ///
    /// # Errors
    ///
    /// [`MediaInputError`]: it was dropped and counted, and has changed nothing else.
    pub fn handle_frame(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Incoming, MediaInputError> {
        self.take(ice::Transport::Tcp, local, remote, packet, now)
    }

    /// The connection to a TURN server could not be opened, or has ended.
    pub fn handle_disconnect(&mut self, local: SocketAddr, remote: SocketAddr, now: Instant) {
        if let Some(link) = &mut self.link {
            link.handle_disconnect(local, remote, now);
            self.drain_link();
        }
    }

    /// Both of them: a datagram, or a message that came over a connection.
    pub(in crate::media) fn take(
        &mut self,
        transport: ice::Transport,
        local: SocketAddr,
        remote: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Incoming, MediaInputError> {
        if local != self.config.rtp && local != self.config.rtcp {
            return Err(MediaInputError::NotMine);
        }
        // What a relay has put around a packet comes off; the agent takes its own as it came.
        let (source, inner) = match &self.link {
            Some(link) => link.unwrap(ice::Received { transport, local, remote, payload: packet }),
            None => (remote, 0..packet.len()),
        };
        let kind = demultiplex(packet.get(inner.clone()).unwrap_or_default());
        // Over a connection only the relay speaks; what it frames otherwise is its own.
        let is_framed = transport == ice::Transport::Tcp && inner.len() == packet.len();
        let taken = if kind == PacketKind::Stun || is_framed {
            self.take_stun(ice::Received { transport, local, remote, payload: packet }, now)
        } else {
            let len = inner.len();
            if inner.start > 0 {
                packet.copy_within(inner, 0);
            }
            let packet = packet.get_mut(..len).unwrap_or_default();
            match kind {
                PacketKind::Rtp => self.take_rtp(source, packet, now),
                PacketKind::Rtcp => self.take_rtcp(source, packet, now),
                _ => Err(DropReason::Unknown),
            }
        };
        taken.map_err(|reason| {
            self.statistics.drop_one(reason);
            MediaInputError::Dropped(reason)
        })
    }

    /// Sends an RTP packet, which is in clear and whole; its SSRC should be the configured one.
    ///
    /// # Errors
    ///
    /// [`SendError`]; the packet is dropped.
    pub fn send_rtp(&mut self, mut packet: BytesMut, now: Instant) -> Result<(), SendError> {
        let (local, remote) = self.target(0).ok_or(SendError::NotConnected)?;
        if self.transmits.len() >= self.config.queued_packets {
            return Err(SendError::QueueFull);
        }
        let view = RtpPacket::parse(&packet).map_err(|_| SendError::Malformed)?;
        let (header, octets) = (view.header(), view.payload().len());
        if let Some((_, sender)) = &mut self.keys.send {
            let len = packet.len();
            packet.resize(len + sender.overhead(), 0);
            let len = sender.protect_rtp(&mut packet, len).map_err(|_| SendError::Protect)?;
            packet.truncate(len);
        }
        self.reports.sent(header, octets, now);
        self.statistics.sent.packets += 1;
        self.statistics.sent.payload_octets += octets as u64;
        self.transmit(0, local, remote, packet);
        Ok(())
    }

    /// Sends RTCP feedback, which `write` appends to what the profile demands before it: nothing
    /// where reduced-size RTCP was negotiated, a report and the CNAME otherwise. What `write`
    /// returns is ignored: the writers of `linkspan-rtp` append nothing when they fail.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing is sent.
    pub fn send_feedback<T>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> T,
        now: Instant,
    ) -> Result<(), SendError> {
        let reduced = self.remote.as_ref().is_some_and(|r| r.media.reduced_size);
        let mut compound = core::mem::take(&mut self.scratch);
        compound.clear();
        if !reduced {
            self.reports.write(&mut compound, now);
        }
        write(&mut compound);
        let sent = self.send_rtcp(&compound);
        self.scratch = compound;
        sent
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.handle_timeout(now);
        }
        self.drain_link();
        if self.reports.poll_timeout().is_some_and(|at| at <= now) {
            self.reports.reported(now);
            let mut compound = core::mem::take(&mut self.scratch);
            compound.clear();
            self.reports.write(&mut compound, now);
            // Without a way to the peer the next report comes in its time.
            let _ = self.send_rtcp(&compound);
            self.scratch = compound;
        }
        if self.silence_at.is_some_and(|at| at <= now) {
            let heard = self.last_received.unwrap_or(now);
            self.silence_at = self.config.silence.map(|s| heard + s).filter(|due| *due > now);
            if self.silence_at.is_none() {
                self.events.push_back(TransportEvent::Silent);
            }
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<MediaTransmit> {
        self.transmits.pop_front()
    }

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.as_ref().and_then(Link::poll_timeout);
        [link, self.reports.poll_timeout(), self.silence_at].into_iter().flatten().min()
    }

    /// The peer will get nothing more: relays are told, once.
    pub fn close(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.close(now);
        }
        self.drain_link();
    }

    /// Whether [`local_ice`](Self::local_ice) is complete, or has had its time.
    #[must_use]
    pub fn is_gathered(&self, now: Instant) -> bool {
        self.link.as_ref().is_none_or(|link| link.is_gathered(now))
    }

    /// Credentials and candidates for the description; `None` without ICE.
    #[must_use]
    pub fn local_ice(&self) -> Option<LocalIce> {
        self.link.as_ref().map(Link::local)
    }

    /// Whether a packet could be sent now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.target(0).is_some()
    }

    /// SSRC of what this side sends.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.config.ssrc
    }

    /// SSRC of the peer's last RTP packet: what feedback to it is about.
    #[must_use]
    pub fn remote_ssrc(&self) -> Option<u32> {
        self.reports.last_source()
    }

    /// What has happened so far.
    #[must_use]
    pub fn statistics(&self) -> StreamStatistics {
        let mut statistics = self.statistics.clone();
        self.reports.fill(&mut statistics);
        statistics
    }

    /// The counters of what was dropped.
    pub(super) const fn dropped(&self) -> [u64; DropReason::ALL.len()] {
        self.statistics.dropped
    }

    pub(super) fn statistics_mut(&mut self) -> &mut StreamStatistics {
        &mut self.statistics
    }

    fn take_stun(
        &mut self,
        received: ice::Received<'_>,
        now: Instant,
    ) -> Result<Incoming, DropReason> {
        let link = self.link.as_mut().ok_or(DropReason::StrayStun)?;
        let taken = link.handle_input(received, now);
        self.drain_link();
        match taken {
            Ok(()) => Ok(Incoming::Consumed),
            Err(ice::InputError::Unauthenticated) => Err(DropReason::UnauthenticatedStun),
            Err(ice::InputError::NotMine) => Err(DropReason::StrayStun),
            Err(_) => Err(DropReason::MalformedStun),
        }
    }

    fn take_rtp(
        &mut self,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Incoming, DropReason> {
        let encrypted = self.keys.receive.is_some();
        let peer = self.remote.as_mut().ok_or(DropReason::TooEarly)?;
        if self.link.is_none() && !peer.rtp.admits(source, encrypted, now) {
            return Err(DropReason::WrongSource);
        }
        // Before anything is deciphered: a header that cannot be right costs nothing more.
        let ssrc = RtpPacket::parse(packet).map_err(|_| DropReason::MalformedRtp)?.ssrc().0;
        let range = peer.media.ssrc_range;
        if range.is_some_and(|(first, last)| !(first..=last).contains(&ssrc)) {
            return Err(DropReason::SsrcRange);
        }
        let len = match &mut self.keys.receive {
            Some((_, receiver)) => receiver.unprotect_rtp(packet).map_err(|e| reason_of(&e))?,
            None => packet.len(),
        };
        let clear = packet.get(..len).unwrap_or_default();
        let view = RtpPacket::parse(clear).map_err(|_| DropReason::MalformedRtp)?;
        if self.link.is_none() {
            peer.rtp.confirm(source, now);
        }
        let octets = view.payload().len();
        self.reports.received(view.header(), octets, now);
        self.statistics.received.packets += 1;
        self.statistics.received.payload_octets += octets as u64;
        self.heard(now);
        Ok(Incoming::Rtp(len))
    }

    fn take_rtcp(
        &mut self,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Incoming, DropReason> {
        let encrypted = self.keys.receive.is_some();
        let peer = self.remote.as_mut().ok_or(DropReason::TooEarly)?;
        if self.link.is_none() && !peer.rtcp.admits(source, encrypted, now) {
            return Err(DropReason::WrongSource);
        }
        let len = match &mut self.keys.receive {
            Some((_, receiver)) => receiver.unprotect_rtcp(packet).map_err(|e| reason_of(&e))?,
            None => packet.len(),
        };
        let clear = packet.get(..len).unwrap_or_default();
        let compound = Compound::parse(clear).map_err(|_| DropReason::MalformedRtcp)?;
        if self.link.is_none() {
            peer.rtcp.confirm(source, now);
        }
        self.reports.handle(&compound, now);
        self.statistics.rtcp_received += 1;
        self.heard(now);
        Ok(Incoming::Rtcp(len))
    }

    fn send_rtcp(&mut self, compound: &[u8]) -> Result<(), SendError> {
        let component = usize::from(!self.is_muxed());
        let (local, remote) = self.target(component).ok_or(SendError::NotConnected)?;
        if self.transmits.len() >= self.config.queued_packets {
            return Err(SendError::QueueFull);
        }
        if compound.is_empty() {
            return Err(SendError::Malformed);
        }
        let mut packet = BytesMut::from(compound);
        if let Some((_, sender)) = &mut self.keys.send {
            packet.resize(compound.len() + sender.overhead(), 0);
            let len = sender.protect_rtcp(&mut packet, compound.len());
            packet.truncate(len.map_err(|_| SendError::Protect)?);
        }
        self.statistics.rtcp_sent += 1;
        self.transmit(component, local, remote, packet);
        Ok(())
    }

    /// A packet of a component leaves: as it is, or with a relay's header before it.
    fn transmit(
        &mut self,
        component: usize,
        local: SocketAddr,
        remote: SocketAddr,
        mut payload: BytesMut,
    ) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_relayed(component)) else {
            let transport = ice::Transport::Udp;
            return self.transmits.push_back(MediaTransmit { transport, local, remote, payload });
        };
        if let Some((transport, local, remote)) = link.wrap(component, &mut payload) {
            self.transmits.push_back(MediaTransmit { transport, local, remote, payload });
        }
        // What a relay does not take yet, the agent has.
        self.drain_link();
    }

    /// Local and remote address for a component: 0 for RTP, 1 for RTCP.
    fn target(&self, component: usize) -> Option<(SocketAddr, SocketAddr)> {
        let remote = self.remote.as_ref()?;
        if let Some(link) = &self.link {
            return link.pair(component);
        }
        let (local, latch) = match component {
            0 => (self.config.rtp, &remote.rtp),
            _ => (self.config.rtcp, &remote.rtcp),
        };
        Some((local, latch.target()?))
    }

    fn is_muxed(&self) -> bool {
        self.config.rtp == self.config.rtcp
            || self.remote.as_ref().is_some_and(|r| r.media.rtcp_mux)
    }

    /// Contexts for keys that differ from the ones in use.
    fn fresh_contexts(
        &self,
        send: Option<&MediaKey>,
        receive: Option<&MediaKey>,
    ) -> Result<(Option<srtp::Sender>, Option<srtp::Receiver>), ConnectError> {
        let known = |key: &MediaKey, old: Option<&MediaKey>| old == Some(key);
        let sender = match send {
            Some(key) if !known(key, self.keys.send.as_ref().map(|(k, _)| k)) => {
                let params = core::slice::from_ref(&key.params);
                Some(srtp::Sender::new(key.suite, params).map_err(|_| ConnectError::Key)?)
            }
            _ => None,
        };
        let receiver = match receive {
            Some(key) if !known(key, self.keys.receive.as_ref().map(|(k, _)| k)) => {
                let params = core::slice::from_ref(&key.params);
                Some(srtp::Receiver::new(key.suite, params).map_err(|_| ConnectError::Key)?)
            }
            _ => None,
        };
        Ok((sender, receiver))
    }

    fn heard(&mut self, now: Instant) {
        self.last_received = Some(now);
        if self.silence_at.is_none() {
            self.silence_at = self.config.silence.map(|silence| now + silence);
        }
    }

    fn drain_link(&mut self) {
        let Some(link) = &mut self.link else { return };
        while let Some(event) = link.poll_event() {
            self.events.push_back(match event {
                LinkEvent::Connected(pairs) => TransportEvent::Connected { pairs },
                LinkEvent::Disconnected => TransportEvent::Disconnected,
                LinkEvent::RelayFailed(server, error) => {
                    TransportEvent::RelayFailed { server, error }
                }
            });
        }
        while let Some(transmit) = link.poll_transmit() {
            self.transmits.push_back(MediaTransmit {
                transport: transmit.transport,
                local: transmit.local,
                remote: transmit.remote,
                payload: BytesMut::from(transmit.payload),
            });
        }
    }
}

const fn reason_of(error: &srtp::UnprotectError) -> DropReason {
    match error {
        srtp::UnprotectError::Replayed | srtp::UnprotectError::TooOld => DropReason::Replayed,
        srtp::UnprotectError::Malformed { .. } => DropReason::MalformedRtp,
        _ => DropReason::Unauthenticated,
    }
}
