//! Messages survive being written and read, in every dialect; stun_codec agrees; no octets panic.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use bytecodec::{DecodeExt, EncodeExt};
use linkspan_stun::{
    AttributeType, Class, Dialect, Fingerprint, IntegrityKey, Message, MessageBuilder, Method,
    TransactionId, demultiplex,
};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use stun_codec::rfc5389::attributes::{
    Fingerprint as TheirFingerprint, MessageIntegrity, Software, Username, XorMappedAddress,
};
use stun_codec::rfc5389::methods::BINDING;
use stun_codec::{MessageClass, MessageDecoder, MessageEncoder};

const DIALECTS: [Dialect; 5] =
    [Dialect::Rfc8489, Dialect::Rfc3489, Dialect::MsIce2, Dialect::MsIce1, Dialect::MsTurn];

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(&DIALECTS[..])
}

fn classes() -> impl Strategy<Value = Class> {
    prop::sample::select(&[Class::Request, Class::Indication, Class::Success, Class::Error][..])
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<[u8; 4]>().prop_map(IpAddr::from);
    let v6 = any::<[u8; 16]>().prop_map(IpAddr::from);
    (prop_oneof![v4, v6], any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Attributes without a meaning for the codec, of any length.
fn opaque() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let value = prop::collection::vec(any::<u8>(), 0..40);
    prop::collection::vec((0x9000..0x9fff_u16, value), 0..6)
}

stun_codec::define_attribute_enums!(
    Theirs,
    TheirDecoder,
    TheirEncoder,
    [Username, MessageIntegrity, Software, TheirFingerprint, XorMappedAddress]
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn written_messages_are_read(
        dialect in dialects(),
        class in classes(),
        id in any::<[u8; 12]>(),
        address in addresses(),
        opaque in opaque(),
        fingerprint in any::<bool>(),
        password in "[a-zA-Z0-9]{1,100}",
    ) {
        let key = IntegrityKey::short_term(&password);
        let id = TransactionId::new(id);
        let mut octets = b"before".to_vec();
        let mut builder = MessageBuilder::new(&mut octets, dialect, class, Method::Binding, id);
        for (kind, value) in &opaque {
            builder.attribute(AttributeType(*kind), value);
        }
        builder.xor_mapped_address(address).username(b"a:b").nonce(b"nonce").realm(b"realm");
        let has_fingerprint = fingerprint && dialect.has_fingerprint();
        let table = if has_fingerprint { Fingerprint::Standard } else { Fingerprint::None };
        builder.fingerprint(table).sign(&key);
        let len = builder.finish().unwrap();
        let octets = &octets[6..];
        prop_assert_eq!(len, octets.len());
        let message = Message::parse(octets, dialect).unwrap();
        prop_assert_eq!(message.class(), class);
        prop_assert_eq!(message.transaction_id(), id);
        // An unpadded message may look like a padded one: then only the fingerprint tells.
        if dialect != Dialect::MsIce2 || has_fingerprint {
            prop_assert!(!message.is_padded() || dialect == Dialect::Rfc8489);
        }
        if message.is_padded() == dialect.is_padded() {
            prop_assert_eq!(message.xor_mapped_address(), Some(address));
            prop_assert_eq!(message.username(), Some(&b"a:b"[..]));
            prop_assert_eq!((message.realm(), message.nonce()), (Some(&b"realm"[..]), Some(&b"nonce"[..])));
            prop_assert!(message.verify_integrity(&key).is_ok());
            prop_assert!(message.verify_integrity(&IntegrityKey::short_term("?")).is_err());
        }
        prop_assert_eq!(message.verify_fingerprint().is_ok(), has_fingerprint);
    }

    #[test]
    fn a_changed_bit_is_noticed(
        dialect in prop::sample::select(&[Dialect::Rfc8489, Dialect::MsIce2][..]),
        bit in 0..(76_usize * 8),
    ) {
        let key = IntegrityKey::short_term("0123456789012345678901");
        let mut octets = Vec::new();
        let id = TransactionId::new([3; 12]);
        let mut builder =
            MessageBuilder::new(&mut octets, dialect, Class::Request, Method::Binding, id);
        builder.priority(1).ice_controlling(2).username(b"abcd:efgh").sign(&key);
        builder.finish().unwrap();
        prop_assume!(bit / 8 < octets.len() - 8);
        octets[bit / 8] ^= 1 << (bit % 8);
        let is_authentic = Message::parse(&octets, dialect)
            .is_ok_and(|m| m.verify_integrity(&key).is_ok() && m.verify_fingerprint().is_ok());
        prop_assert!(!is_authentic);
    }

    #[test]
    fn stun_codec_reads_ours(address in addresses(), id in any::<[u8; 12]>(), user in "[a-z]{1,60}") {
        let key = IntegrityKey::short_term("password");
        let mut octets = Vec::new();
        let mut builder = MessageBuilder::new(
            &mut octets, Dialect::Rfc8489, Class::Success, Method::Binding, TransactionId::new(id),
        );
        builder.username(user.as_bytes()).xor_mapped_address(address).software("x").sign(&key);
        builder.finish().unwrap();
        let theirs = MessageDecoder::<Theirs>::new().decode_from_bytes(&octets).unwrap().unwrap();
        prop_assert_eq!(theirs.class(), MessageClass::SuccessResponse);
        prop_assert!(*theirs.transaction_id().as_bytes() == id);
        prop_assert_eq!(theirs.get_attribute::<Username>().unwrap().name(), user);
        prop_assert_eq!(theirs.get_attribute::<XorMappedAddress>().unwrap().address(), address);
        let integrity = theirs.get_attribute::<MessageIntegrity>().unwrap();
        prop_assert!(integrity.check_short_term_credential("password").is_ok());
    }

    #[test]
    fn ours_reads_stun_codec(address in addresses(), id in any::<[u8; 12]>(), user in "[a-z]{1,60}") {
        let id_of = stun_codec::TransactionId::new(id);
        let mut theirs = stun_codec::Message::<Theirs>::new(MessageClass::Request, BINDING, id_of);
        theirs.add_attribute(Username::new(user.clone()).unwrap());
        theirs.add_attribute(XorMappedAddress::new(address));
        let integrity = MessageIntegrity::new_long_term_credential(
            &theirs,
            &Username::new("user".into()).unwrap(),
            &stun_codec::rfc5389::attributes::Realm::new("realm".into()).unwrap(),
            "secret",
        );
        theirs.add_attribute(integrity.unwrap());
        let fingerprint = TheirFingerprint::new(&theirs).unwrap();
        theirs.add_attribute(fingerprint);
        let octets = MessageEncoder::new().encode_into_bytes(theirs).unwrap();
        let ours = Message::parse(&octets, Dialect::Rfc8489).unwrap();
        prop_assert_eq!(ours.username(), Some(user.as_bytes()));
        prop_assert_eq!(ours.xor_mapped_address(), Some(address));
        let key = IntegrityKey::long_term_md5("user", "realm", "secret");
        prop_assert!(ours.verify_integrity(&key).is_ok());
        prop_assert_eq!(ours.verify_fingerprint(), Ok(Fingerprint::Standard));
    }

    #[test]
    fn no_octets_panic(
        dialect in dialects(),
        mut octets in prop::collection::vec(any::<u8>(), 0..200),
        shaped in any::<bool>(),
    ) {
        if shaped && octets.len() >= 28 {
            let len = u16::try_from(octets.len() - 20).unwrap();
            octets[0] &= 0x3f;
            octets[2..4].copy_from_slice(&len.to_be_bytes());
            octets[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
            octets[20..22].copy_from_slice(&[0, 8]);
        }
        let _ = (demultiplex(&octets), Dialect::detect(&octets));
        if let Ok(message) = Message::parse(&octets, dialect) {
            let key = IntegrityKey::short_term("x");
            let _ = (message.verify_integrity(&key), message.verify_integrity_sha256(&key));
            let _ = (message.verify_fingerprint(), message.error_code(), message.mapped_address());
            prop_assert!(message.attributes().count() <= Message::MAX_ATTRIBUTES);
        }
    }
}

#[test]
fn sha256_is_verified_whole_and_truncated() {
    let key = IntegrityKey::long_term_sha256("user", "realm", "secret");
    let mut octets = Vec::new();
    let id = TransactionId::new([1; 12]);
    let mut builder =
        MessageBuilder::new(&mut octets, Dialect::Rfc8489, Class::Request, Method::Allocate, id);
    builder.realm(b"realm").sign(&key).sign_sha256(&key);
    builder.finish().unwrap();
    let message = Message::parse(&octets, Dialect::Rfc8489).unwrap();
    assert!(message.verify_integrity(&key).is_ok());
    assert!(message.verify_integrity_sha256(&key).is_ok());
    let wrong = IntegrityKey::long_term_sha256("user", "realm", "Secret");
    assert!(message.verify_integrity_sha256(&wrong).is_err());
}

#[test]
fn what_follows_the_integrity_is_not_seen() {
    let key = IntegrityKey::short_term("x");
    let mut octets = Vec::new();
    let id = TransactionId::new([1; 12]);
    let mut builder =
        MessageBuilder::new(&mut octets, Dialect::Rfc8489, Class::Request, Method::Binding, id);
    builder.sign(&key).priority(9);
    builder.finish().unwrap();
    let message = Message::parse(&octets, Dialect::Rfc8489).unwrap();
    assert_eq!(message.priority(), None);
    assert_eq!(message.unknown_required(|_| false).count(), 0);
    assert_eq!(message.attributes().count(), 3);
}
