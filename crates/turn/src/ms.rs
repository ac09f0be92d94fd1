//! What only MS-TURN has: the framing of its TCP streams, the pseudo-TLS handshake before it, and
//! the documents by which credentials are asked for (behind the feature `edge`).
//!
//! The engines speak MS-TURN by a value of their configuration
//! ([`ClientConfig::dialect`](crate::ClientConfig), [`ServerConfig::ms_turn`](crate::ServerConfig)).

#[cfg(feature = "edge")]
mod edge;
#[cfg(feature = "edge")]
mod tree;

use bytes::{Bytes, BytesMut};

#[cfg(feature = "edge")]
pub use edge::{
    EDGE_CONTENT_TYPE, EdgeGrant, EdgeIdentity, EdgeLocation, EdgeParseError, EdgeReason,
    EdgeRelay, EdgeRequest, EdgeResponse,
};

use crate::framing::{FrameError, LimitError, MAX_FRAME, push};

/// Cuts a stream into MS-TURN frames ([MS-TURN] 2.1.1). A frame keeps its header of four octets:
/// that is the form in which the engines take and give what goes over TCP.
///
/// ```
/// use linkspan_turn::ms;
///
/// let mut framer = ms::StreamFramer::default();
/// framer.push(b"\x03\0\0\x02hi\x02")?;
/// assert_eq!(framer.poll_frame()?.unwrap().as_ref(), b"\x03\0\0\x02hi");
/// assert_eq!(framer.poll_frame()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    failed: bool,
}

impl StreamFramer {
    /// Adds octets of the stream.
    ///
    /// # Errors
    ///
    /// When too many are waiting: take the frames first. Nothing is added then.
    pub fn push(&mut self, octets: &[u8]) -> Result<(), LimitError> {
        push(&mut self.buffer, octets, 2 * MAX_FRAME)
    }

    /// The next frame; `None` when it is not complete.
    ///
    /// # Errors
    ///
    /// When what follows is no frame: close the connection.
    pub fn poll_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.failed {
            return Err(FrameError);
        }
        let [kind, zero, l0, l1, ..] = *self.buffer else {
            return Ok(None);
        };
        if !matches!(kind, CONTROL | DATA) || zero != 0 {
            self.failed = true;
            return Err(FrameError);
        }
        let need = 4 + usize::from(u16::from_be_bytes([l0, l1]));
        Ok((self.buffer.len() >= need).then(|| self.buffer.split_to(need).freeze()))
    }
}

/// The client's first octets on port 443 ([MS-TURN] 2.1.1): a TLS ClientHello in shape, after
/// which nothing is encrypted. The client sends nothing more until [`is_server_hello`] is true of
/// what came back.
///
/// ```
/// use linkspan_turn::ms;
///
/// let hello = ms::client_hello([7; 32]);
/// assert!(ms::is_client_hello(&hello));
/// ```
#[must_use]
pub fn client_hello(random: [u8; 32]) -> [u8; CLIENT_HELLO_LEN] {
    let mut hello = CLIENT_HELLO;
    fill(&mut hello, 11, &random);
    hello
}

/// True when a stream begins with the hello of an MS-TURN client: its first
/// [`CLIENT_HELLO_LEN`] octets, which the server answers with [`server_hello`].
#[must_use]
pub fn is_client_hello(octets: &[u8]) -> bool {
    matches(octets, &CLIENT_HELLO, &[11])
}

/// The server's answer: ServerHello and ServerHelloDone in one record.
#[must_use]
pub fn server_hello(random: [u8; 32], session: [u8; 32]) -> [u8; SERVER_HELLO_LEN] {
    let mut hello = SERVER_HELLO;
    fill(&mut hello, 11, &random);
    fill(&mut hello, 44, &session);
    hello
}

/// True when a stream begins with the answer: its first [`SERVER_HELLO_LEN`] octets, behind which
/// frames follow.
#[must_use]
pub fn is_server_hello(octets: &[u8]) -> bool {
    matches(octets, &SERVER_HELLO, &[11, 44])
}

