#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "c3p")]
pub use linkspan_c3p as c3p;
#[cfg(feature = "gateway")]
pub use linkspan_gateway as gateway;
#[cfg(feature = "ice")]
pub use linkspan_ice as ice;
#[cfg(feature = "rtp")]
pub use linkspan_rtp as rtp;
#[cfg(feature = "sdp")]
pub use linkspan_sdp as sdp;
#[cfg(feature = "sip")]
pub use linkspan_sip as sip;
#[cfg(feature = "srtp")]
pub use linkspan_srtp as srtp;
#[cfg(feature = "stun")]
pub use linkspan_stun as stun;
#[cfg(feature = "svc")]
pub use linkspan_svc as svc;
#[cfg(feature = "turn")]
pub use linkspan_turn as turn;
