//! A tap on every socket of a program: it prints the call ladder, and writes the capture and the
//! key file beside it, of everything or of each call.

mod calls;
mod ladder;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use linkspan_gateway::CallId;
use linkspan_sip::Transport;
use serde_json::json;

use self::calls::CallTraces;
use self::ladder::{Summary, heading, rung};
use crate::{PcapWriter, Report};

/// Sees what crosses the sockets. Clones see the same.
///
/// Where several parties of a call live in one process, everything is seen once, at the party
/// that sends it.
#[derive(Clone, Debug)]
pub struct Tap {
    shared: Arc<Mutex<Shared>>,
    sees_received: bool,
    sees_nothing: bool,
}

#[derive(Debug)]
struct Shared {
    report: Report,
    start: Instant,
    epoch: Duration,
    /// The names of the parties, in the order of their columns.
    parties: Vec<String>,
    party_of: HashMap<SocketAddr, usize>,
    /// Listeners whose connections are shown on SIP's own port.
    listeners: Vec<SocketAddr>,
    capture: Option<PcapWriter<BufWriter<File>>>,
    keys: Option<BufWriter<File>>,
    kept: Option<Vec<Seen>>,
    calls: Option<CallTraces>,
    heading_printed: bool,
}

/// One media datagram that crossed the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Who sent it.
    pub from: SocketAddr,
    /// Whom it was sent to.
    pub to: SocketAddr,
    /// The names of both, where they are known.
    pub parties: [Option<String>; 2],
    /// Its octets.
    pub payload: Vec<u8>,
}

impl Tap {
    /// A tap for a program that holds every party of its calls: each message is seen once.
    pub fn on_all_parties(report: Report, parties: &[&str]) -> Self {
        Self::new(report, parties, false)
    }

    /// A tap for a program that is one party: what it sends and what it receives.
    pub fn on_one_party(report: Report, parties: &[&str]) -> Self {
        Self::new(report, parties, true)
    }

    fn new(report: Report, parties: &[&str], sees_received: bool) -> Self {
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let shared = Shared {
            report,
            start: Instant::now(),
            epoch,
            parties: parties.iter().map(ToString::to_string).collect(),
            party_of: HashMap::new(),
            listeners: Vec::new(),
            capture: None,
            keys: None,
            kept: None,
            calls: None,
            heading_printed: false,
        };
        Self { shared: Arc::new(Mutex::new(shared)), sees_received, sees_nothing: false }
    }

    /// A tap that sees nothing and costs nothing: for a program that nobody watches.
    pub fn closed() -> Self {
        let report = Report::new(crate::Style::Text, Box::new(io::sink()));
        Self { sees_nothing: true, ..Self::new(report, &[], false) }
    }

