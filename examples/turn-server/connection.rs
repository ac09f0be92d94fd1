//! One TCP connection: told by its first octets whether it carries RFC 8656, MS-TURN, or MS-TURN
//! behind a pseudo-TLS handshake.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use linkspan_examples::{TurnFramer, fresh_seed};
use linkspan_turn::{StreamFramer, ms};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::core::Core;
use crate::streams::Joined;

/// Serves a connection until it ends.
pub(crate) async fn serve(
    core: Core,
    stream: impl AsyncRead + AsyncWrite,
    local: SocketAddr,
    remote: SocketAddr,
) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = std::pin::pin!(reader);
    let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
    core.connect(local, remote, sender.clone());
    let writing = async move {
        while let Some(payload) = receiver.recv().await.filter(|payload| !payload.is_empty()) {
            let write = async {
                writer.write_all(&payload).await?;
                writer.flush().await // TLS may hold it back
            };
            let written = tokio::time::timeout(PATIENCE, write).await;
            if !matches!(written, Ok(Ok(()))) {
                break;
            }
        }
    };
    let reading = async {
        let mut framing = Framing::Unknown(Vec::new());
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = tokio::time::timeout(IDLE, reader.read(&mut buffer)).await;
            let Ok(Ok(len @ 1..)) = read else { return };
            let Some(octets) = buffer.get(..len) else { return };
            match framing.take(octets, &core, &sender, local, remote) {
                None => return, // nothing that this server reads
                Some(None) => {}
                Some(Some(joined)) => {
                    let Framing::Known(TurnFramer::Standard(framer)) = framing else { return };
                    return core.copy_to_peer(joined, &framer.into_rest(), &mut reader).await;
                }
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    core.disconnect(local, remote);
}

enum Framing {
    /// What came so far does not tell yet.
    Unknown(Vec<u8>),
    Known(TurnFramer),
}

impl Framing {
    fn microsoft() -> Self {
        Self::Known(TurnFramer::Microsoft(ms::StreamFramer::default()))
    }

    /// `None` when the connection is to be closed.
    fn take(
        &mut self,
        octets: &[u8],
        core: &Core,
        sender: &mpsc::Sender<Bytes>,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<Option<Joined>> {
        if let Self::Unknown(waiting) = self {
            waiting.extend_from_slice(octets);
            let octets = std::mem::take(waiting);
            match octets.first() {
                Some(0x16) if core.has_ms() => {
                    if octets.len() < ms::CLIENT_HELLO_LEN {
                        *waiting = octets;
                        return Some(None);
                    }
                    ms::is_client_hello(&octets).then_some(())?;
                    let hello = ms::server_hello(fresh_seed().ok()?, fresh_seed().ok()?);
                    sender.try_send(Bytes::copy_from_slice(&hello)).ok()?;
                    *self = Self::microsoft();
                    let rest = octets.get(ms::CLIENT_HELLO_LEN..)?;
                    return self.take(rest, core, sender, local, remote);
                }
                Some(2 | 3) if core.has_ms() => {
                    *self = Self::microsoft();
                }
                Some(0 | 1 | 0x40..0x80) => {
                    *self = Self::Known(TurnFramer::Standard(StreamFramer::default()));
                }
                _ => return None,
            }
            return self.take(&octets, core, sender, local, remote);
        }
        let Self::Known(framer) = self else { return Some(None) };
        framer.push(octets).ok()?;
        while let Some(frame) = framer.poll_frame().ok()? {
            if let Some(joined) = core.frame(local, remote, &frame) {
                return Some(Some(joined));
            }
        }
        Some(None)
    }
}

/// Packets waiting for a client that reads slowly.
const QUEUE: usize = 1024;
/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection without a word for longer than an allocation lives is closed.
const IDLE: Duration = Duration::from_secs(3600);
