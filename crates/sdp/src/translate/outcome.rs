//! What a translation comes to.

use core::fmt;

use crate::negotiate::codecs::Chosen;
use crate::negotiate::history::History;
use crate::negotiate::offer::Offered;
use crate::{AgreedMedia, Codec, MediaKind, Profile, SessionDescription, Why};

/// A side of a session: A made its first offer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The side that made the first offer.
    A,
    /// The other side.
    B,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// An offer, translated for the other side.
#[derive(Clone, Debug)]
pub struct OfferTranslation {
    /// What to offer to the other side.
    pub description: SessionDescription,
    /// One outcome per section of the translated offer, in its order.
    pub media: Vec<MediaOutcome>,
    /// Whether it says anything new to the other side. When not, the offer can be answered at
    /// once, by giving [`answer`](super::answer) the last answer of the other side again.
    pub changed: bool,
    /// Why everything became what it did.
    pub explain: Vec<Explanation>,
    pub(super) offer: SessionDescription,
    pub(super) offerer: Side,
    pub(super) context: Context,
    pub(super) plans: Vec<Option<Plan>>,
    /// What the other side was offered, by its sections.
    pub(super) offered: Vec<Offered>,
    /// It was an answer: the offerer sees no answer to it.
    pub(super) turned: bool,
}

impl OfferTranslation {
    /// What the session has come to with the offer written.
    #[must_use]
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// What became of every line of the offer: an explanation for each kind of line in each
    /// section, beside those of [`explain`](Self::explain).
    #[must_use]
    pub fn explain_lines(&self) -> Vec<Explanation> {
        super::lines::explain(&self.offer)
    }
}

/// An answer, translated for the side that offered.
#[derive(Clone, Debug)]
pub struct Translation {
    /// What to answer to the side that offered.
    pub description: SessionDescription,
    /// One outcome per section of the offer, in its order.
    pub media: Vec<MediaOutcome>,
    /// What later offers are translated with.
    pub context: Context,
    /// Why everything became what it did.
    pub explain: Vec<Explanation>,
}

/// What became of one section of an offer.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaOutcome {
    /// Kind of media.
    pub kind: MediaKind,
    /// What became of it.
    pub outcome: Outcome,
    /// What became of each format of the section's `m=` line in the offer, in its order.
    pub formats: Vec<FormatOutcome>,
    /// How packets go through. In an [`OfferTranslation`]: what is possible.
    pub codecs: Vec<CodecMap>,
    /// The leg toward side A, seen from us. In an [`OfferTranslation`] only the offerer's leg is
    /// there: what its offer says, without a key of ours.
    pub a: Option<AgreedMedia>,
    /// The leg toward side B.
    pub b: Option<AgreedMedia>,
    /// The section's index on side A.
    pub a_index: Option<usize>,
    /// The section's index on side B.
    pub b_index: Option<usize>,
}

/// What became of a section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It has its counterpart on the other side.
    Mapped,
    /// It is answered with port 0.
    Refused(Why),
    /// The offerer does not use it; it keeps its place with port 0.
    Dropped(Why),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapped => f.write_str("mapped"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Dropped(why) => write!(f, "dropped: {why}"),
        }
    }
}

/// What became of one format of a section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FormatOutcome {
    /// The format as the `m=` line has it: a payload type for RTP.
    pub format: String,
    /// Encoding name, clock rate and, beyond one, channels; empty where nothing says what it is.
    pub encoding: String,
    /// What became of it.
    pub fate: FormatFate,
}

impl FormatOutcome {
    pub(super) fn dropped(format: &str, encoding: &str, why: WhyDropped) -> Self {
        let fate = FormatFate::Dropped(why);
        Self { format: format.into(), encoding: encoding.into(), fate }
    }
}

impl fmt::Display for FormatOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blank = if self.encoding.is_empty() { "" } else { " " };
        write!(f, "{}{blank}{} ", self.format, self.encoding)?;
        match &self.fate {
            FormatFate::Mapped(counterparts) => {
                f.write_str("mapped to ")?;
                for (index, (codec, transform)) in counterparts.iter().enumerate() {
                    let and = if index == 0 { "" } else { " and " };
                    write!(f, "{and}{}{} ({transform})", codec.name, mode(codec))?;
                }
                Ok(())
            }
            FormatFate::Dropped(why) => write!(f, "dropped: {why}"),
        }
    }
}

/// ` mode 1` for H.264, whose modes are codecs of their own.
fn mode(codec: &Codec) -> String {
    match codec.fmtp.as_deref().filter(|_| codec.name.eq_ignore_ascii_case("H264")) {
        Some(fmtp) => format!(" mode {}", crate::H264Format::parse(fmtp).packetization_mode),
        None => String::new(),
    }
}

/// What became of a format.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FormatFate {
    /// It has these counterparts on the other side.
    Mapped(Vec<(Codec, Transform)>),
    /// It goes nowhere.
    Dropped(WhyDropped),
}

