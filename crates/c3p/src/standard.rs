use crate::description::Description;
use crate::entity::Entity;
use crate::info::{ConferenceInfo, ConferenceState, Users};
use crate::roster::Participant;
use crate::token::{EndpointStatus, McuType, MediaFilter, MediaStatus, MediaType, Role};
use crate::user::{Endpoint, Media, User};

impl ConferenceInfo {
    /// The same conference for a standards-side subscriber: plain RFC 4575 under another address.
    ///
    /// Nothing of Microsoft's remains: no extensions, GUIDs, server addresses, join link or
    /// telephone identifier. A user has one endpoint, that of sound and picture, with the user's
    /// address as its key; who waits in the lobby is `pending`, who is muted by the conference
    /// `muted-via-focus`; a shared screen is a video stream labelled `slides`. State and version
    /// are left to the caller, as with [`ConferenceInfo::diff`].
    ///
    /// ```
    /// use linkspan_c3p::ConferenceInfo;
    ///
    /// let body = br#"<conference-info xmlns="urn:ietf:params:xml:ns:conference-info"
    ///     entity="sip:a@x;gruu;opaque=app:conf:focus:id:K7"><users><user entity="sip:a@x">
    ///     <roles><entry>presenter</entry></roles></user></users></conference-info>"#;
    /// let standard = ConferenceInfo::parse(body)?.to_standard("sip:bridge7@gw.example");
    /// assert_eq!(standard.entity, "sip:bridge7@gw.example");
    /// assert_eq!(standard.users()[0].role().unwrap().as_str(), "moderator");
    /// # Ok::<(), linkspan_c3p::ParseError>(())
    /// ```
    #[must_use]
    pub fn to_standard(&self, entity: &str) -> Self {
        let list: Vec<User> = self.users().iter().map(standard_user).collect();
        let present = self.users().iter().filter(|user| Participant::new(user).is_connected());
        let count = u32::try_from(present.count()).unwrap_or(u32::MAX);
        let state = self.conference_state.as_ref();
        Self {
            entity: entity.into(),
            description: self.description.as_ref().map(|description| Description {
                display_text: description.display_text.clone(),
                subject: description.subject.clone(),
                maximum_user_count: description.maximum_user_count,
                ..Description::default()
            }),
            conference_state: Some(ConferenceState {
                user_count: Some(count),
                active: state.and_then(|state| state.active).or(Some(true)),
                locked: state.and_then(|state| state.locked),
                ..ConferenceState::default()
            }),
            users: Some(Users { list, ..Users::default() }),
            ..Self::default()
        }
    }
}

impl ConferenceInfo {
    /// The roster of a standards-side bridge for a Lync subscriber, under another address.
    ///
    /// The opposite of [`to_standard`](Self::to_standard): moderators are presenters, everybody
    /// has an endpoint at the focus and one with sound and picture, whose streams carry Lync's
    /// labels; `muted-via-focus` is a blocked stream, `pending` the lobby.
    ///
    /// ```
    /// use linkspan_c3p::{ConferenceInfo, MediaType, Participant};
    ///
    /// let body = br#"<conference-info xmlns="urn:ietf:params:xml:ns:conference-info"
    ///     entity="sip:bridge@video.example"><users><user entity="sip:room@video.example">
    ///     <endpoint entity="sip:room@video.example"><status>muted-via-focus</status>
    ///     <media id="1"><type>audio</type></media></endpoint></user></users></conference-info>"#;
    /// let lync = ConferenceInfo::parse(body)?.to_lync("sip:room7@gw.example");
    /// assert!(Participant::new(&lync.users()[0]).is_muted(&MediaType::Audio));
    /// # Ok::<(), linkspan_c3p::ParseError>(())
    /// ```
    #[must_use]
    pub fn to_lync(&self, entity: &str) -> Self {
        let plain = self.to_standard(entity);
        let list = self.users().iter().map(lync_user).collect();
        Self { users: Some(Users { list, ..Users::default() }), ..plain }
    }
}

fn lync_user(user: &User) -> User {
    let mut lync = User::new(&user.entity);
    let shown = Participant::new(user).display_name();
    lync.display_text = user.display_text.as_ref().map(|_| shown.into());
    let presents = |role: &Role| {
        ["moderator", "chair", "host", "presenter"]
            .iter()
            .any(|word| role.as_str().eq_ignore_ascii_case(word))
    };
    let is_presenter = user.roles.iter().flatten().any(presents);
    lync.roles = Some(vec![if is_presenter { Role::Presenter } else { Role::Attendee }]);
    let mut focus = Endpoint::new(&format!("{};focus", user.entity), McuType::Focus);
    let waits = user.endpoints.iter().any(|one| one.status == Some(EndpointStatus::Pending));
    let is_in = user.endpoints.iter().any(Endpoint::is_connected);
    focus.status = Some(match (waits, is_in) {
        (_, true) => EndpointStatus::Connected,
        (true, false) => EndpointStatus::OnHold,
        (false, false) => EndpointStatus::Disconnected,
    });
    lync.endpoints.push(focus);
    lync.endpoints.extend(user.endpoints.iter().map(lync_endpoint));
    lync
}

