//! What the presenter does, and what has to come of it.

use std::error::Error;
use std::time::{Duration, Instant};

use linkspan_c3p::{
    ClientAction, ClientConfig, ConferenceClient, ConferenceInfo, MediaType, Participant, Request,
    State,
};

use crate::front_end::FrontEnd;

/// Alice, whose client speaks to the focus directly.
#[derive(Debug)]
pub(crate) struct Presenter {
    client: ConferenceClient,
    room: String,
    step: Step,
    since: Instant,
    heard: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// The room has to be seen, and heard.
    Seen,
    /// What was on its way has to have come.
    Muting,
    /// Nothing may be heard any more.
    Muted,
    /// It has to be heard again.
    HeardAgain,
    Removed,
}

impl Presenter {
    pub(crate) fn new(room: &str, front_end: &mut FrontEnd) -> Result<Self, Box<dyn Error>> {
        let now = Instant::now();
        let focus = front_end.host.focus().info().entity.to_string();
        let config = ClientConfig::new(&focus, ALICE, "{A}").with_display_name("Alice");
        let client = ConferenceClient::new(config, now);
        let (room, step) = (room.to_owned(), Step::Seen);
        let mut presenter = Self { client, room, step, since: now, heard: 0 };
        presenter.carry_out(front_end)?;
        Ok(presenter)
    }

    /// Goes on as far as things are; true at the end.
    pub(crate) fn step(&mut self, front_end: &mut FrontEnd) -> Result<bool, Box<dyn Error>> {
        self.carry_out(front_end)?;
        let (now, heard) = (Instant::now(), front_end.heard());
        let waited = now.saturating_duration_since(self.since);
        let audio = MediaType::Audio;
        let info = front_end.host.focus().info();
        let room =
            info.users().iter().map(Participant::new).find(|one| one.entity().is(&self.room));
        match (self.step, room) {
            (Step::Seen, Some(room)) if room.is_connected() && heard >= ENOUGH => {
                front_end.say("mutes the room");
                self.client.mute_user(&self.room, &audio, true, now)?;
                self.go(Step::Muting, heard);
            }
            (Step::Muting, Some(room)) if waited >= PAUSE => {
                if !room.is_muted(&audio) {
                    return Err("the roster does not show the mute".into());
                }
                self.go(Step::Muted, heard);
            }
            (Step::Muted, _) if waited >= PAUSE => {
                if heard != self.heard {
                    return Err(format!("{} packets were heard muted", heard - self.heard).into());
                }
                front_end.say("lets the room be heard again");
                self.client.mute_user(&self.room, &audio, false, now)?;
                self.go(Step::HeardAgain, heard);
            }
            (Step::HeardAgain, Some(_)) if heard >= self.heard + ENOUGH => {
                front_end.say("removes the room");
                self.client.remove(&self.room, now)?;
                self.go(Step::Removed, heard);
            }
            (Step::Removed, None) => return Ok(true),
            _ => {}
        }
        self.carry_out(front_end)?;
        Ok(false)
    }

    fn go(&mut self, step: Step, heard: u64) {
        (self.step, self.since, self.heard) = (step, Instant::now(), heard);
    }

    /// The client's messages go to the focus, and the focus' state to the client, without sockets.
    fn carry_out(&mut self, front_end: &mut FrontEnd) -> Result<(), Box<dyn Error>> {
        let now = Instant::now();
        let focus = front_end.host.focus();
        while let Some(action) = self.client.poll_action() {
            match action {
                ClientAction::InviteFocus { body } => {
                    let response = focus.handle_request(ALICE, &Request::parse(&body)?)?;
                    self.client.handle_focus_response(200, None, &response.to_bytes(), now);
                }
                ClientAction::Subscribe { .. } => {
                    let (_, full) = focus.subscribe(ALICE).ok_or("Alice is not in")?;
                    self.client.handle_subscribe_response(200, None, &full.to_bytes(), now);
                }
                ClientAction::Info { body, .. } => {
                    let response = focus.handle_request(ALICE, &Request::parse(&body)?)?;
                    self.client.handle_info(&response.to_bytes(), now)?;
                }
                _ => {}
            }
        }
        let full =
            ConferenceInfo { state: Some(State::Full), version: None, ..focus.info().clone() };
        self.client.handle_notification(&full.to_bytes(), now);
        while self.client.poll_event().is_some() {}
        Ok(())
    }
}

const ALICE: &str = "sip:alice@example.test";
/// Packets that show that the room is heard: half a second.
const ENOUGH: u64 = 25;
const PAUSE: Duration = Duration::from_millis(500);
