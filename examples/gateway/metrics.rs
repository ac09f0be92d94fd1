//! The figures of a gateway as Prometheus reads them.

use std::fmt;

use linkspan_examples::Snapshot;
use linkspan_gateway::DropReason;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A snapshot in the text format of OpenMetrics.
///
/// # Errors
/// None, as long as there is memory.
pub(crate) fn text(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("linkspan_gateway");
    registry.register_collector(Box::new(Figures(snapshot)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Figures(Snapshot);

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Figures {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        self.calls(&mut out)?;
        self.messages(&mut out)?;
        self.media(&mut out)?;
        self.process(&mut out)
    }
}

impl Figures {
    fn calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = &self.0.counters;
        let mut states: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
        for call in &self.0.calls {
            *states.entry(call.state.map_or("ending", |state| state.name())).or_default() += 1;
        }
        let states = states.into_iter().map(|(state, count)| (vec![("state", state)], count));
        gauges(out, "calls", "Calls by what they are doing", states)?;
        let draining = u64::from(self.0.draining);
        gauges(out, "draining", "1 while no new calls are taken", [(vec![], draining)])?;
        let rows = [
            ("received", counters.calls_received),
            ("refused", counters.calls_refused),
            ("answered", counters.calls_answered),
            ("failed", counters.calls_failed),
            ("ended", counters.calls_ended),
        ];
        let rows = rows.map(|(what, count)| (vec![("what", what)], count));
        counts(out, "call_events", "What calls have come to", rows)
    }

    fn messages(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = &self.0.counters;
        let rows = [
            ("received", counters.messages_received),
            ("sent", counters.messages_sent),
            ("refused", counters.messages_refused),
        ];
        let rows = rows.map(|(what, count)| (vec![("what", what)], count));
        counts(out, "sip_messages", "SIP messages", rows)?;
        let refused = [(vec![], counters.descriptions_refused)];
        counts(out, "descriptions_refused", "Session descriptions that did not join", refused)?;
        let lost = [(vec![], counters.events_lost)];
        counts(out, "events_lost", "Events that nobody read in time", lost)
    }

    fn media(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let media = &self.0.media;
        type Pick = fn(&linkspan_examples::MediaTotals) -> u64;
        let figures: [(&str, &str, Pick); 6] = [
            ("rtp_packets_received", "RTP packets from peers", |of| of.received),
            ("rtp_octets_received", "Octets of their payloads", |of| of.received_octets),
            ("rtp_packets_sent", "RTP packets to peers", |of| of.sent),
            ("rtp_octets_sent", "Octets of their payloads", |of| of.sent_octets),
            ("rtp_packets_lost", "RTP packets of peers that never came", |of| of.lost),
            ("keyframes_requested", "Keyframes asked for by peers", |of| of.keyframes_requested),
        ];
        for (name, help, pick) in figures {
            let rows = media.iter().map(|((side, kind), totals)| {
                (vec![("side", side.name()), ("media", kind.name())], pick(totals))
            });
            counts(out, name, help, rows)?;
        }
        let rows = media.iter().flat_map(|((side, kind), totals)| {
            let dropped =
                DropReason::ALL.iter().zip(totals.dropped).filter(|(_, count)| *count > 0);
            dropped.map(|(reason, count)| {
                let labels =
                    vec![("side", side.name()), ("media", kind.name()), ("reason", reason.name())];
                (labels, count)
            })
        });
        counts(out, "dropped", "Packets, NAL units and pictures that were dropped", rows)?;
        let streams = u64::try_from(self.0.streams.len()).unwrap_or(u64::MAX);
        gauges(out, "streams", "Media streams, each leg's for itself", [(vec![], streams)])
    }

    /// Memory, where the system tells it as Linux does.
    fn process(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(octets) = resident_octets() else { return Ok(()) };
        gauges(out, "resident_octets", "Memory of the process", [(vec![], octets)])
    }
}

/// Octets of memory that the process has.
pub(crate) fn resident_octets() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1_024)
}

fn counts<'a>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in rows {
        let counter = ConstCounter::new(count);
        counter.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauges<'a>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
