use crate::error::ParseErrorKind;
use crate::token::tokens;

tokens! {
    /// Why a command failed: the `reason` attribute of a reply, or the `result` of `endorseUser`.
    Reason {
        /// It worked (`endorseUser` says so here).
        Success = "success",
        /// No further detail.
        OtherFailure = "otherFailure",
        /// There is no such conference.
        ConferenceDoesntExist = "conferenceDoesntExist",
        /// There is no such user.
        UserDoesntExist = "userDoesntExist",
        /// There is no such endpoint.
        EndpointDoesntExist = "endpointDoesntExist",
        /// There is no such stream.
        MediaDoesntExist = "mediaDoesntExist",
        /// The command, or what it asks for, is not implemented.
        NotSupported = "notSupported",
        /// The sender may not do that.
        Unauthorized = "unauthorized",
        /// Nobody may do that.
        Forbidden = "forbidden",
        /// Anonymous users are not let in.
        AnonymousUsersNotAllowed = "anonymousUsersNotAllowed",
        /// Federated users are not let in.
        FederatedUsersNotAllowed = "federatedUsersNotAllowed",
        /// The conference is full.
        MaximumMeetingSizeExceeded = "maximumMeetingSizeExceeded",
        /// The role does not exist.
        InvalidRole = "invalidRole",
        /// The user's key makes no sense.
        InvalidUserEntity = "invalidUserEntity",
        /// The passcode is wrong.
        InvalidPasscode = "invalidPasscode",
        /// The user is in the conference already.
        UserExists = "userExistsAlready",
        /// The user was called and is busy.
        UserBusy = "userBusy",
        /// The user was called and is not known.
        UserUnknown = "userUnknown",
        /// No conferencing server of that type.
        McuTypeNotAvailable = "mcuTypeNotAvailable",
        /// The request makes no sense.
        RequestMalformed = "requestMalformed",
    }
}

impl Reason {
    /// The SIP status to answer a standards-side endpoint with when this ends its attempt to join
    /// or to change a conference; 500 for a reason without one of its own.
    ///
    /// ```
    /// use linkspan_c3p::Reason;
    ///
    /// assert_eq!(Reason::from("conferenceDoesntExist").sip_status(), 404);
    /// assert_eq!(Reason::from("somethingNew").sip_status(), 500);
    /// ```
    #[must_use]
    pub const fn sip_status(&self) -> u16 {
        match self {
            Self::Success => 200,
            Self::ConferenceDoesntExist
            | Self::UserDoesntExist
            | Self::EndpointDoesntExist
            | Self::MediaDoesntExist
            | Self::UserUnknown => 404,
            Self::Unauthorized
            | Self::Forbidden
            | Self::AnonymousUsersNotAllowed
            | Self::FederatedUsersNotAllowed
            | Self::InvalidPasscode => 403,
            Self::MaximumMeetingSizeExceeded | Self::UserBusy => 486,
            Self::NotSupported => 501,
            Self::McuTypeNotAvailable => 488,
            Self::InvalidRole | Self::InvalidUserEntity | Self::RequestMalformed => 400,
            Self::UserExists | Self::OtherFailure | Self::Other(_) => 500,
        }
    }
}

/// The diagnostics of conferencing, 3000 to 3999, as they stand in `ms-diagnostics` headers
/// ([MS-OCER] 7.4).
///
/// ```
/// use linkspan_c3p::{Diagnostic, Request};
///
/// let error = Request::parse(b"<request").unwrap_err();
/// let diagnostic = Diagnostic::from(error.kind);
/// assert_eq!((diagnostic.id(), diagnostic.sip_status()), (3006, 400));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("{}: {}", self.id(), self.reason())]
#[non_exhaustive]
pub enum Diagnostic {
    /// 3000: `from` of the request is not who sent it.
    InvalidFrom,
    /// 3001: `to` of the request is not where it was sent.
    InvalidTo,
    /// 3002: the user that the command names.
    InvalidTargetUser,
    /// 3003: the conference that the command names.
    InvalidConferenceEntity,
    /// 3004: the command is not implemented; sent as `ms-diagnostics-public`.
    NotImplemented,
    /// 3005: the command cannot go to a conferencing server.
    CannotTargetMcu,
    /// 3006: the body did not parse.
    Malformed,
    /// 3007: the content of `addUser`.
    InvalidAddUser,
    /// 3008: the access or authentication method.
    MethodNotAcceptable,
    /// 3009: the key of the endpoint.
    MalformedEndpoint,
    /// 3010: the dialog with the focus lacks the session timer extension.
    NoSessionTimer,
    /// 3011: the `Ms-Mcu-Contact` header.
    InvalidMcuContact,
    /// 3012: the conference URI.
    InvalidConferenceUri,
    /// 3013: the URI of the conferencing server.
    InvalidMcuUri,
    /// 3014: the sender may not do that.
    Unauthorized,
    /// 3015: attendees may not have others called.
    DialOutNotAllowed,
    /// 3016: the role.
    InvalidRole,
}

