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

/// An event of a running gateway, for people and for scripts. `None` for what the ladder shows.
pub(crate) fn event(event: &GatewayEvent) -> Option<(String, Value)> {
    Some(match event {
        GatewayEvent::Decided { call, explanation } => {
            let call = call.map(|call| call.to_string());
            let text = format!("{}: {explanation}", call.as_deref().unwrap_or("gateway"));
            (text, json!({"event": "decided", "call": call, "explanation": explanation}))
        }
        GatewayEvent::Call { call, state } => (
            format!("{call}: {}", state.name()),
            json!({"event": "call", "call": call.to_string(), "state": state.name()}),
        ),
        GatewayEvent::Translated { call, from, what, explanation } => (
            format!("{call}: {what} of {from}: {}", explanation.join("; ")),
            json!({
                "event": "translated", "call": call.to_string(), "from": from.name(),
                "what": what, "explanation": explanation,
            }),
        ),
        GatewayEvent::Stream { stream, kind, codec, encrypted, ice } => (
            format!(
                "{stream}: {kind} {codec}{}{}",
                if *encrypted { ", SRTP" } else { ", RTP" },
                if *ice { ", ICE" } else { "" }
            ),
            json!({
                "event": "agreed", "call": stream.call.to_string(), "leg": stream.side.name(),
                "media": kind.name(), "codec": codec, "encrypted": encrypted, "ice": ice,
            }),
        ),
        GatewayEvent::Connected { stream, local, remote } => (
            format!("{stream}: {local} <-> {remote}"),
            json!({
                "event": "connected", "call": stream.call.to_string(), "leg": stream.side.name(),
                "local": local.to_string(), "remote": remote.to_string(),
            }),
        ),
        GatewayEvent::Digit { stream, digit } => (
            format!("{stream}: digit {digit}"),
            json!({
                "event": "digit", "call": stream.call.to_string(), "leg": stream.side.name(),
                "digit": digit.to_string(),
            }),
        ),
        GatewayEvent::Dropped { stream, reason, count } => (
            format!("{stream}: dropped {count}: {}", reason.name()),
            json!({
                "event": "dropped", "call": stream.call.to_string(), "leg": stream.side.name(),
                "reason": reason.name(), "count": count,
            }),
        ),
        GatewayEvent::Refused { side, remote, reason } => (
            format!("refused from {remote}: {reason}"),
            json!({
                "event": "refused", "side": side.map(Side::name), "remote": remote.to_string(),
                "reason": reason,
            }),
        ),
        GatewayEvent::Failed { call, reason } => (
            format!("failed: {reason}"),
            json!({"event": "failed", "call": call.map(|c| c.to_string()), "reason": reason}),
        ),
        GatewayEvent::Statistics { stream, statistics } => statistics_event(*stream, statistics),
        GatewayEvent::Ended { call, by, status, reason } => (
            format!("{call}: ended: {reason}"),
            json!({
                "event": "ended", "call": call.to_string(), "by": by.map(Side::name),
                "status": status, "reason": reason,
            }),
        ),
        _ => return None,
    })
}

fn statistics_event(stream: StreamId, statistics: &StreamStatistics) -> (String, Value) {
    let codec = statistics.codec.map_or("?", |codec| codec.name());
    let media = statistics.kind.map_or("?", |kind| kind.name());
    let (received, sent) = (statistics.received, statistics.sent);
    let dropped: BTreeMap<&str, u64> = linkspan_gateway::DropReason::ALL
        .iter()
        .map(|reason| (reason.name(), statistics.dropped(*reason)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let text = format!(
        "{stream}: {media} {codec}: {} packets in ({} lost), {} out{}",
        received.packets,
        statistics.lost,
        sent.packets,
        if dropped.is_empty() { String::new() } else { format!(", dropped {dropped:?}") },
    );
    let value = json!({
        "event": "stream",
        "call": stream.call.to_string(),
        "leg": stream.side.name(),
        "media": media,
        "codec": codec,
        "encrypted": statistics.encrypted,
        "received": received.packets,
        "sent": sent.packets,
        "lost": statistics.lost,
        "received_octets": received.payload_octets,
        "sent_octets": sent.payload_octets,
        "pictures_received": received.pictures,
        "pictures_sent": sent.pictures,
        "temporal_layers": statistics.temporal_layers,
        "picture": statistics.picture,
        "digits": statistics.digits,
        "keyframes_requested": statistics.keyframes_requested,
        "keyframe_requests_sent": statistics.keyframe_requests_sent,
        "source_requests_sent": statistics.source_requests_sent,
        "rtcp_received": statistics.rtcp_received,
        "rtcp_sent": statistics.rtcp_sent,
        "dropped": dropped,
    });
    (text, value)
}
