use std::hint::black_box;
use std::sync::LazyLock;

use crate::harness::Case;

/// RFC 5769 §2.1: a request with USERNAME, MESSAGE-INTEGRITY and FINGERPRINT.
const REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const USERNAME: &str = "evtj:h6vY";
const PRIORITY: u32 = 1_845_501_695;
const TIE_BREAKER: u64 = 0x1122_3344_5566_7788;

pub(crate) fn run() {
    check();
    sign();
}

/// Decode, verify integrity and fingerprint.
fn check() {
    let case = Case::new("stun", "check", || assert!(ours::check(black_box(&REQUEST))))
        .peer("floor:hmac+crc", floor)
        .peer("rtc-stun", || assert!(rtc::check(black_box(&REQUEST))))
        .peer("stun-types", || assert!(types::check(black_box(&REQUEST))))
        .peer("stun_codec", || assert!(codec::check(black_box(&REQUEST))));
    #[cfg(feature = "c-peers")]
    let case = case.peer("libnice", || assert!(crate::c_peers::nice_check(black_box(&REQUEST))));
    case.run();
}

/// Encode and sign an ICE connectivity check.
fn sign() {
    let case = Case::new("stun", "sign", || {
        black_box(ours::sign());
    })
    .peer("floor:hmac+crc", floor)
    .peer("rtc-stun", || {
        black_box(rtc::sign());
    })
    .peer("stun-types", || {
        black_box(types::sign());
    })
    .peer("stun_codec", || {
        black_box(codec::sign());
    });
    #[cfg(feature = "c-peers")]
    let case = case.peer("libnice", || {
        black_box(crate::c_peers::nice_sign());
    });
    case.run();
}

/// HMAC-SHA1 with a key that is set up once, and the CRC.
fn floor() {
    use hmac::{Hmac, KeyInit, Mac};
    static KEY: LazyLock<Hmac<sha1::Sha1>> =
        LazyLock::new(|| Hmac::new_from_slice(PASSWORD.as_bytes()).unwrap());
    let mut mac = KEY.clone();
    mac.update(black_box(&REQUEST[..76]));
    black_box(mac.finalize());
    black_box(crc32fast::hash(black_box(&REQUEST[..100])));
}

mod ours {
    use std::cell::RefCell;
    use std::sync::LazyLock;

    use linkspan_stun::{
        Class, Dialect, IntegrityKey, Message, MessageBuilder, Method, TransactionId,
    };

    use super::{PASSWORD, PRIORITY, TIE_BREAKER, USERNAME};

    static KEY: LazyLock<IntegrityKey> = LazyLock::new(|| IntegrityKey::short_term(PASSWORD));

    thread_local! {
        static OUT: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(256));
    }

    pub(super) fn check(octets: &[u8]) -> bool {
        let message = Message::parse(octets, Dialect::Rfc8489).unwrap();
        message.verify_fingerprint().is_ok() && message.verify_integrity(&KEY).is_ok()
    }

    pub(super) fn sign() -> usize {
        OUT.with_borrow_mut(|out| {
            out.clear();
            let id = TransactionId::new([3; 12]);
            let mut message =
                MessageBuilder::new(out, Dialect::Rfc8489, Class::Request, Method::Binding, id);
            message
                .username(USERNAME.as_bytes())
                .priority(PRIORITY)
                .ice_controlling(TIE_BREAKER)
                .use_candidate()
                .sign(&KEY);
            message.finish().unwrap()
        })
    }
}

mod codec {
    use super::{PASSWORD, PRIORITY, TIE_BREAKER, USERNAME};
    use bytecodec::{DecodeExt, EncodeExt};
    use stun_codec::rfc5245::attributes::{IceControlled, IceControlling, Priority, UseCandidate};
    use stun_codec::rfc5389::attributes::{Fingerprint, MessageIntegrity, Software, Username};
    use stun_codec::rfc5389::methods::BINDING;
    use stun_codec::{
        Message, MessageClass, MessageDecoder, MessageEncoder, TransactionId,
        define_attribute_enums,
    };

    define_attribute_enums!(
        Attribute,
        AttributeDecoder,
        AttributeEncoder,
        [
            Username,
            MessageIntegrity,
            Fingerprint,
            Software,
            Priority,
            UseCandidate,
            IceControlled,
            IceControlling
        ]
    );

