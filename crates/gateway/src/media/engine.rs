use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_ice::Transport;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::bridge::{self, Context};
use super::command::{AgreedStream, MediaCommand, MediaEvent};
use super::stats::StreamStatistics;
use super::stream::Stream;
use super::transport::{Incoming, MediaInputError, MediaTransmit, TransportConfig, TransportEvent};
use super::video::VideoReceiver;
use crate::deadlines::Deadlines;
use crate::id::{StreamId, StreamKind};

/// The media half of a gateway: the streams of any number of calls, each bridged to its peer.
///
/// It lives on the signalling half's thread or on its own; calls may be spread over several
/// engines. After any `&mut self` call drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), then wait until [`poll_timeout`](Self::poll_timeout) or input.
///
/// A packet stays in one buffer from socket to socket: receive into [`buffer`](Self::buffer), hand
/// it over, send what [`poll_transmit`](Self::poll_transmit) gives and
/// [`recycle`](Self::recycle) it.
///
/// ```
/// use linkspan_gateway::{CallId, MediaCommand, MediaEngine, MediaEvent, Side, StreamId};
/// use linkspan_gateway::{StreamKind, TransportConfig};
/// use std::time::Instant;
///
/// let now = Instant::now();
/// let mut engine = MediaEngine::new([7; 32], now);
/// let stream = StreamId { call: CallId(1), side: Side::Lync, index: 0 };
/// let (rtp, rtcp) = ("192.0.2.1:4000".parse()?, "192.0.2.1:4001".parse()?);
/// let config = Box::new(TransportConfig::new(StreamKind::Audio, rtp, rtcp));
/// engine.handle_command(MediaCommand::Open { stream, config }, now);
/// assert!(matches!(engine.poll_event(), Some(MediaEvent::Opened { .. })));
///
/// let mut packet = engine.buffer();
/// packet.extend_from_slice(b"noise");
/// assert!(engine.handle_datagram(rtp, "203.0.113.9:9".parse()?, packet, now).is_err());
/// assert_eq!(engine.statistics(stream).unwrap().dropped.iter().sum::<u64>(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MediaEngine {
    rng: ChaCha20Rng,
    began: Instant,
    streams: Vec<Option<Stream>>,
    free: Vec<usize>,
    ids: HashMap<StreamId, usize>,
    sockets: HashMap<SocketAddr, usize>,
    deadlines: Deadlines<usize>,
    transmits: VecDeque<MediaTransmit>,
    events: VecDeque<MediaEvent>,
    pool: Vec<BytesMut>,
}

/// Room for a datagram, and for what SRTP adds to it.
const BUFFER: usize = 2_048;
/// Buffers that wait to be used again.
const POOL: usize = 1_024;
/// Drops of a stream are reported this often.
const REPORT: Duration = Duration::from_secs(1);

impl MediaEngine {
    /// An engine without streams. All its random choices come from `seed`.
    #[must_use]
    pub fn new(seed: [u8; 32], now: Instant) -> Self {
        Self {
            rng: ChaCha20Rng::from_seed(seed),
            began: now,
            streams: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            sockets: HashMap::new(),
            deadlines: Deadlines::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            pool: Vec::new(),
        }
    }

    /// Carries out a command; `Bind` and `Unbind` are the driver's and do nothing here.
    pub fn handle_command(&mut self, command: MediaCommand, now: Instant) {
        match command {
            MediaCommand::Open { stream, config } => self.open(stream, *config, now),
            MediaCommand::Connect { stream, agreed } => self.connect(stream, *agreed, now),
            MediaCommand::RequestKeyframe { stream } => {
                if let Some(at) = self.ids.get(&stream).copied() {
                    if let Some(stream) = self.stream(at)
                        && stream.gate.pass(None, now)
                    {
                        stream.wish.want(now);
                    }
                    self.settle(at, now);
                }
            }
            MediaCommand::Mute { stream, muted } => {
                let at = self.ids.get(&stream).copied();
                if let Some(stream) = at.and_then(|at| self.stream(at)) {
                    stream.mute(muted, now);
                }
            }
            MediaCommand::Close { stream } => self.close(stream, now),
            MediaCommand::Bind { .. } | MediaCommand::Unbind { .. } => {}
        }
    }

