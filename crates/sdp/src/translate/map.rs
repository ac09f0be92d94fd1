//! Which codec of one side is which of the other.

use super::{Transform, Why};
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

/// What happened to each offered codec, for the explanation.
pub(super) fn explain_codecs(
    view: &MediaView<'_>,
    planned: &[(Chosen, Vec<(Codec, Transform)>)],
    far: &[Codec],
) -> Vec<String> {
    let offered = codecs_of(view);
    let unmapped = view
        .payload_types()
        .filter(|number| !offered.iter().any(|(pt, _)| number == pt))
        .map(|number| format!("{number} dropped: no rtpmap says what it is"));
    let mapped = offered.iter().map(|(pt, codec)| {
        let plan = planned.iter().find(|(chosen, _)| chosen.payload_type == *pt);
        let kept: Vec<String> = plan
            .into_iter()
            .flat_map(|(_, counterparts)| counterparts)
            .filter(|(counterpart, _)| far.contains(counterpart))
            .map(|(counterpart, transform)| describe(counterpart, *transform))
            .collect();
        let channels =
            if codec.channels > 1 { format!("/{}", codec.channels) } else { String::new() };
        let name = format!("{pt} {}/{}{channels}", codec.name, codec.clock_hz);
        match (plan, kept.is_empty()) {
            (Some(_), false) => format!("{name} mapped to {}", kept.join(" and ")),
            (Some(_), true) => format!("{name} dropped: no codec of its clock rate to accompany"),
            (None, _) => format!("{name} dropped: {}", why_dropped(codec)),
        }
    });
    mapped.chain(unmapped).collect()
}

fn describe(codec: &Codec, transform: Transform) -> String {
    let how = match transform {
        Transform::Pass => "payloads pass",
        Transform::UcToAvc => "payloads rewritten from UC-SVC to AVC",
        Transform::AvcToUc => "payloads rewritten from AVC to UC-SVC",
    };
    let mode = match codec.fmtp.as_deref().filter(|_| codec.name.eq_ignore_ascii_case("H264")) {
        Some(fmtp) => format!(" mode {}", crate::H264Format::parse(fmtp).packetization_mode),
        None => String::new(),
    };
    format!("{}{mode} ({how})", codec.name)
}

fn why_dropped(codec: &Codec) -> &'static str {
    let name = codec.name.to_ascii_lowercase();
    match name.as_str() {
        "x-msrta" => "RTAudio is known to Lync only, and nothing is transcoded",
        "x-rtvc1" => "RTVideo is known to Lync only, and nothing is transcoded",
        "siren" | "silk" | "g7221" => "not known on both sides at this rate",
        "red" | "ulpfec" | "x-ulpfecuc" | "rtx" => "redundancy is not carried across",
        "cn" => "comfort noise is not known on both sides at this clock rate",
        "telephone-event" => "events of this clock rate are not known on both sides",
        "h264" => "its profile or packetization mode is not known on this side",
        _ => "not known on both sides, and nothing is transcoded",
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
