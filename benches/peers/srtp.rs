use std::hint::black_box;

use linkspan_srtp::BatchPacket;
use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::harness::Case;

const KEY: [u8; 32] = *b"\xe1\xf9\x7a\x0d\x3e\x01\x8b\xe0\xd6\x4f\xa3\x2c\x06\xde\x41\x39\
    \x0e\xc6\x75\xad\x49\x8a\xfe\xeb\xb6\x96\x0b\x3a\xab\xe6\x77\x10";
const SALT: [u8; 14] = *b"\x0e\xc6\x75\xad\x49\x8a\xfe\xeb\xb6\x96\x0b\x3a\xab\xe6";
/// A receiver is made anew after so many packets: its key derivation is part of the figure.
const STREAM: usize = 512;
const HEADER: usize = 12;
/// Room for the longest tag.
const ROOM: usize = 64;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Suite {
    Cm128x80,
    Cm128x32,
    Cm256x80,
    Cm256x32,
    Gcm128,
    Gcm256,
}

const SUITES: [Suite; 6] = [
    Suite::Cm128x80,
    Suite::Cm128x32,
    Suite::Cm256x80,
    Suite::Cm256x32,
    Suite::Gcm128,
    Suite::Gcm256,
];

/// Packets in a batch: those of one large picture.
const BATCH: usize = 16;

pub(crate) fn run() {
    for suite in SUITES {
        for payload in [160, 1200] {
            protect(suite, payload);
            unprotect(suite, payload);
            if !suite.is_gcm() {
                batch(suite, payload);
            }
        }
    }
}

/// One packet after another, and all of a batch at once: beside the bare cryptography.
fn batch(suite: Suite, payload: usize) {
    let protect = Case::new("srtp", &suite.case(payload, "protect-16"), {
        let mut sender = ours::sender(suite);
        let mut packets: Vec<_> = (0..BATCH).map(|_| Packets::new(payload)).collect();
        let mut sequence = 0u16;
        move || {
            let mut packets = packets.iter_mut();
            let mut batch: [_; BATCH] = std::array::from_fn(|_| {
                sequence = sequence.wrapping_add(1);
                let (buffer, len) = packets.next().unwrap().numbered(sequence);
                BatchPacket::new(buffer, len)
            });
            sender.protect_rtp_batch(&mut batch);
            black_box(&batch[BATCH - 1].len).unwrap();
        }
    });
    floor(protect, suite, payload, BATCH).run();
    let stream = protected(suite, payload);
    let unprotect = Case::new("srtp", &suite.case(payload, "unprotect-16"), {
        let (mut at, mut receiver) = (0, ours::receiver(suite));
        let mut buffers: Vec<_> = (0..BATCH).map(|_| place()).collect();
        move || {
            if at == STREAM {
                (at, receiver) = (0, ours::receiver(suite));
            }
            for (buffer, packet) in buffers.iter_mut().zip(&stream[at..at + BATCH]) {
                buffer.0[..packet.len()].copy_from_slice(packet);
            }
            let len = stream[at].len();
            let mut buffers = buffers.iter_mut();
            let mut batch: [_; BATCH] =
                std::array::from_fn(|_| BatchPacket::new(&mut buffers.next().unwrap().0, len));
            receiver.unprotect_rtp_batch(&mut batch);
            black_box(&batch[BATCH - 1].len).unwrap();
            at += BATCH;
        }
    });
    floor(unprotect, suite, payload, BATCH).run();
}

