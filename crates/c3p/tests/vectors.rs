//! Proves that every document of the C3P corpus is read and written back as equivalent XML, and
//! that the bad ones are refused for the stated reason.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests stop at what they did not expect"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use linkspan_c3p::{
    Applied, Conference, ConferenceInfo, Diagnostic, Document, FocusDialog, Limits, McuType,
    MediaStatus, MediaType, MergeError, ParseErrorKind, Request, Response, RosterEvent,
};

/// The documents of the corpus, by their number.
fn corpus() -> Option<BTreeMap<u32, (String, Vec<u8>)>> {
    let folder = linkspan_testnet::vectors("c3p")?;
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Ok(number) = name[..2].parse() {
            found.insert(number, (name, std::fs::read(path).unwrap()));
        }
    }
    assert_eq!(found.len(), 40, "the corpus has 40 documents");
    Some(found)
}

/// Expanded names, sorted attributes, text without layout: what makes two documents equivalent.
fn canonical(octets: &[u8]) -> String {
    let text = std::str::from_utf8(octets).unwrap();
    let document = roxmltree::Document::parse(text).unwrap();
    let mut out = String::new();
    describe(document.root_element(), 0, &mut out);
    out
}

fn describe(node: roxmltree::Node<'_, '_>, depth: usize, out: &mut String) {
    let name = node.tag_name();
    let mut attributes: Vec<String> = node
        .attributes()
        .map(|a| format!("{{{}}}{}={:?}", a.namespace().unwrap_or(""), a.name(), a.value()))
        .collect();
    attributes.sort();
    let namespace = name.namespace().unwrap_or("");
    writeln!(out, "{:depth$}{{{namespace}}}{} {attributes:?}", "", name.name()).unwrap();
    for child in node.children() {
        if child.is_element() {
            describe(child, depth + 1, out);
        } else if let Some(text) = child.text().filter(|_| child.is_text())
            && !text.trim().is_empty()
        {
            writeln!(out, "{:depth$} {text:?}", "").unwrap();
        }
    }
}

