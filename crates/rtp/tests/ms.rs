//! Microsoft's RTCP messages, byte for byte in both directions.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code outside #[test] functions"
)]

use linkspan_rtp::ms::{
    AspectRatios, BandwidthEstimate, Congestion, DominantSpeakers, Feedback, FrameRates,
    HealerMetrics, PacketTrain, PeerInfo, PictureLoss, ReportExtension, SOURCE_ANY, SOURCE_NONE,
    VideoSourceEntry, VideoSourceRequest,
};
use linkspan_rtp::{
    ApplicationFeedback, Compound, NtpTime, PayloadType, ReceiverReport, ReportBlock, RtcpPacket,
    SequenceNumber, Ssrc,
};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn one(octets: &[u8]) -> RtcpPacket {
    let mut packets = Compound::parse(octets).unwrap().packets();
    let packet = packets.next().unwrap().unwrap();
    assert!(packets.next().is_none());
    packet
}

fn feedback(octets: &[u8]) -> ApplicationFeedback {
    match one(octets) {
        RtcpPacket::ApplicationFeedback(packet) => packet,
        other => panic!("{other:?}"),
    }
}

const VSR: &str = "
    8fce0018 831f8dc1 fffffffe 00010058 fffffffe 00070000 00800144 00000000
    7a010002 050002d0 000c3500 00000000 000186a0 00000000 00000000 00010000
    00000000 00000000 00000010 00000001 00000001 00000000 00000000 00000000
    000e1000";

fn vsr() -> VideoSourceRequest {
    let mut bitrate_histogram = [0; 10];
    bitrate_histogram[4] = 1;
    let mut quality_histogram = [0; 8];
    quality_histogram[1] = 1;
    VideoSourceRequest {
        request_id: 7,
        key_frame: true,
        entries: vec![VideoSourceEntry {
            payload_type: PayloadType(122),
            uc_config_mode: 1,
            aspect_ratios: AspectRatios::R16_9,
            max_width: 1280,
            max_height: 720,
            min_bitrate_bps: 800_000,
            bitrate_per_level_bps: 100_000,
            bitrate_histogram,
            frame_rates: FrameRates::F30,
            may_instances: 1,
            quality_histogram,
            max_pixels: 921_600,
            ..VideoSourceEntry::default()
        }],
        ..VideoSourceRequest::any(Ssrc(0x831f_8dc1))
    }
}

#[test]
fn reads_the_video_source_request_of_the_reference() {
    let octets = hex(VSR);
    assert_eq!(octets.len(), 100);
    let read = Feedback::parse(&feedback(&octets)).unwrap();
    let Feedback::VideoSourceRequest(read) = read else { panic!("{read:?}") };
    assert_eq!(read.sender, Ssrc(0x831f_8dc1));
    assert_eq!((read.media, read.source), (SOURCE_ANY, SOURCE_ANY));
    assert_eq!(read.request_id, 7);
    assert!(read.key_frame);
    assert_eq!(read.entries[0].max_bitrate_bps(), Some(1_300_000));
    assert_eq!(read.entries[0].frame_rates.highest_doubled(), Some(60));
    assert_eq!(read.entries[0].max_pixels, 921_600);
    let mut written = Vec::new();
    read.write(&mut written).unwrap();
    assert_eq!(written, octets);
}

#[test]
fn writes_the_video_source_request_of_the_reference() {
    let mut written = Vec::new();
    vsr().write(&mut written).unwrap();
    assert_eq!(written, hex(VSR));
}

#[test]
fn any_bit_of_the_key_frame_octet_counts() {
    let mut octets = hex(VSR);
    for (value, wanted) in [(0, false), (1, true), (0x80, true), (0x40, true)] {
        octets[25] = value;
        let Feedback::VideoSourceRequest(read) = Feedback::parse(&feedback(&octets)).unwrap()
        else {
            panic!()
        };
        assert_eq!(read.key_frame, wanted, "{value:#x}");
    }
}

#[test]
fn longer_entries_are_stepped_over() {
    let mut packet = vsr().to_feedback().unwrap();
    packet.fci.extend_from_slice(&[0xee; 4]);
    packet.fci[3] += 4;
    packet.fci[15] += 4;
    let Feedback::VideoSourceRequest(read) = Feedback::parse(&packet).unwrap() else { panic!() };
    assert_eq!(read, vsr());
}

#[test]
fn refuses_requests_that_do_not_fit() {
    let good = vsr().to_feedback().unwrap();
    for (at, value) in [(3, 0x57), (3, 0x5c), (14, 2), (14, 21), (15, 67), (15, 69)] {
        let mut packet = good.clone();
        packet.fci[at] = value;
        assert!(Feedback::parse(&packet).is_err(), "{at} {value:#x}");
    }
    let none = VideoSourceRequest::none(Ssrc(1), 9);
    let read = Feedback::parse(&none.to_feedback().unwrap()).unwrap();
    assert_eq!(read, Feedback::VideoSourceRequest(none));
    let many = VideoSourceRequest { entries: vec![VideoSourceEntry::default(); 21], ..vsr() };
    assert!(many.to_feedback().is_err());
}

#[test]
fn picture_loss_of_the_reference() {
    let octets = hex("81ce0005 831f8dc1 4f4d1749 00030000 07000000 00000000");
    let RtcpPacket::Pli(pli) = one(&octets) else { panic!() };
    let read = PictureLoss::from_pli(&pli).unwrap().unwrap();
    assert_eq!((read.request_id, read.priority_ids), (3, 0b111));
    assert!(read.wants(0) && read.wants(2) && !read.wants(3) && !read.wants(200));
    let mut written = Vec::new();
    read.write(&mut written).unwrap();
    assert_eq!(written, octets);

    // Priority id 8 is the lowest bit of the second octet.
    let eight = PictureLoss { priority_ids: 1 << 8, ..read };
    assert_eq!(eight.to_pli().extension[4..6], [0, 1]);
    let mut odd = pli;
    odd.extension.extend_from_slice(&[0; 4]);
    assert!(PictureLoss::from_pli(&odd).is_err());
}

