//! From an offer of one side to an offer for the other.

use super::map::{counterparts, far_codecs, formats, lost_formats, unjoinable};
use super::outcome::{Pair, Plan};
use super::{CodecMap, Context, Explanation, MediaOutcome, OfferTranslation, Outcome, Side, Why};
use crate::negotiate::address_of;
use crate::negotiate::answer::{offered_keys, preview, unusable};
use crate::negotiate::bundle::{Peer, check_mids};
use crate::negotiate::codecs::choose;
use crate::negotiate::offer::{Offered, Offering, offer as write_offer, unused};
use crate::negotiate::write::Written;
use crate::{
    Dialect, Direction, EncryptionLevel, LocalMedia, MediaKind, MediaView, Refusal, RefusalReason,
    SessionDescription, answer_encryption,
};

/// The translation while it is made.
struct Work<'a> {
    offer: &'a SessionDescription,
    offerer: Side,
    context: Context,
    local: &'a [LocalMedia],
    explain: Vec<Explanation>,
}

pub(super) fn translate(
    offer: &SessionDescription,
    offerer: Side,
    context: Context,
    local: &[LocalMedia],
) -> Result<OfferTranslation, Refusal> {
    // RFC 3264 §8: sections do not go away.
    if offer.media.len() < context.leg(offerer).history.sections.len() {
        return Err(Refusal::new(RefusalReason::MediaRemoved, None));
    }
    check_mids(offer)?;
    let mut work = Work { offer, offerer, context, local, explain: Vec::new() };
    let mut media = Vec::with_capacity(offer.media.len());
    let mut plans: Vec<Option<Plan>> = Vec::with_capacity(offer.media.len());
    let mut joined: Vec<MediaKind> = Vec::new();
    for (index, view) in offer.media_views().enumerate() {
        match work.plan(index, &view, &joined)? {
            Ok(plan) => {
                joined.push(view.kind());
                media.push(work.mapped(index, &view, &plan));
                plans.push(Some(plan));
            }
            Err(outcome) => {
                media.push(work.not_mapped(index, &view, outcome));
                plans.push(None);
            }
        }
    }
    if joined.is_empty() {
        let unused = offer.media.iter().all(|m| m.port == 0);
        let reason = if unused { RefusalReason::NoMedia } else { RefusalReason::NoCommonCodec };
        return Err(Refusal::new(reason, None));
    }
    let (description, offered, changed) = work.write(&plans);
    for plan in media.iter_mut().zip(&plans) {
        if let (outcome, Some(plan)) = plan {
            outcome.codecs = possible(plan, &offered, offerer);
        }
    }
    Ok(OfferTranslation {
        description,
        media,
        changed,
        explain: work.explain,
        offer: offer.clone(),
        offerer,
        context: work.context,
        plans,
        offered,
        turned: false,
    })
}