impl Diagnostic {
    /// The number in the header.
    #[must_use]
    pub const fn id(self) -> u16 {
        self.row().0
    }

    /// The reason to write behind the number.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.row().1
    }

    /// The diagnostic of that number.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        ALL.into_iter().find(|diagnostic| diagnostic.id() == id)
    }

    /// The status of the response that the header goes with.
    #[must_use]
    pub const fn sip_status(self) -> u16 {
        match self {
            Self::NotImplemented => 501,
            Self::InvalidFrom | Self::Unauthorized | Self::DialOutNotAllowed => 403,
            Self::InvalidConferenceEntity | Self::InvalidConferenceUri => 404,
            Self::NoSessionTimer => 421,
            _ => 400,
        }
    }

    const fn row(self) -> (u16, &'static str) {
        match self {
            Self::InvalidFrom => (3000, "Invalid from in the C3P request"),
            Self::InvalidTo => (3001, "Invalid to in the C3P request"),
            Self::InvalidTargetUser => (3002, "Invalid target user"),
            Self::InvalidConferenceEntity => (3003, "Invalid conference entity"),
            Self::NotImplemented => (3004, "Command not implemented"),
            Self::CannotTargetMcu => (3005, "Command cannot target a conferencing server"),
            Self::Malformed => (3006, "C3P body did not parse"),
            Self::InvalidAddUser => (3007, "Invalid content of addUser"),
            Self::MethodNotAcceptable => (3008, "Access or authentication method not acceptable"),
            Self::MalformedEndpoint => (3009, "Malformed endpoint entity"),
            Self::NoSessionTimer => (3010, "Session timer extension required"),
            Self::InvalidMcuContact => (3011, "Ms-Mcu-Contact cannot be processed"),
            Self::InvalidConferenceUri => (3012, "Invalid conference URI"),
            Self::InvalidMcuUri => (3013, "Invalid conferencing server URI"),
            Self::Unauthorized => (3014, "Authorization failed"),
            Self::DialOutNotAllowed => (3015, "Attendees may not dial out"),
            Self::InvalidRole => (3016, "Invalid role"),
        }
    }
}

impl From<ParseErrorKind> for Diagnostic {
    fn from(kind: ParseErrorKind) -> Self {
        match kind {
            ParseErrorKind::Missing("from") => Self::InvalidFrom,
            ParseErrorKind::Missing("to") => Self::InvalidTo,
            ParseErrorKind::Missing("user") | ParseErrorKind::Repeated("user") => {
                Self::InvalidAddUser
            }
            _ => Self::Malformed,
        }
    }
}

const ALL: [Diagnostic; 17] = [
    Diagnostic::InvalidFrom,
    Diagnostic::InvalidTo,
    Diagnostic::InvalidTargetUser,
    Diagnostic::InvalidConferenceEntity,
    Diagnostic::NotImplemented,
    Diagnostic::CannotTargetMcu,
    Diagnostic::Malformed,
    Diagnostic::InvalidAddUser,
    Diagnostic::MethodNotAcceptable,
    Diagnostic::MalformedEndpoint,
    Diagnostic::NoSessionTimer,
    Diagnostic::InvalidMcuContact,
    Diagnostic::InvalidConferenceUri,
    Diagnostic::InvalidMcuUri,
    Diagnostic::Unauthorized,
    Diagnostic::DialOutNotAllowed,
    Diagnostic::InvalidRole,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_are_numbered_without_gaps() {
        for (index, id) in (3000..=3016).enumerate() {
            assert_eq!(Diagnostic::from_id(id), Some(ALL[index]));
        }
        assert_eq!(Diagnostic::from_id(3017), None);
    }
}
