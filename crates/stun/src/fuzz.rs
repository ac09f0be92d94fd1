//! Bodies of the fuzz targets.

use crate::{
    AttributeType, Dialect, Fingerprint, IntegrityKey, Message, MessageBuilder, NonceFeatures,
    PasswordAlgorithm, Rfc4571Framer, demultiplex, ms,
};

/// One message, in every dialect: getters answer, what is written again is the same message.
///
/// # Panics
///
/// When a property does not hold.
pub fn message(octets: &[u8]) {
    let key = IntegrityKey::short_term("0123456789012345678901");
    let _ = (demultiplex(octets), Dialect::detect(octets), ms::altered_copy(octets));
    let dialects =
        [Dialect::Rfc8489, Dialect::Rfc3489, Dialect::MsIce2, Dialect::MsIce1, Dialect::MsTurn];
    for dialect in dialects {
        let Ok(message) = Message::parse(octets, dialect) else { continue };
        read(&message, &key);
        let written = rewrite(&message, &key);
        let again = Message::parse(&written, dialect);
        let again = again.map(|again| (again.class(), again.method(), again.transaction_id()));
        let first = (message.class(), message.method(), message.transaction_id());
        assert_eq!(again, Ok(first), "{dialect:?}");
    }
}

/// A stream in two splits.
///
/// # Panics
///
/// When the splits give other frames.
pub fn framing(octets: &[u8]) {
    let Some((&size, stream)) = octets.split_first() else { return };
    let split = |size: usize| {
        let mut framer = Rfc4571Framer::new();
        let mut frames = Vec::new();
        for part in stream.chunks(size) {
            if framer.push(part).is_err() {
                return None;
            }
            frames.extend(std::iter::from_fn(|| framer.poll_frame()));
        }
        Some(frames)
    };
    assert_eq!(split(usize::from(size) + 1), split(stream.len().max(1)));
}

fn read(message: &Message<'_>, key: &IntegrityKey) {
    assert!(message.attributes().count() <= Message::MAX_ATTRIBUTES);
    let _ = (message.username(), message.realm(), message.software(), message.error_code());
    let _ = (message.mapped_address(), message.xor_mapped_address(), message.alternate_server());
    let _ = (message.priority(), message.ice_controlling(), message.ice_controlled());
    let _ = (message.lifetime_secs(), message.peer_address(), message.relayed_address());
    let _ = (message.channel_number(), message.implementation_version());
    let _ = (message.candidate_identifier(), message.unknown_attributes().count());
    let _ = message.unknown_required(|_| false).count();
    let _ = NonceFeatures::read(message.nonce().unwrap_or_default());
    for attribute in message.attributes() {
        let _ = PasswordAlgorithm::list(attribute.value).count();
    }
    let _ = (message.verify_integrity(key), message.verify_integrity_sha256(key));
    let _ = message.verify_fingerprint();
}

fn rewrite(message: &Message<'_>, key: &IntegrityKey) -> Vec<u8> {
    let mut octets = Vec::new();
    let (class, method) = (message.class(), message.method());
    let id = message.transaction_id();
    let mut builder = MessageBuilder::new(&mut octets, message.dialect(), class, method, id);
    builder.padding(message.is_padded().then_some(0));
    builder.fingerprint(Fingerprint::None);
    for attribute in message.attributes() {
        match attribute.kind {
            AttributeType::FINGERPRINT | AttributeType::MS_MAGIC_COOKIE => {}
            kind => drop(builder.attribute(kind, attribute.value)),
        }
    }
    let has_room = message.attributes().count() + 3 < Message::MAX_ATTRIBUTES;
    if has_room && message.as_octets().len() < 60_000 {
        builder.fingerprint(Fingerprint::Standard).sign(key);
    }
    assert!(builder.finish().is_ok());
    octets
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn run(target: &str, body: fn(&[u8])) {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        // A packaged crate comes without them.
        let Ok(folder) = std::fs::read_dir(seeds) else { return };
        folder.for_each(|file| body(&std::fs::read(file.unwrap().path()).unwrap()));
    }

    #[test]
    fn seeds_hold_the_properties() {
        run("stun_message", super::message);
        run("stun_framing", super::framing);
    }
}
