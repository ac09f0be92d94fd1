//! Between the values of descriptions and those of the media half.

use linkspan_ice as ice;
use linkspan_sdp as sdp;

use crate::config::{AudioCodec, Config, Encryption, IceKind, PacketizationModes};
use crate::id::{Side, StreamKind};
use crate::media::{AgreedStream, KeyError, LocalIce};

/// What one side of the gateway can do, as descriptions need to know it.
pub(super) fn profile(config: &Config, side: Side) -> sdp::Profile {
    let own = config.side(side);
    let mut audio: Vec<sdp::Codec> = own
        .audio
        .iter()
        .map(|codec| match codec {
            AudioCodec::G722 => sdp::Codec::g722(),
            AudioCodec::Pcmu => sdp::Codec::pcmu(),
            AudioCodec::Pcma => sdp::Codec::pcma(),
        })
        .collect();
    audio.push(sdp::Codec::comfort_noise());
    let mut events = sdp::Codec::telephone_event();
    let base = match side {
        Side::Lync => sdp::Profile::lync(),
        Side::Standard => sdp::Profile::standard(),
    };
    let video = match (own.video, side) {
        (false, _) => Vec::new(),
        (true, Side::Lync) => vec![sdp::Codec::x_h264uc()],
        (true, Side::Standard) => {
            let h264 = |mode| sdp::Codec::h264(&own.h264.profile_level_id, mode);
            match own.h264.packetization_modes {
                PacketizationModes::Both => vec![h264(1), h264(0)],
                PacketizationModes::NonInterleaved => vec![h264(1)],
                PacketizationModes::SingleNal => vec![h264(0)],
            }
        }
    };
    if side == Side::Lync {
        events.fmtp = Some("0-16".into());
    }
    audio.push(events);
    sdp::Profile {
        audio,
        video,
        encryption: match own.encryption {
            Encryption::Required => sdp::EncryptionLevel::Required,
            Encryption::Supported => sdp::EncryptionLevel::Supported,
            Encryption::None => sdp::EncryptionLevel::None,
        },
        ice: match own.ice {
            IceKind::None => sdp::IceMode::None,
            IceKind::Rfc8445 => sdp::IceMode::Rfc8445,
            IceKind::MsIce2 => sdp::IceMode::MsIce2,
        },
        rtcp_mux: own.rtcp_mux,
        video_kbps: Some(config.max_video_kbps),
        ..base
    }
}

/// What was agreed for one m-line of a leg, for the media half.
pub(super) fn agreed(
    config: &Config,
    side: Side,
    media: &sdp::AgreedMedia,
) -> Result<AgreedStream, KeyError> {
    let mut agreed = AgreedStream::try_from(media)?;
    agreed.max_payload = config.side(side).max_payload;
    agreed.fragments_in_mode_0 = config.side(side).h264.fragments_in_mode_0;
    agreed.damaged_video = config.side(side).damaged_video;
    agreed.max_video_kbps = agreed.max_video_kbps.min(config.max_video_kbps);
    agreed.access_unit_octets = config.limits.access_unit_octets;
    Ok(agreed)
}

/// The kind of an m-line that the bridge has.
pub(super) const fn kind(kind: &sdp::MediaKind) -> Option<StreamKind> {
    match kind {
        sdp::MediaKind::Audio => Some(StreamKind::Audio),
        sdp::MediaKind::Video => Some(StreamKind::Video),
        _ => None,
    }
}

/// This side's half of ICE, for a description. Only what was selected, once something was.
pub(super) fn local_ice(ice: &LocalIce, pairs: Option<&[ice::SelectedPair]>) -> sdp::LocalIce {
    let selected = pairs.map(|pairs| LocalIce {
        credentials: ice.credentials.clone(),
        candidates: pairs.iter().map(|pair| pair.local_candidate.clone()).collect(),
        defaults: Vec::new(),
    });
    sdp::LocalIce::from(selected.as_ref().unwrap_or(ice))
}
