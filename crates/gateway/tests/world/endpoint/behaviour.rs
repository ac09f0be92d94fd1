//! What an endpoint is told to do, and what it shows.

use std::time::Duration;

use linkspan_gateway::Side;
use linkspan_sdp as sdp;
use linkspan_svc::{AccessUnit, AccessUnitReader};

/// How an endpoint behaves.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) ice: bool,
    pub(crate) encryption: sdp::EncryptionLevel,
    pub(crate) video: bool,
    /// Rings and never answers.
    pub(crate) silent: bool,
    /// Does not even send 100.
    pub(crate) dead: bool,
    /// Answers 183 with its description first.
    pub(crate) early: bool,
    /// That one reliably, and nothing in its 2xx.
    pub(crate) reliable: bool,
    /// Answers the call when it is told to.
    pub(crate) waits: bool,
    /// Its Allow has no UPDATE.
    pub(crate) no_update: bool,
    /// Makes an offer in its PRACK.
    pub(crate) prack_offers: bool,
    /// Answers later offers with these first.
    pub(crate) refuses: Vec<u16>,
    /// Answers later offers when it is told to.
    pub(crate) slow: bool,
    /// Speaks SIP over UDP.
    pub(crate) udp: bool,
    pub(crate) reject: Option<(u16, Option<&'static str>)>,
    /// Video packets only after a source request, as a Lync 2013 sender.
    pub(crate) waits_for_source_request: bool,
    /// Only packetization mode 0.
    pub(crate) single_nal: bool,
    /// Sends this Annex B stream as its picture.
    pub(crate) picture: Vec<AccessUnit>,
    /// Time between two pictures.
    pub(crate) interval: Duration,
    /// Each layer of the picture on a source of its own, by its priority id.
    pub(crate) source_per_layer: bool,
    /// This picture has the timestamp of the one before it.
    pub(crate) repeats_timestamp_at: Option<usize>,
    /// Offers no audio codec that anybody else has.
    pub(crate) odd_codecs: bool,
    /// Calls without an offer.
    pub(crate) delayed: bool,
    /// Leaves the answer out of its ACK.
    pub(crate) owes_answer: bool,
    /// Answers in its ACK without keys, whatever was offered.
    pub(crate) answers_in_clear: bool,
    /// Has G.711 A-law alone.
    pub(crate) one_codec: bool,
    /// Who it says that it is.
    pub(crate) from: &'static str,
    /// What its server asserts beside that.
    pub(crate) asserted: Option<&'static str>,
}

impl Behaviour {
    pub(crate) fn of(side: Side) -> Self {
        Self {
            ice: true,
            encryption: match side {
                Side::Lync => sdp::EncryptionLevel::Required,
                Side::Standard => sdp::EncryptionLevel::Supported,
            },
            video: true,
            silent: false,
            dead: false,
            early: false,
            reliable: false,
            waits: false,
            no_update: false,
            prack_offers: false,
            refuses: Vec::new(),
            slow: false,
            udp: false,
            reject: None,
            waits_for_source_request: side == Side::Lync,
            single_nal: false,
            picture: pictures(&media_file(match side {
                Side::Lync => "lync-t3-640x360.264",
                Side::Standard => "standard-640x360.264",
            })),
            interval: Duration::from_millis(100),
            source_per_layer: false,
            repeats_timestamp_at: None,
            odd_codecs: false,
            delayed: false,
            owes_answer: false,
            answers_in_clear: false,
            one_codec: false,
            from: match side {
                Side::Lync => "sip:alice@example.test",
                Side::Standard => "sip:room7@video.example.test",
            },
            asserted: None,
        }
    }
}

/// A stream of the examples, which are in the same repository.
pub(crate) fn media_file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media/");
    std::fs::read(format!("{folder}{name}")).expect("a stream of the examples")
}

/// Numbers the temporal layers in the priority ids of their prefix NAL units, as Lync does
/// ([MS-H264PF] 3.1.5).
pub(crate) fn numbered(units: &[AccessUnit]) -> Vec<AccessUnit> {
    let number = |unit: &AccessUnit| {
        let mut to = AccessUnit::new(unit.timestamp());
        for nal in unit {
            let mut octets = nal.bytes.to_vec();
            if matches!(octets[0] & 0x1f, 14 | 20) {
                octets[1] = octets[1] & 0xc0 | octets[3] >> 5;
            }
            to.push(&octets);
        }
        to
    };
    units.iter().map(number).collect()
}

/// The access units of an Annex B stream.
pub(crate) fn pictures(stream: &[u8]) -> Vec<AccessUnit> {
    let mut reader = AccessUnitReader::new(stream);
    let mut units = Vec::new();
    let mut unit = AccessUnit::default();
    while reader.read_into(&mut unit) {
        units.push(unit.clone());
    }
    units
}

pub(super) fn profile(side: Side, behaviour: &Behaviour) -> sdp::Profile {
    let mut profile = match side {
        Side::Lync => sdp::Profile::lync(),
        Side::Standard => sdp::Profile::standard(),
    };
    profile.encryption = behaviour.encryption;
    profile.ice = match (side, behaviour.ice) {
        (_, false) => sdp::IceMode::None,
        (Side::Lync, true) => sdp::IceMode::MsIce2,
        (Side::Standard, true) => sdp::IceMode::Rfc8445,
    };
    if behaviour.single_nal {
        profile.video = vec![sdp::Codec::h264("42e01f", 0)];
    }
    if behaviour.one_codec {
        profile.audio = vec![sdp::Codec::pcma(), sdp::Codec::telephone_event()];
    }
    if behaviour.odd_codecs {
        profile.audio = vec![sdp::Codec::opus()];
        profile.video = Vec::new();
    }
    profile
}