fn protect(suite: Suite, payload: usize) {
    let case = Case::new("srtp", &suite.case(payload, "protect"), {
        let (mut sender, mut packets) = (ours::sender(suite), Packets::new(payload));
        move || {
            let (buffer, len) = packets.next();
            black_box(sender.protect_rtp(buffer, len).unwrap());
        }
    });
    let case = floor(case, suite, payload, 1)
        .peer("rtc-srtp", {
            let (mut context, mut packets) = (rtc::context(suite), Packets::new(payload));
            move || {
                let (buffer, len) = packets.next();
                black_box(context.encrypt_rtp(&buffer[..len]).unwrap());
            }
        })
        .peer("webrtc-srtp", {
            let (mut context, mut packets) = (webrtc::context(suite), Packets::new(payload));
            move || {
                let (buffer, len) = packets.next();
                black_box(context.encrypt_rtp(&buffer[..len]).unwrap());
            }
        })
        .peer("libsrtp-rs", {
            let (mut session, mut packets) = (libsrtp_rs::sender(suite), Packets::new(payload));
            move || {
                let (buffer, len) = packets.next();
                let mut packet = Vec::with_capacity(len + ROOM);
                packet.extend_from_slice(&buffer[..len]);
                black_box(session.rtp_protect(packet).unwrap());
            }
        });
    #[cfg(feature = "c-peers")]
    let case = case.peer("libsrtp+openssl", {
        let mut session = crate::c_peers::Srtp::new(suite.key(), suite as u8, false);
        let mut packets = Packets::new(payload);
        move || {
            let (buffer, len) = packets.next();
            black_box(session.protect(buffer, len));
        }
    });
    case.run();
}

fn unprotect(suite: Suite, payload: usize) {
    let stream = protected(suite, payload);
    let case = Case::new("srtp", &suite.case(payload, "unprotect"), {
        let (stream, mut at) = (stream.clone(), 0);
        let mut receiver = ours::receiver(suite);
        let mut buffer = place();
        move || {
            if at == STREAM {
                (at, receiver) = (0, ours::receiver(suite));
            }
            let packet = &stream[at];
            let buffer = &mut buffer.0[..packet.len()];
            buffer.copy_from_slice(packet);
            black_box(receiver.unprotect_rtp(buffer).unwrap());
            at += 1;
        }
    });
    let case = floor_open(case, suite, &stream)
        .peer("rtc-srtp", {
            let (stream, mut at, mut context) = (stream.clone(), 0, rtc::context(suite));
            move || {
                if at == STREAM {
                    (at, context) = (0, rtc::context(suite));
                }
                black_box(context.decrypt_rtp(&stream[at]).unwrap());
                at += 1;
            }
        })
        .peer("webrtc-srtp", {
            let (stream, mut at, mut context) = (stream.clone(), 0, webrtc::context(suite));
            move || {
                if at == STREAM {
                    (at, context) = (0, webrtc::context(suite));
                }
                black_box(context.decrypt_rtp(&stream[at]).unwrap());
                at += 1;
            }
        })
        .peer("libsrtp-rs", {
            let (stream, mut at, mut session) = (stream.clone(), 0, libsrtp_rs::receiver(suite));
            move || {
                if at == STREAM {
                    (at, session) = (0, libsrtp_rs::receiver(suite));
                }
                black_box(session.rtp_unprotect(stream[at].clone()).unwrap());
                at += 1;
            }
        });
    #[cfg(feature = "c-peers")]
    let case = case.peer("libsrtp+openssl", {
        let new = move || crate::c_peers::Srtp::new(suite.key(), suite as u8, true);
        let (stream, mut at, mut session) = (stream.clone(), 0, new());
        let mut buffer = place();
        move || {
            if at == STREAM {
                (at, session) = (0, new());
            }
            let len = stream[at].len();
            buffer.0[..len].copy_from_slice(&stream[at]);
            black_box(session.unprotect(&mut buffer.0, len));
            at += 1;
        }
    });
    case.run();
}

