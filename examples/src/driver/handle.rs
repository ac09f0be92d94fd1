//! What a running gateway can be told and asked.

use std::collections::BTreeMap;
use std::time::Duration;

use linkspan_gateway::{
    CallSummary, Config, DropReason, GatewayCounters, Side, StreamId, StreamKind, StreamStatistics,
};
use tokio::sync::{mpsc, oneshot};

/// Tells a running gateway what to do and asks how it is. Clones are handles on the same gateway;
/// it stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct GatewayHandle {
    control: mpsc::Sender<Control>,
}

#[derive(Debug)]
pub(super) enum Control {
    Drain(Duration),
    Reload(Box<Config>, oneshot::Sender<Result<(), String>>),
    Stop,
    Tell(oneshot::Sender<Snapshot>),
}

impl GatewayHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Control>) {
        let (control, inbox) = mpsc::channel(64);
        (Self { control }, inbox)
    }

    /// No new calls; ends when the running ones have, after `longest` at the latest.
    pub async fn drain(&self, longest: Duration) {
        let _ = self.control.send(Control::Drain(longest)).await;
    }

    /// Ends every call now, with BYE.
    pub async fn stop(&self) {
        let _ = self.control.send(Control::Stop).await;
    }

    /// Routes, policy, timers and limits for calls from now on.
    ///
    /// # Errors
    /// Why they stay as they were.
    pub async fn reload(&self, config: Config) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let _ = self.control.send(Control::Reload(Box::new(config), answer)).await;
        answered.await.unwrap_or_else(|_| Err("the gateway has stopped".to_owned()))
    }

    /// How it is; `None` when it has stopped.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (answer, answered) = oneshot::channel();
        self.control.send(Control::Tell(answer)).await.ok()?;
        answered.await.ok()
    }
}

/// How a gateway is.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What it has counted.
    pub counters: GatewayCounters,
    /// Its calls.
    pub calls: Vec<CallSummary>,
    /// The streams of the calls.
    pub streams: Vec<(StreamId, StreamStatistics)>,
    /// The streams of all calls so far.
    pub media: BTreeMap<(Side, StreamKind), MediaTotals>,
    /// It takes no new calls.
    pub draining: bool,
}

/// The figures of many streams together.
#[derive(Clone, Debug, Default)]
pub struct MediaTotals {
    /// Packets from peers.
    pub received: u64,
    /// Octets of their payloads.
    pub received_octets: u64,
    /// Packets to peers.
    pub sent: u64,
    /// Octets of their payloads.
    pub sent_octets: u64,
    /// Packets from peers that never came.
    pub lost: u64,
    /// Keyframes that peers have asked for.
    pub keyframes_requested: u64,
    /// What was dropped, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

impl MediaTotals {
    /// Adds a stream.
    pub fn add(&mut self, stream: &StreamStatistics) {
        self.received += stream.received.packets;
        self.received_octets += stream.received.payload_octets;
        self.sent += stream.sent.packets;
        self.sent_octets += stream.sent.payload_octets;
        self.lost += stream.lost;
        self.keyframes_requested += stream.keyframes_requested;
        for (total, count) in self.dropped.iter_mut().zip(stream.dropped) {
            *total += count;
        }
    }
}

/// Adds a stream to the totals of its side and kind.
pub(super) fn count(
    totals: &mut BTreeMap<(Side, StreamKind), MediaTotals>,
    stream: StreamId,
    statistics: &StreamStatistics,
) {
    if let Some(kind) = statistics.kind {
        totals.entry((stream.side, kind)).or_default().add(statistics);
    }
}
