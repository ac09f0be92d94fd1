//! Randomness from the operating system, as the engines want it.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

/// A fresh seed for one engine.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn fresh_seed() -> io::Result<[u8; 32]> {
    random_octets()
}

/// Random octets: keys, passwords, identifiers.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn random_octets<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| io::Error::other("no randomness from the operating system"))?;
    Ok(octets)
}
