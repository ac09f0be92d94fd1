//! Proves that any series of changes, told by partial notifications, leads to the source; and that
//! what is written reads back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use linkspan_c3p::{
    Applied, Conference, ConferenceInfo, ConferenceState, Description, Element, Endpoint,
    EndpointStatus, EntityView, Limits, McuType, Media, MediaFilter, MediaStatus, MediaType,
    MergeError, Namespace, Role, State, User,
};
use proptest::prelude::*;

/// One change of a conference; numbers choose what it is about.
#[derive(Clone, Debug)]
enum Change {
    Join(u8, String),
    Leave(u8),
    Role(u8, bool),
    Rename(u8, Option<String>),
    AddSession(u8, u8),
    EndSession(u8, u8),
    Status(u8, u8, u8),
    AddMedia(u8, u8, u8),
    DropMedia(u8, u8),
    Mute(u8, bool),
    Lock(bool),
    Subject(String),
    View(u8, Option<bool>),
    Extension(u8, String),
}

fn change() -> impl Strategy<Value = Change> {
    let text = "[ -~äé\u{202e}\t\n]{0,20}";
    prop_oneof![
        3 => (0..6_u8, text).prop_map(|(user, name)| Change::Join(user, name)),
        1 => (0..6_u8).prop_map(Change::Leave),
        1 => (0..6_u8, any::<bool>()).prop_map(|(user, role)| Change::Role(user, role)),
        1 => (0..6_u8, proptest::option::of(text)).prop_map(|(u, name)| Change::Rename(u, name)),
        3 => (0..6_u8, 0..4_u8).prop_map(|(user, session)| Change::AddSession(user, session)),
        1 => (0..6_u8, 0..4_u8).prop_map(|(user, session)| Change::EndSession(user, session)),
        2 => (0..6_u8, 0..4_u8, 0..4_u8).prop_map(|(u, s, status)| Change::Status(u, s, status)),
        3 => (0..6_u8, 0..4_u8, 0..3_u8).prop_map(|(u, s, media)| Change::AddMedia(u, s, media)),
        1 => (0..6_u8, 0..4_u8).prop_map(|(user, session)| Change::DropMedia(user, session)),
        2 => (0..6_u8, any::<bool>()).prop_map(|(user, mute)| Change::Mute(user, mute)),
        1 => any::<bool>().prop_map(Change::Lock),
        1 => text.prop_map(Change::Subject),
        1 => (0..3_u8, proptest::option::of(any::<bool>())).prop_map(|(v, l)| Change::View(v, l)),
        1 => (0..6_u8, text).prop_map(|(user, text)| Change::Extension(user, text)),
    ]
}

