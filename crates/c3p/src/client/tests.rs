use std::time::{Duration, Instant};

use super::*;
use crate::{
    CommandBody, ConferenceInfo, ConferenceUri, Diagnostic, Endpoint, EndpointStatus, Failure,
    Focus, FocusConfig, FocusEvent, Limits, LobbyAccess, MediaFilter, Reason, Response,
    SubscriptionId,
};

const ALICE: &str = "sip:alice@contoso.example";
const ROOM: &str = "sip:room4@video.example";

/// A focus, and clients that talk to it in octets.
struct World {
    now: Instant,
    focus: Focus,
    uri: String,
    clients: Vec<Peer>,
}

struct Peer {
    client: ConferenceClient,
    subscription: Option<SubscriptionId>,
    mcus: Vec<McuType>,
    events: Vec<ClientEvent>,
    /// Notifications that are lost on the way.
    lose: usize,
}

impl World {
    fn new() -> Self {
        let uri = ConferenceUri::focus("alice@contoso.example", "K7Q2M4ZD");
        let focus = Focus::new(FocusConfig::new(uri.clone(), "Weekly"), Limits::default());
        Self { now: Instant::now(), focus, uri: uri.to_string(), clients: Vec::new() }
    }

    fn join(&mut self, user: &str) -> usize {
        let config = ClientConfig::new(&self.uri, user, "{1}").with_display_name("Somebody");
        let client = ConferenceClient::new(config, self.now);
        let (subscription, mcus, events) = (None, Vec::new(), Vec::new());
        self.clients.push(Peer { client, subscription, mcus, events, lose: 0 });
        self.settle();
        self.clients.len() - 1
    }

    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for at in 0..self.clients.len() {
                while let Some(action) = self.clients[at].client.poll_action() {
                    quiet = false;
                    self.act(at, action);
                }
                while let Some(event) = self.clients[at].client.poll_event() {
                    self.clients[at].events.push(event);
                }
            }
            while let Some((to, info)) = self.focus.poll_notification() {
                quiet = false;
                let peers = &mut self.clients;
                let Some(peer) = peers.iter_mut().find(|one| one.subscription == Some(to)) else {
                    continue;
                };
                if peer.lose > 0 {
                    peer.lose -= 1;
                } else {
                    peer.client.handle_notification(&info.to_bytes(), self.now);
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn act(&mut self, at: usize, action: ClientAction) {
        let now = self.now;
        let peer = &mut self.clients[at];
        let user = peer.client.config().user.to_string();
        match action {
            ClientAction::InviteFocus { body } => {
                let request = Request::parse(&body).unwrap();
                let response = self.focus.handle_request(&user, &request).unwrap();
                let status = if response.code == crate::ResponseCode::Success { 200 } else { 403 };
                peer.client.handle_focus_response(status, None, &response.to_bytes(), now);
            }
            ClientAction::Subscribe { refresh } => {
                let full = match (refresh, peer.subscription) {
                    (true, Some(id)) => self.focus.refresh(id).unwrap(),
                    _ => {
                        let (id, full) = self.focus.subscribe(&user).unwrap();
                        peer.subscription = Some(id);
                        full
                    }
                };
                let expires = Some(Duration::from_secs(600));
                peer.client.handle_subscribe_response(200, expires, &full.to_bytes(), now);
            }
            ClientAction::InviteMcu { mcu, uri } => {
                assert!(uri.contains(":audio-video:"), "{uri}");
                peer.mcus.push(mcu.clone());
                peer.client.handle_mcu_response(&mcu, 200, now);
                let mut session = Endpoint::new(&format!("{{{user}}}"), mcu);
                session.status = Some(EndpointStatus::Connected);
                session.media.push(Media::new("1", MediaType::Audio));
                self.focus.session_changed(&user, session).unwrap();
            }
            ClientAction::Info { id, body } => {
                let request = Request::parse(&body).unwrap();
                peer.client.handle_info_response(id, 202, None, b"", now);
                let response = self.focus.handle_request(&user, &request).unwrap();
                peer.client.handle_info(&response.to_bytes(), now).unwrap();
            }
            ClientAction::EndMcu { mcu } => peer.mcus.retain(|one| *one != mcu),
            ClientAction::Unsubscribe => {
                self.focus.unsubscribe(peer.subscription.take().unwrap());
            }
            ClientAction::EndFocus => self.focus.user_left(&user),
        }
    }

    fn ended(&self, at: usize) -> Option<&ClientEnd> {
        match self.clients[at].events.last()? {
            ClientEvent::Ended(end) => Some(end),
            _ => None,
        }
    }

    fn has(&self, at: usize, event: &ClientEvent) -> bool {
        self.clients[at].events.contains(event)
    }

    fn wait(&mut self, at: usize) {
        self.now = self.clients[at].client.poll_timeout().unwrap();
        self.clients[at].client.handle_timeout(self.now);
        self.settle();
    }
}

#[test]
fn joins_is_muted_mutes_itself_and_is_removed() {
    let mut world = World::new();
    let (alice, room) = (world.join(ALICE), world.join(ROOM));
    assert!(world.has(room, &ClientEvent::Accepted { role: Some(Role::Attendee) }));
    assert!(world.has(room, &ClientEvent::Joined));
    assert_eq!(world.clients[room].mcus, [McuType::AudioVideo]);
    assert_eq!(world.clients[alice].client.conference().participants().count(), 2);

    let now = world.now;
    world.clients[alice].client.mute_user(ROOM, &MediaType::Audio, true, now).unwrap();
    world.settle();
    let muted = |muted| ClientEvent::OwnMute { media: MediaType::Audio, muted };
    assert!(world.has(room, &muted(true)));
    assert!(matches!(world.focus.poll_event(), Some(FocusEvent::SetFilter { ingress, .. })
        if ingress == MediaFilter::Block));
    world.clients[room].client.mute(&MediaType::Audio, false, now).unwrap();
    world.settle();
    assert!(world.has(room, &muted(false)));

    assert!(world.clients[room].client.remove(ALICE, now).is_ok());
    world.settle();
    assert!(world.clients[room].events.iter().any(|event| matches!(event,
        ClientEvent::Command(RequestEvent::Failed { failure: Failure::Reply(reply), .. })
            if reply.reason == Some(Reason::Unauthorized))));
    world.clients[alice].client.remove(ROOM, now).unwrap();
    world.settle();
    world.clients[room].client.handle_focus_ended(true);
    world.settle();
    assert_eq!(world.ended(room), Some(&ClientEnd::Removed));
    assert!(world.clients[room].mcus.is_empty());
    assert_eq!(world.clients[room].client.poll_timeout(), None);
    let again = world.clients[room].client.mute(&MediaType::Audio, true, now);
    assert_eq!(again, Err(ClientError::NotJoined));
}

#[test]
fn servers_that_speak_psom_are_never_called() {
    let mut world = World::new();
    let mut config = ClientConfig::new(&world.uri, ROOM, "{1}");
    config.modalities = vec![McuType::DataConf, McuType::AudioVideo, McuType::Meeting];
    let client = ConferenceClient::new(config, world.now);
    let (subscription, mcus, events) = (None, Vec::new(), Vec::new());
    world.clients.push(Peer { client, subscription, mcus, events, lose: 0 });
    world.settle();
    assert_eq!(world.clients[0].mcus, [McuType::AudioVideo]);
}

#[test]
fn waits_in_the_lobby_and_is_let_in_or_gives_up() {
    let mut world = World::new();
    let alice = world.join(ALICE);
    let now = world.now;
    world.clients[alice].client.lock(true, now).unwrap();
    world.settle();
    let room = world.join(ROOM);
    assert!(world.has(room, &ClientEvent::InLobby) && world.clients[room].mcus.is_empty());
    assert!(world.clients[room].client.is_in_lobby());
    // A server that is called too early refuses: the focus dialog stays.
    world.clients[room].client.handle_mcu_response(&McuType::AudioVideo, 403, now);
    world.clients[alice].client.admit(&[ROOM], LobbyAccess::Granted, now).unwrap();
    world.settle();
    assert!(world.has(room, &ClientEvent::Joined));
    assert_eq!(world.clients[room].mcus, [McuType::AudioVideo]);
    world.clients[room].client.leave();
    world.settle();
    assert_eq!(world.ended(room), Some(&ClientEnd::Left));

    let late = world.join("sip:late@video.example");
    while world.ended(late).is_none() {
        world.wait(late);
    }
    assert_eq!(world.ended(late), Some(&ClientEnd::LobbyTimeout));
    assert_eq!(world.ended(late).map(ClientEnd::sip_status), Some(480));
}

#[test]
fn a_gap_is_closed_by_one_refresh_after_a_pause() {
    let mut world = World::new();
    let (alice, room) = (world.join(ALICE), world.join(ROOM));
    world.clients[room].lose = 1;
    let now = world.now;
    for locked in [true, false, true] {
        world.clients[alice].client.lock(locked, now).unwrap();
        world.settle();
    }
    assert!(!world.clients[room].client.conference().is_locked());
    assert_eq!(world.clients[room].client.poll_timeout(), Some(now + Duration::from_secs(5)));
    world.wait(room);
    assert!(world.clients[room].client.conference().is_locked());
    let version = world.clients[room].client.conference().version();
    world.wait(room);
    assert!(world.clients[room].client.conference().version() > version, "refreshed at half time");
}

#[test]
fn refusals_have_their_status() {
    let mut world = World::new();
    let config = || ClientConfig::new(&world.uri, ROOM, "{1}");
    let now = world.now;
    let body = |reason: Reason| {
        let request = join_request(&world.uri, ROOM, "{1}", "", true);
        let mut response = Response::failure_of(&request, reason);
        response.request_id = RequestId(1);
        response.to_bytes()
    };
    let mut failed = Vec::new();
    for (status, diagnostic, body, told) in [
        (404, None, Vec::new(), 404),
        (403, Some(Diagnostic::Unauthorized), Vec::new(), 403),
        (400, None, body(Reason::MaximumMeetingSizeExceeded), 486),
        (200, None, body(Reason::ConferenceDoesntExist), 404),
        (200, None, Vec::new(), 502),
        (503, None, b"<oops".to_vec(), 503),
    ] {
        let mut client = ConferenceClient::new(config(), now);
        assert!(matches!(client.poll_action(), Some(ClientAction::InviteFocus { .. })));
        client.handle_focus_response(status, diagnostic, &body, now);
        let Some(ClientEvent::Ended(end)) = client.poll_event() else { panic!("{status}") };
        let bye = client.poll_action();
        let expected = (status < 300).then_some(ClientAction::EndFocus);
        if (end.sip_status(), bye) != (told, expected) {
            failed.push((status, end));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
    // Nobody answers at all.
    let mut client = ConferenceClient::new(config(), now);
    client.poll_action();
    world.now = client.poll_timeout().unwrap();
    client.handle_timeout(world.now);
    assert_eq!(client.poll_action(), Some(ClientAction::EndFocus));
    assert!(
        matches!(client.poll_event(), Some(ClientEvent::Ended(end)) if end.sip_status() == 504)
    );
}

#[test]
fn a_server_that_fails_over_is_called_again_for_half_a_minute() {
    let mut world = World::new();
    world.join(ALICE);
    let room = world.join(ROOM);
    let client = &mut world.clients[room].client;
    client.handle_mcu_ended(&McuType::AudioVideo, world.now);
    let mut calls = 0;
    let failed = loop {
        let now = client.poll_timeout().unwrap();
        client.handle_timeout(now);
        while let Some(action) = client.poll_action() {
            if let ClientAction::InviteMcu { mcu, .. } = action {
                calls += 1;
                client.handle_mcu_response(&mcu, 503, now);
            }
        }
        if let Some(event @ ClientEvent::SessionFailed { .. }) = client.poll_event() {
            assert!(now <= world.now + Duration::from_secs(30));
            break event;
        }
    };
    assert_eq!(failed, ClientEvent::SessionFailed { mcu: McuType::AudioVideo, status: 503 });
    assert!((3..6).contains(&calls) && !client.has_ended());
}

#[test]
fn a_focus_that_asks_for_something_is_told_that_nothing_is_implemented() {
    let mut world = World::new();
    let room = world.join(ROOM);
    let keys = crate::ConferenceKeys::new(&world.uri);
    let command = crate::Command::new(CommandBody::GetConference(keys));
    let request = Request::new(RequestId(9), &world.uri, ROOM, command);
    let client = &mut world.clients[room].client;
    let refused = client.handle_info(&request.to_bytes(), world.now);
    assert_eq!(refused, Err(Diagnostic::NotImplemented));
    let forged = Response::success_of(&join_request("sip:else@x", ROOM, "{1}", "", true));
    let refused = client.handle_info(&forged.to_bytes(), world.now);
    assert_eq!(refused, Err(Diagnostic::InvalidFrom));
    assert_eq!(client.handle_notification(b"<nonsense/>", world.now), 400);
    let other = ConferenceInfo { entity: "sip:other@x".into(), ..ConferenceInfo::default() };
    assert_eq!(client.handle_notification(&other.to_bytes(), world.now), 400);
}
