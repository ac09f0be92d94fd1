//! Which codec of one side is which of the other.

use super::{FormatFate, FormatOutcome, Transform, Why, WhyDropped};
use crate::negotiate::codecs::{Chosen, codecs_of, match_codec};
use crate::{Codec, MediaKind, MediaView};

/// The counterparts of an offered codec among those of the other side.
pub(super) fn counterparts(near: &Codec, far: &[Codec]) -> Vec<(Codec, Transform)> {
    let is = |codec: &Codec, name: &str| codec.name.eq_ignore_ascii_case(name);
    far.iter()
        .filter_map(|codec| {
            let transform = if is(near, "X-H264UC") && is(codec, "H264") {
                Transform::UcToAvc
            } else if is(near, "H264") && is(codec, "X-H264UC") {
                Transform::AvcToUc
            } else if match_codec(codec, near).is_some() {
                Transform::Pass
            } else {
                return None;
            };
            Some((codec.clone(), transform))
        })
        .collect()
}

/// The other side's codecs that a set of offered ones needs, in the other side's preference.
pub(super) fn far_codecs(
    planned: &[(Chosen, Vec<(Codec, Transform)>)],
    far: &[Codec],
) -> Vec<Codec> {
    let wanted = |codec: &&Codec| {
        planned.iter().any(|(_, counterparts)| counterparts.iter().any(|(c, _)| c == *codec))
    };
    let mut codecs: Vec<Codec> = far.iter().filter(wanted).cloned().collect();
    crate::negotiate::codecs::drop_orphans(&mut codecs, |codec| codec);
    codecs
}

/// What becomes of each format of a section that is joined, in its order.
pub(super) fn formats(
    view: &MediaView<'_>,
    planned: &[(Chosen, Vec<(Codec, Transform)>)],
    far: &[Codec],
) -> Vec<FormatOutcome> {
    let offered = codecs_of(view);
    let of = |format: &str| {
        let number: Option<u8> = crate::mline::decimal(format);
        let Some((pt, codec)) = offered.iter().find(|(pt, _)| Some(*pt) == number) else {
            return FormatOutcome::dropped(format, "", WhyDropped::Unmapped);
        };
        let plan = planned.iter().find(|(chosen, _)| chosen.payload_type == *pt);
        let kept: Vec<(Codec, Transform)> = plan
            .into_iter()
            .flat_map(|(_, counterparts)| counterparts)
            .filter(|(counterpart, _)| far.contains(counterpart))
            .cloned()
            .collect();
        let encoding = encoding(codec);
        match (plan, kept.is_empty()) {
            (Some(_), false) => {
                FormatOutcome { format: format.into(), encoding, fate: FormatFate::Mapped(kept) }
            }
            (Some(_), true) => FormatOutcome::dropped(format, &encoding, WhyDropped::Alone),
            (None, _) => FormatOutcome::dropped(format, &encoding, why_dropped(codec)),
        }
    };
    view.formats().map(of).collect()
}

/// The formats of a section that is not joined: none goes anywhere. Where codecs were the reason,
/// each says its own.
pub(super) fn lost_formats(view: &MediaView<'_>, why: Why) -> Vec<FormatOutcome> {
    if matches!(why, Why::NoCommonCodec | Why::NoCounterpart) {
        return formats(view, &[], &[]);
    }
    let encoding = |format: &str| {
        let number = crate::mline::decimal(format).filter(|_| view.profile().rtp);
        let map = number.and_then(|pt| Some(view.rtpmap(pt)?.to_codec(pt, None)));
        map.as_ref().map(encoding).unwrap_or_default()
    };
    let why = WhyDropped::Section(why);
    view.formats().map(|f| FormatOutcome::dropped(f, &encoding(f), why)).collect()
}

fn encoding(codec: &Codec) -> String {
    let channels = if codec.channels > 1 { format!("/{}", codec.channels) } else { String::new() };
    format!("{}/{}{channels}", codec.name, codec.clock_hz)
}

fn why_dropped(codec: &Codec) -> WhyDropped {
    match codec.name.to_ascii_lowercase().as_str() {
        "x-msrta" => WhyDropped::RtAudio,
        "x-rtvc1" => WhyDropped::RtVideo,
        "siren" | "silk" | "g7221" => WhyDropped::Rate,
        "red" | "ulpfec" | "x-ulpfecuc" | "rtx" | "flexfec" | "flexfec-03" => {
            WhyDropped::Redundancy
        }
        "cn" => WhyDropped::Noise,
        "telephone-event" => WhyDropped::Events,
        "h264" => WhyDropped::H264,
        _ => WhyDropped::Unknown,
    }
}

/// What makes a section one that is not joined, whatever its codecs.
pub(super) fn unjoinable(view: &MediaView<'_>) -> Option<Why> {
    if !matches!(view.kind(), MediaKind::Audio | MediaKind::Video) {
        return Some(Why::Kind);
    }
    // RFC 4796 §5; Lync names the role in the label.
    let slides = view.content().is_some_and(|c| c.split(',').any(|c| c.trim() == "slides"));
    let sharing =
        view.label().is_some_and(|l| l.starts_with("applicationsharing") || l == "panoramic-video");
    (slides || sharing).then_some(Why::Content)
}