fn lync_endpoint(endpoint: &Endpoint) -> Endpoint {
    let is_muted = endpoint.status == Some(EndpointStatus::MutedViaFocus);
    let media = endpoint.media.iter().filter_map(|media| {
        let label = match media.kind.as_ref()? {
            MediaType::Audio => "main-audio",
            MediaType::Video => "main-video",
            _ => return None,
        };
        let mut stream = Media::new(&media.id, media.kind.clone()?);
        stream.label = Some(label.into());
        stream.status = Some(media.status.clone().unwrap_or(MediaStatus::SendRecv));
        let blocked = is_muted && media.kind == Some(MediaType::Audio);
        stream.ingress_filter = blocked.then_some(MediaFilter::Block);
        Some(stream)
    });
    Endpoint {
        media: media.collect(),
        status: if is_muted { Some(EndpointStatus::Connected) } else { endpoint.status.clone() },
        joining_method: endpoint.joining_method.clone(),
        ..Endpoint::new(&endpoint.entity, McuType::AudioVideo)
    }
}

fn standard_user(user: &User) -> User {
    let participant = Participant::new(user);
    let mut standard = User::new(&user.entity);
    standard.display_text = user.display_text.as_ref().map(|_| participant.display_name().into());
    standard.roles = user.roles.as_ref().map(|roles| {
        // RFC 4575 leaves the words free; RFC 4579 knows moderators
        let words = roles.iter().flat_map(|role| match role {
            Role::Presenter => ["moderator", "presenter"],
            Role::Attendee => ["participant", "attendee"],
            Role::Other(other) => ["participant", other],
        });
        words.map(Role::from).collect()
    });
    let session = user.session(&McuType::AudioVideo);
    let status = if participant.is_in_lobby() {
        Some(EndpointStatus::Pending)
    } else {
        session.and_then(|session| session.status.clone())
    };
    let mut media: Vec<Media> = session
        .map(|session| session.media.iter().filter_map(standard_media).collect())
        .unwrap_or_default();
    if user.session(&McuType::Chat).is_some_and(Endpoint::is_connected) {
        media.push(stream("message", "message", MediaStatus::SendRecv));
    }
    if participant.is_sharing() {
        media.push(stream("slides", "video", MediaStatus::SendOnly));
    }
    if status.is_some() || !media.is_empty() {
        let is_muted =
            participant.is_muted(&MediaType::Audio) && status == Some(EndpointStatus::Connected);
        standard.endpoints.push(Endpoint {
            entity: Entity::from(user.entity.as_str()),
            status: if is_muted { Some(EndpointStatus::MutedViaFocus) } else { status },
            joining_method: session.and_then(|session| session.joining_method.clone()),
            media,
            ..Endpoint::default()
        });
    }
    standard
}

/// Sound and the main picture; what a standards-side roster has no word for is left out.
fn standard_media(media: &Media) -> Option<Media> {
    let kind = match media.kind.as_ref()? {
        kind @ (MediaType::Audio | MediaType::Video) => kind.as_str(),
        _ => return None,
    };
    let known = media.status.clone().unwrap_or(MediaStatus::SendRecv);
    let status = match (media.is_muted(), known) {
        (true, MediaStatus::SendRecv) => MediaStatus::RecvOnly,
        (true, MediaStatus::SendOnly) => MediaStatus::Inactive,
        (_, known) => known,
    };
    Some(stream(kind, kind, status))
}

fn stream(label: &str, kind: &str, status: MediaStatus) -> Media {
    let mut stream = Media::new(label, MediaType::from(kind));
    stream.label = Some(label.into());
    stream.status = Some(status);
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_microsofts_gets_out() {
        let body = include_bytes!("../tests/data/notify-full.xml");
        let standard = ConferenceInfo::parse(body).unwrap().to_standard("sip:bridge@gw.example");
        let text = String::from_utf8(standard.to_bytes()).unwrap();
        for secret in ["opaque", "1111-", "msci:", "K7Q2M4ZD", "12345", "epid", "meet."] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let alice = &standard.users()[0];
        assert_eq!(alice.display_text.as_deref(), Some("Alice Example"));
        let [session] = alice.endpoints.as_slice() else { panic!("{alice:?}") };
        assert_eq!(session.status, Some(EndpointStatus::Connected));
        let labels: Vec<&str> = session.media.iter().map(|media| media.id.as_str()).collect();
        assert_eq!(labels, ["audio", "video"]);
        assert!(standard.users()[1].endpoints.is_empty(), "Bob has joined the focus only");
    }

    #[test]
    fn lobby_mute_and_screens_have_their_words() {
        let mut user = User::new("sip:b@x");
        let mut focus = Endpoint::new("{1}", McuType::Focus);
        focus.status = Some(EndpointStatus::OnHold);
        user.endpoints.push(focus);
        assert_eq!(standard_user(&user).endpoints[0].status, Some(EndpointStatus::Pending));

        user.endpoints[0].status = Some(EndpointStatus::Connected);
        let mut session = Endpoint::new("{2}", McuType::AudioVideo);
        session.status = Some(EndpointStatus::Connected);
        let mut audio = Media::new("1", MediaType::Audio);
        audio.ingress_filter = Some(MediaFilter::Block);
        session.media.push(audio);
        user.endpoints.push(session);
        let mut sharing = Endpoint::new("{3}", McuType::ApplicationSharing);
        let mut screen = Media::new("1", MediaType::ApplicationSharing);
        screen.status = Some(MediaStatus::SendOnly);
        screen.media_state = Some(EndpointStatus::Connected);
        sharing.media.push(screen);
        user.endpoints.push(sharing);
        let standard = standard_user(&user);
        let endpoint = &standard.endpoints[0];
        assert_eq!(endpoint.status, Some(EndpointStatus::MutedViaFocus));
        assert_eq!(endpoint.stream("audio").unwrap().status, Some(MediaStatus::RecvOnly));
        assert_eq!(endpoint.stream("slides").unwrap().status, Some(MediaStatus::SendOnly));
    }
}