/// The bare cryptography on the same octets, `count` times: no index, no replay window. ring once as
/// fast as it goes, with one nonce for all, and once as anybody has to use it: with a nonce made of
/// the packet's header, and the tag written behind the packet.
fn floor(case: Case, suite: Suite, payload: usize, count: usize) -> Case {
    let mut packets = Packets::new(payload);
    if suite.is_gcm() {
        let mut same = Packets::new(payload);
        let (key, again) = (suite.ring(), suite.ring());
        return case
            .peer("floor:ring", move || {
                for _ in 0..count {
                    let (buffer, len) = same.next();
                    let (header, payload) = buffer[..len].split_at_mut(HEADER);
                    let nonce = Nonce::assume_unique_for_key([9; 12]);
                    let tag = again.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
                    let _ = black_box(tag.unwrap());
                }
            })
            .peer("floor:ring+nonce+tag", move || {
                for _ in 0..count {
                    let (buffer, len) = packets.next();
                    seal(&key, buffer, len);
                    black_box(&buffer);
                }
            });
    }
    let mut bare = suite.bare_cm();
    case.peer("floor:aes-ctr+hmac-sha1", move || {
        for _ in 0..count {
            let (buffer, len) = packets.next();
            bare(&mut buffer[..len]);
        }
    })
}

fn seal(key: &LessSafeKey, buffer: &mut [u8], len: usize) {
    let (packet, room) = buffer.split_at_mut(len);
    let (header, payload) = packet.split_at_mut(HEADER);
    let nonce = nonce_of(header);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload).unwrap();
    room[..16].copy_from_slice(tag.as_ref());
}

/// RFC 7714 §8.1, before the first rollover.
fn nonce_of(header: &[u8]) -> Nonce {
    let ssrc = u32::from_be_bytes(header[8..12].try_into().unwrap());
    let sequence = u16::from_be_bytes(header[2..4].try_into().unwrap());
    let nonce = u128::from(ssrc) << 48 | u128::from(sequence);
    Nonce::assume_unique_for_key(nonce.to_be_bytes()[4..].try_into().unwrap())
}

/// The same for packets that come in, copied from a stream as long as everybody's: ring checks and
/// decrypts; AES-CM is the same work in both directions.
fn floor_open(case: Case, suite: Suite, stream: &[Vec<u8>]) -> Case {
    let len = stream[0].len();
    let mut stream = stream.to_vec();
    let mut buffer = place();
    let mut at = 0;
    if suite.is_gcm() {
        let key = suite.ring();
        for packet in &mut stream {
            seal(&key, packet, len - suite.tag_len());
        }
        return case.peer("floor:ring+nonce+tag", move || {
            at = (at + 1) % STREAM;
            let buffer = &mut buffer.0[..len];
            buffer.copy_from_slice(&stream[at]);
            let (header, payload) = buffer.split_at_mut(HEADER);
            let nonce = nonce_of(header);
            black_box(key.open_in_place(nonce, Aad::from(&*header), payload).unwrap());
        });
    }
    let mut bare = suite.bare_cm();
    case.peer("floor:aes-ctr+hmac-sha1", move || {
        at = (at + 1) % STREAM;
        let buffer = &mut buffer.0[..len];
        buffer.copy_from_slice(&stream[at]);
        bare(&mut buffer[..len - suite.tag_len()]);
    })
}

/// The same packets for everybody, protected once; all agree on the octets of the first.
fn protected(suite: Suite, payload: usize) -> Vec<Vec<u8>> {
    let mut packets = Packets::new(payload);
    let mut sender = ours::sender(suite);
    let mut peer = rtc::context(suite);
    (0..STREAM)
        .map(|_| {
            let (buffer, len) = packets.next();
            let expected = peer.encrypt_rtp(&buffer[..len]).unwrap().to_vec();
            let len = sender.protect_rtp(buffer, len).unwrap();
            assert_eq!(&buffer[..len], &expected[..], "ours and rtc-srtp differ");
            expected
        })
        .collect()
}

fn place() -> Box<Place> {
    Box::new(Place([0; 2048]))
}

/// Where a packet lies: at the same place in a page for everybody, as a packet that reaches into a
/// second page costs a tenth more.
#[repr(align(2048))]
struct Place([u8; 2048]);

/// RTP packets with a sequence number that counts up.
struct Packets {
    place: Box<Place>,
    len: usize,
    sequence: u16,
}

