//! Proves that callers of the standards side take part in Lync conferences, and Lync users in
//! those of the standards side: joined, waiting, muted, removed, and seen on the roster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod world;

use std::time::{Duration, Instant};

use linkspan_c3p as c3p;
use linkspan_gateway::{ConferenceAlias, Config, GatewayEvent, Side, StreamKind};
use linkspan_sip as sip;
use linkspan_testnet::Link;
use world::focus_host::FocusHost;
use world::{Behaviour, World, config};

use c3p::{
    ClientAction, ClientConfig, Conference, ConferenceClient, ConferenceInfo, ConferenceUri,
    EndpointStatus, FocusConfig, FocusEvent, MediaType, RosterEvent,
};

const ALICE: &str = "sip:alice@example.test";
const ROOM: &str = "sip:room7@video.example.test";

/// A conference of Alice's, who is there already, and the way to it.
fn conference(seed: u64) -> (World, ConferenceClient) {
    let uri = ConferenceUri::focus("alice@example.test", "K7Q2M4ZD");
    let mut alias = ConferenceAlias::new("meet.example.test".parse().unwrap());
    alias.user = Some("weekly".into());
    alias.focus = Some(uri.to_string());
    let mut config: Config = config();
    config.conferences.push(alias);
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    let mut world = World::new(seed, config, lync, standard, Link::default());
    let host = FocusHost::new(FocusConfig::new(uri.clone(), "Weekly"), world.lync.contact());
    world.lync.focus = Some(host);
    let client_config = ClientConfig::new(&uri.to_string(), ALICE, "{A}");
    let mut alice = ConferenceClient::new(client_config, world.now);
    present(&mut world, &mut alice);
    (world, alice)
}

/// Alice's client speaks to the focus directly.
fn present(world: &mut World, alice: &mut ConferenceClient) {
    let now = world.now;
    let host = world.lync.focus.as_mut().unwrap();
    while let Some(action) = alice.poll_action() {
        match action {
            ClientAction::InviteFocus { body } => {
                let request = c3p::Request::parse(&body).unwrap();
                let response = host.focus().handle_request(ALICE, &request).unwrap();
                alice.handle_focus_response(200, None, &response.to_bytes(), now);
            }
            ClientAction::Subscribe { .. } => {
                let (_, full) = host.focus().subscribe(ALICE).unwrap();
                alice.handle_subscribe_response(200, None, &full.to_bytes(), now);
            }
            ClientAction::Info { body, .. } => {
                let request = c3p::Request::parse(&body).unwrap();
                let response = host.focus().handle_request(ALICE, &request).unwrap();
                assert_eq!(response.code, c3p::ResponseCode::Success);
                alice.handle_info(&response.to_bytes(), now).unwrap();
            }
            _ => {}
        }
    }
    // What the focus tells: Alice too, whose subscription has no dialog.
    let info = host.focus().info().clone();
    let full = ConferenceInfo { state: Some(c3p::State::Full), version: None, ..info };
    alice.handle_notification(&full.to_bytes(), now);
    host.drive(&mut world.lync.ua, now);
    world.drain();
}

fn dial(world: &mut World, uri: &str, seconds: u64) {
    let now = world.now;
    world.standard.place_call(uri, now);
    world.run_for(Duration::from_secs(seconds));
}

fn roster(world: &mut World) -> Vec<(String, bool, bool)> {
    let focus = world.lync.focus.as_mut().unwrap().focus();
    let users = focus.info().users().iter().map(c3p::Participant::new);
    let line = |one: c3p::Participant<'_>| {
        (one.entity().to_string(), one.is_connected(), one.is_muted(&MediaType::Audio))
    };
    users.map(line).collect()
}

fn told(world: &World, change: &RosterEvent) -> bool {
    world.events.iter().any(|e| matches!(e, GatewayEvent::Roster { change: c, .. } if c == change))
}

