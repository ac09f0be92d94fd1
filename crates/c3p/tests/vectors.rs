//! Proves that every document of the C3P corpus is read and written back as equivalent XML, and
//! that the bad ones are refused for the stated reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use linkspan_c3p::{Document, ParseErrorKind};

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
fn nothing_shorter_is_a_document() {
    let Some(corpus) = corpus() else { return };
    for (name, octets) in corpus.values() {
        let end = octets.trim_ascii_end().len();
        for cut in 0..end {
            assert!(Document::parse(&octets[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}
