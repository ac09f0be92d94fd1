//! Checks what `AvcToUc` and the packetizer send against the rules of \[MS-H264PF\] and RFC 6190, one
//! by one, on real streams.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

mod streams;

use linkspan_svc::ms::{LayerType, PacsiView};
use linkspan_svc::{
    AccessUnitReader, AvcToUc, AvcToUcConfig, Layering, NalHeader, NalType, Packetizer,
    PacketizerConfig, ParameterSets, SliceHeader, SvcExtension,
};

use crate::streams::streams;

const MAX: usize = 1_100;

/// The NAL units in one payload; the payload's own type for a fragment.
fn units(payload: &[u8]) -> (NalType, Vec<Vec<u8>>) {
    let kind = NalType::new(payload[0]);
    if kind != NalType::StapA {
        return (kind, vec![payload.to_vec()]);
    }
    let (mut rest, mut found) = (&payload[1..], Vec::new());
    while let [hi, lo, tail @ ..] = rest {
        let (unit, tail) = tail.split_at(usize::from(u16::from_be_bytes([*hi, *lo])));
        found.push(unit.to_vec());
        rest = tail;
    }
    (kind, found)
}

#[derive(Default)]
struct Checker {
    sets: ParameterSets,
    first: bool,
    donc: Option<u16>,
    ref_frames: [u8; 8],
    failed: Vec<String>,
}

impl Checker {
    fn rule(&mut self, holds: bool, rule: &str) {
        if !holds && self.failed.len() < 10 {
            self.failed.push(rule.to_owned());
        }
    }

