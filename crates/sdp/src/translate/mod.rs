//! Translation of descriptions between two sides of a gateway, Lync's and the standard one.
//!
//! Pure functions, total and explained: every media section and every codec of an offer has a
//! stated [`Outcome`], and [`Explanation`]s say why. The side that made the first offer of a
//! session is [`Side::A`] for its whole life.
//!
//! ```
//! use linkspan_sdp::{LocalMedia, Profile, SessionDescription, translate};
//!
//! let local = LocalMedia { address: [192, 0, 2, 9].into(), rtp_port: 4000, ..LocalMedia::default() };
//! let offer = SessionDescription::parse(
//!     b"v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=session\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
//!       m=video 5000 RTP/AVP 122\r\na=rtpmap:122 X-H264UC/90000\r\n\
//!       a=fmtp:122 packetization-mode=1;mst-mode=NI-TC\r\n",
//! )?;
//! let toward = translate::offer(&offer, &Profile::lync(), &Profile::standard(), &[local.clone()])?;
//! assert!(toward.description.to_string().contains("a=rtpmap:97 H264/90000"));
//!
//! let answer = SessionDescription::parse(
//!     b"v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n\
//!       m=video 6000 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n\
//!       a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n",
//! )?;
//! let back = translate::answer(&answer, &toward, &[local])?;
//! assert_eq!((back.media[0].codecs[0].a_pt, back.media[0].codecs[0].b_pt), (122, 97));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod delayed;
mod lines;
mod map;
mod offer;
mod outcome;

pub use outcome::{
    CodecMap, Context, Explanation, FormatFate, FormatOutcome, MediaOutcome, OfferTranslation,
    Outcome, Side, Transform, Translation, WhyDropped,
};

pub use crate::why::Why;
use crate::{LocalMedia, Profile, Refusal, SessionDescription};

/// Translates the first offer of a session, from side A (`from`) toward side B (`to`).
///
/// `local` is our side of the leg toward B: one entry for each section *of A's offer*, by its
/// index. A section without an entry, or whose entry has port 0, is refused to A.
///
/// # Errors
///
/// When no section can be joined, or when A's encryption level does not match `from`'s: then the
/// call has to be refused before B hears of it.
pub fn offer(
    offer: &SessionDescription,
    from: &Profile,
    to: &Profile,
    local: &[LocalMedia],
) -> Result<OfferTranslation, Refusal> {
    offer::translate(offer, Side::A, Context::new(from.clone(), to.clone()), local)
}

/// Translates a later offer, made by either side.
///
/// `local` is our side of the leg toward the other side, indexed by the sections of `offer`.
///
/// To offer something new to one side without an offer of the other one (MS-ICE2's last offer,
/// with [`LocalMedia::remote_candidates`]), give the other side's last offer again.
///
/// # Errors
///
/// As [`offer`]; also when the offer has fewer sections than the session.
pub fn reoffer(
    offer: &SessionDescription,
    offerer: Side,
    context: &Context,
    local: &[LocalMedia],
) -> Result<OfferTranslation, Refusal> {
    offer::translate(offer, offerer, context.clone(), local)
}

/// The offer that a side is taken to have made when it asked for one instead (a delayed offer,
/// RFC 3261 §13.2.1): all that `profile` can do, for [`offer`]. Its addresses and keys mean nothing.
///
/// ```
/// use linkspan_sdp::{LocalMedia, Profile, Session, translate};
///
/// let local = |port| vec![LocalMedia { rtp_port: port, ..LocalMedia::default() }; 2];
/// let (lync, standard) = (Profile::lync(), Profile::standard());
/// let asked = translate::presume(&lync);
/// let toward_b = translate::offer(&asked, &lync, &standard, &local(4000))?;
/// let (answer, _) = Session::new(standard).answer(&toward_b.description, &local(5000))?;
/// // What B has answered is offered to A, and A's answer joins the two.
/// let toward_a = translate::turn(&answer, &toward_b, &local(6000))?;
/// assert!(toward_a.description.to_string().contains("X-H264UC"));
/// let clear = Profile { encryption: linkspan_sdp::EncryptionLevel::None, ..lync };
/// let (answer, _) = Session::new(clear).answer(&toward_a.description, &local(7000))?;
/// let joined = translate::answer(&answer, &toward_a, &local(4000))?;
/// assert!(joined.media.iter().all(|m| m.a.is_some() && m.b.is_some()));
/// # Ok::<(), linkspan_sdp::Refusal>(())
/// ```
#[must_use]
pub fn presume(profile: &Profile) -> SessionDescription {
    delayed::presume(profile)
}

/// Makes the answer of one side an offer for the side that asked for one (see [`presume`]).
///
/// `local` is our side of the leg toward the side that asked, indexed by the sections of `answer`.
/// [`answer`](fn@answer) takes what that side answers; its description is then for nobody: the
/// other side has had its answer, and hears of less only by a later offer.
///
/// # Errors
///
/// As [`offer`] and [`answer`](fn@answer).
pub fn turn(
    answer: &SessionDescription,
    offered: &OfferTranslation,
    local: &[LocalMedia],
) -> Result<OfferTranslation, Refusal> {
    delayed::turn(answer, offered, local)
}

/// What the other side said last, as an offer for the side that asks for one in a running session
/// (RFC 3264 §8). As [`turn`]ed: what it is answered is for nobody.
///
/// # Errors
///
/// As [`reoffer`].
pub fn again(
    said: &SessionDescription,
    by: Side,
    context: &Context,
    local: &[LocalMedia],
) -> Result<OfferTranslation, Refusal> {
    Ok(OfferTranslation { turned: true, ..reoffer(said, by, context, local)? })
}

/// Translates the answer to a translated offer back to the side that offered.
///
/// `local` is our side of the leg toward the offerer, indexed by the sections of its offer.
///
/// # Errors
///
/// When the answer does not fit the offer, encryption levels do not match on either leg, or no
/// section is left.
pub fn answer(
    answer: &SessionDescription,
    offer: &OfferTranslation,
    local: &[LocalMedia],
) -> Result<Translation, Refusal> {
    answer::translate(answer, offer, local)
}
