//! Every description of the shared vectors: verdict, salient fields, and the way back octet for
//! octet.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that is wrong about its data fails"
)]

use std::fs;
use std::path::Path;

use linkspan_sdp::{
    Connection, Crypto, Description, IceMode, LocalIce, LocalMedia, MediaKind, MediaView, Profile,
    Session, SessionDescription,
    translate::{self, Outcome},
};
use serde_json::{Value, json};

#[test]
fn index() {
    let Some(dir) = linkspan_testnet::vectors("sdp") else { return };
    let index: Value = serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap();
    let mut failed = Vec::new();
    let mut rows = 0;
    for row in index["bodies"].as_array().unwrap() {
        rows += 1;
        let name = row["file"].as_str().unwrap();
        let bytes = fs::read(dir.join(name)).unwrap();
        let parsed = Description::parse(&bytes);
        match (row["valid"].as_bool(), &parsed) {
            (Some(true), Err(error)) => failed.push(format!("{name}: {error}")),
            (Some(false), Ok(_)) => failed.push(format!("{name} accepted: {}", row["reasons"])),
            _ => {}
        }
        let Ok(description) = parsed else { continue };
        for difference in compare(&row["fields"], &description) {
            // Two c= lines in one section: the index has the last, the first is the one that
            // stands where RFC 8866 §5 has it.
            let two_connections = ["cisco_audio_1e9ccb3d", "other_audio-video_2df107d4"];
            if difference.contains("connection") && two_connections.iter().any(|n| name.contains(n))
            {
                continue;
            }
            failed.push(format!("{name}: {difference}"));
        }
        if description.to_owned().to_bytes() != bytes {
            failed.push(format!("{name}: not the same octets"));
        }
    }
    assert!(rows > 250, "{rows} rows");
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn captured_calls() {
    let mut failed = Vec::new();
    let mut count = 0;
    for corpus in ["calls", "sipe"] {
        let Some(dir) = linkspan_testnet::vectors(corpus) else { return };
        for file in files(&dir, "sdp") {
            count += 1;
            let bytes = fs::read(&file).unwrap();
            // Fallback parts of a Lync offer have no v= line.
            let parsed =
                Description::parse(&bytes).or_else(|_| Description::parse_fragment(&bytes));
            match parsed {
                Err(error) => failed.push(format!("{}: {error}", file.display())),
                Ok(d) => {
                    let owned = d.to_owned();
                    if owned.to_bytes() != bytes {
                        failed.push(format!("{}: not the same octets", file.display()));
                    }
                    for media in d.media() {
                        let lines = |name| media.all(name).count();
                        let typed = media.crypto().len() + media.candidates().len();
                        let written =
                            lines("crypto") + lines("candidate") + lines("x-candidate-ipv6");
                        let legacy = media.legacy_candidates().count();
                        if typed + legacy != written {
                            failed.push(format!("{}: {written} {typed}", file.display()));
                        }
                    }
                }
            }
        }
    }
    assert!(count > 50, "{count} files");
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The differences between an index row and what the view says.
fn compare(fields: &Value, description: &Description<'_>) -> Vec<String> {
    let session = description.session();
    let mut found = Vec::new();
    let mut check = |what: &str, expected: &Value, got: Value| {
        // The index repeats surplus blanks; typed values are read without them.
        let expected = match expected.as_str() {
            Some(text) if text.contains("IP4  ") => json!(text.replace("IP4  ", "IP4 ")),
            _ => expected.clone(),
        };
        if expected != got {
            found.push(format!("{what}: expected {expected}, got {got}"));
        }
    };
    check("origin", &fields["origin"], json!(session.origin().map(|o| o.to_string())));
    check("name", &fields["session_name"], json!(session.name()));
    check("connection", &fields["connection"], connection(session.connection()));
    check("timing", &fields["timing"], json!(session.times().collect::<Vec<_>>()));
    let bandwidth: Vec<String> = session.bandwidths().map(|b| b.to_string()).collect();
    check("bandwidth", &fields["bandwidth"], json!(bandwidth));
    check("attributes", &fields["session_attributes"], json!(session.attributes().count()));
    let expected = fields["media"].as_array().unwrap();
    check("media", &json!(expected.len()), json!(description.media().len()));
    for (index, (row, media)) in expected.iter().zip(description.media()).enumerate() {
        for (key, got) in media_fields(&media) {
            check(&format!("media[{index}].{key}"), &row[key], got);
        }
    }
    found
}

fn media_fields(media: &MediaView<'_>) -> Vec<(&'static str, Value)> {
    let all = |name| json!(media.all(name).collect::<Vec<_>>());
    vec![
        ("media", json!(media.kind().token())),
        ("port", json!(media.port())),
        ("ports", json!(media.ports())),
        ("proto", json!(media.proto())),
        ("formats", json!(media.formats().collect::<Vec<_>>())),
        ("connection", connection(media.connection())),
        ("direction", json!(media.direction().name())),
        ("rtpmap", all("rtpmap")),
        ("fmtp", all("fmtp")),
        ("crypto", json!(media.all("crypto").count())),
        ("candidates", json!(media.all("candidate").count())),
        ("ice_ufrag", json!(media.attribute("ice-ufrag"))),
        ("mid", json!(media.mid())),
        ("content", json!(media.content())),
        ("label", json!(media.label())),
        ("attributes", json!(media.attributes().count())),
    ]
}

fn connection(connection: Option<Connection<'_>>) -> Value {
    json!(connection.map(|c| c.to_string()))
}

fn files(dir: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry, extension));
        } else if entry.extension().is_some_and(|e| e == extension) {
            found.push(entry);
        }
    }
    found
}

