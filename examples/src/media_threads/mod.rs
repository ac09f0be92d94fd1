//! Media on threads of its own: each has an engine and the sockets of its calls.
//!
//! A packet is received, bridged and sent by one thread, without a lock. What goes between the
//! threads and the signalling half are the gateway's own commands and events.

mod batch;
mod worker;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use linkspan_gateway::{MediaCommand, MediaEvent, StreamId, StreamStatistics};
use mio::{Poll, Waker};
use tokio::sync::{mpsc, oneshot};

use self::worker::{WAKE, Worker};
use crate::{RelayFrame, RelayPath, RelayStreams, Tap, fresh_seed};

/// Threads that carry the media of a gateway; its calls are spread over them.
#[derive(Debug)]
pub struct MediaThreads {
    threads: Vec<Thread>,
    /// Threads that have something to do and have not been told.
    asleep: BTreeSet<usize>,
}

#[derive(Debug)]
struct Thread {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

/// What a thread is told.
#[derive(Debug)]
enum Order {
    Carry(MediaCommand),
    Tell(oneshot::Sender<Vec<(StreamId, StreamStatistics)>>),
    Relayed(RelayFrame),
}

impl MediaThreads {
    /// Starts `count` threads, one at least. They end when this value is dropped.
    ///
    /// With a tap that sees datagrams each of them goes through its lock: for traces and tests.
    /// `relays` are the TURN servers that are reached over connections, which run on the runtime
    /// that this is called on.
    ///
    /// # Errors
    /// When the system has no thread or no randomness to give.
    pub fn start(
        count: usize,
        tap: &Tap,
        party: &str,
        relays: HashMap<SocketAddr, RelayPath>,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<MediaEvent>)> {
        // Unbounded, because a media thread waits for nobody: what it tells is bounded by the
        // commands it gets and by the second that lies between two reports of a stream.
        let (events, output) = mpsc::unbounded_channel();
        let mut threads = Vec::new();
        let relays = Arc::new(relays);
        let runtime = tokio::runtime::Handle::try_current().ok();
        for number in 0..count.max(1) {
            let (orders, inbox) = std::sync::mpsc::channel();
            let tap = tap.sees_datagrams().then(|| (tap.clone(), party.to_owned()));
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
            let (seed, events) = (fresh_seed()?, events.clone());
            let (answers, wakes) = (orders.clone(), Arc::clone(&waker));
            let streams = RelayStreams::new(runtime.clone(), Arc::clone(&relays), move |frame| {
                if answers.send(Order::Relayed(frame)).is_ok() {
                    let _ = wakes.wake();
                }
            });
            thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || Worker::new(poll, seed, inbox, events, tap, streams).run())?;
            threads.push(Thread { orders, waker });
        }
        Ok((Self { threads, asleep: BTreeSet::new() }, output))
    }

    /// Hands a command to the thread of its call; [`wake`](Self::wake) sets it to work.
    pub fn command(&mut self, command: MediaCommand) {
        let count = u64::try_from(self.threads.len()).unwrap_or(1).max(1);
        let at = usize::try_from(command.stream().call.0 % count).unwrap_or(0);
        if let Some(thread) = self.threads.get(at) {
            // A thread that is gone has said why; its calls end by their timers.
            let _ = thread.orders.send(Order::Carry(command));
            self.asleep.insert(at);
        }
    }

    /// Wakes the threads that have got commands.
    pub fn wake(&mut self) {
        while let Some(at) = self.asleep.pop_first() {
            if let Some(thread) = self.threads.get(at)
                && let Err(error) = thread.waker.wake()
            {
                tracing::warn!(%error, "a media thread was not woken");
            }
        }
    }

    /// Asks every thread for the figures of its streams.
    #[must_use]
    pub fn ask(&self) -> Vec<oneshot::Receiver<Vec<(StreamId, StreamStatistics)>>> {
        let mut answers = Vec::new();
        for thread in &self.threads {
            let (answer, answered) = oneshot::channel();
            if thread.orders.send(Order::Tell(answer)).is_ok() && thread.waker.wake().is_ok() {
                answers.push(answered);
            }
        }
        answers
    }
}

impl Drop for MediaThreads {
    fn drop(&mut self) {
        // They end when they find their inbox closed.
        for thread in self.threads.drain(..) {
            drop(thread.orders);
            let _ = thread.waker.wake();
        }
    }
}
