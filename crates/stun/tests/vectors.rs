//! Every recorded message is decoded, verified in its dialect, and written again to the same octets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use linkspan_stun::{
    AttributeType, Dialect, Fingerprint, IntegrityError, IntegrityKey, Message, MessageBuilder,
    PacketKind, demultiplex, userhash,
};
use serde_json::Value;
use std::path::Path;

fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect()
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

/// The message written anew from its own attributes.
fn rewrite(message: &Message<'_>, key: Option<&IntegrityKey>, fingerprint: Fingerprint) -> Vec<u8> {
    let mut out = Vec::new();
    let mut builder = MessageBuilder::new(
        &mut out,
        message.dialect(),
        message.class(),
        message.method(),
        message.transaction_id(),
    );
    builder.fingerprint(fingerprint).padding(message.is_padded().then(|| padding_of(message)));
    for attribute in message.attributes() {
        match (attribute.kind, key) {
            (AttributeType::FINGERPRINT | AttributeType::MS_MAGIC_COOKIE, _) => {}
            (AttributeType::MESSAGE_INTEGRITY, Some(key)) => drop(builder.sign(key)),
            (AttributeType::MESSAGE_INTEGRITY_SHA256, Some(key)) => drop(builder.sign_sha256(key)),
            _ => drop(builder.attribute(attribute.kind, attribute.value)),
        }
    }
    builder.finish().unwrap();
    out
}

/// libnice and RFC 5769 fill with blanks.
fn padding_of(message: &Message<'_>) -> u8 {
    let padding =
        |at: usize, len: usize| (!len.is_multiple_of(4)).then(|| message.as_octets()[at + 4 + len]);
    message.attributes().find_map(|a| padding(a.at, a.value.len())).unwrap_or(0)
}

fn fingerprint_of(row: &Value) -> Fingerprint {
    match row["fingerprint"].as_str() {
        Some("standard") => Fingerprint::Standard,
        Some("typo-table") => Fingerprint::Altered,
        _ => Fingerprint::None,
    }
}

/// What is wrong with a row, if anything.
fn check(
    datagram: &[u8],
    dialect: Dialect,
    key: Option<&IntegrityKey>,
    row: &Value,
) -> Result<(), String> {
    if demultiplex(datagram) != PacketKind::Stun {
        return Err("not taken for STUN".into());
    }
    let message = Message::parse(datagram, dialect).map_err(|error| error.to_string())?;
    let fingerprint = fingerprint_of(row);
    let found = match message.verify_fingerprint() {
        Err(IntegrityError::Missing) => Fingerprint::None,
        Ok(found) => found,
        Err(error) => return Err(format!("fingerprint: {error}")),
    };
    if found != fingerprint {
        return Err(format!("fingerprint {found:?}"));
    }
    let variant = text(row, "mi_variant");
    let is_bad = variant == "BAD" || variant.starts_with("wrong");
    let integrity = key.map(|key| message.verify_integrity(key));
    match (variant, integrity) {
        ("", None | Some(Err(IntegrityError::Missing))) => {}
        (_, Some(Err(IntegrityError::Mismatch))) if is_bad => {}
        (_, Some(Ok(()))) if !is_bad && !variant.is_empty() => {}
        (_, other) => return Err(format!("integrity {other:?}, variant {variant:?}")),
    }
    let key = key.filter(|_| !is_bad && (variant != "rfc5389" || dialect == Dialect::Rfc8489));
    if rewrite(&message, key, fingerprint) != datagram {
        return Err("written differently".into());
    }
    compare_attributes(&message, row)
}

fn compare_attributes(message: &Message<'_>, row: &Value) -> Result<(), String> {
    let Some(expected) = row["attrs"].as_array() else { return Ok(()) };
    let expected: Vec<(u16, Vec<u8>)> = expected
        .iter()
        .map(|attr| {
            let fields = attr.as_array().unwrap();
            let kind = u16::from_str_radix(&fields[0].as_str().unwrap()[2..], 16).unwrap();
            (kind, octets(fields.last().unwrap().as_str().unwrap()))
        })
        .collect();
    let found: Vec<_> = message.attributes().map(|a| (a.kind.0, a.value.to_vec())).collect();
    if found == expected { Ok(()) } else { Err(format!("attributes {found:x?}")) }
}

