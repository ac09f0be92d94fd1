use std::time::Duration;

use crate::entity::Entity;
use crate::limits::Limits;
use crate::request::RequestId;
use crate::requests::{Failure, RequestEvent, SendError};
use crate::roster::RosterEvent;
use crate::token::{McuType, MediaType, Role};
use crate::uri::ConferenceUri;

/// Who joins which conference, and how long it waits.
///
/// ```
/// use linkspan_c3p::{ClientConfig, McuType};
///
/// let focus = "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";
/// let config = ClientConfig::new(focus, "sip:room4@video.example", "{6F1C0A52}");
/// assert_eq!(config.modalities, [McuType::AudioVideo]);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientConfig {
    /// The focus.
    pub focus: Box<str>,
    /// Who joins: the From URI.
    pub user: Box<str>,
    /// The key of the user's endpoint: a GUID in braces.
    pub endpoint: Box<str>,
    /// The name that the roster shows; empty leaves it to the server.
    pub display_name: Box<str>,
    /// The conferencing servers to call. Default `audio-video`. Those that speak PSOM are left
    /// out: no SIP leads there.
    pub modalities: Vec<McuType>,
    /// The first request id.
    pub first_request: u64,
    /// How long an answer of the focus may take. Default 30 s.
    pub answer: Duration,
    /// How long to wait in the lobby. Default 10 min.
    pub lobby: Duration,
    /// How long a conferencing server may take to come up. Default 30 s.
    pub activation: Duration,
    /// The shortest time between two requests for full state. Default 5 s.
    pub refresh_gap: Duration,
    /// Limits on notifications and responses.
    pub limits: Limits,
}

impl ClientConfig {
    /// Sound and pictures for `user`, with the usual waits.
    #[must_use]
    pub fn new(focus: &str, user: &str, endpoint: &str) -> Self {
        Self {
            focus: focus.into(),
            user: user.into(),
            endpoint: endpoint.into(),
            display_name: "".into(),
            modalities: vec![McuType::AudioVideo],
            first_request: 1,
            answer: Duration::from_secs(30),
            lobby: Duration::from_secs(600),
            activation: Duration::from_secs(30),
            refresh_gap: Duration::from_secs(5),
            limits: Limits::default(),
        }
    }

    /// Sets the name that the roster shows.
    #[must_use]
    pub fn with_display_name(mut self, name: &str) -> Self {
        self.display_name = name.into();
        self
    }

    /// The address of a conferencing server, built from that of the focus.
    pub(crate) fn mcu_uri(&self, mcu: &McuType) -> Option<String> {
        let focus: ConferenceUri = self.focus.parse().ok()?;
        Some(focus.mcu(mcu.clone()).to_string())
    }
}

/// The next SIP message of a [`ConferenceClient`](crate::ConferenceClient).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientAction {
    /// INVITE the focus, with this body of type [`CCCP_XML`](crate::CCCP_XML) and no description.
    /// It must support session timers (diagnostic 3010).
    InviteFocus {
        /// The request.
        body: Vec<u8>,
    },
    /// SUBSCRIBE to event `conference` at the focus, in a dialog of its own; accept
    /// [`CONFERENCE_INFO_XML`](crate::CONFERENCE_INFO_XML).
    Subscribe {
        /// Within the dialog that there is; otherwise a new one.
        refresh: bool,
    },
    /// INVITE a conferencing server, with a media description.
    InviteMcu {
        /// Which.
        mcu: McuType,
        /// Its address.
        uri: Entity,
    },
    /// INFO in the dialog with the focus, with this body of type [`CCCP_XML`](crate::CCCP_XML).
    Info {
        /// Names the request in [`handle_info_response`].
        ///
        /// [`handle_info_response`]: crate::ConferenceClient::handle_info_response
        id: RequestId,
        /// The request.
        body: Vec<u8>,
    },
    /// BYE, or CANCEL, to a conferencing server.
    EndMcu {
        /// Which.
        mcu: McuType,
    },
    /// SUBSCRIBE with `Expires: 0`.
    Unsubscribe,
    /// BYE, or CANCEL, to the focus.
    EndFocus,
}

/// What happens to a [`ConferenceClient`](crate::ConferenceClient).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The focus has taken the user; the roster follows.
    Accepted {
        /// The role that was granted.
        role: Option<Role>,
    },
    /// The user waits to be let in.
    InLobby,
    /// The user is in the conference; the conferencing servers are called.
    Joined,
    /// A conferencing server cannot be reached; the focus dialog stays.
    SessionFailed {
        /// Which.
        mcu: McuType,
        /// The last status.
        status: u16,
    },
    /// The conference takes the user's own sound or picture no more, or again.
    OwnMute {
        /// What of.
        media: MediaType,
        /// No more.
        muted: bool,
    },
    /// Something changed on the roster.
    Roster(RosterEvent),
    /// What became of a command.
    Command(RequestEvent),
    /// It is over.
    Ended(ClientEnd),
}

/// How a user's part in a conference ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientEnd {
    /// The user left.
    Left,
    /// The focus did not take the user, or not its subscription.
    Refused(Failure),
    /// Somebody removed the user, or the lobby was left without an admission.
    Removed,
    /// The conference is over.
    ConferenceOver,
    /// Nobody let the user in.
    LobbyTimeout,
    /// The dialog with the focus ended.
    FocusLost,
}

impl ClientEnd {
    pub(crate) const fn refused(status: u16) -> Self {
        Self::Refused(Failure::Sip { status, diagnostic: None })
    }

    /// The SIP status that tells a standards-side caller who was never let in.
    #[must_use]
    pub fn sip_status(&self) -> u16 {
        match self {
            Self::Refused(failure) => failure.sip_status(),
            Self::LobbyTimeout => 480,
            Self::Removed => 403,
            Self::Left | Self::ConferenceOver => 487,
            Self::FocusLost => 503,
        }
    }

    /// The text of a `Reason` header in the BYE to a standards-side endpoint.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Left => "left the conference",
            Self::Refused(_) => "refused by the conference",
            Self::Removed => "removed by the host",
            Self::ConferenceOver => "the conference is over",
            Self::LobbyTimeout => "nobody opened the lobby",
            Self::FocusLost => "the conference is lost",
        }
    }
}

/// Why a verb was refused; nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The user has no part in the conference: not yet, or no more.
    #[error("not in the conference")]
    NotJoined,
    /// The roster does not list the stream.
    #[error("no such stream on the roster")]
    NoStream,
    /// No conferencing server of that kind that takes it.
    #[error("no such conferencing server")]
    NoServer,
    /// The command cannot be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}