#[test]
fn owned_and_borrowed_views_agree() {
    let Some(dir) = linkspan_testnet::vectors("sdp") else { return };
    for file in files(&dir, "sdp") {
        let bytes = fs::read(&file).unwrap();
        let Ok(borrowed) = Description::parse(&bytes) else { continue };
        let owned = SessionDescription::parse(&bytes).unwrap();
        for (a, b) in borrowed.media().zip(owned.media_views()) {
            assert_eq!(media_fields(&a), media_fields(&b), "{}", file.display());
            assert_eq!(a.candidates(), b.candidates());
            assert_eq!(a.crypto(), b.crypto());
        }
    }
}

/// The two-part offers of a Lync-dialect client, out of its INVITEs.
#[test]
fn the_real_part_of_captured_multipart_offers_is_chosen() {
    let Some(dir) = linkspan_testnet::vectors("sipe") else { return };
    let mut offers = 0;
    for file in files(&dir, "sip") {
        if !file.to_string_lossy().contains("/msgs/") {
            continue;
        }
        let message = fs::read(&file).unwrap();
        let Some(end) = message.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&message[..end]).into_owned();
        let Some(content_type) = head.lines().find_map(|l| l.strip_prefix("Content-Type: ")) else {
            continue;
        };
        if !head.starts_with("INVITE") || !content_type.starts_with("multipart/alternative") {
            continue;
        }
        offers += 1;
        let body = linkspan_sdp::ms::offer_body(content_type, &message[end + 4..]).unwrap();
        let description = Description::parse(body).unwrap();
        let audio = description.media().next().unwrap();
        assert!(audio.port() != 0 && audio.candidates().len() >= 6, "{}", file.display());
    }
    assert!(offers >= 4, "{offers}");
}

fn local(port: u16) -> LocalMedia {
    let key = "R95jbA6AbJV7poTWQx+16tdCTQnhXQJMWEjyPR+m";
    LocalMedia {
        address: [192, 0, 2, 1].into(),
        rtp_port: port,
        ice: Some(LocalIce { ufrag: "abcd".into(), pwd: "p".repeat(24), ..LocalIce::default() }),
        crypto: vec![Crypto::new(1, "AES_CM_128_HMAC_SHA1_80", key)],
        ..LocalMedia::default()
    }
}

