//! What a person sees of a call after it: tables, files, events.

use std::collections::BTreeMap;
use std::path::Path;

use linkspan_examples::{CallReport, Report, StreamReport, Table};
use linkspan_gateway::{GatewayEvent, Side, StreamId, StreamStatistics};
use serde_json::{Value, json};

/// The streams of one call of the demonstration, at its ends and through the gateway.
pub(crate) fn print(
    report: &Report,
    call: u32,
    lync: &CallReport,
    room: &CallReport,
    events: &[GatewayEvent],
) {
    let mut table = Table::new(&[
        "leg",
        "media",
        "codec",
        "",
        "sent",
        "received",
        "lost",
        "kbit/s out",
        "kbit/s in",
        "pictures out",
        "pictures in",
    ]);
    for (side, of) in [(Side::Lync, lync), (Side::Standard, room)] {
        for stream in &of.streams {
            report.json(&stream_json(call, side, of, stream));
            table.row(stream_row(side, of, stream));
        }
    }
    report.text("");
    for line in table.lines() {
        report.text(line);
    }
    let mut through = Table::new(&[
        "through the gateway",
        "packets in",
        "out",
        "dropped",
        "layers in",
        "picture",
    ]);
    let mut last: BTreeMap<StreamId, &StreamStatistics> = BTreeMap::new();
    for event in events {
        if let GatewayEvent::Statistics { stream, statistics } = event {
            last.insert(*stream, statistics);
        }
    }
    for (stream, statistics) in &last {
        let Some(across) = last.get(&stream.peer()) else { continue };
        let codec = |s: &StreamStatistics| s.codec.map_or("?", |codec| codec.name());
        let picture = statistics.picture.map(|(width, height)| format!("{width}x{height}"));
        through.row([
            format!(
                "{} {} -> {} {}",
                stream.side,
                codec(statistics),
                stream.side.other(),
                codec(across)
            ),
            statistics.received.packets.to_string(),
            across.sent.packets.to_string(),
            statistics.dropped.iter().sum::<u64>().to_string(),
            statistics.temporal_layers.to_string(),
            picture.unwrap_or_default(),
        ]);
    }
    report.text("");
    for line in through.lines() {
        report.text(line);
    }
}

fn stream_row(side: Side, call: &CallReport, stream: &StreamReport) -> [String; 11] {
    let pictures = |count: u64| if count > 0 { count.to_string() } else { String::new() };
    let (sent, received) = match stream.kind {
        linkspan_gateway::StreamKind::Video => (stream.units_sent, stream.units_received),
        linkspan_gateway::StreamKind::Audio => (0, 0),
    };
    [
        side.to_string(),
        stream.kind.to_string(),
        stream.codec.clone(),
        format!(
            "{}{}",
            if stream.encrypted { "SRTP" } else { "RTP" },
            if stream.ice { " ICE" } else { "" }
        ),
        stream.sent.to_string(),
        stream.received.to_string(),
        stream.lost.to_string(),
        kbps(stream.sent_octets, call.seconds),
        kbps(stream.received_octets, call.seconds),
        pictures(sent),
        pictures(received),
    ]
}

fn kbps(octets: u64, seconds: f64) -> String {
    let bits = u32::try_from(octets.saturating_mul(8)).unwrap_or(u32::MAX);
    format!("{:.0}", f64::from(bits) / 1_000.0 / seconds.max(0.001))
}

fn stream_json(call: u32, side: Side, of: &CallReport, stream: &StreamReport) -> Value {
    json!({
        "event": "stream",
        "call": call,
        "leg": side.name(),
        "media": stream.kind.name(),
        "codec": stream.codec,
        "sent": stream.sent,
        "received": stream.received,
        "lost": stream.lost,
        "encrypted": stream.encrypted,
        "ice": stream.ice,
        "sent_octets": stream.sent_octets,
        "received_octets": stream.received_octets,
        "units_sent": stream.units_sent,
        "units_received": stream.units_received,
        "damaged": stream.damaged,
        "temporal_layers": stream.temporal_layers,
        "digits": stream.digits,
        "keyframe_requests_sent": stream.keyframe_requests_sent,
        "keyframe_requests_received": stream.keyframe_requests_received,
        "source_requests_sent": stream.source_requests_sent,
        "source_requests_received": stream.source_requests_received,
        "rtcp_received": stream.rtcp_received,
        "seconds": of.seconds,
    })
}

/// A file that was written.
pub(crate) fn file(report: &Report, kind: &str, path: &Path) {
    report.json(&json!({"event": "file", "kind": kind, "path": path.display().to_string()}));
    report.text(format!("{kind}: {}", path.display()));
}
