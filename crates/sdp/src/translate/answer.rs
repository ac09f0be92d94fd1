//! From the answer of one side to the answer for the other.

use super::outcome::Plan;
use super::{
    CodecMap, Explanation, FormatFate, MediaOutcome, OfferTranslation, Outcome, Side, Transform,
    Translation, Why, WhyDropped,
};
use crate::negotiate::address_of;
use crate::negotiate::answer::{Answering, accept, refuse, unusable};
use crate::negotiate::bundle::Peer;
use crate::negotiate::codecs::{Chosen, drop_orphans};
use crate::negotiate::history::SectionState;
use crate::negotiate::offer::read_answer;
use crate::negotiate::write::Written;
use crate::{
    AgreedCodec, AgreedMedia, LocalMedia, MediaKind, MediaView, Refusal, RefusalReason,
    SessionDescription,
};

/// A codec of the offerer, its counterpart in the answer, and what happens between them.
struct Joined<'a> {
    near: &'a Chosen,
    far: &'a AgreedCodec,
    transform: Transform,
}

pub(super) fn translate(
    answer: &SessionDescription,
    offer: &OfferTranslation,
    locals: &[LocalMedia],
) -> Result<Translation, Refusal> {
    let offerer = offer.offerer;
    let mut context = offer.context.clone();
    let far_profile = &offer.context.leg(offerer.other()).profile;
    let (far_agreed, far_states) = read_answer(far_profile, &offer.offered, answer)?;
    let near_profile = &offer.context.leg(offerer).profile;

    let mut explain = Vec::new();
    let (mut written, mut states, mut media) = (Vec::new(), Vec::new(), Vec::new());
    for (index, view) in offer.offer.media_views().enumerate() {
        let say = |text: String| Explanation { media: Some(index), subject: "section", text };
        let mut outcome = offer.media.get(index).cloned().unwrap_or_else(|| unknown(&view));
        let plan = offer.plans.get(index).and_then(Option::as_ref);
        let far = plan.and_then(|plan| far_agreed.get(plan.far)).filter(|far| far.accepted);
        let local = locals.get(index).filter(|l| l.rtp_port != 0);
        let (section, agreed, state) = match (plan, far, local) {
            (Some(plan), Some(far), Some(local)) => {
                answer_joined(offer, index, (plan, far, local), &mut outcome)?
            }
            (Some(_), None, _) => {
                outcome.outcome = Outcome::Refused(Why::RefusedByOtherSide);
                refuse(&view, Why::RefusedByOtherSide)
            }
            (Some(_), Some(_), None) => {
                outcome.outcome = Outcome::Refused(Why::NoLocalMedia);
                refuse(&view, Why::NoLocalMedia)
            }
            (None, ..) => refuse(&view, Why::Unused),
        };
        explain.push(say(describe(&outcome)));
        let mapped = outcome.outcome == Outcome::Mapped;
        if !mapped {
            outcome.codecs.clear();
        }
        settle_formats(&mut outcome, offerer);
        let far = plan.and_then(|plan| far_agreed.get(plan.far).cloned());
        let near = mapped.then_some(agreed);
        (outcome.a, outcome.b) = match offerer {
            Side::A => (near, far.filter(|_| mapped)),
            Side::B => (far.filter(|_| mapped), near),
        };
        written.push(section);
        states.push(state);
        media.push(outcome);
    }
    if media.iter().all(|m| m.outcome != Outcome::Mapped) {
        return Err(Refusal::new(RefusalReason::NoCommonCodec, None));
    }
    let near = context.leg_mut(offerer);
    let before = near.history.clone();
    let description = near.history.write(near_profile, &written, &[], address_of(locals));
    if offer.turned {
        // Never sent: the next description is the one after the last that was.
        near.history = before;
    }
    near.history.set_sections(states);
    context.leg_mut(offerer.other()).history.set_sections(far_states);
    Ok(Translation { description, media, context, explain })
}

/// Answers a section that the other side has accepted.
fn answer_joined<'l>(
    offer: &OfferTranslation,
    index: usize,
    (plan, far, local): (&Plan, &AgreedMedia, &'l LocalMedia),
    outcome: &mut MediaOutcome,
) -> Result<(Written<'l>, AgreedMedia, SectionState), Refusal> {
    let missing = Refusal::new(RefusalReason::MediaCount, Some(index));
    let view = offer.offer.media_view(index).ok_or(missing)?;
    let leg = offer.context.leg(offer.offerer);
    let (profile, peer) = (&leg.profile, Peer::alone(view));
    let joined = join(plan, far, &view);
    // The answer took only what accompanies a codec: read_answer admits no other stranger.
    let why = match joined.is_empty() {
        true => Some(Why::NoCounterpart),
        false => unusable(profile, &peer, Some(local)),
    };
    if let Some(why) = why {
        outcome.outcome = Outcome::Refused(why);
        return Ok(refuse(&view, why));
    }
    outcome.codecs = joined.iter().map(|j| codec_map(j, offer.offerer)).collect();
    let answering = Answering {
        profile,
        local,
        before: leg.history.sections.get(index).filter(|b| b.used),
        chosen: near_codecs(&joined),
        direction: far.direction.reversed(),
        video_kbps: video_kbps(profile.video_limit_kbps(), far),
    };
    accept(answering, &peer)
        .map_err(|cause| Refusal::new(RefusalReason::EncryptionMismatch(cause), Some(index)))
}

