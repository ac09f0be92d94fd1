//! The events of a gateway in words and for scripts.

use std::collections::BTreeMap;

use linkspan_c3p::RosterEvent;
use linkspan_gateway::{CallId, DropReason, GatewayEvent, Side, StreamId, StreamStatistics};
use serde_json::{Value, json};

/// An event of a running gateway, for people and for scripts. `None` for what the ladder shows.
pub fn describe_event(event: &GatewayEvent) -> Option<(String, Value)> {
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
        GatewayEvent::Refused { side, remote, reason, count } => (
            match count {
                1 => format!("refused from {remote}: {reason}"),
                _ => format!("refused {count}, the last from {remote}: {reason}"),
            },
            json!({
                "event": "refused", "side": side.map(Side::name), "remote": remote.to_string(),
                "reason": reason, "count": count,
            }),
        ),
        GatewayEvent::Failed { call, reason } => (
            format!("failed: {reason}"),
            json!({"event": "failed", "call": call.map(|c| c.to_string()), "reason": reason}),
        ),
        GatewayEvent::Roster { call, change } => {
            let change = roster_change(change);
            let value = json!({"event": "roster", "call": call.to_string(), "change": change});
            (format!("{call}: {change}"), value)
        }
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

/// A change of a roster in words.
pub fn roster_change(change: &RosterEvent) -> String {
    match change {
        RosterEvent::Joined { user, .. } => format!("{user} joined"),
        RosterEvent::EnteredLobby { user } => format!("{user} waits in the lobby"),
        RosterEvent::Left { user } => format!("{user} left"),
        RosterEvent::RoleChanged { user, role } => {
            format!("{user} is {}", role.as_ref().map_or("without a role", |role| role.as_str()))
        }
        RosterEvent::Muted { user, media } => format!("{user}: {media} muted"),
        RosterEvent::Unmuted { user, media } => format!("{user}: {media} heard again"),
        RosterEvent::SharingStarted { user } => format!("{user} shows a screen"),
        RosterEvent::SharingStopped { user } => format!("{user} shows no screen any more"),
        RosterEvent::SessionAdded { user, session_type } => format!("{user}: with {session_type}"),
        RosterEvent::SessionRemoved { user, session_type } => {
            format!("{user}: without {session_type}")
        }
        RosterEvent::DominantSpeaker { user } => {
            format!("{} speaks", user.as_ref().map_or("nobody", |user| user.as_str()))
        }
        RosterEvent::Locked(locked) => (if *locked { "locked" } else { "open" }).into(),
        RosterEvent::ViewChanged { entity } => format!("{entity} has another view"),
        RosterEvent::Ended => "the conference is over".into(),
        other => format!("{other:?}"),
    }
}

fn statistics_event(stream: StreamId, statistics: &StreamStatistics) -> (String, Value) {
    let codec = statistics.codec.map_or("?", |codec| codec.name());
    let media = statistics.kind.map_or("?", |kind| kind.name());
    let (received, sent) = (statistics.received, statistics.sent);
    let dropped: BTreeMap<&str, u64> = DropReason::ALL
        .iter()
        .map(|reason| (reason.name(), statistics.dropped(*reason)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let asked = statistics.keyframe_requests_sent;
    let text = format!(
        "{stream}: {media} {codec}: {} packets in ({} lost), {} out{}{}",
        received.packets,
        statistics.lost,
        sent.packets,
        if asked > 0 { format!(", {asked} keyframes asked for") } else { String::new() },
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

/// The call that an event is about.
pub(crate) fn call_of_event(event: &GatewayEvent) -> Option<CallId> {
    match event {
        GatewayEvent::Message(line) => line.call,
        GatewayEvent::Decided { call, .. } | GatewayEvent::Failed { call, .. } => *call,
        GatewayEvent::Call { call, .. }
        | GatewayEvent::Translated { call, .. }
        | GatewayEvent::Roster { call, .. }
        | GatewayEvent::Ended { call, .. } => Some(*call),
        GatewayEvent::Stream { stream, .. }
        | GatewayEvent::Connected { stream, .. }
        | GatewayEvent::Digit { stream, .. }
        | GatewayEvent::Dropped { stream, .. }
        | GatewayEvent::Statistics { stream, .. } => Some(stream.call),
        _ => None,
    }
}
