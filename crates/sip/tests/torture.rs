//! Every message of RFC 4475 and RFC 5118 gets the verdict that its RFC gives.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it is surprised"
)]

use linkspan_sip::{Frame, FrameError, Limits, Message, StreamFramer};

struct Row {
    file: String,
    request: bool,
    expect: String,
    status: Option<u16>,
    octets: Vec<u8>,
}

fn rows() -> Vec<Row> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/torture");
    let index = std::fs::read_to_string(format!("{dir}/index.tsv")).unwrap();
    let rows = index.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        Row {
            file: fields[0].to_owned(),
            request: fields[1] == "request",
            expect: fields[2].to_owned(),
            status: fields[3].parse().ok(),
            octets: std::fs::read(format!("{dir}/{}", fields[0])).unwrap(),
        }
    });
    let rows: Vec<Row> = rows.collect();
    assert_eq!(rows.len(), 63);
    rows
}

/// `Ok(status)` where the message is sound, with the answer of a strict server; `Err` else.
fn verdict(octets: &[u8]) -> Result<Option<u16>, Option<u16>> {
    let error = |error: linkspan_sip::ParseError| error.status().map(|status| status.as_u16());
    let message = Message::parse(octets).map_err(error)?;
    message.validate().map_err(error)?;
    Ok(message.strict_answer().map(|status| status.as_u16()))
}

#[test]
fn torture() {
    let mut failed = Vec::new();
    for row in rows() {
        let outcome = verdict(&row.octets);
        let sound = match row.expect.as_str() {
            // intmeth is sound, and of a method that nobody serves.
            "accept" => matches!(outcome, Ok(None | Some(200 | 405))),
            // A registrar, a proxy or an authenticating server would say more.
            "accept-note" => matches!(outcome, Ok(Some(200 | 405))),
            "accept-or-reject" => matches!(outcome, Ok(Some(200)) | Err(Some(400))),
            "reject" => match outcome {
                Ok(status) | Err(status) => status == row.status,
            },
            "discard" if row.file == "bcast.dat" => {
                // A sound message, but one that no user agent takes: two Vias.
                Message::parse(&row.octets).unwrap().vias().count() == 2
            }
            "discard" => outcome == Err(None),
            other => panic!("unknown verdict {other}"),
        };
        if !sound {
            failed.push((row.file, row.request, row.expect, row.status, outcome));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A stream that comes octet by octet gives what the datagram gave.
#[test]
fn torture_on_a_stream() {
    for row in rows() {
        let mut framer = StreamFramer::new(Limits::default());
        let mut frames = Vec::new();
        let mut error = None;
        for octet in &row.octets {
            framer.push(&[*octet]).unwrap();
            match framer.poll_frame() {
                Ok(Some(Frame::Message(message))) => frames.push(message),
                Ok(_) => {}
                Err(failure) => error = Some(failure),
            }
        }
        let datagram = Message::parse(&row.octets);
        match row.file.as_str() {
            // Content-Length ends the second before the last line of its body.
            "dblreq.dat" => {
                assert!(frames[1].starts_with(b"INVITE sip:joe@example.com"), "{frames:?}")
            }
            // Incomplete: Content-Length beyond the end, no empty line.
            "clerr.dat" | "baddn.dat" => assert_eq!((frames.len(), error), (0, None)),
            "ncl.dat" | "mcl01.dat" => {
                assert!(matches!(error, Some(FrameError::ContentLength { .. })), "{}", row.file);
            }
            _ if frames.is_empty() => panic!("{}: no frame, {error:?}", row.file),
            // Without Content-Length a stream has no body, and a datagram has the rest.
            _ => match (Message::parse(&frames[0]), datagram) {
                (Ok(ours), Ok(datagram)) => {
                    assert_eq!(ours.head(), datagram.head(), "{}", row.file)
                }
                (Err(ours), Err(datagram)) => assert_eq!(ours, datagram),
                (ours, datagram) => panic!("{}: {ours:?} {datagram:?}", row.file),
            },
        }
    }
}

#[test]
fn untouched_messages_are_written_back_byte_for_byte() {
    let mut failed = Vec::new();
    for row in rows() {
        let Ok(message) = Message::parse(&row.octets) else { continue };
        let written = match (message.to_request(), message.to_response()) {
            (Some(request), _) => request.to_bytes(),
            (_, Some(response)) => response.to_bytes(),
            _ => unreachable!(),
        };
        // Where Content-Length is missing the written form has one.
        let same = written == message.as_bytes() || message.header("Content-Length").is_none();
        if !same {
            failed.push(row.file);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_the_notes_say_is_read_so() {
    let all = rows();
    let octets = |file: &str| &all.iter().find(|row| row.file == file).unwrap().octets[..];
    let wsinv = Message::parse(octets("wsinv.dat")).unwrap();
    assert_eq!(wsinv.vias().count(), 3);
    assert_eq!(wsinv.max_forwards(), Ok(Some(68)));
    assert_eq!(wsinv.cseq().unwrap().unwrap().number(), 9);
    assert_eq!(wsinv.contact().unwrap().unwrap().params().value("q"), Some("0.33"));
    assert_eq!(wsinv.routes().count(), 1);
    assert_eq!(wsinv.header("Subject"), Some(""));
    let semiuri = Message::parse(octets("semiuri.dat")).unwrap();
    assert_eq!(semiuri.uri().unwrap().user(), Some("user;par=u%40example.net"));
    let esc02 = Message::parse(octets("esc02.dat")).unwrap();
    assert_eq!(esc02.method_str(), Some("RE%47IST%45R"));
    assert_eq!(esc02.contacts().count(), 2);
    let longreq = Message::parse(octets("longreq.dat")).unwrap();
    assert_eq!(longreq.vias().count(), 34);
    assert!(longreq.vias().all(|via| via.is_ok()));
    let one = Message::parse(octets("cparam01.dat")).unwrap();
    assert!(one.contact().unwrap().unwrap().params().contains("unknownparam"));
    let two = Message::parse(octets("cparam02.dat")).unwrap();
    assert!(two.contact().unwrap().unwrap().uri().params().contains("unknownparam"));
    let regescrt = Message::parse(octets("regescrt.dat")).unwrap();
    let contact = regescrt.contact().unwrap().unwrap();
    assert!(contact.uri().headers().unwrap().starts_with("Route="));
    let v6 = Message::parse(octets("port-unambiguous.dat")).unwrap();
    assert_eq!(v6.uri().unwrap().port(), Some(5070));
    let v6 = Message::parse(octets("port-ambiguous.dat")).unwrap();
    assert_eq!(v6.uri().unwrap().port(), None);
    for file in ["via-received-param-with-delim.dat", "via-received-param-no-delim.dat"] {
        let message = Message::parse(octets(file)).unwrap();
        let received = message.via().unwrap().unwrap().received();
        assert_eq!(received, Some("2001:db8::9:255".parse().unwrap()), "{file}");
    }
}