impl Work<'_> {
    /// How a section is joined, or what becomes of it when it is not.
    fn plan(
        &mut self,
        index: usize,
        view: &MediaView<'_>,
        joined: &[MediaKind],
    ) -> Result<Result<Plan, Outcome>, Refusal> {
        if view.port() == 0 {
            return Ok(Err(Outcome::Dropped(Why::Unused)));
        }
        let near = &self.context.leg(self.offerer).profile;
        let far = &self.context.leg(self.offerer.other()).profile;
        let kind = view.kind();
        let refused = |why| Ok(Err(Outcome::Refused(why)));
        if let Some(why) = unjoinable(view) {
            return refused(why);
        }
        if joined.contains(&kind) || self.is_taken_by_another(index, &kind) {
            return refused(Why::SecondOfKind);
        }
        if let Some(why) = unusable(near, &Peer::alone(*view), None) {
            return refused(why);
        }
        if self.local.get(index).is_none_or(|l| l.rtp_port == 0) {
            return refused(Why::NoLocalMedia);
        }
        let known = choose(near.codecs(&kind), view, false);
        if known.iter().all(|c| c.codec.is_auxiliary()) {
            return refused(Why::NoCommonCodec);
        }
        let codecs: Vec<_> = known
            .into_iter()
            .map(|c| {
                let offered = crate::Codec { fmtp: c.remote_fmtp.clone(), ..c.codec.clone() };
                let counterparts = counterparts(&offered, far.codecs(&kind));
                (c, counterparts)
            })
            .filter(|(_, counterparts)| !counterparts.is_empty())
            .collect();
        if codecs.iter().all(|(c, _)| c.codec.is_auxiliary()) {
            return refused(Why::NoCounterpart);
        }
        self.check_encryption(index, view)?;
        let far = self.context.counterpart(self.offerer, index).unwrap_or_else(|| {
            let side = self.offerer.other();
            let used = self.context.pairs.iter().filter_map(|p| p.index(side)).max();
            let written = self.context.leg(side).history.sections.len();
            used.map_or(0, |last| last + 1).max(written)
        });
        self.pair(index, far);
        Ok(Ok(Plan { far, codecs }))
    }

    /// Whether an earlier exchange joined another section of this kind that is still offered.
    fn is_taken_by_another(&self, index: usize, kind: &MediaKind) -> bool {
        self.context.pairs.iter().filter_map(|p| p.index(self.offerer)).any(|other| {
            let media = self.offer.media.get(other);
            other != index && media.is_some_and(|m| m.kind == *kind && m.port != 0)
        })
    }

    /// A's level against ours, before B hears of the call.
    fn check_encryption(&mut self, index: usize, view: &MediaView<'_>) -> Result<(), Refusal> {
        let near = &self.context.leg(self.offerer).profile;
        let decided = offered_keys(near, view, None)
            .and_then(|keys| Ok((keys.class, answer_encryption(keys.class, near.encryption)?)));
        let (class, encrypted) = decided
            .map_err(|cause| Refusal::new(RefusalReason::EncryptionMismatch(cause), Some(index)))?;
        let offered = match class {
            EncryptionLevel::Required => "required",
            EncryptionLevel::Supported => "optional",
            EncryptionLevel::None => "none",
        };
        let outcome = if encrypted { "SRTP" } else { "RTP in clear" };
        let level = near.encryption.lync_name();
        self.say(index, "encryption", format!("offered {offered}, our level {level}: {outcome}"));
        Ok(())
    }

    fn pair(&mut self, near: usize, far: usize) {
        if self.context.counterpart(self.offerer, near).is_none() {
            self.context.pairs.push(match self.offerer {
                Side::A => Pair { a: Some(near), b: Some(far) },
                Side::B => Pair { a: Some(far), b: Some(near) },
            });
        }
    }

    fn mapped(&mut self, index: usize, view: &MediaView<'_>, plan: &Plan) -> MediaOutcome {
        let far = &self.context.leg(self.offerer.other()).profile;
        let codecs = far_codecs(&plan.codecs, far.codecs(&view.kind()));
        let formats = formats(view, &plan.codecs, &codecs);
        for format in &formats {
            self.say(index, "codec", format.to_string());
        }
        let near = &self.context.leg(self.offerer).profile;
        let chosen = plan.codecs.iter().map(|(c, _)| c.clone()).collect();
        let preview = preview(near, &Peer::alone(*view), chosen);
        let ice = match &preview.remote.ice {
            Some(ice) => {
                format!("terminated here; the peer has {} candidates", ice.candidates.len())
            }
            None => "the peer does none, or it is off on this side".into(),
        };
        self.say(index, "section", format!("{} mapped to section {}", view.kind(), plan.far));
        self.say(index, "ice", ice);
        if let Some(bps) = preview.send_limit_bps {
            self.say(index, "bandwidth", format!("the peer receives at most {bps} bit/s"));
        }
        let (a, b) = self.sides(Some(preview));
        let (a_index, b_index) = self.sides_of(index, Some(plan.far));
        let outcome = Outcome::Mapped;
        let (kind, codecs) = (view.kind(), Vec::new());
        MediaOutcome { kind, outcome, formats, codecs, a, b, a_index, b_index }
    }

    fn not_mapped(&mut self, index: usize, view: &MediaView<'_>, outcome: Outcome) -> MediaOutcome {
        self.say(index, "section", format!("{} {outcome}", view.kind()));
        let formats = match outcome {
            Outcome::Refused(why) | Outcome::Dropped(why) => lost_formats(view, why),
            Outcome::Mapped => Vec::new(),
        };
        for format in &formats {
            self.say(index, "codec", format.to_string());
        }
        let far = self.context.counterpart(self.offerer, index);
        let (a_index, b_index) = self.sides_of(index, far);
        let kind = view.kind();
        let (a, b, codecs) = (None, None, Vec::new());
        MediaOutcome { kind, outcome, formats, codecs, a, b, a_index, b_index }
    }

    /// Writes the offer for the other side.
    fn write(&mut self, plans: &[Option<Plan>]) -> (SessionDescription, Vec<Offered>, bool) {
        let side = self.offerer.other();
        let far = self.context.leg(side).clone();
        let planned = plans.iter().flatten().map(|p| p.far + 1).max().unwrap_or(0);
        let count = planned.max(far.history.sections.len());
        let mut written: Vec<Written<'_>> = Vec::with_capacity(count);
        let mut offered = Vec::with_capacity(count);
        for far_index in 0..count {
            let before = far.history.sections.get(far_index);
            let found = plans.iter().enumerate().find_map(|(near, plan)| {
                let plan = plan.as_ref().filter(|p| p.far == far_index)?;
                Some((near, plan, self.offer.media_view(near)?, self.local.get(near)?))
            });
            let (section, state) = match (found, before) {
                (Some((near, plan, view, local)), before) => {
                    let kind = view.kind();
                    let direction = self.far_direction(&view);
                    let codecs = far_codecs(&plan.codecs, far.profile.codecs(&kind));
                    let video_kbps = self.video_kbps(&view);
                    self.explain_direction(near, &view, direction);
                    write_offer(Offering {
                        profile: &far.profile,
                        kind,
                        local,
                        codecs: &codecs,
                        direction,
                        before,
                        video_kbps,
                        mid: before.and_then(|b| b.mid.clone()),
                    })
                }
                (None, Some(before)) => unused(before.clone()),
                // Indices are given out without gaps.
                (None, None) => continue,
            };
            written.push(section);
            offered.push(state);
        }
        let leg = self.context.leg_mut(side);
        let before = leg.history.version();
        let description = leg.history.write(&far.profile, &written, &[], address_of(self.local));
        let changed = before.is_none() || before != leg.history.version();
        (description, offered, changed)
    }

    /// [MS-SDPEXT] 3.1.5.23.1: Lync holds with `inactive` whatever way the other side does it.
    fn far_direction(&self, view: &MediaView<'_>) -> Direction {
        let direction = view.effective_direction();
        let dialect = |side| self.context.leg(side).profile.dialect;
        match (dialect(self.offerer), dialect(self.offerer.other()), direction) {
            (Dialect::Standard, Dialect::Lync, Direction::SendOnly) => Direction::Inactive,
            _ => direction,
        }
    }

    fn explain_direction(&mut self, index: usize, view: &MediaView<'_>, far: Direction) {
        let said = view.direction();
        if said != Direction::SendRecv || far != Direction::SendRecv {
            self.say(index, "direction", format!("{said} here, {far} on the other side"));
        }
    }

    /// What we ask of the other side: no more than the offerer takes.
    fn video_kbps(&self, view: &MediaView<'_>) -> Option<u32> {
        let far = self.context.leg(self.offerer.other()).profile.video_limit_kbps();
        let near = &self.context.leg(self.offerer).profile;
        let near = crate::negotiate::send_limit_kbps(near, view);
        match (far, near) {
            (Some(far), Some(near)) => Some(far.min(near)),
            (far, near) => far.or(near),
        }
    }

    fn sides<T>(&self, near: Option<T>) -> (Option<T>, Option<T>) {
        match self.offerer {
            Side::A => (near, None),
            Side::B => (None, near),
        }
    }

    const fn sides_of(&self, near: usize, far: Option<usize>) -> (Option<usize>, Option<usize>) {
        match self.offerer {
            Side::A => (Some(near), far),
            Side::B => (far, Some(near)),
        }
    }

    fn say(&mut self, index: usize, subject: &'static str, text: String) {
        self.explain.push(Explanation { media: Some(index), subject, text });
    }
}

