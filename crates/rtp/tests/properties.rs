//! What is written is read back, and nothing read panics.
#![allow(clippy::indexing_slicing, reason = "test code outside #[test]")]

use linkspan_rtp::{
    App, ApplicationFeedback, Bye, Compound, DlrrItem, ExtendedReport, ExtensionForm, Fir,
    FirEntry, GenericNack, HeaderExtension, NtpTime, OtherFeedback, OtherRtcp, PayloadType, Pli,
    ReceiverReport, RedundantAudio, RedundantBlock, Remb, ReportBlock, Rpsi, RtcpPacket,
    RtpBuilder, RtpHeader, RtpPacket, Sdes, SdesChunk, SdesItem, SdesKind, SenderInfo,
    SenderReport, SequenceNumber, Sli, SliEntry, Ssrc, TmmbEntry, Tmmbn, Tmmbr, TransportCc,
    XrBlock,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn words(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<[u8; 4]>(), 0..max).prop_map(|words| words.concat())
}

fn ssrc() -> impl Strategy<Value = Ssrc> {
    any::<u32>().prop_map(Ssrc)
}

fn block() -> impl Strategy<Value = ReportBlock> {
    (ssrc(), any::<u8>(), -0x80_0000..0x80_0000, any::<[u32; 4]>()).prop_map(
        |(ssrc, fraction_lost, cumulative_lost, rest)| ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost,
            highest_sequence: rest[0],
            jitter: rest[1],
            last_sr: rest[2],
            delay_since_last_sr: rest[3],
        },
    )
}

fn item() -> impl Strategy<Value = SdesItem> {
    let kind = (1..=255u8).prop_map(SdesKind::from_code);
    (kind, vec(any::<u8>(), 0..40)).prop_map(|(kind, value)| SdesItem { kind, value })
}

fn tmmb() -> impl Strategy<Value = TmmbEntry> {
    // 17 significant bits survive.
    (ssrc(), 0..1u64 << 17, 0..40u32, 0..512u16).prop_map(|(ssrc, mantissa, shift, overhead)| {
        TmmbEntry { ssrc, bitrate_bps: mantissa << shift, overhead }
    })
}

