//! What Lync and Skype for Business do differently, where it is more than tolerance: the
//! diagnostics headers, names derived from the endpoint id, keep-alives, conversations, the trust
//! header of the Edge, the challenges, the string that message signatures cover, and (feature
//! `ntlm`) NTLM with its security associations.
//!
//! The tolerance itself is [`Dialect::Lync`](crate::Dialect) of the user agent.

#[cfg(feature = "ntlm")]
mod association;
mod conversation;
mod diagnostics;
mod endpoint;
mod keep_alive;
#[cfg(feature = "ntlm")]
mod ntlm;
mod scheme;
mod signature;
mod trust;

#[cfg(feature = "ntlm")]
pub use association::{NtlmClient, NtlmServer};
pub use conversation::{TextFormat, conversation_id, received_connection};
pub use diagnostics::{Diagnostics, diagnostics_id};
pub use endpoint::sip_instance;
pub use keep_alive::KeepAlive;
#[cfg(feature = "ntlm")]
pub use ntlm::{NtlmAuthenticate, NtlmChallenge, NtlmError, NtlmSession};
pub use scheme::{SaChallenge, SaDeclined, SaScheme};
pub use signature::signed_string;
pub use trust::{MessageTrust, SourceType};
