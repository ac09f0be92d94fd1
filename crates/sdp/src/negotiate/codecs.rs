//! Which codecs of a peer fit which of ours, and with what parameters.

use crate::{Codec, G7221Format, H264Format, MediaView, Parameters, ProfileLevelId};

/// A codec of an offer that we take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Chosen {
    /// The offerer's payload type.
    pub(crate) payload_type: u8,
    /// Our codec, with the parameters to answer.
    pub(crate) codec: Codec,
    /// The offerer's parameters.
    pub(crate) remote_fmtp: Option<String>,
}

/// The codecs that a section offers or answers with: payload type and codec, in order. Payload
/// types without a mapping are left out.
pub(crate) fn codecs_of(view: &MediaView<'_>) -> Vec<(u8, Codec)> {
    let codec = |pt| Some((pt, view.rtpmap(pt)?.to_codec(pt, view.fmtp(pt))));
    view.payload_types().filter_map(codec).collect()
}

/// The codecs of an offer that fit ours, in the offer's order (RFC 3264 §6.1): all for audio, for
/// video the one that we prefer. What only accompanies a codec stays where a codec of its clock is
/// there to be accompanied (RFC 4733 §2.1).
pub(crate) fn choose(ours: &[Codec], view: &MediaView<'_>, one_only: bool) -> Vec<Chosen> {
    let mut chosen = Vec::new();
    let offered = codecs_of(view);
    let events_only = offered.iter().all(|(_, codec)| codec.is_auxiliary());
    for (payload_type, remote) in offered {
        if let Some(fmtp) = ours.iter().find_map(|our| match_codec(our, &remote)) {
            chosen.push(Chosen {
                payload_type,
                remote_fmtp: remote.fmtp.clone(),
                codec: Codec { fmtp, payload_type: Some(payload_type), ..remote },
            });
        }
    }
    if one_only {
        keep_preferred(ours, &mut chosen);
    }
    // A section of events alone (RFC 4317 §2.4) accompanies another one.
    if !events_only {
        drop_orphans(&mut chosen, |c| &c.codec);
    }
    chosen
}

/// Drops auxiliary codecs whose clock no main codec has.
pub(crate) fn drop_orphans<T>(list: &mut Vec<T>, codec: impl Fn(&T) -> &Codec) {
    let clocks: Vec<u32> =
        list.iter().map(&codec).filter(|c| !c.is_auxiliary()).map(|c| c.clock_hz).collect();
    list.retain(|item| {
        let codec = codec(item);
        !codec.is_auxiliary() || clocks.contains(&codec.clock_hz)
    });
}

/// Whether a codec of ours fits a remote one; the parameters to answer with when it does.
// The outer option is the match, the inner one whether there is an fmtp line.
#[allow(clippy::option_option, reason = "no match and no parameters are two things")]
pub(crate) fn match_codec(ours: &Codec, remote: &Codec) -> Option<Option<String>> {
    if !ours.is_same_encoding(remote) {
        return None;
    }
    let our_fmtp = ours.fmtp.as_deref().unwrap_or_default();
    let remote_fmtp = remote.fmtp.as_deref().unwrap_or_default();
    match ours.name.to_ascii_lowercase().as_str() {
        "h264" => match_h264(our_fmtp, remote_fmtp).map(Some),
        // RFC 5577 §4: another bit rate is another codec. The same goes for Microsoft's Siren.
        "g7221" | "siren" => {
            let format = G7221Format::parse;
            (format(our_fmtp) == format(remote_fmtp)).then(|| ours.fmtp.clone())
        }
        // RFC 4733 §2.5.1: no list means 0-15.
        "telephone-event" => {
            let events = |fmtp: &str| match Parameters::new(fmtp).events() {
                0 => 0xffff,
                set => set,
            };
            (events(our_fmtp) & events(remote_fmtp) != 0).then(|| ours.fmtp.clone())
        }
        _ => Some(ours.fmtp.clone()),
    }
}

/// RFC 6184 §8.2.2: packetization mode and profile are symmetric, the level of an answer is not
/// above the offered one unless asymmetry is allowed by both.
fn match_h264(ours: &str, remote: &str) -> Option<String> {
    let (our, their) = (H264Format::parse(ours), H264Format::parse(remote));
    let (own_id, their_id) = (our.profile_level_id, their.profile_level_id);
    if our.packetization_mode != their.packetization_mode || !same_profile(own_id, their_id) {
        return None;
    }
    let asymmetric = our.level_asymmetry_allowed && their.level_asymmetry_allowed;
    let level =
        if asymmetric || own_id.level_rank() < their_id.level_rank() { own_id } else { their_id };
    // Level 1b is said with a constraint flag in the profiles of table 5: flags go with the level.
    const LEVEL_1B: u8 = 0x10;
    let constraints = (their_id.constraints & !LEVEL_1B) | (level.constraints & LEVEL_1B);
    let id = ProfileLevelId { profile: their_id.profile, constraints, level: level.level };
    let mut fmtp = format!("profile-level-id={id};packetization-mode={}", our.packetization_mode);
    for (name, value) in Parameters::new(remote).iter() {
        let (Some(offered), Some(own)) =
            (crate::mline::decimal::<u64>(value), Parameters::new(ours).number(name))
        else {
            continue;
        };
        // RFC 6184 §8.1: max-* parameters raise what the level of the writer says.
        if name.starts_with("max-") {
            fmtp.push_str(&format!(";{name}={}", own.min(offered)));
        }
    }
    if asymmetric {
        fmtp.push_str(";level-asymmetry-allowed=1");
    }
    Some(fmtp)
}

