use std::hint::black_box;

use crate::harness::Case;

const KEY: [u8; 16] = *b"\xe1\xf9\x7a\x0d\x3e\x01\x8b\xe0\xd6\x4f\xa3\x2c\x06\xde\x41\x39";
const SALT: [u8; 14] = *b"\x0e\xc6\x75\xad\x49\x8a\xfe\xeb\xb6\x96\x0b\x3a\xab\xe6";
/// A receiver is made anew after so many packets: its key derivation is part of the figure.
const STREAM: usize = 512;
const HEADER: usize = 12;
/// Room for the longest tag.
const ROOM: usize = 64;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Suite {
    Cm80,
    Gcm128,
}

pub(crate) fn run() {
    for suite in [Suite::Cm80, Suite::Gcm128] {
        for payload in [160, 1200] {
            protect(suite, payload);
            unprotect(suite, payload);
        }
    }
}

fn protect(suite: Suite, payload: usize) {
    let case = Case::new("srtp", &suite.case(payload, "protect"), {
        let (mut sender, mut packets) = (ours::sender(suite), Packets::new(payload));
        move || {
            let (buffer, len) = packets.next();
            black_box(sender.protect_rtp(buffer, len).unwrap());
        }
    });
    let case = floor(case, suite, payload)
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
    let case = case.peer("libsrtp2", {
        let mut session = crate::c_peers::Srtp::new(suite.key(), suite == Suite::Gcm128, false);
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
        let mut buffer = vec![0; payload + HEADER + ROOM];
        move || {
            if at == STREAM {
                (at, receiver) = (0, ours::receiver(suite));
            }
            let packet = &stream[at];
            let buffer = &mut buffer[..packet.len()];
            buffer.copy_from_slice(packet);
            black_box(receiver.unprotect_rtp(buffer).unwrap());
            at += 1;
        }
    });
    let case = floor(case, suite, payload)
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
    let case = case.peer("libsrtp2", {
        let new = move || crate::c_peers::Srtp::new(suite.key(), suite == Suite::Gcm128, true);
        let (stream, mut at, mut session) = (stream.clone(), 0, new());
        let mut buffer = vec![0; payload + HEADER + ROOM];
        move || {
            if at == STREAM {
                (at, session) = (0, new());
            }
            let len = stream[at].len();
            buffer[..len].copy_from_slice(&stream[at]);
            black_box(session.unprotect(&mut buffer, len));
            at += 1;
        }
    });
    case.run();
}

/// The bare cryptography on the same octets: no header, no index, no replay window.
fn floor(case: Case, suite: Suite, payload: usize) -> Case {
    let mut packets = Packets::new(payload);
    match suite {
        Suite::Cm80 => {
            use ctr::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
            use hmac::Mac;
            let aes = aes::Aes128::new(&KEY.into());
            let mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&[7; 20]).unwrap();
            case.peer("floor:aes-ctr+hmac-sha1", move || {
                let (buffer, len) = packets.next();
                let core = ctr::CtrCore::<_, ctr::flavors::Ctr128BE>::inner_iv_init(
                    aes.clone(),
                    &[9; 16].into(),
                );
                StreamCipherCoreWrapper::from_core(core).apply_keystream(&mut buffer[HEADER..len]);
                let mut mac = mac.clone();
                mac.update(&buffer[..len]);
                mac.update(&[0; 4]);
                black_box(mac.finalize());
            })
        }
        Suite::Gcm128 => {
            use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &KEY).unwrap());
            case.peer("floor:ring", move || {
                let (buffer, len) = packets.next();
                let (header, payload) = buffer[..len].split_at_mut(HEADER);
                let nonce = Nonce::assume_unique_for_key([9; 12]);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
                let _ = black_box(tag.unwrap());
            })
        }
    }
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

/// RTP packets with a sequence number that counts up.
struct Packets {
    buffer: Vec<u8>,
    len: usize,
    sequence: u16,
}

impl Packets {
    fn new(payload: usize) -> Self {
        let mut buffer = vec![0x80, 96, 0, 0, 0, 0, 0x12, 0x34, 0xca, 0xfe, 0xba, 0xbe];
        buffer.extend((0..payload).map(|n| n as u8));
        let len = buffer.len();
        buffer.resize(len + ROOM, 0);
        Self { buffer, len, sequence: 0 }
    }

    fn next(&mut self) -> (&mut [u8], usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.buffer[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        (&mut self.buffer, self.len)
    }
}

impl Suite {
    fn case(self, payload: usize, what: &str) -> String {
        let suite = if self == Self::Cm80 { "cm80" } else { "gcm128" };
        format!("{suite}-{payload}-{what}")
    }

    fn salt(self) -> &'static [u8] {
        if self == Self::Cm80 { &SALT } else { &SALT[..12] }
    }

    fn key(self) -> Vec<u8> {
        [&KEY[..], self.salt()].concat()
    }
}

mod ours {
    use super::Suite;
    use linkspan_srtp::{KeyParams, MasterKey, Receiver, Sender, Suite as Ours};

    fn parts(suite: Suite) -> (Ours, KeyParams) {
        let ours = match suite {
            Suite::Cm80 => Ours::AesCm128HmacSha1_80,
            Suite::Gcm128 => Ours::AeadAes128Gcm,
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
    use super::{KEY, Suite};
    use rtc_crypto::RTCCryptoProvider;
    use rtc_crypto::providers::RingProvider;
    use rtc_srtp::context::Context;
    use rtc_srtp::option::srtp_replay_protection;
    use rtc_srtp::protection_profile::ProtectionProfile;

    pub(super) fn context(suite: Suite) -> Context {
        let profile = match suite {
            Suite::Cm80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Suite::Gcm128 => ProtectionProfile::AeadAes128Gcm,
        };
        let provider = RingProvider::default();
        let replay = Some(srtp_replay_protection(128));
        Context::new(&KEY, suite.salt(), profile, replay, None, provider.crypto()).unwrap()
    }
}

mod webrtc {
    use super::{KEY, Suite};
    use webrtc_srtp::context::Context;
    use webrtc_srtp::option::srtp_replay_protection;
    use webrtc_srtp::protection_profile::ProtectionProfile;

    pub(super) fn context(suite: Suite) -> Context {
        let profile = match suite {
            Suite::Cm80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Suite::Gcm128 => ProtectionProfile::AeadAes128Gcm,
        };
        let replay = Some(srtp_replay_protection(128));
        Context::new(&KEY, suite.salt(), profile, replay, None).unwrap()
    }
}

mod libsrtp_rs {
    use super::{KEY, Suite};
    use libsrtp::{MasterKey, ProtectionProfile, RecvSession, SendSession, StreamConfig};

    const SSRC: Option<u32> = Some(0xcafe_babe);

    fn config(suite: Suite) -> StreamConfig {
        let profile = match suite {
            Suite::Cm80 => ProtectionProfile::Aes128CmHmacSha180,
            Suite::Gcm128 => ProtectionProfile::AeadAes128Gcm,
        };
        let key = MasterKey::new(&KEY.to_vec(), &suite.salt().to_vec(), &None);
        StreamConfig::new(vec![key], &profile, &profile)
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