/// The maps that the answer may choose from.
fn possible(plan: &Plan, offered: &[Offered], offerer: Side) -> Vec<CodecMap> {
    let numbers = offered.get(plan.far).map(|o| o.offered_numbers()).unwrap_or_default();
    let mut maps = Vec::new();
    for (chosen, counterparts) in &plan.codecs {
        for (counterpart, transform) in counterparts {
            let number = numbers.iter().find(|(_, codec)| {
                codec.is_same_encoding(counterpart) && codec.fmtp == counterpart.fmtp
            });
            let Some((far_pt, codec)) = number else { continue };
            let near_pt = chosen.payload_type;
            maps.push(match offerer {
                Side::A => CodecMap {
                    name: chosen.codec.name.clone(),
                    clock_hz: chosen.codec.clock_hz,
                    a_pt: near_pt,
                    b_pt: *far_pt,
                    b_receive_pt: *far_pt,
                    a_send_pt: near_pt,
                    transform: *transform,
                },
                Side::B => CodecMap {
                    name: codec.name.clone(),
                    clock_hz: codec.clock_hz,
                    a_pt: *far_pt,
                    b_pt: near_pt,
                    b_receive_pt: near_pt,
                    a_send_pt: *far_pt,
                    transform: transform.reversed(),
                },
            });
        }
    }
    maps
}
