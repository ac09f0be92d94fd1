//! Many datagrams a system call: `recvmmsg` and `sendmmsg` on Linux, one by one elsewhere.
//!
//! Not segmentation offload: what is sent as one large datagram is also seen as one by whoever
//! captures on the path.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub(super) use linux::{Batch, make_room};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{Batch, make_room};

/// Datagrams of one system call.
pub(super) const BATCH: usize = 16;
/// What a datagram of media does not exceed on a path of Ethernet; room for an authentication tag
/// and a key identifier stays behind it in the engine's buffers.
const DATAGRAM: usize = 1_984;