#[test]
fn dominant_speakers_of_the_reference() {
    let octets = hex("8fce0006 00000065 00000000 00030010 000000c9 00000131 000000ca");
    let read = Feedback::parse(&feedback(&octets)).unwrap();
    let speakers = DominantSpeakers {
        sender: Ssrc(0x65),
        media: Ssrc(0),
        sources: [201, 305, 202].map(Ssrc).to_vec(),
    };
    assert_eq!(read, Feedback::DominantSpeakers(speakers.clone()));
    let mut written = Vec::new();
    speakers.write(&mut written).unwrap();
    assert_eq!(written, octets);
    let none = DominantSpeakers { sources: vec![SOURCE_NONE], ..speakers };
    let read = Feedback::parse(&none.to_feedback().unwrap()).unwrap();
    assert_eq!(read, Feedback::DominantSpeakers(none));
}

#[test]
fn bandwidth_estimate_of_the_reference() {
    let octets = hex("81c9000a 831f8dc1 4f4d1749 00000000 00010203 00000005 00000000 00000000
         0001000c 4f4d1749 0016e360");
    let RtcpPacket::ReceiverReport(report) = one(&octets) else { panic!() };
    let extensions: Vec<_> =
        ReportExtension::iter(&report.extension).collect::<Result<_, _>>().unwrap();
    let expected = ReportExtension::EstimatedBandwidth {
        ssrc: Ssrc(0x4f4d_1749),
        estimate: BandwidthEstimate::Bps(1_500_000),
        confidence: None,
    };
    assert_eq!(extensions, std::slice::from_ref(&expected));

    let mut written = ReceiverReport {
        ssrc: Ssrc(0x831f_8dc1),
        reports: vec![ReportBlock {
            ssrc: Ssrc(0x4f4d_1749),
            highest_sequence: 0x0001_0203,
            jitter: 5,
            ..ReportBlock::default()
        }],
        extension: Vec::new(),
    };
    expected.write(&mut written.extension).unwrap();
    let mut out = Vec::new();
    written.write(&mut out).unwrap();
    assert_eq!(out, octets);
}

#[test]
fn every_report_extension_survives_a_round_trip() {
    let ssrc = Ssrc(0x0102_0304);
    let estimate =
        |estimate| ReportExtension::EstimatedBandwidth { ssrc, estimate, confidence: Some(9) };
    let all = [
        (16, estimate(BandwidthEstimate::Bps(5))),
        (16, estimate(BandwidthEstimate::PacketPair)),
        (16, estimate(BandwidthEstimate::PacketTrain)),
        (16, estimate(BandwidthEstimate::PacketTrainWanted)),
        (8, ReportExtension::PacketLoss { sequence: SequenceNumber(0xfffe) }),
        (
            20,
            ReportExtension::VideoPreference {
                width: 640,
                height: 360,
                bitrate_kbps: 0,
                frame_rate: 0,
            },
        ),
        (12, ReportExtension::Padding(8)),
        (12, ReportExtension::PolicyBandwidth(1)),
        (12, ReportExtension::TurnBandwidth(2)),
        (
            28,
            ReportExtension::AudioHealer(HealerMetrics {
                ssrc,
                concealed: 1,
                stretched: 2,
                compressed: 3,
                total: 4,
                quality_state: 5,
                fec_distance: 6,
            }),
        ),
        (12, ReportExtension::ReceiverBandwidth(3)),
        (
            12,
            ReportExtension::PacketTrain(PacketTrain {
                ssrc,
                last: true,
                index: 3,
                count: 4,
                octets: 500,
            }),
        ),
        (
            20,
            ReportExtension::PeerInfo(PeerInfo {
                ssrc,
                inbound_bps: 7,
                outbound_bps: 8,
                no_cache: true,
            }),
        ),
        (16, ReportExtension::Congestion(Congestion { at: NtpTime(9), info: 2 })),
        (12, ReportExtension::ModalityBandwidth { modality: 2, limit_bps: 10 }),
        (8, ReportExtension::Other { kind: 99, data: vec![1, 2, 3, 4] }),
        (4, ReportExtension::Other { kind: 1, data: Vec::new() }),
    ];
    let mut extension = Vec::new();
    for (len, item) in &all {
        let before = extension.len();
        item.write(&mut extension).unwrap();
        assert_eq!(extension.len() - before, *len, "{item:?}");
    }
    let read: Vec<_> = ReportExtension::iter(&extension).collect::<Result<_, _>>().unwrap();
    assert_eq!(read, all.map(|(_, item)| item));
}

#[test]
fn report_extensions_that_lie_about_their_length_end_the_list() {
    assert!(ReportExtension::iter(&[0, 1, 0, 3]).next().unwrap().is_err());
    let mut cut = ReportExtension::iter(&[0, 1, 0, 12, 0, 0]);
    assert!(cut.next().unwrap().is_err());
    assert!(cut.next().is_none());
    let many = [0, 6, 0, 4].repeat(21);
    assert_eq!(ReportExtension::iter(&many).filter(Result::is_ok).count(), 20);
    assert!(ReportExtension::iter(&many).last().unwrap().is_err());
}