/// Payload of a frame, without what TCP puts before it.
fn unframed(row: &Value, prefix: usize) -> Vec<u8> {
    let frame = octets(text(row, "hex"));
    if text(row, "transport") == "tcp" { frame[prefix..].to_vec() } else { frame }
}

fn run(file: &str, prefix: usize, least: usize, dialect: impl Fn(&Value) -> Dialect) {
    let Some(dir) = linkspan_testnet::vectors("ice") else { return };
    let mut failed = Vec::new();
    let mut checked = 0;
    let mut long_term = None;
    for (number, row) in lines(&dir.join(file)).iter().enumerate() {
        if text(row, "record") == "scenario" {
            let key = row["long_term_key_hex"].as_str();
            long_term = key.map(|key| IntegrityKey::from_octets(&octets(key)));
            continue;
        }
        let datagram = unframed(row, prefix);
        let field = if row["key_hex"].is_string() { "key_hex" } else { "mi_key_hex" };
        let own = row[field].as_str().map(|key| IntegrityKey::from_octets(&octets(key)));
        // Media of the recording, and the handshake of pseudo-TLS.
        if !row["stun_type"].is_string()
            && !row["turn_type"].is_string()
            && !row["attrs"].is_array()
        {
            continue;
        }
        checked += 1;
        if let Err(why) = check(&datagram, dialect(row), own.as_ref().or(long_term.as_ref()), row) {
            failed.push((number + 1, why));
        }
    }
    assert!(failed.is_empty(), "{file}: {failed:#?}");
    assert!(checked >= least, "{file}: only {checked} messages");
}

#[test]
fn libnice_rfc5245() {
    run("libnice_rfc5245.jsonl", 2, 60, |_| Dialect::Rfc8489);
}

#[test]
fn libnice_oc2007r2() {
    run("libnice_oc2007r2.jsonl", 2, 80, |_| Dialect::MsIce2);
}

#[test]
fn libnice_wlm2009() {
    run("libnice_wlm2009.jsonl", 2, 40, |_| Dialect::MsIce2);
}

#[test]
fn libnice_oc2007() {
    run("libnice_oc2007.jsonl", 2, 30, |_| Dialect::MsIce1);
}

#[test]
fn ms_turn() {
    run("msturn_oc2007.jsonl", 4, 25, |_| Dialect::MsTurn);
}

#[test]
fn coturn() {
    run("coturn_rfc5766.jsonl", 0, 35, |_| Dialect::Rfc8489);
}

#[test]
fn libnice_units() {
    run("libnice_unit.jsonl", 0, 222, |row| match text(row, "compat") {
        "RFC3489" => Dialect::Rfc3489,
        // Unpadded RFC 5389: no peer writes it, but it shows the second rule of MS-ICE2.
        "RFC5389" if row["aligned"] == false => Dialect::MsIce2,
        "RFC5389" => Dialect::Rfc8489,
        "MSICE2" => Dialect::MsIce2,
        _ => Dialect::MsTurn,
    });
}

#[test]
fn altered_fingerprints_are_computed() {
    let Some(dir) = linkspan_testnet::vectors("ice") else { return };
    let mut checked = 0;
    for row in lines(&dir.join("libnice_unit.jsonl")) {
        let Some(altered) = row["fingerprint_altered_hex"].as_str() else { continue };
        let datagram = octets(text(&row, "hex"));
        let message = Message::parse(&datagram, Dialect::MsIce2).unwrap();
        let key = IntegrityKey::from_octets(&octets(text(&row, "key_hex")));
        let copy = rewrite(&message, Some(&key), Fingerprint::Altered);
        assert!(copy.ends_with(&octets(altered)), "{row}");
        let copy = Message::parse(&copy, Dialect::MsIce2).unwrap();
        let differs = row["fingerprint_differs"].as_bool().unwrap();
        let expected = if differs { Fingerprint::Altered } else { Fingerprint::Standard };
        assert_eq!(copy.verify_fingerprint(), Ok(expected));
        checked += 1;
    }
    assert_eq!(checked, 60);
}

