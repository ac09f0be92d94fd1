//! Bodies of the fuzz targets. Each asserts properties, not only that nothing panics.

use std::time::{Duration, Instant};

use crate::{
    ClientAction, ClientConfig, ClientEvent, Conference, ConferenceClient, ConferenceInfo,
    Document, Endpoint, EndpointStatus, Limits, McuType, Media, MediaType, MergeError, Reason,
    Request, Response, State, User,
};

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

/// The client machine under arbitrary responses: lines of one letter, which says what comes, and
/// its content. Whatever comes, it joins once, ends once, ends what it has begun, and then waits
/// for nothing.
pub fn client(script: &[u8]) {
    let config = ClientConfig::new(FOCUS, USER, "{1}");
    let mut now = Instant::now();
    let mut client = ConferenceClient::new(config, now);
    let mut seen = Seen::default();
    seen.drain(&mut client);
    for line in script.split(|octet| *octet == b'\n').take(64) {
        let Some((what, content)) = line.split_first() else { continue };
        let number = content.first().copied().unwrap_or_default();
        let status = 100 + u16::from(number) * 3;
        match what {
            b'F' => client.handle_focus_response(status, None, content, now),
            b'f' => client.handle_focus_response(200, None, &seen.answer(number), now),
            b'S' => client.handle_subscribe_response(status, None, content, now),
            b's' => client.handle_subscribe_response(200, None, &roster(content), now),
            b'N' => drop(client.handle_notification(content, now)),
            b'n' => drop(client.handle_notification(&roster(content), now)),
            b'x' => client.handle_subscription_ended(now),
            b'I' => drop(client.handle_info(content, now)),
            b'i' => drop(client.handle_info(&seen.answer(number), now)),
            b'R' => {
                if let Some(request) = seen.requests.last() {
                    client.handle_info_response(request.request_id, status, None, content, now);
                }
            }
            b'M' => {
                if status >= 300 {
                    seen.up.clear();
                }
                client.handle_mcu_response(&McuType::AudioVideo, status, now);
            }
            b'm' => {
                seen.up.clear();
                client.handle_mcu_ended(&McuType::AudioVideo, now);
            }
            b'E' => client.handle_focus_ended(number & 1 == 0),
            b'T' => {
                now += Duration::from_secs(u64::from(number));
                client.handle_timeout(now);
            }
            b'v' => drop(client.mute(&MediaType::Audio, number & 1 == 0, now)),
            b'l' => client.leave(),
            _ => {}
        }
        seen.drain(&mut client);
        if client.has_ended() {
            assert_eq!(client.poll_timeout(), None);
            assert!(seen.ended == 1 && seen.up.is_empty());
        }
    }
}

/// What a client has said so far.
#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    up: Vec<McuType>,
    joined: bool,
    ended: usize,
}

impl Seen {
    fn drain(&mut self, client: &mut ConferenceClient) {
        while let Some(event) = client.poll_event() {
            assert_eq!(self.ended, 0, "nothing happens after the end");
            self.ended += usize::from(matches!(event, ClientEvent::Ended(_)));
            self.joined |= event == ClientEvent::Joined;
        }
        while let Some(action) = client.poll_action() {
            match action {
                ClientAction::InviteFocus { body } => {
                    assert!(self.requests.is_empty());
                    self.requests.extend(Request::parse(&body));
                }
                ClientAction::Info { body, .. } => self.requests.extend(Request::parse(&body)),
                ClientAction::InviteMcu { mcu, .. } => {
                    assert!(self.joined);
                    self.up.retain(|one| *one != mcu);
                    self.up.push(mcu);
                }
                ClientAction::EndMcu { mcu } => self.up.retain(|one| *one != mcu),
                _ => {}
            }
        }
    }

    /// An answer to the request sent last.
    fn answer(&self, number: u8) -> Vec<u8> {
        let Some(request) = self.requests.last() else { return Vec::new() };
        match number & 3 {
            0 => Response::failure_of(request, Reason::OtherFailure).to_bytes(),
            _ => Response::success_of(request).to_bytes(),
        }
    }
}

/// A notification made from few octets: version, state, own status, mute.
fn roster(content: &[u8]) -> Vec<u8> {
    let octet = |at: usize| content.get(at).copied().unwrap_or_default();
    let mut own = User::new(USER);
    own.state = (octet(2) & 8 != 0).then_some(State::Deleted);
    let mut focus = Endpoint::new("{1}", McuType::Focus);
    let waits = octet(2) & 1 != 0;
    focus.status = Some(if waits { EndpointStatus::OnHold } else { EndpointStatus::Connected });
    let mut session = Endpoint::new("{2}", McuType::AudioVideo);
    let mut audio = Media::new("1", MediaType::Audio);
    audio.ingress_filter = (octet(2) & 2 != 0).then_some(crate::MediaFilter::Block);
    session.media.push(audio);
    own.endpoints = vec![focus, session];
    let state = match octet(1) & 3 {
        0 => Some(State::Deleted),
        1 => Some(State::Full),
        _ => Some(State::Partial),
    };
    let users = crate::Users { state, list: vec![own], ..crate::Users::default() };
    let info = ConferenceInfo {
        entity: FOCUS.into(),
        state,
        version: Some(u32::from(octet(0) & 15)),
        users: (octet(2) & 4 == 0).then_some(users),
        ..ConferenceInfo::default()
    };
    info.to_bytes()
}

const FOCUS: &str = "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";
const USER: &str = "sip:room4@video.example";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_hold() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (name, body) in
            [("c3p_document", document as fn(&[u8])), ("c3p_merge", merge), ("c3p_client", client)]
        {
            for entry in std::fs::read_dir(root.join(name)).unwrap() {
                body(&std::fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }
}