#[test]
fn a_caller_is_seen_muted_and_removed() {
    let (mut world, mut alice) = conference(41);
    dial(&mut world, "sip:weekly@meet.example.test", 4);
    assert_eq!(world.standard.heard, ["180", "200"], "{:#?}", world.tail());
    let contact = world.standard.responses[1].headers.first("Contact").unwrap().to_owned();
    assert!(contact.contains("isfocus") && !contact.contains("opaque"), "{contact}");
    let room = roster(&mut world).into_iter().find(|one| one.0 == ROOM);
    assert_eq!(room, Some((ROOM.into(), true, false)));
    assert!(told(&world, &RosterEvent::Joined { user: ALICE.into(), from_lobby: false }));
    let call = world.gateway.calls().next().unwrap();
    assert_eq!(world.gateway.conference(call).unwrap().participants().count(), 2);

    // Muted by Alice: nothing more of the room's sound reaches the conferencing server.
    let heard = |world: &mut World| world.lync.stream(StreamKind::Audio).received_audio.len();
    assert!(heard(&mut world) > 50);
    present(&mut world, &mut alice);
    alice.mute_user(ROOM, &MediaType::Audio, true, world.now).unwrap();
    present(&mut world, &mut alice);
    world.run_for(Duration::from_secs(1));
    let before = heard(&mut world);
    world.run_for(Duration::from_secs(2));
    assert_eq!(heard(&mut world), before, "{:#?}", world.tail());
    assert!(told(&world, &RosterEvent::Muted { user: ROOM.into(), media: MediaType::Audio }));
    alice.mute_user(ROOM, &MediaType::Audio, false, world.now).unwrap();
    present(&mut world, &mut alice);
    world.run_for(Duration::from_secs(2));
    assert!(heard(&mut world) > before + 50);

    alice.remove(ROOM, world.now).unwrap();
    present(&mut world, &mut alice);
    world.run_to_end();
    let bye = world.standard.requests.last().unwrap();
    let reason = bye.headers.first("Reason").unwrap_or_default();
    assert!(bye.method == sip::Method::Bye && reason.contains("removed by the host"), "{bye:?}");
    assert_eq!(roster(&mut world).len(), 1);
    assert_eq!((world.bound(), world.lync.ua.session_count()), (0, 0), "{:#?}", world.tail());
}

#[test]
fn a_caller_without_an_offer_joins_with_what_the_conference_has() {
    for codec in [false, true] {
        let (mut world, _alice) = conference(42);
        world.standard.behaviour.delayed = true;
        if codec {
            // Its answer takes less: the conferencing server hears of it by a re-INVITE.
            world.standard.behaviour.one_codec = true;
            world.standard.behaviour.video = false;
            world.standard.profile_changed();
        }
        dial(&mut world, "sip:weekly@meet.example.test", 6);
        assert_eq!(world.standard.heard, ["180", "200"], "{:#?}", world.tail());
        let offer = &world.standard.offers[0];
        assert_eq!(offer.media.len(), 2, "{offer}");
        for side in [Side::Lync, Side::Standard] {
            let heard = world.endpoint(side).stream(StreamKind::Audio).received_audio.len();
            assert!(heard > 100, "{side} {heard} {:#?}", world.tail());
        }
        if codec {
            let agreed = world.lync.agreed.clone().unwrap();
            assert_eq!(agreed.media[0].codecs[0].codec.name, "PCMA");
            assert!(!agreed.media[1].accepted);
        }
        assert!(roster(&mut world).iter().any(|one| one.0 == ROOM && one.1));
        let now = world.now;
        world.standard.hang_up(now);
        world.run_to_end();
        assert_eq!(roster(&mut world).len(), 1);
        assert_eq!((world.bound(), world.lync.ua.session_count()), (0, 0), "{:#?}", world.tail());
    }
}

#[test]
fn a_caller_leaves_by_hanging_up() {
    let (mut world, _alice) = conference(42);
    // The address of the focus itself needs no alias.
    dial(&mut world, "sip:alice@example.test;gruu;opaque=app:conf:focus:id:K7Q2M4ZD", 3);
    assert_eq!(roster(&mut world).len(), 2, "{:#?}", world.tail());
    let now = world.now;
    world.standard.hang_up(now);
    world.run_to_end();
    assert_eq!(roster(&mut world).len(), 1);
    assert_eq!((world.bound(), world.lync.ua.session_count()), (0, 0));
}

#[test]
fn a_caller_waits_in_the_lobby_and_is_let_in_or_turned_away() {
    for (seed, access) in [(43, c3p::LobbyAccess::Granted), (44, c3p::LobbyAccess::Denied)] {
        let (mut world, mut alice) = conference(seed);
        alice.lock(true, world.now).unwrap();
        present(&mut world, &mut alice);
        dial(&mut world, "sip:weekly@meet.example.test", 70);
        let queued = world.standard.heard.iter().filter(|one| *one == "182").count();
        assert_eq!((queued, world.standard.heard.len()), (2, 2), "{:?}", world.standard.heard);
        assert!(world.lync.offers.is_empty(), "no media before the host says so");
        let granted = access == c3p::LobbyAccess::Granted;
        alice.admit(&[ROOM], access, world.now).unwrap();
        present(&mut world, &mut alice);
        world.run_for(Duration::from_secs(3));
        let last = if granted { "200" } else { "403" };
        assert_eq!(world.standard.heard.last().unwrap(), last, "{:#?}", world.tail());
        if granted {
            let now = world.now;
            world.standard.hang_up(now);
        }
        world.run_to_end();
        assert_eq!((world.bound(), world.lync.ua.session_count()), (0, 0));
    }
}

