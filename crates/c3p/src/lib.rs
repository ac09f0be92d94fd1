#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod command;
mod document;
mod entity;
mod error;
#[cfg(any(test, feature = "__fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod info;
mod invitation;
mod keys;
mod limits;
mod merge;
mod reason;
mod request;
mod response;
mod roster;
mod text;
mod token;
mod user;
mod xml;

pub use command::{Command, CommandBody, LobbyAccess};
pub use document::{CCCP_XML, CONF_INVITE_XML, CONFERENCE_INFO_XML, Document};
pub use entity::Entity;
pub use error::{ParseError, ParseErrorKind};
pub use info::{
    ConfUri, ConfUris, ConferenceInfo, ConferenceState, ConferenceView, Description, EntityView,
    State, Users,
};
pub use invitation::{Im, Invitation};
pub use keys::{ConferenceKeys, EndpointKeys, MediaKeys, UserKeys};
pub use limits::Limits;
pub use merge::{Applied, Conference, MergeError};
pub use reason::{Diagnostic, Reason};
pub use request::{Request, RequestId};
pub use response::{Reply, Response, ResponseCode};
pub use roster::{Participant, RosterEvent};
pub use text::Text;
pub use token::{
    AdmissionPolicy, DisconnectionMethod, EndpointStatus, JoiningMethod, McuType, MediaFilter,
    MediaStatus, MediaType, Role,
};
pub use user::{Endpoint, Media, User};
pub use xml::{Attribute, Element, Extensions, Name, Namespace, Node};
