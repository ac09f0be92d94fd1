//! The facade hands out the crates themselves, so that their types are the same ones.
#![cfg(feature = "full")]

use linkspan::{c3p as _, gateway as _, ice as _, rtp, sdp as _, sip, srtp as _, stun as _};
use linkspan::{svc as _, turn as _};

#[test]
fn types_of_the_facade_are_those_of_the_crates() {
    let ssrc: linkspan_rtp::Ssrc = rtp::Ssrc(7);
    assert_eq!(ssrc.0, 7);
    assert_eq!(sip::Transport::Tls.default_port(), linkspan_sip::Transport::Tls.default_port());
}