impl Packets {
    fn new(payload: usize) -> Self {
        let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0x12, 0x34, 0xca, 0xfe, 0xba, 0xbe];
        packet.extend((0..payload).map(|n| n as u8));
        let len = packet.len();
        let mut place = place();
        place.0[..len].copy_from_slice(&packet);
        Self { place, len, sequence: 0 }
    }

    fn next(&mut self) -> (&mut [u8], usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.numbered(self.sequence)
    }

    fn numbered(&mut self, sequence: u16) -> (&mut [u8], usize) {
        self.place.0[2..4].copy_from_slice(&sequence.to_be_bytes());
        (&mut self.place.0[..self.len + ROOM], self.len)
    }
}

impl Suite {
    fn case(self, payload: usize, what: &str) -> String {
        let suite = match self {
            Self::Cm128x80 => "cm80",
            Self::Cm128x32 => "cm32",
            Self::Cm256x80 => "cm256-80",
            Self::Cm256x32 => "cm256-32",
            Self::Gcm128 => "gcm128",
            Self::Gcm256 => "gcm256",
        };
        format!("{suite}-{payload}-{what}")
    }

    fn is_gcm(self) -> bool {
        matches!(self, Self::Gcm128 | Self::Gcm256)
    }

    fn tag_len(self) -> usize {
        match self {
            Self::Gcm128 | Self::Gcm256 => 16,
            Self::Cm128x80 | Self::Cm256x80 => 10,
            Self::Cm128x32 | Self::Cm256x32 => 4,
        }
    }

    fn salt(self) -> &'static [u8] {
        if self.is_gcm() { &SALT[..12] } else { &SALT }
    }

    fn master(self) -> &'static [u8] {
        match self {
            Self::Cm128x80 | Self::Cm128x32 | Self::Gcm128 => &KEY[..16],
            Self::Cm256x80 | Self::Cm256x32 | Self::Gcm256 => &KEY,
        }
    }

    fn key(self) -> Vec<u8> {
        [self.master(), self.salt()].concat()
    }

    fn ring(self) -> LessSafeKey {
        use ring::aead::{AES_128_GCM, AES_256_GCM, UnboundKey};
        let algorithm = if self == Self::Gcm128 { &AES_128_GCM } else { &AES_256_GCM };
        LessSafeKey::new(UnboundKey::new(algorithm, self.master()).unwrap())
    }

    /// Counter mode over the payload and the tag over all, with the crates as they are.
    fn bare_cm(self) -> Box<dyn FnMut(&mut [u8])> {
        match self.master().len() {
            16 => bare_cm::<aes::Aes128>(self.master()),
            _ => bare_cm::<aes::Aes256>(self.master()),
        }
    }
}

fn bare_cm<A>(key: &[u8]) -> Box<dyn FnMut(&mut [u8])>
where
    A: hmac::KeyInit
        + ctr::cipher::BlockCipherEncrypt<BlockSize = ctr::cipher::consts::U16>
        + Clone
        + 'static,
{
    use ctr::cipher::{InnerIvInit, StreamCipher, StreamCipherCoreWrapper};
    use hmac::{KeyInit, Mac};
    let aes = A::new_from_slice(key).unwrap();
    let mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&[7; 20]).unwrap();
    Box::new(move |packet| {
        let core =
            ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(aes.clone(), &[9; 16].into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(&mut packet[HEADER..]);
        let mut mac = mac.clone();
        mac.update(packet);
        mac.update(&[0; 4]);
        black_box(mac.finalize());
    })
}

mod ours {
    use super::Suite;
    use linkspan_srtp::{KeyParams, MasterKey, Receiver, Sender, Suite as Ours};

