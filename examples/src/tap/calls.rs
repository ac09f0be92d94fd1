//! A record of each call: `call-7.txt` with its ladder and what was decided and translated,
//! `call-7.pcap` with its SIP and its media, `call-7.keys.txt` with the SDES keys of that.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use linkspan_gateway::CallId;
use linkspan_sip::{Message, Transport};

use super::write_keys;
use crate::PcapWriter;

/// The calls that are being recorded.
#[derive(Debug)]
pub(super) struct CallTraces {
    folder: PathBuf,
    open: HashMap<CallId, CallTrace>,
    sockets: HashMap<SocketAddr, CallId>,
    /// So that what follows the end of a call is still found: the answer to its BYE.
    call_ids: HashMap<String, CallId>,
}

/// The files of one call.
#[derive(Debug)]
pub(super) struct CallTrace {
    capture: PcapWriter<BufWriter<File>>,
    keys: BufWriter<File>,
    text: BufWriter<File>,
    ended: Option<Instant>,
    failed: bool,
}

/// Calls recorded at one time: a trace is for looking at a few, and each has three files open.
const MOST: usize = 256;
/// The last messages of a call come this much after its end at most.
const AFTERWARDS: Duration = Duration::from_secs(5);

impl CallTraces {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: HashMap::new(),
            sockets: HashMap::new(),
            call_ids: HashMap::new(),
        }
    }

    /// The trace that a message belongs in.
    pub(super) fn of_message(
        &mut self,
        call: Option<CallId>,
        message: &[u8],
    ) -> Option<&mut CallTrace> {
        let message = Message::parse(message).ok()?;
        let call_id = message.header("Call-ID")?;
        let call = match call {
            Some(call) => {
                self.of(call)?;
                self.call_ids.insert(call_id.to_owned(), call);
                call
            }
            None => *self.call_ids.get(call_id)?,
        };
        self.of(call)
    }

    pub(super) fn note(&mut self, call: CallId, at: Duration, text: &str) {
        if let Some(trace) = self.of(call) {
            trace.line(&format!("{:8.3}  {text}", at.as_secs_f64()));
        }
    }

    pub(super) fn datagram(
        &mut self,
        stamp: Duration,
        (from, to): (SocketAddr, SocketAddr),
        payload: &[u8],
    ) {
        let call = self.sockets.get(&from).or_else(|| self.sockets.get(&to));
        if let Some(trace) = call.and_then(|call| self.open.get_mut(call)) {
            let written = trace.capture.udp(stamp, from, to, payload);
            trace.check(written);
        }
    }

    pub(super) fn assign(&mut self, local: SocketAddr, call: CallId) {
        self.sockets.insert(local, call);
    }

    pub(super) fn release(&mut self, local: SocketAddr) {
        self.sockets.remove(&local);
    }

    /// The call is over; what still comes for a moment belongs to it.
    pub(super) fn ended(&mut self, call: CallId) {
        if let Some(trace) = self.open.get_mut(&call) {
            trace.ended = Some(Instant::now());
            trace.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        self.open.values_mut().for_each(CallTrace::flush);
    }

    /// The files of a call; `None` when there are too many, or they cannot be written.
    fn of(&mut self, call: CallId) -> Option<&mut CallTrace> {
        if !self.open.contains_key(&call) {
            self.sweep();
            if self.open.len() >= MOST {
                return None;
            }
            match CallTrace::create(&self.folder, call) {
                Ok(trace) => drop(self.open.insert(call, trace)),
                Err(error) => {
                    tracing::warn!(%error, %call, "no trace of a call");
                    return None;
                }
            }
        }
        self.open.get_mut(&call).filter(|trace| !trace.failed)
    }

    fn sweep(&mut self) {
        let over = |trace: &CallTrace| trace.ended.is_some_and(|at| at.elapsed() >= AFTERWARDS);
        self.open.retain(|_, trace| !over(trace));
        self.call_ids.retain(|_, call| self.open.contains_key(call));
    }
}

impl CallTrace {
    fn create(folder: &Path, call: CallId) -> io::Result<Self> {
        let file = |ending: &str| File::create(folder.join(format!("{call}.{ending}")));
        Ok(Self {
            capture: PcapWriter::new(BufWriter::new(file("pcap")?))?,
            keys: BufWriter::new(file("keys.txt")?),
            text: BufWriter::new(file("txt")?),
            ended: None,
            failed: false,
        })
    }

    /// A SIP message, with the addresses that the capture shows.
    pub(super) fn message(
        &mut self,
        transport: Transport,
        stamp: Duration,
        (from, to): (SocketAddr, SocketAddr),
        (shown_from, shown_to): (SocketAddr, SocketAddr),
        message: &[u8],
    ) {
        let written = if transport.is_reliable() {
            self.capture.tcp(stamp, shown_from, shown_to, message)
        } else {
            self.capture.udp(stamp, from, to, message)
        };
        self.check(written);
        let written = write_keys(&mut self.keys, transport, (from, to), message);
        self.check(written);
        if self.ended.is_some() {
            self.flush();
        }
    }

    /// A line of the ladder, or of what was decided.
    pub(super) fn line(&mut self, line: &str) {
        let written = writeln!(self.text, "{line}");
        self.check(written);
        if self.ended.is_some() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let written =
            self.capture.flush().and_then(|()| self.keys.flush()).and_then(|()| self.text.flush());
        self.check(written);
    }

    fn check(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && !self.failed
        {
            tracing::warn!(%error, "the trace of a call ends");
            self.failed = true;
        }
    }
}