    /// Its decoder checks the fingerprint.
    pub(super) fn check(octets: &[u8]) -> bool {
        let decoded = MessageDecoder::<Attribute>::new().decode_from_bytes(octets);
        let Ok(Ok(message)) = decoded else { return false };
        let integrity = message.get_attribute::<MessageIntegrity>();
        integrity.is_some_and(|i| i.check_short_term_credential(PASSWORD).is_ok())
    }

    pub(super) fn sign() -> usize {
        let id = TransactionId::new([3; 12]);
        let mut message = Message::<Attribute>::new(MessageClass::Request, BINDING, id);
        message.add_attribute(Username::new(USERNAME.to_owned()).unwrap());
        message.add_attribute(Priority::new(PRIORITY));
        message.add_attribute(IceControlling::new(TIE_BREAKER));
        message.add_attribute(UseCandidate::new());
        let integrity = MessageIntegrity::new_short_term_credential(&message, PASSWORD);
        message.add_attribute(integrity.unwrap());
        message.add_attribute(Fingerprint::new(&message).unwrap());
        MessageEncoder::new().encode_into_bytes(message).unwrap().len()
    }
}

mod types {
    use super::{PASSWORD, PRIORITY, TIE_BREAKER, USERNAME};
    use rice_stun_types::attribute::{IceControlling, Priority, UseCandidate};
    use std::sync::LazyLock;
    use stun_types::attribute::Username;
    use stun_types::message::{
        BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageWrite, MessageWriteExt,
        MessageWriteVec, ShortTermCredentials,
    };

    static KEY: LazyLock<IntegrityKey> =
        LazyLock::new(|| ShortTermCredentials::new(PASSWORD.to_owned()).make_key());

    /// Its parser checks the fingerprint.
    pub(super) fn check(octets: &[u8]) -> bool {
        let Ok(message) = Message::from_bytes(octets) else { return false };
        message.validate_integrity_with_key(&KEY).is_ok()
    }

    pub(super) fn sign() -> usize {
        let mut message = Message::builder_request(BINDING, MessageWriteVec::with_capacity(128));
        message.add_attribute(&Username::new(USERNAME).unwrap()).unwrap();
        message.add_attribute(&Priority::new(PRIORITY)).unwrap();
        message.add_attribute(&IceControlling::new(TIE_BREAKER)).unwrap();
        message.add_attribute(&UseCandidate::new()).unwrap();
        message.add_message_integrity_with_key(&KEY, IntegrityAlgorithm::Sha1).unwrap();
        message.add_fingerprint().unwrap();
        message.finish().len()
    }
}

mod rtc {
    use super::{PASSWORD, PRIORITY, TIE_BREAKER, USERNAME};
    use rtc_crypto::RTCCryptoProvider;
    use rtc_stun::attributes::{
        ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute,
    };
    use rtc_stun::fingerprint::FINGERPRINT;
    use rtc_stun::integrity::MessageIntegrity;
    use rtc_stun::message::{BINDING_REQUEST, Message, TransactionId};
    use rtc_stun::textattrs::TextAttribute;
    use std::sync::{Arc, LazyLock};

    static PROVIDER: LazyLock<Arc<dyn RTCCryptoProvider>> =
        LazyLock::new(|| rtc_crypto::default_provider().unwrap());

    pub(super) fn check(octets: &[u8]) -> bool {
        let mut message = Message::new();
        if message.write(octets).is_err() {
            return false;
        }
        FINGERPRINT.check(&message).is_ok()
            && MessageIntegrity::check(&mut message, PASSWORD.as_bytes(), PROVIDER.crypto()).is_ok()
    }

    pub(super) fn sign() -> usize {
        let raw =
            |typ, value: Vec<u8>| Box::new(RawAttribute { typ, length: value.len() as u16, value });
        let mut message = Message::new();
        message
            .build(&[
                Box::new(BINDING_REQUEST),
                Box::new(TransactionId([3; 12])),
                Box::new(TextAttribute { attr: ATTR_USERNAME, text: USERNAME.to_owned() }),
                raw(ATTR_PRIORITY, PRIORITY.to_be_bytes().to_vec()),
                raw(ATTR_ICE_CONTROLLING, TIE_BREAKER.to_be_bytes().to_vec()),
                raw(ATTR_USE_CANDIDATE, Vec::new()),
                Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
                    PASSWORD.to_owned(),
                    PROVIDER.crypto(),
                )),
                Box::new(FINGERPRINT),
            ])
            .unwrap();
        message.raw.len()
    }
}
