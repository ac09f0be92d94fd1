//! What Lync and Skype for Business do differently, where it is more than tolerance: the
//! diagnostics headers, names derived from the endpoint id, keep-alives, the string that message
//! signatures cover, and (feature `ntlm`) NTLM.
//!
//! The tolerance itself is [`Dialect::Lync`](crate::Dialect) of the user agent.

mod diagnostics;
mod endpoint;
mod keep_alive;
#[cfg(feature = "ntlm")]
mod ntlm;
mod signature;

pub use diagnostics::{Diagnostics, diagnostics_id};
pub use endpoint::sip_instance;
pub use keep_alive::KeepAlive;
#[cfg(feature = "ntlm")]
pub use ntlm::{NtlmAuthenticate, NtlmChallenge, NtlmError, NtlmSession};
pub use signature::signed_string;