/// Plain and Constrained Baseline are one for us: endpoints write `4200xx`, `42801f` and `42e01f`
/// for the same streams, because nobody sends the tools that tell them apart (FMO, ASO).
fn same_profile(a: ProfileLevelId, b: ProfileLevelId) -> bool {
    use crate::H264Profile::{Baseline, ConstrainedBaseline};
    let (a, b) = (a.h264_profile(), b.h264_profile());
    let baseline = |p| matches!(p, Baseline | ConstrainedBaseline);
    a == b || (baseline(a) && baseline(b))
}

/// Keeps the main codec that comes first in our list, and what accompanies it.
fn keep_preferred(ours: &[Codec], chosen: &mut Vec<Chosen>) {
    let best = ours
        .iter()
        .filter(|our| !our.is_auxiliary())
        .find_map(|our| {
            chosen.iter().find(|c| {
                let remote = Codec { fmtp: c.remote_fmtp.clone(), ..c.codec.clone() };
                match_codec(our, &remote).is_some()
            })
        })
        .map(|c| c.payload_type);
    chosen.retain(|c| c.codec.is_auxiliary() || Some(c.payload_type) == best);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(fmtp: &str) -> Codec {
        Codec { fmtp: Some(fmtp.into()), ..Codec::new("H264", 90_000, 1, None) }
    }

    fn answer(ours: &str, theirs: &str) -> Option<String> {
        match_codec(&h264(ours), &h264(theirs)).flatten()
    }

    #[test]
    fn the_level_of_an_answer_is_not_above_the_offered_one() {
        let answer = |ours, theirs| answer(ours, theirs).unwrap();
        let (high, low) = (
            "profile-level-id=42e01f;packetization-mode=1",
            "profile-level-id=42e00d;packetization-mode=1",
        );
        assert_eq!(answer(high, low), low);
        assert_eq!(answer(low, high), low);
        let [high_either, low_either] =
            [high, low].map(|f| format!("{f};level-asymmetry-allowed=1"));
        assert_eq!(answer(&high_either, &low_either), high_either);
        assert_eq!(answer(&high_either, low), low);
    }

    #[test]
    fn what_raises_a_level_is_the_lower_of_both() {
        let ours = "profile-level-id=42801f;packetization-mode=1;max-mbps=245000;max-fs=8160";
        let theirs =
            "profile-level-id=428014;packetization-mode=1;max-mbps=108000;max-fs=3600;max-br=9";
        let expected = "profile-level-id=428014;packetization-mode=1;max-mbps=108000;max-fs=3600";
        assert_eq!(answer(ours, theirs).as_deref(), Some(expected));
    }

    /// A line that repeats a number ten thousand times is read as fast as any of its length.
    #[test]
    fn repeated_numbers_are_looked_up_once() {
        let head = "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\n";
        let lines = "a=x\r\n".repeat(3_000);
        let text = format!("{head}m=audio 1 RTP/AVP 0{}\r\n{lines}", " 96".repeat(10_000));
        let description = crate::Description::parse(text.as_bytes()).unwrap();
        let view = description.media().next().unwrap();
        assert!(view.payload_types().eq([0, 96]));
        assert_eq!(codecs_of(&view).len(), 1);
    }

    #[test]
    fn modes_and_profiles_are_symmetric() {
        let ours = "profile-level-id=42e01f;packetization-mode=1";
        assert!(answer(ours, "profile-level-id=42801f;packetization-mode=1").is_some());
        assert!(answer(ours, "profile-level-id=42e01f").is_none());
        assert!(answer(ours, "profile-level-id=64001f;packetization-mode=1").is_none());
        assert!(answer("profile-level-id=64001f", "profile-level-id=64001f").is_some());
        assert_eq!(answer("", "").as_deref(), Some("profile-level-id=42000a;packetization-mode=0"));
    }

    #[test]
    fn parameters_decide_for_some_codecs() {
        let matched = |ours: &Codec, fmtp: Option<&str>| {
            match_codec(ours, &Codec { fmtp: fmtp.map(Into::into), ..ours.clone() }).is_some()
        };
        assert!(matched(&Codec::g7221(24_000), Some("bitrate=24000")));
        assert!(!matched(&Codec::g7221(24_000), Some("bitrate=32000")));
        assert!(!matched(&Codec::g7221(24_000), None));
        assert!(matched(&Codec::telephone_event(), None));
        assert!(matched(&Codec::telephone_event(), Some("events=0-16")));
        assert!(matched(&Codec::opus(), Some("stereo=1")));
    }
}