fn packet() -> impl Strategy<Value = RtcpPacket> {
    let reports = || (ssrc(), vec(block(), 0..32), words(6));
    let info = (any::<u64>(), any::<[u32; 3]>()).prop_map(|(ntp, rest)| SenderInfo {
        ntp: NtpTime(ntp),
        rtp_timestamp: rest[0],
        packet_count: rest[1],
        octet_count: rest[2],
    });
    let chunk = (ssrc(), vec(item(), 0..4)).prop_map(|(ssrc, items)| SdesChunk { ssrc, items });
    let fir = (ssrc(), any::<u8>()).prop_map(|(ssrc, sequence)| FirEntry { ssrc, sequence });
    let pairs = vec((any::<u16>().prop_map(SequenceNumber), any::<u16>()), 0..9);
    prop_oneof![
        (info, reports()).prop_map(|(info, (ssrc, reports, extension))| {
            RtcpPacket::SenderReport(SenderReport { ssrc, info, reports, extension })
        }),
        reports().prop_map(|(ssrc, reports, extension)| {
            RtcpPacket::ReceiverReport(ReceiverReport { ssrc, reports, extension })
        }),
        vec(chunk, 0..32).prop_map(|chunks| RtcpPacket::Sdes(Sdes { chunks })),
        (vec(ssrc(), 0..32), prop::option::of(vec(any::<u8>(), 0..256)))
            .prop_map(|(sources, reason)| RtcpPacket::Bye(Bye { sources, reason })),
        (0..32u8, ssrc(), any::<[u8; 4]>(), words(9)).prop_map(|(subtype, ssrc, name, data)| {
            RtcpPacket::App(App { subtype, ssrc, name, data })
        }),
        (ssrc(), ssrc(), pairs).prop_map(|(sender, media, pairs)| {
            RtcpPacket::Nack(GenericNack { sender, media, pairs })
        }),
        (ssrc(), vec(tmmb(), 0..5))
            .prop_map(|(sender, entries)| RtcpPacket::Tmmbr(Tmmbr { sender, entries })),
        (ssrc(), vec(tmmb(), 0..5))
            .prop_map(|(sender, entries)| RtcpPacket::Tmmbn(Tmmbn { sender, entries })),
        (ssrc(), ssrc(), words(5)).prop_map(|(sender, media, extension)| {
            RtcpPacket::Pli(Pli { sender, media, extension })
        }),
        (ssrc(), vec(fir, 0..5))
            .prop_map(|(sender, entries)| RtcpPacket::Fir(Fir { sender, entries })),
        (ssrc(), 0..1u64 << 18, 0..45u32, vec(ssrc(), 0..5)).prop_map(
            |(sender, mantissa, shift, ssrcs)| {
                RtcpPacket::Remb(Remb { sender, bitrate_bps: mantissa << shift, ssrcs })
            }
        ),
        (ssrc(), ssrc(), words(9)).prop_filter_map("REMB", |(sender, media, fci)| {
            let is_remb = fci.starts_with(b"REMB");
            (!is_remb).then_some(RtcpPacket::ApplicationFeedback(ApplicationFeedback {
                sender,
                media,
                fci,
            }))
        }),
        (
            ssrc(),
            ssrc(),
            any::<u16>(),
            -0x80_0000..0x80_0000,
            any::<u8>(),
            vec(any::<Option<i16>>(), 0..30)
        )
            .prop_map(|(sender, media, first, reference_time, count, arrivals)| {
                let first = SequenceNumber(first);
                RtcpPacket::TransportCc(TransportCc {
                    sender,
                    media,
                    first,
                    reference_time,
                    count,
                    arrivals,
                })
            }),
        (ssrc(), ssrc(), vec((0..0x2000u16, 0..0x2000u16, 0..64u8), 0..5)).prop_map(
            |(sender, media, entries)| {
                let entry = |(first, count, picture_id)| SliEntry { first, count, picture_id };
                let entries = entries.into_iter().map(entry).collect();
                RtcpPacket::Sli(Sli { sender, media, entries })
            }
        ),
        (ssrc(), ssrc(), 0..128u8, vec(any::<u8>(), 1..20), 0..8u8).prop_map(
            |(sender, media, payload_type, bits, unused_bits)| {
                let payload_type = PayloadType(payload_type);
                RtcpPacket::Rpsi(Rpsi { sender, media, payload_type, bits, unused_bits })
            }
        ),
        (ssrc(), any::<u64>(), vec((ssrc(), any::<[u32; 2]>()), 0..4), words(5)).prop_map(
            |(ssrc, ntp, items, data)| {
                let item = |(ssrc, [last_rr, delay_since_last_rr]): (Ssrc, [u32; 2])| DlrrItem {
                    ssrc,
                    last_rr,
                    delay_since_last_rr,
                };
                let blocks = vec![
                    XrBlock::ReceiverReferenceTime(NtpTime(ntp)),
                    XrBlock::Dlrr(items.into_iter().map(item).collect()),
                    XrBlock::Other { kind: 7, specific: 3, data },
                ];
                RtcpPacket::ExtendedReport(ExtendedReport { ssrc, blocks })
            }
        ),
        (any::<bool>(), 5..15u8, ssrc(), ssrc(), words(9)).prop_map(
            |(payload_specific, format, sender, media, fci)| {
                let packet = OtherFeedback { payload_specific, format, sender, media, fci };
                RtcpPacket::OtherFeedback(packet)
            }
        ),
        (208..=223u8, 0..32u8, words(9)).prop_map(|(packet_type, count, body)| {
            RtcpPacket::Other(OtherRtcp { packet_type, count, body })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn compounds_are_read_back(packets in vec(packet(), 1..5), padding in 0..3u8) {
        let mut octets = Vec::new();
        let mut last = 0;
        for packet in &packets {
            last = octets.len();
            packet.write(&mut octets).unwrap();
        }
        if padding > 0 {
            // Padding belongs to the last packet.
            let count = 4 * padding;
            octets.resize(octets.len() + usize::from(count) - 1, 0);
            octets.push(count);
            octets[last] |= 0x20;
            let words = u16::from_be_bytes([octets[last + 2], octets[last + 3]]);
            let words = words + u16::from(padding);
            octets[last + 2..last + 4].copy_from_slice(&words.to_be_bytes());
        }
        let read: Result<Vec<_>, _> = Compound::parse(&octets).unwrap().packets().collect();
        prop_assert_eq!(read, Ok(packets));
    }

    #[test]
    fn whatever_is_cut_off_is_refused(packet in packet(), cut: prop::sample::Index) {
        let mut octets = Vec::new();
        packet.write(&mut octets).unwrap();
        let kept = cut.index(octets.len());
        prop_assert!(Compound::parse(&octets[..kept]).is_err());
    }

    #[test]
    fn any_octets_are_safe(octets in vec(any::<u8>(), 0..200), kind in 200..=207u8) {
        let _ = RtpPacket::parse(&octets).map(|packet| {
            packet.extension().map(|extension| extension.elements().count())
        });
        let mut framed = vec![0x80 | octets.first().map_or(0, |first| first & 31), kind];
        let body = octets.len() / 4 * 4;
        framed.extend_from_slice(&u16::try_from(body / 4).unwrap().to_be_bytes());
        framed.extend_from_slice(&octets[..body]);
        for packet in Compound::parse(&framed).unwrap().packets().flatten() {
            let mut written = Vec::new();
            if packet.write(&mut written).is_ok() {
                prop_assert_eq!(RtcpPacket::parse(&written), Ok(packet));
            }
        }
    }

    #[test]
    fn packets_are_read_back(
        marker: bool, payload_type in 0..128u8, sequence: u16, timestamp: u32, source: u32,
        csrcs in vec(ssrc(), 0..16), extension in prop::option::of((any::<u16>(), words(9))),
        payload in vec(any::<u8>(), 0..200), padding: u8,
    ) {
        let header = RtpHeader {
            marker,
            payload_type: PayloadType(payload_type),
            sequence: SequenceNumber(sequence),
            timestamp,
            ssrc: Ssrc(source),
        };
        let borrowed = extension.as_ref().map(|(profile, data)| (*profile, &data[..]));
        let builder =
            RtpBuilder { header, csrcs: &csrcs, extension: borrowed, payload: &payload, padding };
        let octets = builder.to_bytes().unwrap();
        let read = RtpPacket::parse(&octets).unwrap();
        prop_assert_eq!(read.header(), header);
        prop_assert!(read.csrcs().eq(csrcs.iter().copied()));
        prop_assert_eq!(read.extension().map(|e| (e.profile, e.data)), borrowed);
        prop_assert_eq!(read.payload(), &payload[..]);
        prop_assert_eq!(read.padding_len(), padding);
    }

    #[test]
    fn extension_elements_are_read_back(
        two_byte: bool,
        elements in vec((1..15u8, vec(any::<u8>(), 1..17), 0..3usize), 0..8),
    ) {
        let form =
            if two_byte { ExtensionForm::TwoByte { appbits: 5 } } else { ExtensionForm::OneByte };
        let mut data = Vec::new();
        for (id, value, padding) in &elements {
            form.write_element(*id, value, &mut data).unwrap();
            data.resize(data.len() + padding, 0);
        }
        form.pad(&mut data);
        let extension = HeaderExtension { profile: form.profile(), data: &data };
        let read: Vec<_> = extension.elements().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), elements.len());
        for (read, (id, value, _)) in read.iter().zip(&elements) {
            prop_assert_eq!((read.id, read.data), (*id, &value[..]));
        }
    }

    #[test]
    fn redundant_blocks_are_read_back(
        blocks in vec((0..128u8, 0..0x4000u16, vec(any::<u8>(), 0..60)), 1..6),
    ) {
        let primary = blocks.len() - 1;
        let blocks: Vec<_> = blocks
            .iter()
            .enumerate()
            .map(|(at, (payload_type, offset, data))| RedundantBlock {
                payload_type: PayloadType(*payload_type),
                timestamp_offset: if at == primary { 0 } else { *offset },
                data,
            })
            .collect();
        let mut payload = Vec::new();
        RedundantAudio::write(&blocks, &mut payload).unwrap();
        let read = RedundantAudio::parse(&payload).unwrap();
        prop_assert!(read.blocks().eq(blocks.iter().copied()));
    }
}