    /// Takes a datagram: `packet` holds its octets and nothing else. A buffer with room for about
    /// 50 octets more is not copied on its way.
    ///
    /// # Errors
    ///
    /// [`MediaInputError::NotMine`] when no stream has the local address. Otherwise the datagram
    /// was dropped and counted, and nothing else has changed.
    pub fn handle_datagram(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: BytesMut,
        now: Instant,
    ) -> Result<(), MediaInputError> {
        self.take(Transport::Udp, local, remote, packet, now)
    }

    /// Takes a whole message that came over the TCP or TLS connection from the socket `local` to a
    /// TURN server.
    ///
    /// # Errors
    ///
    /// [`MediaInputError`]: it was dropped and counted.
    pub fn handle_frame(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        packet: BytesMut,
        now: Instant,
    ) -> Result<(), MediaInputError> {
        self.take(Transport::Tcp, local, remote, packet, now)
    }

    /// The connection to a TURN server could not be opened, or has ended.
    pub fn handle_disconnect(&mut self, local: SocketAddr, remote: SocketAddr, now: Instant) {
        let Some(at) = self.sockets.get(&local).copied() else { return };
        if let Some(stream) = self.stream(at) {
            stream.transport.handle_disconnect(local, remote, now);
            self.settle(at, now);
        }
    }

    fn take(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        mut packet: BytesMut,
        now: Instant,
    ) -> Result<(), MediaInputError> {
        let Some(at) = self.sockets.get(&local).copied() else {
            self.recycle(packet);
            return Err(MediaInputError::NotMine);
        };
        let peer = self.peer_of(at);
        let Some(stream) = self.stream(at) else { return Err(MediaInputError::NotMine) };
        let taken = stream.transport.take(transport, local, remote, &mut packet, now);
        let result = match taken {
            Ok(Incoming::Rtp(len)) => {
                packet.truncate(len);
                self.forward(at, peer, packet, now);
                Ok(())
            }
            Ok(Incoming::Rtcp(len)) => {
                let compound = packet.get(..len).unwrap_or_default();
                let asked = stream.read_feedback(compound, now);
                if asked.keyframe {
                    self.want_keyframe(peer, now);
                }
                self.recycle(packet);
                Ok(())
            }
            Ok(Incoming::Consumed) => {
                self.recycle(packet);
                Ok(())
            }
            Err(error) => {
                self.recycle(packet);
                Err(error)
            }
        };
        self.settle(at, now);
        if let Some(peer) = peer {
            self.settle(peer, now);
        }
        result
    }

    /// An empty buffer to receive a datagram into.
    pub fn buffer(&mut self) -> BytesMut {
        take_buffer(&mut self.pool)
    }

    /// Takes a buffer back: the payload of a transmit that has been sent.
    pub fn recycle(&mut self, buffer: BytesMut) {
        give_buffer(&mut self.pool, buffer);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(at) = self.deadlines.take_due(now) {
            let peer = self.peer_of(at);
            if self.stream(at).is_some_and(|stream| stream.losses.poll(now)) {
                self.want_keyframe(peer, now);
            }
            if let Some(stream) = self.stream(at) {
                stream.due = None;
                stream.transport.handle_timeout(now);
                if let Some(video) = &mut stream.video {
                    video.handle_timeout(now);
                }
            }
            self.forward_pictures(at, peer, now);
            self.report_drops(at, now);
            self.settle(at, now);
            if let Some(peer) = peer {
                self.settle(peer, now);
            }
        }
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<MediaTransmit> {
        self.transmits.pop_front()
    }

    /// The next thing that the signalling half has to know.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What a stream has done so far.
    #[must_use]
    pub fn statistics(&self, stream: StreamId) -> Option<StreamStatistics> {
        let at = self.ids.get(&stream)?;
        let stream = self.streams.get(*at)?.as_ref()?;
        let mut statistics = stream.transport.statistics();
        let main = stream.agreed.as_ref().and_then(|a| a.formats.first());
        statistics.codec = statistics.codec.or_else(|| main.map(|f| f.codec));
        Some(statistics)
    }

    /// The streams that there are.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.iter().flatten().map(|stream| stream.id)
    }