    /// One layer of one access unit: a PACSI and the units behind it.
    fn layer(&mut self, nals: &[linkspan_svc::Nal<'_>], idr: bool) {
        let pacsi = PacsiView::parse(nals[0].bytes).unwrap();
        let rest = &nals[1..];
        let info = pacsi.bitstream_info();
        self.rule(info.is_some(), "bitstream information stands in every PACSI");
        let count = usize::from(info.unwrap().nal_units);
        self.rule(count == rest.len().min(255), "it counts the units behind the PACSI");
        self.rule(pacsi.flags & 0x20 != 0, "mode NI-TC: T is set in every PACSI");
        self.rule(self.donc.is_none_or(|d| pacsi.donc == Some(d)), "DONC counts NAL units");
        let described = u16::try_from(rest.len()).unwrap();
        self.donc = pacsi.donc.map(|d| d.wrapping_add(described));
        let headers: Vec<NalHeader> =
            rest.iter().map(|n| NalHeader::parse(n.bytes).unwrap()).collect();
        let most = headers.iter().map(|h| h.ref_idc).max().unwrap();
        self.rule(pacsi.header.ref_idc == most, "NRI is the largest of what it describes");
        self.rule(!pacsi.header.forbidden, "F is the OR of what it describes");
        let slices = || rest.iter().filter(|n| n.kind.is_vcl());
        let has_idr = slices().any(|n| n.kind == NalType::IdrSlice);
        self.rule(pacsi.layer.idr == has_idr, "I says whether there is an IDR slice");
        self.rule(pacsi.layer.no_inter_layer_pred, "N is set for base layers");
        self.rule(pacsi.layer.output, "O is set where a picture is shown");
        self.rule(
            rest.iter().all(|n| n.layer.unwrap() == pacsi.layer.layer()),
            "a PACSI describes one layer",
        );
        self.sequence(rest);
        for nal in rest {
            self.sets.update(nal.bytes).unwrap();
        }
        let layout = pacsi.stream_layout();
        let base = pacsi.layer.tid == 0;
        self.rule(
            !(self.first || idr && base) || layout.as_ref().is_some_and(|l| l.is_full()),
            "a full layout comes first of all, and with the base layer of every IDR access unit",
        );
        self.first = false;
        if let Some(layout) = layout {
            let own = layout.layer(pacsi.layer.prid);
            self.rule(own.is_some(), "the layout describes the layer");
            self.rule(
                layout.present.count_ones() as usize == layout.layers.as_ref().unwrap().len(),
                "as many descriptions as presence bits",
            );
            let slice = SliceHeader::parse(slices().next().unwrap().bytes, &self.sets).unwrap();
            let sps = self.sets.activate(slice.pps_id, false).unwrap().1.clone();
            let own = own.unwrap();
            self.rule(u32::from(own.coded_width) == sps.coded_width(), "coded width is the SPS's");
            self.rule(own.coded_width % 16 == 0 && own.coded_height % 16 == 0, "multiples of 16");
            self.rule(u32::from(own.display_height) == sps.height(), "display height is cropped");
            self.rule((own.layer_type == LayerType::Base) == base, "LT 0 is the base layer");
            self.rule(
                own.constrained_baseline == sps.is_constrained_baseline(),
                "CB only for Constrained Baseline",
            );
        }
        if has_idr {
            let has = |kind| rest.iter().any(|n| n.kind == kind);
            self.rule(has(NalType::Sps) && has(NalType::Pps), "sets come with every IDR picture");
        }
        let stream = usize::from(nals[0].stream & 7);
        if most != 0 {
            self.ref_frames[stream] = self.ref_frames[stream].wrapping_add(1);
        }
        let counted = info.unwrap().ref_frame_count == self.ref_frames[stream];
        self.rule(counted, "ref_frm_cnt goes up with each reference picture");
    }

    /// PACSI, SPS, PPS, SEI, (prefix, slice)+.
    fn sequence(&mut self, rest: &[linkspan_svc::Nal<'_>]) {
        for (at, nal) in rest.iter().enumerate() {
            if !nal.kind.is_vcl() {
                let allowed = matches!(
                    nal.kind,
                    NalType::Sps | NalType::Pps | NalType::Sei | NalType::Prefix
                );
                self.rule(allowed, "no delimiters, filler, subset sets");
                continue;
            }
            let prefix = at.checked_sub(1).map(|i| rest[i]).filter(|n| n.kind == NalType::Prefix);
            self.rule(prefix.is_some(), "a prefix NAL unit stands before every slice");
            let Some(prefix) = prefix else { continue };
            let (header, own) = (NalHeader::parse(nal.bytes).unwrap(), prefix.bytes);
            let ext = SvcExtension::parse(own).unwrap();
            self.rule(own[0] & 0xe0 == nal.bytes[0] & 0xe0, "F and NRI as the slice's");
            let tail: &[u8] = if header.ref_idc == 0 { &[] } else { &[0x20] };
            self.rule(&own[4..] == tail, "0x20 behind a referenced picture's, nothing otherwise");
            self.rule(ext.idr == (nal.kind == NalType::IdrSlice), "idr_flag as the slice's type");
            self.rule(ext.layer() == prefix.layer.unwrap(), "its ids are the layer's");
        }
    }
}

#[test]
fn every_rule_holds() {
    let mut failed = Vec::new();
    for (name, stream) in streams() {
        for layering in [Layering::Single, Layering::Temporal { layers: 2 }] {
            let mut rewriter = AvcToUc::new(AvcToUcConfig { layering, ..Default::default() });
            let mut packetizer = Packetizer::new(PacketizerConfig::uc_svc(MAX));
            let mut checker = Checker { first: true, ..Default::default() };
            for unit in AccessUnitReader::new(&stream) {
                let idr = unit.is_idr();
                let Some(unit) = rewriter.process(&unit) else { continue };
                let nals: Vec<_> = unit.iter().collect();
                let starts: Vec<usize> =
                    (0..nals.len()).filter(|&i| nals[i].kind == NalType::Pacsi).collect();
                checker.rule(starts.first() == Some(&0), "a PACSI is the first unit");
                for (i, &at) in starts.iter().enumerate() {
                    let end = starts.get(i + 1).copied().unwrap_or(nals.len());
                    checker.layer(&nals[at..end], idr);
                }
                let mut last_of_source = std::collections::HashMap::new();
                let payloads: Vec<_> = packetizer
                    .packetize(unit)
                    .iter()
                    .map(|p| (p.prid(), p.marker, p.to_vec()))
                    .collect();
                for (at, (prid, marker, payload)) in payloads.iter().enumerate() {
                    checker.rule(payload.len() <= MAX, "no payload is larger than allowed");
                    let (kind, units) = units(payload);
                    let prids: Vec<u8> = units
                        .iter()
                        .filter_map(|u| SvcExtension::parse(u).ok())
                        .map(|e| e.prid)
                        .collect();
                    checker.rule(prids.iter().all(|p| p == prid), "one layer in a STAP-A");
                    let first = units.iter().position(|u| NalType::new(u[0]) == NalType::Pacsi);
                    checker.rule(first.is_none_or(|f| f == 0), "a PACSI heads its STAP-A");
                    let fragmented = kind == NalType::FuA && payload[1] & 0x1f == 30;
                    checker.rule(!fragmented, "a PACSI is not fragmented");
                    last_of_source.insert(*prid, at);
                    let _ = marker;
                }
                for (at, (prid, marker, _)) in payloads.iter().enumerate() {
                    let last = last_of_source[prid] == at;
                    checker.rule(*marker == last, "the marker is on the last packet of a source");
                }
            }
            if !checker.failed.is_empty() {
                failed.push((name.clone(), layering, checker.failed));
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}