/// Why a format goes nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WhyDropped {
    /// A number without `a=rtpmap` that is not static either.
    #[error("no rtpmap says what it is")]
    Unmapped,
    /// Events or noise whose codec is not there.
    #[error("no codec of its clock rate to accompany")]
    Alone,
    /// `x-msrta`.
    #[error("RTAudio is known to Lync only, and nothing is transcoded")]
    RtAudio,
    /// `x-rtvc1`.
    #[error("RTVideo is known to Lync only, and nothing is transcoded")]
    RtVideo,
    /// Siren, SILK, G.722.1: other rates are other codecs.
    #[error("not known on both sides at this rate")]
    Rate,
    /// RED, FEC, retransmission.
    #[error("redundancy is not carried across")]
    Redundancy,
    /// `CN`.
    #[error("comfort noise is not known on both sides at this clock rate")]
    Noise,
    /// `telephone-event`.
    #[error("events of this clock rate are not known on both sides")]
    Events,
    /// H.264 of another profile or packetization mode.
    #[error("its profile or packetization mode is not known on this side")]
    H264,
    /// Any other codec.
    #[error("not known on both sides, and nothing is transcoded")]
    Unknown,
    /// The answer of the other side left it out.
    #[error("the other side did not take it")]
    NotAnswered,
    /// Its section is not joined.
    #[error("its section is not joined: {0}")]
    Section(Why),
}

/// How packets of a codec go from one side to the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CodecMap {
    /// Encoding name on side A.
    pub name: String,
    /// Clock rate.
    pub clock_hz: u32,
    /// Payload type of packets from A.
    pub a_pt: u8,
    /// Payload type that they go to B with.
    pub b_pt: u8,
    /// Payload type of packets from B.
    pub b_receive_pt: u8,
    /// Payload type that they go to A with.
    pub a_send_pt: u8,
    /// What happens to payloads from A to B; the reverse happens from B to A.
    pub transform: Transform,
}

/// What happens to payloads from A to B.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transform {
    /// Nothing.
    Pass,
    /// Lync's H.264 UC becomes plain H.264 (RFC 6184).
    UcToAvc,
    /// Plain H.264 becomes Lync's H.264 UC.
    AvcToUc,
}

/// Says what happens to payloads.
impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "payloads pass",
            Self::UcToAvc => "payloads rewritten from UC-SVC to AVC",
            Self::AvcToUc => "payloads rewritten from AVC to UC-SVC",
        })
    }
}

impl Transform {
    /// What happens in the other direction.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Pass => Self::Pass,
            Self::UcToAvc => Self::AvcToUc,
            Self::AvcToUc => Self::UcToAvc,
        }
    }
}

/// Why a part of an offer or an answer became what it did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The section of the offer, counted from 0; `None` for the session.
    pub media: Option<usize>,
    /// What it is about: `section`, `codec`, `encryption`, `direction`, `ice`, `bandwidth`,
    /// `line`.
    pub subject: &'static str,
    /// A sentence.
    pub text: String,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.media {
            Some(index) => write!(f, "m={index} {}: {}", self.subject, self.text),
            None => write!(f, "session {}: {}", self.subject, self.text),
        }
    }
}

/// What a session's translations have come to: layout, versions and payload types of both sides.
#[derive(Clone, Debug)]
pub struct Context {
    pub(super) a: Leg,
    pub(super) b: Leg,
    /// Which sections belong together.
    pub(super) pairs: Vec<Pair>,
}

/// Our end of one side.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    pub(super) profile: Profile,
    pub(super) history: History,
}

/// A section of A and its counterpart of B.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pair {
    pub(super) a: Option<usize>,
    pub(super) b: Option<usize>,
}

impl Pair {
    pub(super) const fn index(self, side: Side) -> Option<usize> {
        match side {
            Side::A => self.a,
            Side::B => self.b,
        }
    }
}

/// How a section of an offer is joined.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The section's index on the other side.
    pub(super) far: usize,
    /// The offerer's codecs that have a counterpart, each with all of its counterparts.
    pub(super) codecs: Vec<(Chosen, Vec<(Codec, Transform)>)>,
}

impl Context {
    pub(super) fn new(a: Profile, b: Profile) -> Self {
        let leg = |profile| Leg { profile, history: History::default() };
        Self { a: leg(a), b: leg(b), pairs: Vec::new() }
    }

    /// What our end of a side can do.
    #[must_use]
    pub const fn profile(&self, side: Side) -> &Profile {
        &self.leg(side).profile
    }

    /// What our end of a side can do, from the next offer on.
    pub const fn profile_mut(&mut self, side: Side) -> &mut Profile {
        &mut self.leg_mut(side).profile
    }

    /// The last description for `side` is the one that `of` has, while what was agreed stays. What
    /// was translated and not sent does not count, and what was sent and refused does: the next
    /// description's version follows from it (RFC 3264 §8).
    pub fn set_last_written(&mut self, side: Side, of: &Self) {
        let history = &mut self.leg_mut(side).history;
        let sections = core::mem::take(&mut history.sections);
        *history = of.leg(side).history.clone();
        history.set_sections(sections);
    }

    pub(super) const fn leg(&self, side: Side) -> &Leg {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    pub(super) const fn leg_mut(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// The counterpart of a section.
    pub(super) fn counterpart(&self, side: Side, index: usize) -> Option<usize> {
        let pair = self.pairs.iter().find(|p| p.index(side) == Some(index))?;
        pair.index(side.other())
    }
}
