/// Defines an open enumeration of the wire: known tokens, and `Other` for the rest.
macro_rules! tokens {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $token:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[doc = concat!(" Written `", $token, "`.")] $variant,)+
            /// A token that this crate does not know, kept as it came.
            Other($crate::Text),
        }

        impl $name {
            /// The token as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $token,)+
                    Self::Other(token) => token,
                }
            }
        }

        impl From<&str> for $name {
            fn from(token: &str) -> Self {
                match token {
                    $($token => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

tokens! {
    /// What an endpoint is doing (RFC 4575 §5.7.3).
    EndpointStatus {
        /// Not yet in, being let in.
        Pending = "pending",
        /// Being called by the conference.
        DialingOut = "dialing-out",
        /// Calling the conference.
        DialingIn = "dialing-in",
        /// Ringing.
        Alerting = "alerting",
        /// Waiting; a focus endpoint in this state is in the lobby.
        OnHold = "on-hold",
        /// In the conference.
        Connected = "connected",
        /// In the conference, muted by it.
        MutedViaFocus = "muted-via-focus",
        /// On its way out.
        Disconnecting = "disconnecting",
        /// Out.
        Disconnected = "disconnected",
    }
}

tokens! {
    /// How an endpoint came in (RFC 4575 §5.7.4).
    JoiningMethod {
        /// It called.
        DialedIn = "dialed-in",
        /// It was called.
        DialedOut = "dialed-out",
        /// It hosts the conference.
        FocusOwner = "focus-owner",
    }
}

tokens! {
    /// How an endpoint went out (RFC 4575 §5.7.6).
    DisconnectionMethod {
        /// By itself.
        Departed = "departed",
        /// Removed by somebody.
        Booted = "booted",
        /// By an error.
        Failed = "failed",
        /// It was busy when called.
        Busy = "busy",
    }
}

tokens! {
    /// Direction of a media stream, as its endpoint sees it (RFC 4575 §5.8.5).
    MediaStatus {
        /// Both ways.
        SendRecv = "sendrecv",
        /// Toward the conference only.
        SendOnly = "sendonly",
        /// From the conference only.
        RecvOnly = "recvonly",
        /// Neither way.
        Inactive = "inactive",
    }
}

tokens! {
    /// Kind of a media stream.
    MediaType {
        /// Sound.
        Audio = "audio",
        /// The main picture.
        Video = "video",
        /// The picture of a table camera.
        PanoramicVideo = "panoramic-video",
        /// Instant messages.
        Chat = "chat",
        /// A shared screen.
        ApplicationSharing = "applicationsharing",
    }
}

tokens! {
    /// A modality: the type of a conferencing server (MCU), the `purpose` of its entry in
    /// `conf-uris` and the `session-type` of an endpoint that uses it.
    McuType {
        /// The focus itself.
        Focus = "focus",
        /// Instant messages.
        Chat = "chat",
        /// Sound and picture.
        AudioVideo = "audio-video",
        /// Screen sharing.
        ApplicationSharing = "applicationsharing",
        /// Web conferencing up to Communications Server 2007 R2, over PSOM.
        Meeting = "meeting",
        /// Web conferencing from Lync 2010 on, over PSOM.
        DataConf = "data-conf",
        /// A third party's audio conferencing.
        PhoneConf = "phone-conf",
    }
}

impl McuType {
    /// True for the modalities that end in PSOM rather than in a media session: nothing that
    /// speaks SIP and RTP can carry them.
    #[must_use]
    pub const fn is_psom(&self) -> bool {
        matches!(self, Self::Meeting | Self::DataConf)
    }
}

tokens! {
    /// The role of a user; Microsoft's conferences give each user exactly one.
    Role {
        /// May change the conference.
        Presenter = "presenter",
        /// May take part.
        Attendee = "attendee",
    }
}

tokens! {
    /// Whether a conferencing server lets a stream pass ([MS-CONFAV]).
    MediaFilter {
        /// The stream is stopped: muted.
        Block = "block",
        /// The stream passes.
        Unblock = "unblock",
    }
}

tokens! {
    /// Who may join without waiting.
    AdmissionPolicy {
        /// Invited users of the organiser's enterprise.
        ClosedAuthenticated = "closedAuthenticated",
        /// Authenticated users.
        OpenAuthenticated = "openAuthenticated",
        /// Everyone.
        Anonymous = "anonymous",
    }
}

pub(crate) use tokens;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_back_known_or_not() {
        for token in ["connected", "on-hold", "muted-via-focus", "asleep-at-the-wheel", ""] {
            assert_eq!(EndpointStatus::from(token).as_str(), token);
        }
        assert_eq!(McuType::from("data-conf"), McuType::DataConf);
        assert!(McuType::DataConf.is_psom() && !McuType::Chat.is_psom());
    }
}
