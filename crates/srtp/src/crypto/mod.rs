//! What the contexts need of cryptography, and no more.

mod aes_cm;
mod gcm;
mod hmac_sha1;
mod kdf;
mod key_stream;
mod mac;
mod session;
mod sha1_lanes;

pub(crate) use aes_cm::AesCm;
pub(crate) use gcm::Gcm;
pub(crate) use hmac_sha1::HmacSha1;
pub(crate) use kdf::{Kdf, Label};
pub(crate) use key_stream::Piece;
pub(crate) use mac::{Job, LANES, Mac, tags};
pub(crate) use session::{Session, SessionKeys};

#[cfg(test)]
mod tests;
