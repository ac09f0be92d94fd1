//! Challenges, credentials and Digest (RFC 3261 §22, RFC 7616, RFC 8760).

mod client;
mod counts;
mod digest;
mod server;
mod value;

pub use client::{Credentials, Password, answer_challenge};
pub use counts::NonceCounts;
pub use digest::DigestAlgorithm;
pub use server::{DigestError, DigestServer};
pub use value::AuthValue;
