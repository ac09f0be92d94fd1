//! What the demonstration proves, and what it says when something is missing.

use std::collections::HashSet;

use linkspan_examples::{CallReport, Report, Seen, StreamReport};
use linkspan_gateway::StreamKind;
use linkspan_svc::{ExtractOptions, extract};
use serde_json::json;

/// Collects what holds and what does not.
pub(crate) struct Proof<'a> {
    standard_encrypted: bool,
    report: &'a Report,
    faults: Vec<String>,
}

impl<'a> Proof<'a> {
    pub(crate) fn new(standard_encrypted: bool, report: &'a Report) -> Self {
        Self { standard_encrypted, report, faults: Vec::new() }
    }

    /// Judges one call. `reports` and `said` have the Lync side's first.
    pub(crate) fn judge(
        &mut self,
        call: u32,
        reports: [&CallReport; 2],
        said: &[(&[u8], &str); 2],
        seen: Vec<Seen>,
    ) {
        self.report.text("");
        let [lync, room] = reports;
        for (kind, judge) in [
            (StreamKind::Audio, Self::audio as fn(&mut Self, &str, _, _, _)),
            (StreamKind::Video, Self::video),
        ] {
            let (Some(at_lync), Some(at_room)) = (lync.stream(kind), room.stream(kind)) else {
                self.check(false, format!("call {call}: {kind} was agreed on both legs"));
                continue;
            };
            self.sound(call, "Lync", at_lync, true);
            self.sound(call, "room", at_room, self.standard_encrypted);
            judge(self, &format!("call {call}"), at_lync, at_room, said);
        }
        self.wire(call, "Lync client", reports, &seen, true);
        self.wire(call, "room", reports, &seen, self.standard_encrypted);
    }

    /// What the front end gave, it got back.
    pub(crate) fn judge_front_end(&mut self, faults: &[String]) {
        let said =
            if faults.is_empty() { String::new() } else { format!(": {}", faults.join("; ")) };
        self.check(
            faults.is_empty(),
            format!("the front end's Via and signed routes came back octet by octet{said}"),
        );
    }

