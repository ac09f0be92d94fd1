//! Decodes STUN, TURN, MS-TURN and MS-ICE2 messages, and checks integrity and fingerprint.
//!
//! ```text
//! cargo run --example stun-dump -- [--json] [--password TEXT] HEX|FILE…    # hex per line, - is standard input
//! cargo run --example stun-dump -- --records vectors/ice/libnice_oc2007r2.jsonl
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use linkspan_examples::{Report, Style};
use linkspan_stun::{
    AttributeType, Dialect, IntegrityError, IntegrityKey, Message, PasswordAlgorithm, RawAttribute,
    ms,
};
use serde_json::{Value, json};
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

/// Decodes STUN messages of any dialect and checks their integrity and fingerprint.
///
/// Exit code: 0 when all are messages and no check fails, 1 otherwise, 2 for wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per message.
    #[arg(long)]
    json: bool,
    /// Files are JSON records with `hex` and their own keys, as in vectors/ice.
    #[arg(long)]
    records: bool,
    /// Short-term password; `b64:` before binary ones.
    #[arg(long, conflicts_with = "long_term")]
    password: Option<String>,
    /// Long-term credentials `user:realm:password`; `b64:` before binary parts.
    #[arg(long)]
    long_term: Option<String>,
    /// rfc8489, rfc3489, ms-ice2, ms-ice or ms-turn instead of what the message looks like.
    #[arg(long, value_parser = dialect_named)]
    dialect: Option<Dialect>,
    /// Hexadecimal text, or files with a message per line; - is standard input.
    #[arg(required = true)]
    inputs: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let keys = match Keys::from_arguments(&arguments) {
        Ok(keys) => keys,
        Err(error) => {
            eprintln!("stun-dump: {error}");
            return ExitCode::from(2);
        }
    };
    let report = Report::stdout(Style::from_flag(arguments.json));
    let mut all_good = true;
    for input in &arguments.inputs {
        all_good &= match lines_of(input) {
            Ok(text) if arguments.records => dump_records(&report, &arguments, &keys, &text),
            Ok(text) => dump_lines(&report, &arguments, &keys, &text),
            Err(error) => {
                eprintln!("{input}: {error}");
                false
            }
        };
    }
    if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn lines_of(input: &str) -> io::Result<String> {
    if input == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    if Path::new(input).exists() {
        return std::fs::read_to_string(input);
    }
    if hex(input).is_some() {
        return Ok(input.to_owned());
    }
    Err(io::Error::other("neither a file nor hexadecimal text"))
}

fn dump_lines(report: &Report, arguments: &Arguments, keys: &Keys, text: &str) -> bool {
    let mut all_good = true;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let octets = hex(line);
        let dialect = arguments.dialect.or_else(|| Dialect::detect(octets.as_deref()?));
        all_good &= match (octets, dialect) {
            (Some(octets), Some(dialect)) => dump(report, &octets, dialect, keys, None),
            (Some(_), None) => refuse(report, "not a STUN message of any dialect", None),
            (None, _) => refuse(report, "not hexadecimal text", None),
        };
    }
    all_good
}

/// Records of `vectors/ice`: media, ChannelData and handshakes between the messages are left out.
fn dump_records(report: &Report, arguments: &Arguments, keys: &Keys, text: &str) -> bool {
    let mut all_good = true;
    let mut session = None;
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            all_good = refuse(report, "not a JSON record", Some(number));
            continue;
        };
        let octets_of = |field: &str| record.get(field)?.as_str().and_then(hex);
        if let Some(key) = octets_of("long_term_key_hex") {
            session = Some(IntegrityKey::from_octets(&key));
        }
        let Some(frame) = octets_of("hex") else { continue };
        let octets = unframed(&frame, &record);
        let dialect = arguments.dialect.or_else(|| recorded_dialect(&record));
        let Some(dialect) = Dialect::detect(octets).map(|found| dialect.unwrap_or(found)) else {
            continue;
        };
        let own = octets_of("mi_key_hex").or_else(|| octets_of("key_hex"));
        let own = own.map(|key| IntegrityKey::from_octets(&key)).or_else(|| session.clone());
        let own = Keys { fixed: own.into_iter().collect(), long_term: None };
        let keys = if own.fixed.is_empty() { keys } else { &own };
        all_good &= dump(report, octets, dialect, keys, Some(number));
    }
    all_good
}

/// What a record says about its dialect.
fn recorded_dialect(record: &Value) -> Option<Dialect> {
    let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
    match (text("mode"), text("compat")) {
        ("rfc5245" | "rfc5766", _) => Some(Dialect::Rfc8489),
        ("oc2007r2" | "wlm2009", _) | (_, "MSICE2") => Some(Dialect::MsIce2),
        ("oc2007", _) => Some(Dialect::MsIce1),
        ("oc2007r2+ms-turn", _) | (_, "OC2007") => Some(Dialect::MsTurn),
        (_, "RFC3489") => Some(Dialect::Rfc3489),
        // Unpadded, as only MS-ICE2 is read.
        (_, "RFC5389") if record.get("aligned") == Some(&Value::Bool(false)) => {
            Some(Dialect::MsIce2)
        }
        (_, "RFC5389") => Some(Dialect::Rfc8489),
        _ => None,
    }
}

