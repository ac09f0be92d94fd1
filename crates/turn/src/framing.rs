use bytes::{Bytes, BytesMut};

/// Cuts a TCP or TLS stream into STUN and ChannelData messages (RFC 8656 §3.1, §12.5).
///
/// A frame is a whole message; ChannelData comes with its padding.
///
/// ```
/// use linkspan_turn::StreamFramer;
///
/// let mut framer = StreamFramer::default();
/// framer.push(b"\x40\x01\x00\x01x\0\0")?;
/// assert_eq!(framer.poll_frame()?, None);
/// framer.push(b"\0")?;
/// assert_eq!(framer.poll_frame()?.unwrap().as_ref(), b"\x40\x01\x00\x01x\0\0\0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamFramer {
    buffer: BytesMut,
    limit: usize,
    failed: bool,
}

impl StreamFramer {
    /// A framer that holds at most `limit` octets that are not frames yet, and no less than the
    /// longest frame.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit: limit.max(MAX_FRAME), failed: false }
    }

    /// Adds octets of the stream.
    ///
    /// # Errors
    ///
    /// When too many are waiting: take the frames first. Nothing is added then.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), LimitError> {
        push(&mut self.buffer, octets, self.limit)
    }

    /// What waits: in a connection that was bound to a peer (RFC 6062 §4.3) the first of the
    /// peer's octets.
    #[must_use]
    pub fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }

    /// The next message; `None` when it is not complete.
    ///
    /// # Errors
    ///
    /// When what follows is neither STUN nor ChannelData: the stream cannot be read on.
    pub fn poll_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.failed {
            return Err(FrameError);
        }
        let [first, _, l0, l1, ..] = *self.buffer else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let need = match first >> 6 {
            // RFC 8489 §5: the length is a multiple of four, without the header of 20
            0 if len.is_multiple_of(4) => 20 + len,
            1 => 4 + len.next_multiple_of(4),
            _ => {
                self.failed = true;
                return Err(FrameError);
            }
        };
        Ok((self.buffer.len() >= need).then(|| self.buffer.split_to(need).freeze()))
    }
}

impl Default for StreamFramer {
    fn default() -> Self {
        Self::new(2 * MAX_FRAME)
    }
}

/// More octets of a stream wait than the framer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {limit} octets wait")]
pub struct LimitError {
    /// Octets that the framer holds.
    pub limit: usize,
}

/// The stream does not carry what it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("stream carries something else")]
pub struct FrameError;

pub(crate) fn push(buffer: &mut BytesMut, octets: &[u8], limit: usize) -> Result<(), LimitError> {
    if buffer.len() + octets.len() > limit {
        return Err(LimitError { limit });
    }
    buffer.extend_from_slice(octets);
    Ok(())
}

/// The longest message of either kind, with header and padding.
pub(crate) const MAX_FRAME: usize = 20 + 0xffff + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_gives_the_same_frames() {
        let stream =
            b"\x40\x00\x00\x02hi\0\0\0\x01\0\x04\x21\x12\xa4\x42123456789012abcd\x4f\xff\0\0";
        let frames = |size: usize| {
            let mut framer = StreamFramer::default();
            let mut frames = Vec::new();
            for part in stream.chunks(size) {
                framer.push(part).unwrap();
                while let Some(frame) = framer.poll_frame().unwrap() {
                    frames.push(frame);
                }
            }
            frames
        };
        assert_eq!(frames(1).len(), 3);
        for size in 2..stream.len() + 1 {
            assert_eq!(frames(size), frames(1));
        }
    }

    #[test]
    fn something_else_ends_the_stream() {
        for start in [b"\x16\x03\x01\x02\x01\0\0\0\0\0", b"\x80\0\0\0\0\0\0\0\0\0"] {
            let mut framer = StreamFramer::default();
            framer.push(start).unwrap();
            assert_eq!(framer.poll_frame(), Err(FrameError));
            framer.push(b"\x40\x00\x00\x00").unwrap();
            assert_eq!(framer.poll_frame(), Err(FrameError));
        }
        let mut framer = StreamFramer::new(0);
        assert!(framer.push(&[0; MAX_FRAME]).is_ok());
        assert_eq!(framer.push(&[0]), Err(LimitError { limit: MAX_FRAME }));
    }
}