    /// An error when anything did not hold.
    pub(crate) fn verdict(self) -> Result<(), String> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults.join("; ")) }
    }

    /// What has to hold for every stream.
    fn sound(&mut self, call: u32, leg: &str, stream: &StreamReport, encrypted: bool) {
        let kind = stream.kind;
        self.check(
            stream.lost == 0 && stream.received > 0,
            format!(
                "call {call}: {kind} to {leg}: {} packets, {} lost",
                stream.received, stream.lost
            ),
        );
        self.check(
            stream.encrypted == encrypted,
            format!(
                "call {call}: {kind} of {leg}: {}",
                if encrypted { "SRTP" } else { "in clear" }
            ),
        );
        self.check(
            stream.rtcp_received > 0,
            format!("call {call}: {kind} of {leg}: {} RTCP packets", stream.rtcp_received),
        );
    }

    fn audio(
        &mut self,
        call: &str,
        lync: &StreamReport,
        room: &StreamReport,
        said: &[(&[u8], &str); 2],
    ) {
        let [by_lync, by_room] = said;
        for (from, to, at, (clip, digits)) in
            [("Lync", "room", room, by_lync), ("room", "Lync", lync, by_room)]
        {
            let sent = clip.chunks_exact(160).count();
            let found = longest_run(at, clip);
            self.check(
                found == sent,
                format!("{call}: sound from {from} to {to}: {found} of {sent} packets"),
            );
            self.check(
                at.digits == *digits,
                format!("{call}: digits from {from} to {to}: {:?} of {digits:?}", at.digits),
            );
        }
    }

    fn video(
        &mut self,
        call: &str,
        lync: &StreamReport,
        room: &StreamReport,
        _said: &[(&[u8], &str); 2],
    ) {
        let pictures = |to: &StreamReport, from: &StreamReport| {
            to.units_received == from.units_sent && to.damaged == 0 && from.units_sent > 0
        };
        for (from, to, sender, receiver) in
            [("Lync", "room", lync, room), ("room", "Lync", room, lync)]
        {
            self.check(
                pictures(receiver, sender),
                format!(
                    "{call}: pictures from {from} to {to}: {} of {}, {} damaged",
                    receiver.units_received, sender.units_sent, receiver.damaged
                ),
            );
            self.check(
                sender.refreshes > 0 && sender.oversized == 0,
                format!("{call}: keyframe from {from} when {to} asked for one"),
            );
        }
        let avc = ExtractOptions::avc_base();
        let expected = extract(&lync.sent_stream, &avc);
        self.same(
            &format!("{call}: the room's stream is the extraction of Lync's"),
            &room.received_stream,
            &expected,
        );
        let received = extract(&lync.received_stream, &avc);
        let expected = extract(&room.sent_stream, &avc);
        self.same(
            &format!("{call}: the extraction of Lync's stream is the room's"),
            &received,
            &expected,
        );
        self.check(
            lync.source_requests_received > 0 && lync.source_requests_sent > 0,
            format!("{call}: video source requests to and from Lync"),
        );
        self.check(
            room.keyframe_requests_received > 0
                && lync.keyframe_requests_received + lync.source_requests_received > 1,
            format!("{call}: picture loss indications across the gateway, both ways"),
        );
    }

    fn same(&mut self, what: &str, got: &[u8], expected: &[u8]) {
        let differs = got.iter().zip(expected).position(|(a, b)| a != b);
        let at = differs.unwrap_or_else(|| got.len().min(expected.len()));
        let same = got == expected && !got.is_empty();
        let detail = if same {
            format!("{} octets", got.len())
        } else {
            format!("{} octets and {}, different from octet {at} on", got.len(), expected.len())
        };
        self.check(same, format!("{what}: {detail}"));
    }

    /// What was sent in clear must not be on the wire of an encrypted leg, and must be on that of
    /// the other.
    fn wire(
        &mut self,
        call: u32,
        party: &str,
        reports: [&CallReport; 2],
        seen: &[Seen],
        encrypted: bool,
    ) {
        let streams = reports.iter().flat_map(|report| &report.streams);
        let heads: HashSet<[u8; 16]> =
            streams.flat_map(|stream| stream.heads.iter().copied()).collect();
        let on_leg =
            seen.iter().filter(|seen| seen.parties.iter().flatten().any(|name| name == party));
        let (mut packets, mut clear) = (0_u32, 0_u32);
        for seen in on_leg {
            let Some(head) = rtp_head(&seen.payload) else { continue };
            packets += 1;
            clear += u32::from(heads.contains(&head));
        }
        let holds = packets > 0 && if encrypted { clear == 0 } else { clear > 0 };
        self.check(
            holds,
            format!("call {call}: on the wire of {party}: {packets} RTP packets, {clear} in clear"),
        );
    }

    fn check(&mut self, holds: bool, what: impl Into<String>) {
        let what = what.into();
        self.report.text(format!("{}  {what}", if holds { "ok     " } else { "MISSING" }));
        self.report.json(&json!({"event": "check", "ok": holds, "what": what}));
        if !holds {
            self.faults.push(what);
        }
    }
}

/// How many packets of the clip arrived one after another, from its first one on.
fn longest_run(stream: &StreamReport, clip: &[u8]) -> usize {
    let received: Vec<&[u8]> = stream.received_audio.iter().map(|(_, p)| p.as_slice()).collect();
    let first = clip.get(..160).unwrap_or(clip);
    let Some(start) = received.iter().position(|payload| *payload == first) else { return 0 };
    let heard = received.get(start..).unwrap_or_default();
    heard.iter().zip(clip.chunks_exact(160)).take_while(|(heard, said)| *heard == said).count()
}

/// The first octets of an RTP payload behind a plain header; `None` for anything else.
fn rtp_head(datagram: &[u8]) -> Option<[u8; 16]> {
    let (&[first, second, ..], rest) = datagram.split_first_chunk::<12>()?;
    let rtcp = (192..=223).contains(&second);
    if first != 0x80 || rtcp {
        return None;
    }
    rest.first_chunk().copied()
}
