//! Proves that a focus and its clients agree: joins, roles, lobby, mute, removal and the end, with
//! every body crossing the wire.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use linkspan_c3p::{
    Command, CommandBody, Conference, ConferenceInfo, ConferenceKeys, ConferenceUri, Endpoint,
    EndpointStatus, Focus, FocusConfig, FocusDialog, FocusEvent, Limits, LobbyAccess, McuType,
    Media, MediaFilter, MediaKeys, MediaType, Reason, Request, RequestEvent, Requests, Response,
    ResponseCode, Role, RosterEvent, SubscriptionId, UserKeys, join_request,
};
use std::time::Instant;

const ALICE: &str = "sip:alice@contoso.example";
const BOB: &str = "sip:bob@contoso.example";
const ROOM: &str = "sip:room4@video.example";

struct Client {
    requests: Requests,
    subscription: SubscriptionId,
    conference: Conference,
    events: Vec<RosterEvent>,
}

struct World {
    focus: Focus,
    uri: String,
    clients: Vec<Client>,
}

impl World {
    fn new() -> Self {
        let uri = ConferenceUri::focus("alice@contoso.example", "K7Q2M4ZD");
        let focus = Focus::new(FocusConfig::new(uri.clone(), "Weekly"), Limits::default());
        Self { focus, uri: uri.to_string(), clients: Vec::new() }
    }

    fn join(&mut self, user: &str) -> Result<usize, Reason> {
        let join = join_request(&self.uri, user, "{1}", user, true);
        let join = Request::parse(&join.to_bytes()).unwrap();
        let response = self.focus.handle_request(user, &join).unwrap();
        let response = Response::parse(&response.to_bytes()).unwrap();
        if response.code != ResponseCode::Success {
            return Err(response.reply.reason.unwrap());
        }
        let (subscription, full) = self.focus.subscribe(user).unwrap();
        let mut conference = Conference::new(Some(self.uri.as_str().into()), Limits::default());
        conference.apply(ConferenceInfo::parse(&full.to_bytes()).unwrap()).unwrap();
        let requests = Requests::new(FocusDialog::new(user, &self.uri), 1);
        self.clients.push(Client { requests, subscription, conference, events: Vec::new() });
        self.settle();
        Ok(self.clients.len() - 1)
    }

    fn command(&mut self, client: usize, body: CommandBody) -> Result<(), Option<Reason>> {
        self.send(client, Command::new(body))
    }

    fn send(&mut self, client: usize, command: Command) -> Result<(), Option<Reason>> {
        let requests = &mut self.clients.get_mut(client).unwrap().requests;
        let request = requests.send(command, Instant::now()).unwrap();
        let request = Request::parse(&request.to_bytes()).unwrap();
        let user = request.from.clone();
        let response = self.focus.handle_request(&user, &request).unwrap();
        let response = Response::parse(&response.to_bytes()).unwrap();
        let requests = &mut self.clients.get_mut(client).unwrap().requests;
        requests.handle_response(response).unwrap();
        let outcome = match requests.poll_event().unwrap() {
            RequestEvent::Failed { failure: linkspan_c3p::Failure::Reply(reply), .. } => {
                Err(reply.reason)
            }
            RequestEvent::Succeeded { .. } | RequestEvent::Pending { .. } => Ok(()),
            other => panic!("{other:?}"),
        };
        self.settle();
        outcome
    }

    /// Every subscriber gets its notifications, and knows the same as the focus.
    fn settle(&mut self) {
        while let Some((subscription, notification)) = self.focus.poll_notification() {
            let mut clients = self.clients.iter_mut();
            let client = clients.find(|one| one.subscription == subscription);
            let Some(client) = client else { continue };
            let notification = ConferenceInfo::parse(&notification.to_bytes()).unwrap();
            client.conference.apply(notification).unwrap();
            while let Some(event) = client.conference.poll_event() {
                client.events.push(event);
            }
        }
    }

    fn has(&self, client: usize, event: &RosterEvent) -> bool {
        self.clients.get(client).unwrap().events.contains(event)
    }

    fn roster(&self, client: usize) -> usize {
        self.clients.get(client).unwrap().conference.participants().count()
    }
}

fn session(status: EndpointStatus) -> Endpoint {
    let mut session = Endpoint::new("{AV}", McuType::AudioVideo);
    session.status = Some(status);
    session.media.push(Media::new("1", MediaType::Audio));
    session
}