    /// Writes a capture from now on, and SDES keys into a text file beside it.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub fn capture(&self, capture: &Path, keys: &Path) -> io::Result<()> {
        let capture = PcapWriter::new(BufWriter::new(File::create(capture)?))?;
        let keys = BufWriter::new(File::create(keys)?);
        self.with(|shared| {
            shared.capture = Some(capture);
            shared.keys = Some(keys);
        });
        Ok(())
    }

    /// Writes a ladder with what is said of it, a capture and SDES keys of each call into files of
    /// its own, from now on.
    pub fn trace_calls(&self, folder: &Path) {
        self.with(|shared| shared.calls = Some(CallTraces::new(folder)));
    }

    /// A SIP message of a call, with the call where it is known; it has been seen by
    /// [`sip_sent`](Self::sip_sent) or [`sip_received`](Self::sip_received) before or will be.
    pub fn call_message(
        &self,
        call: Option<CallId>,
        transport: Transport,
        (from, to): (SocketAddr, SocketAddr),
        message: &[u8],
    ) {
        self.with(|shared| shared.call_message(call, transport, (from, to), message));
    }

    /// Something to say about a call.
    pub fn call_note(&self, call: CallId, text: &str) {
        self.with(|shared| {
            let at = shared.start.elapsed();
            if let Some(calls) = &mut shared.calls {
                calls.note(call, at, text);
            }
        });
    }

    /// A call is over: its files are complete when the last messages have had their time.
    pub fn call_ended(&self, call: CallId) {
        self.with(|shared| shared.calls.iter_mut().for_each(|calls| calls.ended(call)));
    }

    /// The media socket at `local` is a call's.
    pub fn assign(&self, local: SocketAddr, call: CallId) {
        self.with(|shared| shared.calls.iter_mut().for_each(|calls| calls.assign(local, call)));
    }

    /// The media socket at `local` is nobody's any more.
    pub fn release(&self, local: SocketAddr) {
        self.with(|shared| {
            shared.party_of.remove(&local);
            shared.calls.iter_mut().for_each(|calls| calls.release(local));
        });
    }

    /// Whether media datagrams are captured or kept, so that they have to be shown to the tap.
    pub fn sees_datagrams(&self) -> bool {
        self.with(|shared| {
            shared.capture.is_some() || shared.kept.is_some() || shared.calls.is_some()
        })
    }

    /// Whether each call is recorded.
    pub fn traces_calls(&self) -> bool {
        !self.sees_nothing && self.with(|shared| shared.calls.is_some())
    }

    /// Keeps a copy of every media datagram from now on.
    pub fn keep(&self) {
        self.with(|shared| shared.kept = Some(Vec::new()));
    }

    /// The copies kept since the last time.
    pub fn take_kept(&self) -> Vec<Seen> {
        self.with(|shared| shared.kept.as_mut().map(core::mem::take).unwrap_or_default())
    }

    /// Says that `address` belongs to the party of this name; unknown names get a column.
    pub fn name(&self, address: SocketAddr, party: &str) {
        if self.sees_nothing {
            return;
        }
        self.with(|shared| {
            let column =
                shared.parties.iter().position(|name| name == party).unwrap_or_else(|| {
                    shared.parties.push(party.to_owned());
                    shared.parties.len() - 1
                });
            shared.party_of.insert(address, column);
        });
    }

    /// Gives a peer that has come by itself a name, in a program that is one party: in one that
    /// holds them all the peer names itself.
    pub fn name_visitor(&self, address: SocketAddr, party: &str) {
        if self.sees_received {
            self.name(address, party);
        }
    }

    /// The visitor has gone.
    pub fn forget_visitor(&self, address: SocketAddr) {
        if self.sees_received {
            self.with(|shared| shared.party_of.remove(&address));
        }
    }

    /// Says that SIP connections are accepted on `address`.
    pub fn listener(&self, address: SocketAddr) {
        self.with(|shared| shared.listeners.push(address));
    }

    /// A SIP message was sent.
    pub fn sip_sent(&self, transport: Transport, from: SocketAddr, to: SocketAddr, message: &[u8]) {
        if !self.sees_nothing {
            self.with(|shared| shared.sip(transport, from, to, message));
        }
    }

    /// A SIP message arrived.
    pub fn sip_received(
        &self,
        transport: Transport,
        from: SocketAddr,
        to: SocketAddr,
        message: &[u8],
    ) {
        if self.sees_received {
            self.with(|shared| shared.sip(transport, from, to, message));
        }
    }

    /// A media datagram was sent.
    pub fn datagram_sent(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        if !self.sees_nothing {
            self.with(|shared| shared.datagram(from, to, payload));
        }
    }

    /// A media datagram arrived.
    pub fn datagram_received(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        if self.sees_received {
            self.with(|shared| shared.datagram(from, to, payload));
        }
    }

    /// Time since the tap was set.
    pub fn elapsed(&self) -> Duration {
        self.with(|shared| shared.start.elapsed())
    }

    /// Hands everything to the files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn flush(&self) -> io::Result<()> {
        self.with(|shared| {
            shared.capture.as_mut().map_or(Ok(()), PcapWriter::flush)?;
            shared.calls.iter_mut().for_each(CallTraces::flush);
            shared.keys.as_mut().map_or(Ok(()), Write::flush)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn sip(&mut self, transport: Transport, from: SocketAddr, to: SocketAddr, message: &[u8]) {
        let at = self.start.elapsed();
        let (shown_from, shown_to) = (self.shown(transport, from), self.shown(transport, to));
        if let Some(capture) = &mut self.capture {
            let stamp = self.epoch + at;
            let written = if transport.is_reliable() {
                capture.tcp(stamp, shown_from, shown_to, message)
            } else {
                capture.udp(stamp, from, to, message)
            };
            if let Err(error) = written {
                tracing::warn!(%error, "capture ends");
                self.capture = None;
            }
        }
        if let Some(keys) = &mut self.keys
            && let Err(error) = write_keys(keys, transport, (from, to), message)
        {
            tracing::warn!(%error, "key file ends");
            self.keys = None;
        }
        let Some(line) = Summary::of(message) else { return };
        let (a, b) = (self.party_of.get(&from).copied(), self.party_of.get(&to).copied());
        self.report.json(&json!({
            "event": "message",
            "seconds": at.as_secs_f64(),
            "from": a.and_then(|a| self.parties.get(a)),
            "to": b.and_then(|b| self.parties.get(b)),
            "from_address": from.to_string(),
            "to_address": to.to_string(),
            "transport": transport.uri_token(),
            "message": line.text,
            "octets": message.len(),
        }));
        let note = format!("{} {}", transport.via_token(), message.len());
        if let (Some(a), Some(b)) = (a, b) {
            if !self.heading_printed {
                self.heading_printed = true;
                self.report.text(heading(&self.parties));
            }
            self.report.text(rung(self.parties.len(), at, (a, b), &line.text, &note));
        } else {
            let seconds = at.as_secs_f64();
            self.report.text(format!("{seconds:8.3}  {from} -> {to}  {}  ({note})", line.text));
        }
    }

    fn datagram(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        if let Some(capture) = &mut self.capture {
            let stamp = self.epoch + self.start.elapsed();
            if let Err(error) = capture.udp(stamp, from, to, payload) {
                tracing::warn!(%error, "capture ends");
                self.capture = None;
            }
        }
        if let Some(calls) = &mut self.calls {
            calls.datagram(self.epoch + self.start.elapsed(), (from, to), payload);
        }
        if self.kept.is_some() {
            let name = |address| self.parties.get(*self.party_of.get(&address)?).cloned();
            let parties = [name(from), name(to)];
            let payload = payload.to_vec();
            self.kept.iter_mut().for_each(|kept| {
                kept.push(Seen { from, to, parties: parties.clone(), payload: payload.clone() });
            });
        }
    }

    fn call_message(
        &mut self,
        call: Option<CallId>,
        transport: Transport,
        (from, to): (SocketAddr, SocketAddr),
        message: &[u8],
    ) {
        let at = self.start.elapsed();
        let shown = (self.shown(transport, from), self.shown(transport, to));
        let shown = if transport.is_reliable() { shown } else { (from, to) };
        let Some(calls) = &mut self.calls else { return };
        let Some(trace) = calls.of_message(call, message) else { return };
        trace.message(transport, self.epoch + at, (from, to), shown, message);
        let Some(line) = Summary::of(message) else { return };
        let note = format!("{} {}", transport.via_token(), message.len());
        let columns = self.party_of.get(&from).zip(self.party_of.get(&to));
        trace.line(&match columns {
            Some((a, b)) => rung(self.parties.len(), at, (*a, *b), &line.text, &note),
            None => format!("{:8.3}  {from} -> {to}  {}  ({note})", at.as_secs_f64(), line.text),
        });
    }

    /// A listener is shown on port 5060, where a reader of the capture expects SIP in clear: what
    /// is captured is the inside of a TLS connection.
    fn shown(&self, transport: Transport, address: SocketAddr) -> SocketAddr {
        let tls_port = transport == Transport::Tls && address.port() == transport.default_port();
        if tls_port || self.listeners.contains(&address) {
            SocketAddr::new(address.ip(), SIP_PORT)
        } else {
            address
        }
    }
}

/// Writes the SDES keys that a message carries, for whoever decrypts the capture.
fn write_keys(
    keys: &mut impl Write,
    transport: Transport,
    (from, to): (SocketAddr, SocketAddr),
    message: &[u8],
) -> io::Result<()> {
    let text = String::from_utf8_lossy(message);
    let mut media = "";
    let mut titled = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("m=") {
            media = rest;
        }
        let Some(value) = line.strip_prefix("a=crypto:") else { continue };
        if !titled {
            titled = true;
            let transport = transport.via_token();
            writeln!(keys, "# {transport} {from} -> {to}: keys of what {from} sends")?;
        }
        let (kind, rest) = media.split_once(' ').unwrap_or((media, ""));
        let port = rest.split(' ').next().unwrap_or("");
        // `tag suite inline:...`: the tag is of no use to a decoder.
        let key = value.split_once(' ').map_or(value, |(_tag, key)| key);
        writeln!(keys, "# {kind} {port}\n{key}")?;
    }
    Ok(())
}

const SIP_PORT: u16 = 5060;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Style;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_ladder_points_from_the_sender_to_the_receiver() {
        let page = Page::default();
        let report = Report::new(Style::Text, Box::new(page.clone()));
        let tap = Tap::on_all_parties(report, &["a", "gateway", "b"]);
        let [a, gateway, b] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        for (address, party) in [(a, "a"), (gateway, "gateway"), (b, "b")] {
            tap.name(address, party);
        }
        let invite =
            b"INVITE sip:b SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0\r\n";
        tap.sip_sent(Transport::Tls, a, gateway, invite);
        tap.sip_sent(Transport::Tcp, b, gateway, b"SIP/2.0 486 Busy\r\nCSeq: 1 INVITE\r\n\r\n");
        tap.sip_received(Transport::Tls, gateway, a, invite);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("|-------- INVITE + SDP -"), "{text}");
        assert!(lines[1].contains(">|"), "{text}");
        assert!(lines[2].contains("|<---"), "{text}");
        assert!(lines[2].contains("486 Busy (INVITE)"), "{text}");
    }
}
