//! Ours beside the peers', in one run, on the same input.
//!
//! ```text
//! cargo bench -p linkspan-benches --features peers --bench peers [-- AREA]
//! cargo bench -p linkspan-benches --features c-peers --bench peers     # the C peers too
//! ```
//!
//! Prints a line `area,case,ours_ns,peer,peer_ns,ratio` for each pair; the ratio is
//! `peer_ns / ours_ns`, above 1 where ours is faster. A peer named `floor:…` is a physical bound,
//! not a product. Cases of one group run in turn, round by round, on the thread's own CPU time;
//! the figures are medians. `QUICK=1` takes fewer and shorter rounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench: its inputs are its own"
)]

mod c3p;
#[cfg(feature = "c-peers")]
mod c_peers;
mod harness;
mod ice;
mod sdp;
mod sip;
mod srtp;
mod stun;
mod svc;

fn main() {
    let areas: [(&str, fn()); 7] = [
        ("sip", sip::run),
        ("sdp", sdp::run),
        ("stun", stun::run),
        ("srtp", srtp::run),
        ("ice", ice::run),
        ("svc", svc::run),
        ("c3p", c3p::run),
    ];
    // Cargo adds `--bench` of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!("area,case,ours_ns,peer,peer_ns,ratio");
    for (name, run) in areas {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            run();
        }
    }
}