/// Offers of real programs: answered by an endpoint, and translated for the other side.
#[test]
fn offers_of_real_programs_are_answered_and_translated() {
    let (Some(calls), Some(sipe)) =
        (linkspan_testnet::vectors("calls"), linkspan_testnet::vectors("sipe"))
    else {
        return;
    };
    let lync = Profile { rtcp_mux: true, ..Profile::lync() };
    let standard = Profile { ice: IceMode::Rfc8445, ..Profile::standard() };
    let mut failed = Vec::new();
    let mut offers = 0;
    for (dir, ours, theirs) in [(calls, &standard, &lync), (sipe, &lync, &standard)] {
        for file in files(&dir, "sdp") {
            let name = file.display().to_string();
            let Ok(offer) = SessionDescription::parse(&fs::read(&file).unwrap()) else { continue };
            if !name.contains("-INVITE")
                || name.contains("-200-")
                || offer.media[0].kind == MediaKind::Message
            {
                continue;
            }
            offers += 1;
            let locals = [local(4000), local(4002)];
            match Session::new(ours.clone()).answer(&offer, &locals) {
                Err(refusal) => failed.push(format!("{name}: {refusal}")),
                Ok((_, agreed)) => {
                    for (media, view) in agreed.media.iter().zip(offer.media_views()) {
                        let keys = !view.crypto().is_empty();
                        let ice = !view.candidates().is_empty();
                        if !media.accepted
                            || media.encryption != keys
                            || media.remote.ice.is_some() != ice
                        {
                            failed.push(format!("{name}: {media:?}"));
                        }
                    }
                }
            }
            match translate::offer(&offer, ours, theirs, &locals) {
                Err(refusal) => failed.push(format!("{name}: {refusal}")),
                Ok(toward) => {
                    if toward.media.iter().any(|m| m.outcome != Outcome::Mapped) {
                        failed.push(format!("{name}: {:?}", toward.media));
                    }
                }
            }
        }
    }
    assert!(offers >= 18, "{offers}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Answers of real programs, read by an engine that made the offer they answer: its codecs and
/// its key tags in our words.
#[test]
fn answers_of_real_programs_are_read() {
    let (Some(calls), Some(sipe)) =
        (linkspan_testnet::vectors("calls"), linkspan_testnet::vectors("sipe"))
    else {
        return;
    };
    let mut failed = Vec::new();
    let mut answers = 0;
    for (dir, base) in [(calls, Profile::standard()), (sipe, Profile::lync())] {
        let mut names = files(&dir, "sdp");
        names.sort();
        let mut offer: Option<SessionDescription> = None;
        for file in names {
            let name = file.display().to_string();
            let Ok(description) = SessionDescription::parse(&fs::read(&file).unwrap()) else {
                continue;
            };
            if description.media[0].kind == MediaKind::Message {
                continue;
            }
            if !name.contains("-200-") {
                offer = Some(description);
                continue;
            }
            let Some(offer) = offer.as_ref().filter(|o| o.media.len() == description.media.len())
            else {
                continue;
            };
            answers += 1;
            let locals: Vec<LocalMedia> = offer
                .media_views()
                .map(|view| LocalMedia {
                    kind: Some(view.kind()),
                    crypto: view.crypto(),
                    codecs: view
                        .payload_types()
                        .filter_map(|pt| Some(view.rtpmap(pt)?.to_codec(pt, view.fmtp(pt))))
                        .collect(),
                    ..local(4000)
                })
                .collect();
            let (_, pending) = Session::new(base.clone()).offer(&locals);
            match pending.accept(&description) {
                Err(refusal) => failed.push(format!("{name}: {refusal}")),
                Ok(agreed) => {
                    for (media, view) in agreed.media.iter().zip(description.media_views()) {
                        let key = view.crypto().into_iter().next();
                        let same_key = media.remote.crypto == key;
                        if !media.accepted || media.main_codec().is_none() || !same_key {
                            failed.push(format!("{name}: {media:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(answers >= 12, "{answers}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