/// The codecs that both answers can name. For video the first pair only: one stream is rewritten.
fn join<'a>(plan: &'a Plan, far: &'a AgreedMedia, view: &MediaView<'_>) -> Vec<Joined<'a>> {
    let mut joined = Vec::new();
    for (near, counterparts) in &plan.codecs {
        for (counterpart, transform) in counterparts {
            let agreed = far.codecs.iter().find(|agreed| {
                agreed.codec.is_same_encoding(counterpart) && agreed.codec.fmtp == counterpart.fmtp
            });
            if let Some(far) = agreed {
                joined.push(Joined { near, far, transform: *transform });
            }
        }
    }
    if view.kind() == MediaKind::Video {
        let main = |j: &Joined<'_>| !j.near.codec.is_auxiliary();
        let near = joined.iter().find(|j| main(j)).map(|j| j.near.payload_type);
        joined.retain(|j| !main(j) || Some(j.near.payload_type) == near);
    }
    drop_orphans(&mut joined, |j| &j.near.codec);
    if joined.iter().all(|j| j.near.codec.is_auxiliary()) {
        joined.clear();
    }
    joined
}

fn near_codecs(joined: &[Joined<'_>]) -> Vec<Chosen> {
    let mut codecs: Vec<Chosen> = Vec::with_capacity(joined.len());
    for j in joined {
        if codecs.iter().all(|c| c.payload_type != j.near.payload_type) {
            codecs.push(j.near.clone());
        }
    }
    codecs
}

fn codec_map(joined: &Joined<'_>, offerer: Side) -> CodecMap {
    let near_pt = joined.near.payload_type;
    let far = joined.far;
    let (name, clock_hz) = match offerer {
        Side::A => (&joined.near.codec.name, joined.near.codec.clock_hz),
        Side::B => (&far.codec.name, far.codec.clock_hz),
    };
    match offerer {
        Side::A => CodecMap {
            name: name.clone(),
            clock_hz,
            a_pt: near_pt,
            b_pt: far.send_pt,
            b_receive_pt: far.receive_pt,
            a_send_pt: near_pt,
            transform: joined.transform,
        },
        Side::B => CodecMap {
            name: name.clone(),
            clock_hz,
            a_pt: far.receive_pt,
            b_pt: near_pt,
            b_receive_pt: near_pt,
            a_send_pt: far.send_pt,
            transform: joined.transform.reversed(),
        },
    }
}

/// Formats that the other side did not take, or whose section it refused.
fn settle_formats(outcome: &mut MediaOutcome, offerer: Side) {
    let why = match outcome.outcome {
        Outcome::Mapped => WhyDropped::NotAnswered,
        Outcome::Refused(why) | Outcome::Dropped(why) => WhyDropped::Section(why),
    };
    for format in &mut outcome.formats {
        let goes_on = outcome.codecs.iter().any(|map| {
            let number = if offerer == Side::A { map.a_pt } else { map.b_pt };
            format.format == number.to_string()
        });
        if !goes_on && matches!(format.fate, FormatFate::Mapped(_)) {
            format.fate = FormatFate::Dropped(why);
        }
    }
}

/// What we ask of the offerer: no more than the other side takes.
fn video_kbps(ours: Option<u32>, far: &AgreedMedia) -> Option<u32> {
    let limit = far.send_limit_bps.and_then(|bps| u32::try_from(bps / 1_000).ok());
    match (ours, limit) {
        (Some(ours), Some(limit)) => Some(ours.min(limit)),
        (ours, limit) => ours.or(limit),
    }
}

fn describe(outcome: &MediaOutcome) -> String {
    let kind = &outcome.kind;
    match outcome.outcome {
        Outcome::Mapped => {
            let maps: Vec<String> = outcome
                .codecs
                .iter()
                .map(|c| format!("{} {}<>{}", c.name, c.a_pt, c.b_pt))
                .collect();
            format!("{kind} joined: {}", maps.join(", "))
        }
        other => format!("{kind} {other}"),
    }
}

fn unknown(view: &MediaView<'_>) -> MediaOutcome {
    MediaOutcome {
        kind: view.kind(),
        outcome: Outcome::Dropped(Why::Unused),
        formats: Vec::new(),
        codecs: Vec::<CodecMap>::new(),
        a: None,
        b: None,
        a_index: None,
        b_index: None,
    }
}