#[test]
fn a_conference_from_its_first_join_to_its_end() {
    let mut world = World::new();
    let alice = world.join(ALICE).unwrap();
    let bob = world.join(BOB).unwrap();
    assert_eq!((world.roster(alice), world.roster(bob)), (2, 2));
    assert!(world.has(alice, &RosterEvent::Joined { user: BOB.into(), from_lobby: false }));

    // Attendees may not; presenters may make presenters.
    let uri = world.uri.clone();
    let eject = |user: &str| CommandBody::DeleteUser(UserKeys::new(&uri, user));
    assert_eq!(world.command(bob, eject(ALICE)), Err(Some(Reason::Unauthorized)));
    let keys = UserKeys::new(&uri, BOB);
    let promote = CommandBody::ModifyUserRoles { keys, roles: vec![Role::Presenter] };
    world.command(alice, promote).unwrap();
    let promoted = RosterEvent::RoleChanged { user: BOB.into(), role: Some(Role::Presenter) };
    assert!(world.has(bob, &promoted));

    // Bob's session with the conferencing server; Alice mutes him.
    world.focus.session_changed(BOB, session(EndpointStatus::Connected)).unwrap();
    world.settle();
    let keys = MediaKeys::new(&uri, BOB, "{AV}", "1");
    let mut media = Media::new("1", MediaType::Audio);
    media.ingress_filter = Some(MediaFilter::Block);
    let mute = CommandBody::ModifyEndpointMedia { keys, media: Box::new(media) };
    world.command(alice, mute).unwrap();
    assert!(world.has(bob, &RosterEvent::Muted { user: BOB.into(), media: MediaType::Audio }));
    assert!(matches!(world.focus.poll_event(), Some(FocusEvent::SetFilter { .. })));

    // Locked: the room waits, and sees nobody; presenters see it wait.
    let keys = ConferenceKeys::new(&uri);
    let lock = CommandBody::ModifyConferenceLock { keys: keys.clone(), locked: true };
    world.command(alice, lock).unwrap();
    assert!(world.has(bob, &RosterEvent::Locked(true)));
    let room = world.join(ROOM).unwrap();
    assert_eq!((world.roster(room), world.roster(alice)), (1, 3));
    assert!(world.has(alice, &RosterEvent::EnteredLobby { user: ROOM.into() }));
    let users = vec![ROOM.into()];
    let admit = CommandBody::SetLobbyAccess { keys, users, access: LobbyAccess::Granted };
    world.command(bob, admit).unwrap();
    assert_eq!(world.roster(room), 3);
    assert!(world.has(alice, &RosterEvent::Joined { user: ROOM.into(), from_lobby: true }));

    // Removed, and at last all over.
    world.command(alice, eject(ROOM)).unwrap();
    assert!(matches!(world.focus.poll_event(), Some(FocusEvent::Remove { user }) if user == ROOM));
    assert!(world.has(bob, &RosterEvent::Left { user: ROOM.into() }));
    let over = CommandBody::DeleteConference(ConferenceKeys::new(&uri));
    world.command(alice, over).unwrap();
    assert!(world.has(bob, &RosterEvent::Ended));
    assert_eq!(world.join(ROOM), Err(Reason::ConferenceDoesntExist));
}

#[test]
fn somebody_is_called_in() {
    let mut world = World::new();
    let alice = world.join(ALICE).unwrap();
    let uri: ConferenceUri = world.uri.parse().unwrap();
    let body = || CommandBody::AddUser {
        keys: ConferenceKeys::new(&world.uri),
        user: Box::new(linkspan_c3p::User::new(ROOM)),
    };
    let (call, share) = (
        Command::to_mcu(&uri.mcu(McuType::AudioVideo).to_string(), body()),
        Command::to_mcu(&uri.mcu(McuType::DataConf).to_string(), body()),
    );
    assert_eq!(world.send(alice, share), Err(Some(Reason::NotSupported)));
    world.send(alice, call).unwrap();
    let Some(FocusEvent::DialOut { request_id, by, user, mcu }) = world.focus.poll_event() else {
        panic!()
    };
    assert_eq!((by, user.entity, mcu), (ALICE.into(), ROOM.into(), McuType::AudioVideo));
    let refused = world.focus.dial_out_ended(request_id, ALICE, Err(Reason::UserBusy)).unwrap();
    let requests = &mut world.clients.get_mut(alice).unwrap().requests;
    requests.handle_response(Response::parse(&refused.to_bytes()).unwrap()).unwrap();
    assert!(matches!(requests.poll_event(), Some(RequestEvent::Failed { failure, .. })
        if failure.sip_status() == 486));
    assert!(world.focus.dial_out_ended(request_id, ALICE, Ok(())).is_none());
}