fn apply(info: &mut ConferenceInfo, change: &Change) {
    let list = &mut info.users.get_or_insert_default().list;
    let key = |user: &u8| format!("sip:user{user}@contoso.example");
    let find = |list: &mut Vec<User>, user: &u8| {
        let key = key(user);
        list.iter().position(|one| one.entity == *key)
    };
    let session_key = |session: &u8| format!("{{{session}}}");
    let endpoint = |list: &mut Vec<User>, user: &u8, session: &u8| {
        let at = find(list, user)?;
        let key = session_key(session);
        let inner = list[at].endpoints.iter().position(|one| one.entity == *key)?;
        Some((at, inner))
    };
    match change {
        Change::Join(user, name) => {
            if find(list, user).is_none() {
                let display_text = Some(name.as_str().into());
                list.push(User { display_text, ..User::new(&key(user)) });
            }
        }
        Change::Leave(user) => list.retain(|one| one.entity != *key(user)),
        Change::Role(user, presents) => {
            if let Some(at) = find(list, user) {
                let role = if *presents { Role::Presenter } else { Role::Attendee };
                list[at].roles = Some(vec![role]);
            }
        }
        Change::Rename(user, name) => {
            if let Some(at) = find(list, user) {
                list[at].display_text = name.as_ref().map(|name| name.as_str().into());
            }
        }
        Change::AddSession(user, session) => {
            if let Some(at) = find(list, user)
                && endpoint(list, user, session).is_none()
            {
                let kinds = [McuType::Focus, McuType::AudioVideo, McuType::Chat, McuType::DataConf];
                let kind = kinds[usize::from(*session)].clone();
                list[at].endpoints.push(Endpoint::new(&session_key(session), kind));
            }
        }
        Change::EndSession(user, session) => {
            if let Some((at, inner)) = endpoint(list, user, session) {
                list[at].endpoints.remove(inner);
            }
        }
        Change::Status(user, session, status) => {
            if let Some((at, inner)) = endpoint(list, user, session) {
                let all = ["connected", "on-hold", "disconnected", "new-in-2031"];
                list[at].endpoints[inner].status =
                    Some(EndpointStatus::from(all[usize::from(*status)]));
            }
        }
        Change::AddMedia(user, session, media) => {
            if let Some((at, inner)) = endpoint(list, user, session) {
                let streams = &mut list[at].endpoints[inner].media;
                let id = media.to_string();
                if streams.iter().all(|one| one.id != id.as_str()) {
                    let mut stream = Media::new(&id, MediaType::Audio);
                    stream.source_id = Some(u32::from(*media) + 100);
                    stream.label = Some("main-audio".into());
                    streams.push(stream);
                }
            }
        }
        Change::DropMedia(user, session) => {
            if let Some((at, inner)) = endpoint(list, user, session) {
                list[at].endpoints[inner].media.pop();
            }
        }
        Change::Mute(user, mute) => {
            if let Some(at) = find(list, user) {
                let streams = list[at].endpoints.iter_mut().flat_map(|one| &mut one.media);
                for stream in streams {
                    let filter = if *mute { MediaFilter::Block } else { MediaFilter::Unblock };
                    stream.ingress_filter = Some(filter);
                    stream.status = Some(MediaStatus::RecvOnly);
                }
            }
        }
        Change::Lock(locked) => {
            info.conference_state =
                Some(ConferenceState { locked: Some(*locked), ..ConferenceState::default() });
        }
        Change::Subject(subject) => {
            let subject = Some(subject.as_str().into());
            info.description = Some(Description { subject, ..Description::default() });
        }
        Change::View(view, locked) => {
            let views = &mut info.view.get_or_insert_default().views;
            let key = format!("sip:mcu{view}@x");
            let at = views.iter().position(|one| one.entity == *key);
            match (at, locked) {
                (Some(at), None) => drop(views.remove(at)),
                (_, Some(locked)) => {
                    let msci = Namespace::ConfInfoExtensions;
                    let locked =
                        Element::new(msci.clone(), "locked").with_text(&locked.to_string());
                    let state = Element::new(msci, "entity-state").with_child(locked);
                    let mut new =
                        EntityView { entity: key.as_str().into(), ..EntityView::default() };
                    new.extensions.elements_mut().push(state);
                    match at {
                        Some(at) => views[at] = new,
                        None => views.push(new),
                    }
                }
                (None, None) => {}
            }
        }
        Change::Extension(user, text) => {
            if let Some(at) = find(list, user) {
                let name = Namespace::from("urn:example:unknown");
                let element = Element::new(name.clone(), "note")
                    .with_attribute(name, "kind", text)
                    .with_attribute(Namespace::None, "plain", "1")
                    .with_child(Element::new(Namespace::None, "inner"));
                *list[at].extensions.elements_mut() = vec![element];
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn partial_notifications_lead_to_the_source(
        changes in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..20),
    ) {
        let entity = "sip:focus@contoso.example";
        let mut source = ConferenceInfo {
            entity: entity.into(), version: Some(1), ..ConferenceInfo::default()
        };
        let mut conference = Conference::new(Some(entity.into()), Limits::default());
        conference.apply(source.clone()).unwrap();
        for (changes, version) in changes.iter().zip(2_u32..) {
            let mut next = source.clone();
            changes.iter().for_each(|change| apply(&mut next, change));
            next.version = Some(version);
            let mut notification = source.diff(&next).unwrap_or_else(|| next.clone());
            notification.version = Some(version);
            // Over the wire, not only as a value.
            let notification = ConferenceInfo::parse(&notification.to_bytes()).unwrap();
            let is_partial = notification.state == Some(State::Partial);
            let applied = conference.apply(notification.clone()).unwrap();
            prop_assert_eq!(applied, if is_partial { Applied::Partial } else { Applied::Full });
            prop_assert_eq!(conference.info(), &next);
            if is_partial {
                // Again, and too early.
                prop_assert_eq!(conference.apply(notification.clone()), Ok(Applied::Stale));
                let early = ConferenceInfo { version: Some(version + 2), ..notification };
                let gap = MergeError::Gap { known: version, received: version + 2 };
                prop_assert_eq!(conference.apply(early), Err(gap));
                prop_assert_eq!(conference.info(), &next);
            }
            while conference.poll_event().is_some() {}
            source = next;
        }
    }

    #[test]
    fn text_of_any_kind_reads_back(text in "\\PC{0,60}") {
        let user = User { display_text: Some(text.as_str().into()), ..User::new(&text) };
        let mut info = ConferenceInfo { entity: text.as_str().into(), ..Default::default() };
        info.users.get_or_insert_default().list.push(user);
        let read = ConferenceInfo::parse(&info.to_bytes()).unwrap();
        prop_assert_eq!(read.users()[0].display_text.as_deref(), Some(text.as_str()));
        prop_assert_eq!(read, info);
    }

    /// An independent reader is the judge of what is XML: whatever is taken here it takes too.
    #[test]
    fn nothing_is_taken_that_is_not_xml(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), edit()), 1..6),
    ) {
        let mut document = include_str!("data/notify-full.xml").to_owned();
        for (at, (length, text)) in edits {
            // What a declaration says is of no account here: the octets decide the encoding.
            let body = document.find("?>").map_or(0, |end| end + 2);
            let boundaries = document.char_indices().map(|(at, _)| at);
            let boundaries: Vec<usize> = boundaries.filter(|at| *at > body).collect();
            let at = *at.get(&boundaries);
            let end = boundaries.iter().find(|one| **one >= at + length).unwrap_or(&at);
            document.replace_range(at..*end, &text);
        }
        if let Ok(info) = ConferenceInfo::parse(document.as_bytes()) {
            let read = roxmltree::Document::parse(&document);
            prop_assert!(read.is_ok(), "{:?}: {document}", read.err());
            let users = read.unwrap().descendants().filter(|one| one.has_tag_name((
                "urn:ietf:params:xml:ns:conference-info", "user",
            ))).count();
            prop_assert!(users >= info.users().len());
        }
    }
}

/// A replacement of a few octets by a scrap of markup.
fn edit() -> impl Strategy<Value = (usize, String)> {
    let scrap = prop_oneof![
        "[ -~]{0,4}",
        proptest::sample::select(vec![
            "<",
            ">",
            "/>",
            "</",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?x ",
            "?>",
            "&amp;",
            "&#0;",
            "&#x41;",
            "&",
            "'",
            "\"",
            "=",
            " a=\"1\"",
            " xmlns:z='u'",
            "z:",
            ":",
            "<z:a/>",
            "\r\n",
            "<a b='<'/>",
            "<user entity='x'/>",
            "</user>",
            "<!DOCTYPE a>",
        ])
        .prop_map(str::to_owned),
    ];
    (0..6_usize, scrap)
}