/// The message in a frame: behind RFC 4571's length, or MS-TURN's type and length, on TCP.
fn unframed<'a>(frame: &'a [u8], record: &Value) -> &'a [u8] {
    if record.get("transport").and_then(Value::as_str) != Some("tcp") {
        return frame;
    }
    match *frame {
        [2, 0, l0, l1, ref rest @ ..]
            if usize::from(u16::from_be_bytes([l0, l1])) == rest.len() =>
        {
            rest
        }
        [l0, l1, ref rest @ ..] if usize::from(u16::from_be_bytes([l0, l1])) == rest.len() => rest,
        _ => frame,
    }
}

/// Whether the octets are a message and no check fails.
fn dump(
    report: &Report,
    octets: &[u8],
    dialect: Dialect,
    keys: &Keys,
    record: Option<usize>,
) -> bool {
    let message = match Message::parse(octets, dialect) {
        Ok(message) => message,
        Err(error) => return refuse(report, &error.to_string(), record),
    };
    let integrity = keys.check(&message);
    let fingerprint = match message.verify_fingerprint() {
        Ok(_) => "ok",
        Err(IntegrityError::Missing) => "absent",
        Err(_) => "bad",
    };
    let attributes: Vec<_> = message.attributes().map(|a| (a, value_of(&message, &a))).collect();
    let class = format!("{:?}", message.class()).to_lowercase();
    let method = format!("{:?}", message.method());
    let mut value = json!({
        "dialect": name_of(dialect),
        "class": class,
        "method": method,
        "transaction_id": transaction_id(&message),
        "length": octets.len(),
        "padded": message.is_padded(),
        "attributes": attributes.iter().map(|(attribute, value)| json!({
            "type": format!("0x{:04x}", attribute.kind.0),
            "name": attribute_name(dialect, attribute.kind),
            "value": value,
        })).collect::<Vec<_>>(),
        "integrity": integrity,
        "fingerprint": fingerprint,
    });
    if let (Some(record), Some(fields)) = (record, value.as_object_mut()) {
        fields.insert("record".into(), json!(record));
    }
    report.json(&value);
    report.text(format!(
        "{}{} {method} {class} {}: integrity {integrity}, fingerprint {fingerprint}",
        record.map(|record| format!("{record}: ")).unwrap_or_default(),
        name_of(dialect),
        transaction_id(&message),
    ));
    for (attribute, value) in &attributes {
        let name = attribute_name(dialect, attribute.kind);
        report.text(format!("    0x{:04x} {name}: {value}", attribute.kind.0));
    }
    integrity != "bad" && fingerprint != "bad"
}

fn refuse(report: &Report, error: &str, record: Option<usize>) -> bool {
    report.json(&json!({ "dialect": null, "error": error, "record": record }));
    report.text(format!("refused: {error}"));
    false
}

/// What integrity is checked with.
#[derive(Default)]
struct Keys {
    fixed: Vec<IntegrityKey>,
    long_term: Option<[Vec<u8>; 3]>,
}

impl Keys {
    fn from_arguments(arguments: &Arguments) -> Result<Self, &'static str> {
        let mut keys = Self::default();
        if let Some(password) = &arguments.password {
            let octets = binary(password).ok_or("--password: not base64 behind b64:")?;
            keys.fixed.push(IntegrityKey::short_term(octets));
        }
        if let Some(text) = &arguments.long_term {
            let parts = parts_of(text).ok_or("--long-term: want user:realm:password")?;
            keys.long_term = Some(parts);
        }
        Ok(keys)
    }

    fn check(&self, message: &Message<'_>) -> &'static str {
        if !message.has_integrity() && !message.has_integrity_sha256() {
            return "absent";
        }
        let keys: Vec<_> = self.fixed.iter().cloned().chain(self.derived(message)).collect();
        if keys.is_empty() {
            return "unchecked";
        }
        let mut result = "bad";
        for key in &keys {
            let sha1 = message.verify_integrity(key);
            let sha256 = message.verify_integrity_sha256(key);
            let is_right = |check: Result<(), IntegrityError>| {
                matches!(check, Ok(()) | Err(IntegrityError::Missing))
            };
            if is_right(sha1) && is_right(sha256) {
                return "ok";
            }
            if sha1 == Err(IntegrityError::Unsupported) {
                result = "unchecked";
            }
        }
        result
    }

    fn derived(&self, message: &Message<'_>) -> Vec<IntegrityKey> {
        let Some([user, realm, password]) = &self.long_term else { return Vec::new() };
        if message.dialect() == Dialect::MsTurn {
            return vec![ms::long_term_key(user, realm, password)];
        }
        let algorithms = [PasswordAlgorithm::Md5, PasswordAlgorithm::Sha256];
        algorithms.iter().filter_map(|a| a.key(user, realm, password)).collect()
    }
}

