//! Bodies of the fuzz targets. Each asserts properties, not only that nothing panics.

use crate::{Conference, ConferenceInfo, Document, Limits, MergeError};

/// Any document: what is read is written as something that reads back the same, and writing it
/// again changes nothing.
pub fn document(octets: &[u8]) {
    let Ok(document) = Document::parse(octets) else { return };
    let written = document.to_bytes();
    let again = Document::parse(&written);
    assert_eq!(again.as_ref(), Ok(&document));
    assert_eq!(again.map(|again| again.to_bytes()), Ok(written));
}

/// A series of notifications, separated by NUL: the merged document keeps to its limits, has no
/// member twice, and is a document.
pub fn merge(octets: &[u8]) {
    let limits = Limits { users: 8, members: 8, ..Limits::default() };
    let mut conference = Conference::new(None, limits.clone());
    for part in octets.split(|octet| *octet == 0).take(32) {
        let Ok(info) = ConferenceInfo::parse_with(part, &limits) else { continue };
        let before = conference.info().clone();
        match conference.apply(info.clone()) {
            Err(MergeError::Gap { .. } | MergeError::NoFullState | MergeError::OtherConference) => {
                assert_eq!(conference.info(), &before);
            }
            Err(_) => {}
            Ok(_) => {
                let merged = conference.info();
                assert!(merged.users().len() <= limits.users);
                for (at, user) in merged.users().iter().enumerate() {
                    assert!(merged.users().iter().take(at).all(|one| one.entity != user.entity));
                    assert!(conference.participant(&user.entity).is_some());
                }
                let mut normal = merged.clone();
                normal.normalize();
                assert_eq!(&normal, merged);
                assert_eq!(ConferenceInfo::parse(&merged.to_bytes()).as_ref(), Ok(merged));
            }
        }
        while conference.poll_event().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_hold() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, body) in [("c3p_document", document as fn(&[u8])), ("c3p_merge", merge)] {
            for entry in std::fs::read_dir(root.join(name)).unwrap() {
                body(&std::fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }
}