#[test]
fn rfc_examples() {
    let Some(dir) = linkspan_testnet::vectors("stun") else { return };
    let text_of = std::fs::read_to_string(dir.join("rfc.json")).unwrap();
    let rows: Value = serde_json::from_str(&text_of).unwrap();
    let rows = rows["vectors"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let datagram = octets(text(row, "hex"));
        let message = Message::parse(&datagram, Dialect::Rfc8489).unwrap();
        let key = IntegrityKey::from_octets(&octets(text(row, "integrity_key")));
        let verified = if message.has_integrity_sha256() {
            message.verify_integrity_sha256(&key)
        } else {
            message.verify_integrity(&key)
        };
        assert_eq!(verified, Ok(()), "{} {}", text(row, "rfc"), text(row, "section"));
        let wrong = IntegrityKey::short_term("wrong");
        assert!(message.verify_integrity(&wrong).is_err());
        let table = match message.verify_fingerprint() {
            Err(IntegrityError::Missing) => Fingerprint::None,
            table => table.unwrap(),
        };
        assert_eq!(rewrite(&message, Some(&key), table), datagram);
        if let Some(hash) = message.attribute(AttributeType::USERHASH) {
            assert_eq!(hash, userhash(text(row, "username"), text(row, "realm")));
        }
    }
}

#[test]
fn captures() {
    let Some(dir) = linkspan_testnet::vectors("stun") else { return };
    let text_of = std::fs::read_to_string(dir.join("captures.json")).unwrap();
    let rows: Value = serde_json::from_str(&text_of).unwrap();
    let mut failed = Vec::new();
    for (number, row) in rows["messages"].as_array().unwrap().iter().enumerate() {
        let mut datagram = octets(text(row, "hex"));
        let trailing = usize::try_from(row["trailing"].as_u64().unwrap_or(0)).unwrap();
        datagram.truncate(datagram.len() - trailing);
        let Some(dialect) = Dialect::detect(&datagram) else {
            failed.push((number, "no dialect".to_owned()));
            continue;
        };
        let message = match Message::parse(&datagram, dialect) {
            Ok(message) => message,
            Err(error) => {
                failed.push((number, format!("{dialect:?} {error}")));
                continue;
            }
        };
        if let Err(why) = compare_capture(&message, row) {
            failed.push((number, why));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

fn compare_capture(message: &Message<'_>, row: &Value) -> Result<(), String> {
    let decoded = &row["decoded"];
    let is_ms_turn = text(decoded, "dialect") == "ms-turn";
    if is_ms_turn != (message.dialect() == Dialect::MsTurn) {
        return Err(format!("read as {:?}", message.dialect()));
    }
    let expected = decoded["attributes"].as_array().unwrap();
    let found: Vec<_> = message.attributes().collect();
    if expected.len() != found.len() {
        return Err(format!("{} attributes, expected {}", found.len(), expected.len()));
    }
    for (found, expected) in found.iter().zip(expected) {
        let kind = u16::from_str_radix(text(expected, "type"), 16).unwrap();
        let len = usize::try_from(expected["len"].as_u64().unwrap()).unwrap();
        if (found.kind.0, found.value.len()) != (kind, len) {
            return Err(format!("{found:?}, expected {expected}"));
        }
        let is_right = expected["correct"].as_bool().unwrap_or(false);
        if is_right && message.verify_fingerprint() != Ok(Fingerprint::Standard) {
            return Err("fingerprint".into());
        }
    }
    Ok(())
}