fn parts_of(text: &str) -> Option<[Vec<u8>; 3]> {
    let (user, rest) = part_of(text)?;
    let (realm, password) = part_of(rest)?;
    Some([user, realm, binary(password)?])
}

/// The part before the next colon, which is not the one of `b64:`.
fn part_of(text: &str) -> Option<(Vec<u8>, &str)> {
    let start = if text.starts_with("b64:") { 4 } else { 0 };
    let end = start + text.get(start..)?.find(':')?;
    Some((binary(text.get(..end)?)?, text.get(end + 1..)?))
}

fn binary(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("b64:") {
        Some(encoded) => STANDARD.decode(encoded).ok(),
        None => Some(text.as_bytes().to_vec()),
    }
}

fn value_of(message: &Message<'_>, attribute: &RawAttribute<'_>) -> String {
    use AttributeType as T;
    let is_ms_turn = message.dialect() == Dialect::MsTurn;
    let kind = attribute.kind;
    let address = match kind {
        T::XOR_MAPPED_ADDRESS | T::XOR_RELAYED_ADDRESS | T::MS_XOR_MAPPED_ADDRESS => {
            message.xor_address(kind)
        }
        T::XOR_PEER_ADDRESS => message.peer_address(),
        T::MAPPED_ADDRESS
        | T::RESPONSE_ADDRESS
        | T::SOURCE_ADDRESS
        | T::CHANGED_ADDRESS
        | T::REFLECTED_FROM
        | T::ALTERNATE_SERVER
        | T::RESPONSE_ORIGIN
        | T::OTHER_ADDRESS
        | T::MS_ALTERNATE_SERVER
        | T::MS_DESTINATION_ADDRESS
        | T::MS_ALTERNATE_MAPPED_ADDRESS => message.address(kind),
        _ => None,
    };
    if let Some(address) = address {
        return address.to_string();
    }
    match kind {
        T::ERROR_CODE => {
            message.error_code().map(|error| format!("{} {}", error.code, error.reason))
        }
        T::UNKNOWN_ATTRIBUTES => {
            Some(format!("{:?}", message.unknown_attributes().collect::<Vec<_>>()))
        }
        T::USERNAME | T::REALM | T::NONCE | T::SOFTWARE | T::CANDIDATE_IDENTIFIER => {
            text_of(attribute.value)
        }
        T::LIFETIME => message.lifetime_secs().map(|seconds| format!("{seconds} s")),
        T::PRIORITY | T::IMPLEMENTATION_VERSION | T::MS_VERSION => {
            message.u32(kind).map(|number| number.to_string())
        }
        T::MS_BANDWIDTH if is_ms_turn => message.u32(kind).map(|rate| format!("{rate} kbit/s")),
        _ => None,
    }
    .unwrap_or_else(|| hex_of(attribute.value))
}

/// Printable text, without the NULs that fill it.
fn text_of(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim_end_matches('\0');
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn attribute_name(dialect: Dialect, kind: AttributeType) -> &'static str {
    use AttributeType as T;
    match (dialect, kind) {
        (Dialect::MsTurn, T::REALM) => "NONCE",
        (Dialect::MsTurn, T::NONCE) => "REALM",
        (Dialect::MsTurn, T::XOR_PEER_ADDRESS) => "MS-REMOTE-ADDRESS",
        _ => kind.name().unwrap_or("unknown"),
    }
}

/// 96 bits behind the cookie, 128 where there is none.
fn transaction_id(message: &Message<'_>) -> String {
    let text = message.transaction_id().to_string();
    if message.dialect().has_header_cookie() { text.split_at(8).1.to_owned() } else { text }
}

const NAMES: [(&str, Dialect); 5] = [
    ("rfc8489", Dialect::Rfc8489),
    ("rfc3489", Dialect::Rfc3489),
    ("ms-ice2", Dialect::MsIce2),
    ("ms-ice", Dialect::MsIce1),
    ("ms-turn", Dialect::MsTurn),
];

fn name_of(dialect: Dialect) -> &'static str {
    NAMES.iter().find(|(_, known)| *known == dialect).map_or("other", |(name, _)| name)
}

fn dialect_named(name: &str) -> Result<Dialect, String> {
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, dialect)| *dialect);
    known.ok_or_else(|| "one of rfc8489, rfc3489, ms-ice2, ms-ice, ms-turn".to_owned())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len().is_multiple_of(2))?;
    Some(digits.as_chunks::<2>().0.iter().map(|[high, low]| (high << 4) | low).collect())
}

fn hex_of(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
