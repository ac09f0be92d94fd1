#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod command;
mod description;
mod dialog;
mod diff;
mod document;
mod entity;
mod error;
mod focus;
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
mod requests;
mod response;
mod roster;
mod standard;
mod text;
mod token;
mod uri;
mod user;
mod xml;

pub use client::{
    ClientAction, ClientConfig, ClientEnd, ClientError, ClientEvent, ConferenceClient, join_request,
};
pub use command::{Command, CommandBody, LobbyAccess};
pub use description::{ConfUri, ConfUris, Description};
pub use dialog::FocusDialog;
pub use document::{CCCP_XML, CONF_INVITE_XML, CONFERENCE_INFO_XML, Document};
pub use entity::Entity;
pub use error::{ParseError, ParseErrorKind};
pub use focus::{Focus, FocusConfig, FocusEvent, SubscriptionId};
pub use info::{ConferenceInfo, ConferenceState, ConferenceView, EntityView, State, Users};
pub use invitation::{Im, Invitation};
pub use keys::{ConferenceKeys, EndpointKeys, MediaKeys, UserKeys};
pub use limits::Limits;
pub use merge::{Applied, Conference, MergeError};
pub use reason::{Diagnostic, Reason};
pub use request::{Request, RequestId};
pub use requests::{Failure, RequestEvent, Requests, ResponseError, SendError};
pub use response::{Reply, Response, ResponseCode};
pub use roster::{Participant, RosterEvent};
pub use text::Text;
pub use token::{
    AdmissionPolicy, DisconnectionMethod, EndpointStatus, JoiningMethod, McuType, MediaFilter,
    MediaStatus, MediaType, Role,
};
pub use uri::{ConferenceUri, JoinLink, Resource, UriError};
pub use user::{Endpoint, Media, User};
pub use xml::{Attribute, Element, Extensions, Name, Namespace, Node};