#[test]
fn good_documents_are_written_back_as_equivalent_xml() {
    let Some(corpus) = corpus() else { return };
    let mut failed = Vec::new();
    for (name, octets) in corpus.range(..90).map(|(_, row)| row) {
        match Document::parse(octets) {
            Err(error) => failed.push(format!("{name}: {error}")),
            Ok(document) => {
                let written = document.to_bytes();
                if Document::parse(&written).as_ref() != Ok(&document) {
                    failed.push(format!("{name}: reads back differently"));
                }
                let (before, after) = (canonical(octets), canonical(&written));
                if before != after {
                    failed.push(format!("{name}:\n{before}\nbecame\n{after}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn bad_documents_are_refused_for_the_stated_reason() {
    let Some(corpus) = corpus() else { return };
    let expected = [
        (90, ParseErrorKind::Doctype),
        (91, ParseErrorKind::Repeated("command")),
        (92, ParseErrorKind::Missing("requestId")),
        (93, ParseErrorKind::WrongNamespace),
    ];
    for (number, kind) in expected {
        let (name, octets) = &corpus[&number];
        assert_eq!(Document::parse(octets).map_err(|error| error.kind), Err(kind), "{name}");
    }
}

#[test]
fn bad_senders_and_servers_are_refused_for_the_stated_reason() {
    let Some(corpus) = corpus() else { return };
    let focus = "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";
    let dialog = FocusDialog::new("sip:alice@contoso.example", focus);
    let response = Response::parse(&corpus[&94].1).unwrap();
    assert_eq!(dialog.check_response(&response), Err(Diagnostic::InvalidFrom));
    let request = Request::parse(&corpus[&96].1).unwrap();
    assert_eq!(dialog.check_request(&request), Err(Diagnostic::InvalidMcuUri));
    // Everything good that Alice and the focus say in their dialog passes.
    for (name, octets) in corpus.range(12..25).map(|(_, row)| row) {
        match Document::parse(octets).unwrap() {
            Document::Request(request) => {
                assert_eq!(dialog.check_request(&request), Ok(()), "{name}")
            }
            Document::Response(response) => {
                assert_eq!(dialog.check_response(&response), Ok(()), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn nothing_shorter_is_a_document() {
    let Some(corpus) = corpus() else { return };
    for (name, octets) in corpus.values() {
        let end = octets.trim_ascii_end().len();
        for cut in (0..end).step_by(11).chain([end - 1]) {
            assert!(Document::parse(&octets[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

fn notification(corpus: &BTreeMap<u32, (String, Vec<u8>)>, number: u32) -> ConferenceInfo {
    ConferenceInfo::parse(&corpus[&number].1).unwrap()
}

fn roster(conference: &Conference) -> Vec<(String, Vec<String>)> {
    conference
        .participants()
        .map(|participant| {
            let sessions = participant.user().endpoints.iter();
            let sessions = sessions.map(|e| e.session_type.as_ref().unwrap().to_string());
            (participant.display_name(), sessions.collect())
        })
        .collect()
}

fn names(rows: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    rows.iter()
        .map(|(name, sessions)| {
            ((*name).into(), sessions.iter().map(|session| (*session).into()).collect())
        })
        .collect()
}

#[test]
fn the_unbroken_series_gives_the_stated_roster() {
    let Some(corpus) = corpus() else { return };
    let mut conference = Conference::new(None, Limits::default());
    let mut events = Vec::new();
    for number in 30..=36 {
        conference.apply(notification(&corpus, number)).unwrap();
        while let Some(event) = conference.poll_event() {
            events.push(event);
        }
    }
    let expected: &[(&str, &[&str])] = &[
        ("Alice Example", &["focus", "audio-video", "applicationsharing"]),
        ("Bob Example", &["focus"]),
        ("Guest", &["focus"]),
    ];
    assert_eq!(roster(&conference), names(expected));
    assert!(conference.participant("SIP:guest@PARTNER.example").unwrap().is_in_lobby());
    assert!(conference.participant("sip:alice@contoso.example").unwrap().is_sharing());
    assert_eq!(
        conference.participant_by_source(101).unwrap().entity(),
        &"sip:alice@contoso.example"
    );
    let room = || "sip:room4@video.example".into();
    for event in [
        RosterEvent::Joined { user: room(), from_lobby: false },
        RosterEvent::SessionAdded { user: room(), session_type: McuType::AudioVideo },
        RosterEvent::Muted { user: room(), media: MediaType::Audio },
        RosterEvent::EnteredLobby { user: "sip:guest@partner.example".into() },
        RosterEvent::SharingStarted { user: "sip:alice@contoso.example".into() },
        RosterEvent::Left { user: room() },
    ] {
        assert!(events.contains(&event), "{event:?} not in {events:#?}");
    }
    assert_eq!(conference.apply(notification(&corpus, 37)), Ok(Applied::Ended));
    assert_eq!(conference.poll_event(), Some(RosterEvent::Ended));
    assert_eq!(conference.apply(notification(&corpus, 30)), Err(MergeError::Ended));
}

#[test]
fn the_series_with_a_gap_is_a_merge_exercise() {
    let Some(corpus) = corpus() else { return };
    let mut conference = Conference::new(None, Limits::default());
    for number in 30..=33 {
        conference.apply(notification(&corpus, number)).unwrap();
    }
    let room = conference.participant("sip:room4@video.example").unwrap().user();
    assert_eq!(room.endpoints.len(), 2);
    let session = room.session(&McuType::AudioVideo).unwrap();
    assert_eq!(session.media.len(), 2);
    let (audio, video) = (session.stream("1").unwrap(), session.stream("2").unwrap());
    assert_eq!(audio.status, Some(MediaStatus::RecvOnly));
    assert!(audio.is_muted() && !video.is_muted());
    assert_eq!((&video.status, video.source_id), (&Some(MediaStatus::SendRecv), Some(103)));

    // A live subscription resubscribes, a tool that has the files goes on.
    let last = notification(&corpus, 36);
    let gap = MergeError::Gap { known: 4, received: 7 };
    assert_eq!(conference.clone().apply(last.clone()), Err(gap));
    assert!(gap.needs_full_state());
    assert_eq!(conference.gap(&last), Some(gap));
    assert_eq!(conference.force(last), Ok(Applied::Partial));
    let expected: &[(&str, &[&str])] =
        &[("Alice Example", &["focus", "audio-video"]), ("Bob Example", &["focus"])];
    assert_eq!(roster(&conference), names(expected));
}

#[test]
fn duplicates_and_latecomers_change_nothing() {
    let Some(corpus) = corpus() else { return };
    let mut conference = Conference::new(None, Limits::default());
    for number in [30, 31, 32, 33] {
        conference.apply(notification(&corpus, number)).unwrap();
    }
    let before = conference.info().clone();
    for number in [33, 32, 31] {
        assert_eq!(conference.apply(notification(&corpus, number)), Ok(Applied::Stale));
    }
    for number in [36, 95] {
        let error = conference.apply(notification(&corpus, number)).unwrap_err();
        assert!(matches!(error, MergeError::Gap { known: 4, .. }), "{error}");
    }
    assert_eq!(conference.info(), &before);
}

#[test]
fn a_partial_notification_needs_full_state_first() {
    let Some(corpus) = corpus() else { return };
    let mut conference = Conference::new(None, Limits::default());
    assert_eq!(conference.apply(notification(&corpus, 31)), Err(MergeError::NoFullState));
    let mut other = Conference::new(Some("sip:other@x".into()), Limits::default());
    assert_eq!(other.apply(notification(&corpus, 30)), Err(MergeError::OtherConference));
}