    fn parts(suite: Suite) -> (Ours, KeyParams) {
        let ours = match suite {
            Suite::Cm128x80 => Ours::AesCm128HmacSha1_80,
            Suite::Cm128x32 => Ours::AesCm128HmacSha1_32,
            Suite::Cm256x80 => Ours::AesCm256HmacSha1_80,
            Suite::Cm256x32 => Ours::AesCm256HmacSha1_32,
            Suite::Gcm128 => Ours::AeadAes128Gcm,
            Suite::Gcm256 => Ours::AeadAes256Gcm,
        };
        (ours, KeyParams::new(MasterKey::from_bytes(ours, &suite.key()).unwrap()))
    }

    pub(super) fn sender(suite: Suite) -> Sender {
        let (ours, key) = parts(suite);
        Sender::new(ours, &[key]).unwrap()
    }

    pub(super) fn receiver(suite: Suite) -> Receiver {
        let (ours, key) = parts(suite);
        Receiver::new(ours, &[key]).unwrap()
    }
}

mod rtc {
    use super::Suite;
    use rtc_crypto::RTCCryptoProvider;
    use rtc_crypto::providers::RingProvider;
    use rtc_srtp::context::Context;
    use rtc_srtp::option::srtp_replay_protection;
    use rtc_srtp::protection_profile::ProtectionProfile;

    pub(super) fn context(suite: Suite) -> Context {
        let profile = match suite {
            Suite::Cm128x80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Suite::Cm128x32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Suite::Cm256x80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Suite::Cm256x32 => ProtectionProfile::Aes256CmHmacSha1_32,
            Suite::Gcm128 => ProtectionProfile::AeadAes128Gcm,
            Suite::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        };
        let provider = RingProvider::default();
        let replay = Some(srtp_replay_protection(128));
        Context::new(suite.master(), suite.salt(), profile, replay, None, provider.crypto())
            .unwrap()
    }
}

mod webrtc {
    use super::Suite;
    use webrtc_srtp::context::Context;
    use webrtc_srtp::option::srtp_replay_protection;
    use webrtc_srtp::protection_profile::ProtectionProfile;

    pub(super) fn context(suite: Suite) -> Context {
        let profile = match suite {
            Suite::Cm128x80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Suite::Cm128x32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Suite::Cm256x80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Suite::Cm256x32 => ProtectionProfile::Aes256CmHmacSha1_32,
            Suite::Gcm128 => ProtectionProfile::AeadAes128Gcm,
            Suite::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        };
        let replay = Some(srtp_replay_protection(128));
        Context::new(suite.master(), suite.salt(), profile, replay, None).unwrap()
    }
}

mod libsrtp_rs {
    use super::Suite;
    use libsrtp::{MasterKey, ProtectionProfile, RecvSession, SendSession, StreamConfig};

    const SSRC: Option<u32> = Some(0xcafe_babe);

    fn config(suite: Suite) -> StreamConfig {
        let profile = match suite {
            Suite::Cm128x80 => ProtectionProfile::Aes128CmHmacSha180,
            Suite::Cm128x32 => ProtectionProfile::Aes128CmHmacSha132,
            Suite::Cm256x80 => ProtectionProfile::Aes256CmHmacSha180,
            Suite::Cm256x32 => ProtectionProfile::Aes256CmHmacSha132,
            Suite::Gcm128 => ProtectionProfile::AeadAes128Gcm,
            Suite::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        };
        let key = MasterKey::new(&suite.master().to_vec(), &suite.salt().to_vec(), &None);
        // Its RTCP takes the long tag only.
        let rtcp = match suite {
            Suite::Cm128x32 => ProtectionProfile::Aes128CmHmacSha180,
            Suite::Cm256x32 => ProtectionProfile::Aes256CmHmacSha180,
            _ => profile.clone(),
        };
        StreamConfig::new(vec![key], &profile, &rtcp)
    }

    pub(super) fn sender(suite: Suite) -> SendSession {
        let mut session = SendSession::new();
        session.add_stream(SSRC, &config(suite)).unwrap();
        session
    }

    pub(super) fn receiver(suite: Suite) -> RecvSession {
        let mut session = RecvSession::new();
        session.add_stream(SSRC, &config(suite)).unwrap();
        session
    }
}