#[test]
fn nobody_opens_the_lobby_and_the_conference_may_not_exist() {
    let (mut world, mut alice) = conference(45);
    alice.lock(true, world.now).unwrap();
    present(&mut world, &mut alice);
    dial(&mut world, "sip:weekly@meet.example.test", 620);
    assert_eq!(world.standard.heard.last().unwrap(), "480", "{:#?}", world.tail());
    world.run_to_end();

    let (mut world, mut alice) = conference(46);
    let keys = c3p::ConferenceKeys::new(&alice.config().focus);
    let over = c3p::Command::new(c3p::CommandBody::DeleteConference(keys));
    alice.command(over, world.now).unwrap();
    present(&mut world, &mut alice);
    dial(&mut world, "sip:weekly@meet.example.test", 3);
    assert_eq!(world.standard.heard, ["404"], "{:#?}", world.tail());
    world.run_to_end();
    // Whiteboards are not for SIP.
    let (mut world, _alice) = conference(50);
    let data = "sip:alice@example.test;gruu;opaque=app:conf:data-conf:id:K7Q2M4ZD";
    dial(&mut world, data, 3);
    assert_eq!(world.standard.heard, ["488"], "{:#?}", world.tail());
    // A caller who gives up while the focus is asked.
    let (mut world, _alice) = conference(47);
    let now = world.now;
    world.standard.place_call("sip:weekly@meet.example.test", now);
    world.run_for(Duration::from_millis(12));
    let now = world.now;
    world.standard.hang_up(now);
    world.run_to_end();
    assert_eq!((world.bound(), world.lync.ua.session_count()), (0, 0), "{:#?}", world.tail());
}

#[test]
fn a_caller_sees_the_roster_and_adds_and_removes_others() {
    let (mut world, mut alice) = conference(48);
    dial(&mut world, "sip:weekly@meet.example.test", 3);
    let session = world.standard.call.unwrap();
    subscribe(&mut world, Side::Standard, "sip:weekly@198.51.100.80");
    let mut shown = Conference::new(None, c3p::Limits::default());
    notified(&mut world, Side::Standard, &mut shown);
    assert_eq!(shown.participants().count(), 2);
    let text = String::from_utf8(shown.info().to_bytes()).unwrap();
    assert!(!text.contains("opaque") && text.contains("moderator"), "{text}");
    present(&mut world, &mut alice);
    alice.mute_user(ROOM, &MediaType::Audio, true, world.now).unwrap();
    present(&mut world, &mut alice);
    world.run_for(Duration::from_secs(1));
    notified(&mut world, Side::Standard, &mut shown);
    let own = shown.participant(ROOM).unwrap().user();
    assert_eq!(own.endpoints[0].status, Some(EndpointStatus::MutedViaFocus));

    // An attendee may have nobody called in; a presenter may, and remove them again.
    assert_eq!(refer(&mut world, session, "sip:carol@example.test"), "SIP/2.0 403 Forbidden");
    alice.set_role(ROOM, c3p::Role::Presenter, world.now).unwrap();
    present(&mut world, &mut alice);
    world.run_for(Duration::from_secs(1));
    assert_eq!(refer(&mut world, session, "sip:carol@example.test"), "SIP/2.0 200 OK");
    let gone = "sip:nobody@example.test;method=BYE";
    assert_eq!(refer(&mut world, session, gone), "SIP/2.0 404 Not Found");
    let now = world.now;
    world.standard.hang_up(now);
    world.run_to_end();
}