/// Octets of the client's hello.
pub const CLIENT_HELLO_LEN: usize = 50;
/// Octets of the server's hello.
pub const SERVER_HELLO_LEN: usize = 83;

fn fill(hello: &mut [u8], at: usize, octets: &[u8; 32]) {
    if let Some(place) = hello.get_mut(at..at + 32) {
        place.copy_from_slice(octets);
    }
}

/// Equal but for the 32 octets at each of the places.
fn matches(octets: &[u8], pattern: &[u8], free: &[usize]) -> bool {
    let is_free = |at: usize| free.iter().any(|from| (*from..*from + 32).contains(&at));
    octets.len() >= pattern.len()
        && pattern.iter().zip(octets).enumerate().all(|(at, (a, b))| a == b || is_free(at))
}

/// The header of a frame; `None` when the content is too long.
pub(crate) fn frame_header(is_control: bool, len: usize) -> Option<[u8; 4]> {
    let [l0, l1] = u16::try_from(len).ok()?.to_be_bytes();
    Some([if is_control { CONTROL } else { DATA }, 0, l0, l1])
}

/// Kind and content of a frame.
pub(crate) fn split_frame(frame: &[u8]) -> Option<(bool, &[u8])> {
    let (&[kind, 0, l0, l1], content) = frame.split_first_chunk()? else { return None };
    (usize::from(u16::from_be_bytes([l0, l1])) == content.len()).then_some(())?;
    match kind {
        CONTROL => Some((true, content)),
        DATA => Some((false, content)),
        _ => None,
    }
}

/// [MS-TURN] 2.2.2.8, with type and length.
pub(crate) const COOKIE_ATTRIBUTE: [u8; 8] = [0x00, 0x0f, 0x00, 0x04, 0x72, 0xc6, 0x4b, 0xc6];

/// [MS-TURN] 2.1.1: a message.
const CONTROL: u8 = 2;
/// [MS-TURN] 2.1.1: data of the active destination.
const DATA: u8 = 3;

const CLIENT_HELLO: [u8; CLIENT_HELLO_LEN] = {
    let mut hello = [0; CLIENT_HELLO_LEN];
    let (head, tail) = hello.split_at_mut(43);
    head.split_at_mut(11)
        .0
        .copy_from_slice(&[0x16, 0x03, 0x01, 0x00, 0x2d, 0x01, 0x00, 0x00, 0x29, 0x03, 0x01]);
    tail.copy_from_slice(&[0x00, 0x00, 0x02, 0x00, 0x18, 0x01, 0x00]);
    hello
};

const SERVER_HELLO: [u8; SERVER_HELLO_LEN] = {
    let mut hello = [0; SERVER_HELLO_LEN];
    let (head, tail) = hello.split_at_mut(76);
    head.split_at_mut(11)
        .0
        .copy_from_slice(&[0x16, 0x03, 0x01, 0x00, 0x4e, 0x02, 0x00, 0x00, 0x46, 0x03, 0x01]);
    // Behind the random octets: the length of the session id.
    head.split_at_mut(43).1.split_at_mut(1).0.copy_from_slice(&[0x20]);
    tail.copy_from_slice(&[0x00, 0x18, 0x00, 0x0e, 0x00, 0x00, 0x00]);
    hello
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hellos_are_known_by_all_but_their_random_octets() {
        let mut hello = client_hello([0xaa; 32]);
        assert!(is_client_hello(&hello) && !is_server_hello(&hello));
        hello[5] ^= 1;
        assert!(!is_client_hello(&hello));
        let hello = server_hello([1; 32], [2; 32]);
        assert!(is_server_hello(&hello) && !is_client_hello(&hello));
        assert!(!is_server_hello(&hello[..82]));
    }

    #[test]
    fn other_frames_end_the_stream() {
        let mut framer = StreamFramer::default();
        framer.push(b"\x02\0\0\x01x\x04\0\0\0").unwrap();
        assert!(framer.poll_frame().unwrap().is_some());
        assert_eq!(framer.poll_frame(), Err(FrameError));
    }
}
