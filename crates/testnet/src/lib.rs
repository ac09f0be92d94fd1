//! Test support of the Linkspan family.
//!
//! * [`vectors`] finds the shared vectors: `LINKSPAN_VECTORS`, or `shared/vectors` beside the
//!   checkout. In CI (`CI` is set) their absence is a failure; elsewhere the test says that it is
//!   skipped.
//! * [`Network`] is a virtual network: seeded, in virtual time, with loss, duplication, delay and
//!   reordering.
//! * [`Internet`] puts translators ([`Nat`]) of every kind and blocked networks before it.
//! * [`CountingAllocator`] counts what a test allocates.

mod allocator;
mod internet;
mod nat;
mod network;
mod vectors;

pub use allocator::CountingAllocator;
pub use internet::Internet;
pub use nat::{Filtering, Mapping, Nat, NatConfig};
pub use network::{Link, Network, Packet};
pub use vectors::vectors;
