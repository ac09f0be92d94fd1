#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auth;
mod dialog;
mod error;
mod framing;
mod header_name;
mod headers;
mod lex;
mod limits;
mod locate;
mod message;
mod method;
mod multipart;
mod name_addr;
mod params;
mod path;
mod request;
mod transaction;
mod typed;
mod ua;
mod uri;
mod uri_eq;
mod validate;

#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod fuzz;
pub mod ms;

pub use auth::{
    AuthValue, Credentials, DigestAlgorithm, DigestError, DigestServer, NonceCounts, Password,
    answer_challenge,
};
/// The octets of bodies and messages, shared without copies: `bytes::Bytes`.
pub use bytes::Bytes;

pub use dialog::Dialog;
pub use error::{HeaderError, ParseError, ParseErrorKind, ValueError};
pub use framing::{Frame, FrameError, LimitError, StreamFramer};
pub use header_name::HeaderName;
pub use headers::{Headers, Values};
pub use limits::Limits;
pub use locate::{Answer, Discovery, Locator, Naptr, Question, Srv};
pub use message::{Message, StartLine};
pub use method::{Method, MethodError, StatusCode};
pub use multipart::{BodyPart, body_parts, multipart};
pub use name_addr::{NameAddr, NameAddrRef};
pub use params::{Params, ParamsIter, ParamsRef};
pub use path::{ConnectionId, Path, Received, Transmit, Transport};
pub use request::{Body, Origin, Request, Response};
pub use transaction::{RequestMatch, ResponseMatch, TransactionEvent, TransactionId, Transactions};
pub use typed::{
    CSeq, Date, NameAddrs, Parametrized, ParametrizedList, RAck, Tokens, Via, Vias, Warning,
};
pub use ua::{
    Dialect, EndCause, InputError, OutgoingInvite, OutgoingSubscribe, RefusedError, RequestId,
    SessionId, SessionTimer, SubscriptionEnd, SubscriptionId, SubscriptionState, Timers, UaConfig,
    UaEvent, UserAgent, VerbError,
};
pub use uri::{Uri, UriRef};