    fn open(&mut self, id: StreamId, config: TransportConfig, now: Instant) {
        if self.ids.contains_key(&id) {
            let reason = "the stream is there already".to_owned();
            self.events.push_back(MediaEvent::OpenFailed { stream: id, reason });
            return;
        }
        let sockets = [config.rtp, config.rtcp];
        if sockets.iter().any(|socket| self.sockets.contains_key(socket)) {
            let reason = "another stream has the local address".to_owned();
            self.events.push_back(MediaEvent::OpenFailed { stream: id, reason });
            return;
        }
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let wants_ice = config.ice.is_some();
        let stream = Stream::new(id, config, (seed, self.rng.next_u32()), self.began, now);
        if wants_ice && stream.transport.local_ice().is_none() {
            let reason = "the ICE agent refused the local addresses".to_owned();
            self.events.push_back(MediaEvent::OpenFailed { stream: id, reason });
            return;
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.streams.push(None);
            self.streams.len() - 1
        });
        if let Some(slot) = self.streams.get_mut(at) {
            *slot = Some(stream);
        }
        self.ids.insert(id, at);
        let peer = self.ids.get(&id.peer()).copied();
        for (at, peer) in [(Some(at), peer), (peer, Some(at))] {
            if let Some(stream) = at.and_then(|at| self.stream(at)) {
                stream.peer = peer;
            }
        }
        for socket in sockets {
            self.sockets.insert(socket, at);
        }
        self.settle(at, now);
    }

    fn connect(&mut self, id: StreamId, agreed: AgreedStream, now: Instant) {
        let Some(at) = self.ids.get(&id).copied() else { return };
        let peer = self.peer_of(at);
        let Some(stream) = self.stream(at) else { return };
        if let Err(error) = stream.connect(agreed, now) {
            let reason = error.to_string();
            self.events.push_back(MediaEvent::OpenFailed { stream: id, reason });
        }
        if let Some(peer) = peer {
            self.join(at, peer, now);
        }
        self.settle(at, now);
        if let Some(peer) = peer {
            self.settle(peer, now);
        }
    }

    /// Two streams know each other's formats: sets their video paths up.
    fn join(&mut self, at: usize, peer: usize, now: Instant) {
        for (from, to) in [(at, peer), (peer, at)] {
            let Some((from, Some(to))) = pair(&mut self.streams, from, Some(to)) else { continue };
            let Some(video) = &mut from.video else { continue };
            let (Some(format), Some(agreed)) = (to.format_for(video.codec()), &to.agreed) else {
                continue;
            };
            let receiver = VideoReceiver {
                codec: format.codec,
                max_payload: agreed.max_payload,
                fragments_in_mode_0: agreed.fragments_in_mode_0,
                damaged: agreed.damaged_video,
            };
            video.set_receiver(receiver, agreed.max_video_kbps, now);
        }
    }

    fn close(&mut self, id: StreamId, now: Instant) {
        let statistics = Box::new(self.statistics(id).unwrap_or_default());
        if let Some(at) = self.ids.remove(&id) {
            self.deadlines.set(at, None);
            if let Some(mut stream) = self.streams.get_mut(at).and_then(Option::take) {
                stream.transport.close(now);
                while let Some(transmit) = stream.transport.poll_transmit() {
                    self.transmits.push_back(transmit);
                }
                if let Some(peer) = stream.peer.and_then(|peer| self.stream(peer)) {
                    peer.peer = None;
                }
                for socket in stream.sockets {
                    self.sockets.remove(&socket);
                }
                for (reason, count) in stream.take_drops() {
                    self.events.push_back(MediaEvent::Dropped { stream: id, reason, count });
                }
                self.free.push(at);
            }
        }
        self.events.push_back(MediaEvent::Closed { stream: id, statistics });
    }

    fn forward(&mut self, at: usize, peer: Option<usize>, packet: BytesMut, now: Instant) {
        let Some((stream, peer_stream)) = pair(&mut self.streams, at, peer) else { return };
        let mut context = Context { pool: &mut self.pool, events: &mut self.events, now };
        match stream.kind {
            StreamKind::Audio => bridge::audio(stream, peer_stream, packet, &mut context),
            StreamKind::Video => {
                bridge::video(stream, packet, &mut context);
                self.forward_pictures(at, peer, now);
            }
        }
    }

    fn forward_pictures(&mut self, at: usize, peer: Option<usize>, now: Instant) {
        let Some((stream, peer_stream)) = pair(&mut self.streams, at, peer) else { return };
        if stream.video.is_some() {
            let mut context = Context { pool: &mut self.pool, events: &mut self.events, now };
            bridge::pictures(stream, peer_stream, &mut context);
        }
    }

    /// A keyframe is wanted from the peer of a stream.
    fn want_keyframe(&mut self, at: Option<usize>, now: Instant) {
        if let Some(stream) = at.and_then(|at| self.stream(at)) {
            stream.wish.want(now);
        }
    }

    /// After anything was done with a stream: what it has to send and to tell, and when it is due.
    fn settle(&mut self, at: usize, now: Instant) {
        let Some(stream) = self.streams.get_mut(at).and_then(Option::as_mut) else { return };
        let id = stream.id;
        while let Some(event) = stream.transport.poll_event() {
            self.events.push_back(match event {
                TransportEvent::Connected { pairs } => MediaEvent::Connected { stream: id, pairs },
                TransportEvent::Disconnected => MediaEvent::Disconnected { stream: id },
                TransportEvent::Silent => MediaEvent::Silent { stream: id },
                TransportEvent::RelayFailed { server, error } => {
                    MediaEvent::RelayFailed { stream: id, server, reason: error.to_string() }
                }
            });
        }
        // Relayed candidates are waited for, a while.
        if !stream.opened && stream.transport.is_gathered(now) {
            stream.opened = true;
            let ice = stream.transport.local_ice();
            self.events.push_back(MediaEvent::Opened { stream: id, ice });
        }
        let connected = stream.transport.is_connected() && stream.sends();
        let begins = connected && !stream.was_connected && stream.kind == StreamKind::Video;
        stream.was_connected = connected;
        if stream.send_requests(now) {
            self.events.push_back(MediaEvent::KeyframeBySignalling { stream: id });
        }
        while let Some(transmit) = stream.transport.poll_transmit() {
            self.transmits.push_back(transmit);
        }
        let dropped = stream.transport.dropped();
        if stream.drops.due.is_none() && stream.drops.pending(&dropped) {
            stream.drops.due = Some(now + REPORT);
        }
        self.set_due(at);
        if begins && let Some(peer) = self.peer_of(at) {
            // A receiver has come: what it gets first has to be a keyframe.
            if let Some(sender) = self.stream(peer)
                && sender.receives()
            {
                sender.wish.want(now);
                if let Some(video) = &mut sender.video {
                    video.hold_back(now);
                }
            }
            self.set_due(peer);
        }
    }

    /// Most packets change no deadline.
    fn set_due(&mut self, at: usize) {
        let Some(stream) = self.streams.get_mut(at).and_then(Option::as_mut) else { return };
        let due = stream.poll_timeout();
        if stream.due != due {
            stream.due = due;
            self.deadlines.set(at, due);
        }
    }

    fn report_drops(&mut self, at: usize, now: Instant) {
        let Some(stream) = self.streams.get_mut(at).and_then(Option::as_mut) else { return };
        if stream.drops.due.is_none_or(|due| due > now) {
            return;
        }
        stream.drops.due = None;
        let id = stream.id;
        for (reason, count) in stream.take_drops() {
            self.events.push_back(MediaEvent::Dropped { stream: id, reason, count });
        }
    }

    fn stream(&mut self, at: usize) -> Option<&mut Stream> {
        self.streams.get_mut(at).and_then(Option::as_mut)
    }

    fn peer_of(&self, at: usize) -> Option<usize> {
        self.streams.get(at)?.as_ref()?.peer
    }
}

/// A stream and its peer, both to be changed.
fn pair(
    streams: &mut [Option<Stream>],
    at: usize,
    peer: Option<usize>,
) -> Option<(&mut Stream, Option<&mut Stream>)> {
    match peer.filter(|peer| *peer != at) {
        Some(peer) => {
            let [stream, peer] = streams.get_disjoint_mut([at, peer]).ok()?;
            Some((stream.as_mut()?, peer.as_mut()))
        }
        None => Some((streams.get_mut(at)?.as_mut()?, None)),
    }
}

/// Keeps a buffer for another packet, unless it is too small or there are enough.
pub(super) fn give_buffer(pool: &mut Vec<BytesMut>, mut buffer: BytesMut) {
    buffer.clear();
    // What was cut off at the front comes back; a buffer that is shared with nobody is not copied.
    if pool.len() < POOL && (buffer.capacity() >= BUFFER || buffer.try_reclaim(BUFFER)) {
        pool.push(buffer);
    }
}

pub(super) fn take_buffer(pool: &mut Vec<BytesMut>) -> BytesMut {
    pool.pop().unwrap_or_else(|| BytesMut::with_capacity(BUFFER))
}