#[test]
fn a_lync_user_sees_the_roster_of_a_bridge() {
    let (lync, standard) = (Behaviour::of(Side::Lync), Behaviour::of(Side::Standard));
    let mut world = World::new(49, config(), lync, standard, Link::default());
    world.standard.is_focus = true;
    let now = world.now;
    world.lync.place_call("sip:bridge@video.example.test", now);
    world.run_for(Duration::from_secs(3));
    assert!(world.standard.heard.contains(&"SUBSCRIBE".into()), "{:#?}", world.tail());
    let body = |version: u32, state: &str, users: &str| {
        format!(
            "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
             entity=\"sip:bridge@video.example.test\" state=\"{state}\" version=\"{version}\">\
             <users state=\"{state}\">{users}</users></conference-info>"
        )
    };
    let user = |name: &str, status: &str| {
        format!(
            "<user entity=\"sip:{name}@x\"><display-text>{name}</display-text><roles><entry>\
             moderator</entry></roles><endpoint entity=\"sip:{name}@x\"><status>{status}</status>\
             <media id=\"1\"><type>audio</type></media></endpoint></user>"
        )
    };
    let notify = |world: &mut World, body: String| {
        let body = Some(sip::Body::new(c3p::CONFERENCE_INFO_XML, body));
        let (reader, now) = (world.standard.reader.unwrap(), world.now);
        let (ua, state) = (&mut world.standard.ua, sip::SubscriptionState::Active);
        ua.notify(reader, &state, &sip::Headers::new(), body, now).unwrap();
        world.run_for(Duration::from_secs(1));
    };
    notify(&mut world, body(1, "full", &user("ann", "connected")));
    assert!(told(&world, &RosterEvent::Joined { user: "sip:ann@x".into(), from_lobby: false }));

    let session = world.lync.call.unwrap();
    let mut headers = sip::Headers::new();
    headers.push("Event", "conference");
    headers.push("Supported", "ms-benotify");
    let now = world.now;
    world.lync.ua.request(session, sip::Method::Subscribe, headers, None, now).unwrap();
    world.run_for(Duration::from_secs(1));
    let mut shown = Conference::new(None, c3p::Limits::default());
    notified(&mut world, Side::Lync, &mut shown);
    let ann = shown.participant("sip:ann@x").unwrap();
    assert_eq!((ann.role(), ann.is_connected()), (Some(&c3p::Role::Presenter), true));
    let more = user("ann", "muted-via-focus") + &user("ben", "connected");
    notify(&mut world, body(2, "partial", &more));
    notified(&mut world, Side::Lync, &mut shown);
    assert!(world.lync.heard.contains(&"BENOTIFY".into()));
    assert_eq!(shown.participants().count(), 2);
    assert!(shown.participant("sip:ann@x").unwrap().is_muted(&MediaType::Audio));
    // A gap: the gateway asks for full state.
    let asked = |world: &World| world.standard.heard.iter().filter(|h| *h == "SUBSCRIBE").count();
    let before = asked(&world);
    notify(&mut world, body(7, "partial", &user("cid", "connected")));
    world.run_for(Duration::from_secs(6));
    assert_eq!(asked(&world), before + 1);
    let now = world.now;
    world.lync.hang_up(now);
    world.run_to_end();
}

/// A SUBSCRIBE in a dialog of its own.
fn subscribe(world: &mut World, side: Side, uri: &str) {
    let (now, contact) = (world.now, world.endpoint(side).contact());
    let address = world.endpoint(side).address;
    let gateway = world::GATEWAY_STANDARD.parse().unwrap();
    let path = sip::Path::new(sip::Transport::Tcp, address, gateway);
    let (uri, from) = (sip::Uri::parse(uri).unwrap(), sip::NameAddr::parse(ROOM).unwrap());
    let subscribe = sip::OutgoingSubscribe::new(path, uri, from, contact, "conference");
    world.endpoint(side).ua.subscribe(subscribe, now).unwrap();
    world.run_for(Duration::from_secs(1));
}

/// Applies the notifications that have come to an endpoint.
fn notified(world: &mut World, side: Side, shown: &mut Conference) {
    let is_roster = |request: &sip::Request| request.headers.first("Event") == Some("conference");
    let requests = std::mem::take(&mut world.endpoint(side).requests);
    for request in requests.iter().filter(|one| is_roster(one) && !one.body.is_empty()) {
        shown.apply(ConferenceInfo::parse(&request.body).unwrap()).unwrap();
        while shown.poll_event().is_some() {}
    }
}

/// A REFER, and the last thing that is told of it.
fn refer(world: &mut World, session: sip::SessionId, target: &str) -> String {
    let target = sip::NameAddr::new(sip::Uri::parse(target).unwrap());
    let now: Instant = world.now;
    world.standard.requests.clear();
    let ua = &mut world.standard.ua;
    ua.refer(session, &target, &sip::Headers::new(), now).unwrap();
    world.run_for(Duration::from_secs(1));
    let now = world.now;
    let (host, ua) = (world.lync.focus.as_mut().unwrap(), &mut world.lync.ua);
    for task in host.take_tasks() {
        if matches!(task, FocusEvent::DialOut { .. }) {
            host.dial_out_ended(ua, &task, Ok(()), now);
        }
    }
    world.run_for(Duration::from_secs(1));
    let last = world
        .standard
        .requests
        .iter()
        .rev()
        .find(|one| one.headers.first("Event").is_some_and(|event| event.starts_with("refer")));
    let body = last.map(|one| String::from_utf8_lossy(&one.body).trim().to_owned());
    body.unwrap_or_default()
}
