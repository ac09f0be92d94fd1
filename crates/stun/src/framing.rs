use bytes::Bytes;

/// Splits a TCP stream into packets, each behind its length in two octets (RFC 4571 §2), as ICE
/// over TCP carries them (RFC 6544 §3, [MS-ICE2]). [`frame`] is the other direction.
///
/// ```
/// use linkspan_stun::{Rfc4571Framer, frame};
///
/// let mut framer = Rfc4571Framer::new();
/// framer.push(&frame(b"abc").ok_or("too long")?)?;
/// assert_eq!(framer.poll_frame().as_deref(), Some(&b"abc"[..]));
/// assert_eq!(framer.poll_frame(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Rfc4571Framer {
    buffer: Vec<u8>,
    /// Octets of `buffer` that have been handed out.
    done: usize,
}

impl Rfc4571Framer {
    /// Octets that may wait: one frame of the largest size, and what a read brings with it.
    pub const MAX_BUFFERED: usize = 4 * 65_537;

    /// An empty framer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a read has given.
    ///
    /// # Errors
    ///
    /// [`FramerFull`] when frames were not taken out before; nothing has changed then.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), FramerFull> {
        if self.buffer.len() - self.done + octets.len() > Self::MAX_BUFFERED {
            return Err(FramerFull);
        }
        if self.done > 0 {
            self.buffer.drain(..self.done);
            self.done = 0;
        }
        self.buffer.extend_from_slice(octets);
        Ok(())
    }

    /// The next whole packet. Empty ones, which keep a connection alive, are left out.
    pub fn poll_frame(&mut self) -> Option<Bytes> {
        loop {
            let (&length, rest) = self.buffer.get(self.done..)?.split_first_chunk::<2>()?;
            let packet = rest.get(..usize::from(u16::from_be_bytes(length)))?;
            self.done += 2 + packet.len();
            if !packet.is_empty() {
                return Some(Bytes::copy_from_slice(packet));
            }
        }
    }
}

/// A packet with its length before it (RFC 4571 §2); `None` above 65,535 octets.
#[must_use]
pub fn frame(packet: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(packet.len()).ok()?;
    let mut framed = Vec::with_capacity(packet.len() + 2);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(packet);
    Some(framed)
}

/// More octets are waiting than a framer keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {} octets are waiting for a frame", Rfc4571Framer::MAX_BUFFERED)]
pub struct FramerFull;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_frames() {
        let stream: Vec<u8> = [&b"one"[..], b"", b"two two", &[7; 700]]
            .iter()
            .flat_map(|packet| frame(packet).unwrap())
            .collect();
        for size in 1..stream.len() {
            let mut framer = Rfc4571Framer::new();
            let mut frames = Vec::new();
            for part in stream.chunks(size) {
                framer.push(part).unwrap();
                frames.extend(std::iter::from_fn(|| framer.poll_frame()));
            }
            assert_eq!(frames, [&b"one"[..], b"two two", &[7; 700]], "parts of {size}");
        }
    }

    #[test]
    fn does_not_grow_without_end() {
        let mut framer = Rfc4571Framer::new();
        let flood = vec![0xff; Rfc4571Framer::MAX_BUFFERED];
        framer.push(&flood).unwrap();
        assert_eq!(framer.push(&[0]), Err(FramerFull));
        assert_eq!(frame(&vec![0; 65_536]), None);
    }
}
