//! Sends the streams, each packet in its time, and counts what comes out.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use linkspan_rtp::{PayloadType, RtpHeader, SequenceNumber, Ssrc};
use linkspan_srtp::Sender;
use mio::{Events, Interest, Poll, Token};

use crate::Arguments;
use crate::streams::{Places, Plan, key_params, write};

/// Both ends of all streams.
pub(crate) struct Load {
    senders: Vec<Stream>,
    places: Places,
    received: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    counting: Option<JoinHandle<io::Result<()>>>,
}

struct Stream {
    socket: UdpSocket,
    target: SocketAddr,
    /// SRTP; `None` sends in clear.
    protect: Option<Sender>,
    header: RtpHeader,
    /// Position in the plan, and when the plan began this time.
    next: usize,
    began: Duration,
}

/// What was sent.
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) rate: f64,
    pub(crate) behind: bool,
}

impl Load {
    pub(crate) fn open(arguments: &Arguments, plan: &Plan) -> io::Result<Self> {
        let places = Places::new(arguments);
        let mut senders = Vec::new();
        let mut receivers = Vec::new();
        for stream in 0..arguments.streams {
            let socket = UdpSocket::bind(places.sender(stream))?;
            let (suite, key) = key_params(stream, 0);
            let protect = match arguments.ng {
                Some(_) => None,
                None => Some(Sender::new(suite, &[key]).map_err(io::Error::other)?),
            };
            let [target, _] = places.inner(stream);
            // Their first packets are spread over the time of one.
            let share = u32::from(arguments.streams);
            let began = plan.length.min(SPREAD) * u32::from(stream) / share;
            let header = RtpHeader {
                payload_type: PayloadType(plan.payload_type()),
                ssrc: Ssrc(1 + u32::from(stream)),
                ..RtpHeader::default()
            };
            senders.push(Stream { socket, target, protect, header, next: 0, began });
            let socket = UdpSocket::bind(places.receiver(stream))?;
            socket.set_nonblocking(true)?;
            receivers.push(mio::net::UdpSocket::from_std(socket));
        }
        let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let counting = thread::spawn({
            let (received, over) = (Arc::clone(&received), Arc::clone(&over));
            move || count(receivers, &received, &over)
        });
        Ok(Self { senders, places, received, over, counting: Some(counting) })
    }

    /// Who sends and who gets a stream.
    pub(crate) fn ends(&self, stream: u16) -> (SocketAddr, SocketAddr) {
        (self.places.sender(stream), self.places.receiver(stream))
    }

    /// Where a stream is sent to.
    pub(crate) fn aim(&mut self, stream: u16, target: SocketAddr) {
        if let Some(stream) = self.senders.get_mut(usize::from(stream)) {
            stream.target = target;
        }
    }

    /// Sends for so long.
    pub(crate) fn run(&mut self, plan: &Plan, length: Duration) -> io::Result<Sent> {
        let start = Instant::now();
        let mut packet = Vec::new();
        let (mut packets, mut behind) = (0, false);
        loop {
            let now = start.elapsed();
            if now >= length {
                break;
            }
            for stream in &mut self.senders {
                while stream.due(plan).is_some_and(|due| due <= now) {
                    behind |= stream.due(plan).is_some_and(|due| now > due + LATE);
                    stream.send(plan, &mut packet)?;
                    packets += 1;
                }
            }
            thread::sleep(TICK);
        }
        let seconds = start.elapsed().as_secs_f64();
        // What is on its way arrives.
        thread::sleep(Duration::from_millis(500));
        let rate = u32::try_from(packets).map_or(0.0, f64::from) / seconds;
        Ok(Sent { packets, rate, behind })
    }

    /// RTP packets that came out so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(counting) = self.counting.take() {
            let _ = counting.join();
        }
    }
}

impl Stream {
    /// When its next packet is due.
    fn due(&self, plan: &Plan) -> Option<Duration> {
        plan.packets.get(self.next).map(|packet| self.began + packet.at)
    }

    fn send(&mut self, plan: &Plan, packet: &mut Vec<u8>) -> io::Result<()> {
        let Some(planned) = plan.packets.get(self.next) else { return Ok(()) };
        let seconds = (self.began + planned.at).as_secs_f64() * f64::from(plan.clock_hz);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it wraps")]
        let timestamp = seconds.round() as u64 as u32;
        self.header = RtpHeader { marker: planned.marker, timestamp, ..self.header };
        write(packet, &self.header, &planned.payload);
        self.header.sequence = SequenceNumber(self.header.sequence.0.wrapping_add(1));
        if let Some(protect) = &mut self.protect {
            let len = packet.len();
            packet.resize(len + protect.overhead(), 0);
            let len = protect.protect_rtp(packet, len).map_err(io::Error::other)?;
            packet.truncate(len);
        }
        self.next += 1;
        if self.next == plan.packets.len() {
            self.next = 0;
            self.began += plan.length;
        }
        match self.socket.send_to(packet, self.target) {
            Ok(_) => Ok(()),
            // Its queue is full: that is a loss like any other.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Counts RTP packets, not RTCP, until it is over.
fn count(
    mut receivers: Vec<mio::net::UdpSocket>,
    received: &AtomicU64,
    over: &AtomicBool,
) -> io::Result<()> {
    let mut poll = Poll::new()?;
    for (number, socket) in receivers.iter_mut().enumerate() {
        poll.registry().register(socket, Token(number), Interest::READABLE)?;
    }
    let mut events = Events::with_capacity(1_024);
    let mut octets = [0; 2_048];
    while !over.load(Ordering::Relaxed) {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let Some(socket) = receivers.get(event.token().0) else { continue };
            while let Ok((_, _)) = socket.recv_from(&mut octets) {
                // RFC 5761 §4: the second octet tells RTCP.
                let rtp = octets.get(1).is_some_and(|second| !(192..=223).contains(second));
                received.fetch_add(u64::from(rtp), Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

const TICK: Duration = Duration::from_micros(500);
/// First packets of the streams are sent within this time.
const SPREAD: Duration = Duration::from_millis(33);
/// A packet that goes out this late shows that the sender cannot keep up.
const LATE: Duration = Duration::from_millis(100);
