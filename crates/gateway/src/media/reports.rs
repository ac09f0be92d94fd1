//! Sender and receiver reports of one stream (RFC 3550 §6).

use core::time::Duration;
use std::time::Instant;

use linkspan_rtp::{
    Compound, NtpClock, NtpTime, ReceiverReport, ReceiverStats, ReportBlock, RtcpPacket, RtpHeader,
    Sdes, SenderReport, SenderStats, Ssrc,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::stats::StreamStatistics;
use super::transport::TransportConfig;

/// What a stream's reports are made from.
#[derive(Debug)]
pub(super) struct Reports {
    cname: String,
    clock_hz: u32,
    interval: Duration,
    rng: ChaCha20Rng,
    due: Option<Instant>,
    clock: NtpClock,
    sent: SenderStats,
    sent_at_report: u64,
    /// The source of the last packet stands first.
    sources: Vec<Source>,
    lost_at_peer: u64,
}

#[derive(Debug)]
struct Source {
    stats: ReceiverStats,
    last: Instant,
}

impl Reports {
    /// Sources that are remembered; the one that is silent for longest gives way.
    const SOURCES: usize = 16;

    pub(super) fn new(config: &TransportConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        // The clock of the reports only has to run evenly (RFC 3550 §4): it starts anywhere.
        let clock = NtpClock::new(now, NtpTime(rng.next_u64() >> 1));
        Self {
            cname: config.cname.clone(),
            clock_hz: config.clock_hz,
            interval: config.rtcp_interval,
            rng,
            due: None,
            clock,
            sent: SenderStats::new(Ssrc(config.ssrc), config.clock_hz),
            sent_at_report: 0,
            sources: Vec::new(),
            lost_at_peer: 0,
        }
    }

    /// Reports begin: the first one soon, because Lync takes RTCP as a sign of life.
    pub(super) fn start(&mut self, now: Instant) {
        if self.due.is_none() {
            self.due = Some(now + self.interval / 8);
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// A report is about to be sent: the next one is due between 0.7 and 1.0 intervals later, so
    /// that streams do not fall into step and the bound of the interval holds.
    pub(super) fn reported(&mut self, now: Instant) {
        let thousandths = 700 + self.rng.next_u32() % 300;
        self.due = Some(now + self.interval * thousandths / 1_000);
    }

    pub(super) fn sent(&mut self, header: RtpHeader, octets: usize, now: Instant) {
        self.sent.on_sent(header.timestamp, octets, now);
    }

    pub(super) fn received(&mut self, header: RtpHeader, octets: usize, now: Instant) {
        let at = match self.sources.iter().position(|s| s.stats.ssrc() == header.ssrc) {
            Some(at) => at,
            None => self.add_source(header.ssrc, now),
        };
        self.sources.swap(0, at);
        if let Some(source) = self.sources.first_mut() {
            source.last = now;
            source.stats.on_received(header.sequence, header.timestamp, octets, now);
        }
    }

    pub(super) fn last_source(&self) -> Option<u32> {
        self.sources.first().map(|s| s.stats.ssrc().0)
    }

    /// Takes what a peer's reports say about both directions.
    pub(super) fn handle(&mut self, compound: &Compound<'_>, now: Instant) {
        for packet in compound.packets().flatten() {
            match packet {
                RtcpPacket::SenderReport(report) => {
                    let from = |s: &&mut Source| s.stats.ssrc() == report.ssrc;
                    if let Some(source) = self.sources.iter_mut().find(from) {
                        source.stats.on_sender_report(&report.info, now);
                    }
                    self.blocks(&report.reports, now);
                }
                RtcpPacket::ReceiverReport(report) => self.blocks(&report.reports, now),
                _ => {}
            }
        }
    }

    /// Appends a report and the CNAME: what every compound packet begins with.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, now: Instant) {
        let reports: Vec<ReportBlock> =
            self.sources.iter_mut().map(|s| s.stats.report(now)).collect();
        let ssrc = self.sent.ssrc();
        // RFC 3550 §6.4: a sender report only by who has sent since the last one.
        let active = self.sent.packets() != self.sent_at_report;
        self.sent_at_report = self.sent.packets();
        let info = active.then(|| self.sent.report(self.clock.at(now), now)).flatten();
        let written = match info {
            Some(info) => SenderReport { ssrc, info, reports, extension: Vec::new() }.write(out),
            None => ReceiverReport { ssrc, reports, extension: Vec::new() }.write(out),
        };
        // Both stay within their formats: few blocks, a CNAME of our own.
        let _ = written.and_then(|()| Sdes::cname(ssrc, &self.cname).write(out));
    }

    pub(super) fn fill(&self, statistics: &mut StreamStatistics) {
        let lost = |s: &Source| u64::try_from(s.stats.lost()).unwrap_or(0);
        statistics.lost = self.sources.iter().map(lost).sum();
        if let Some(source) = self.sources.first() {
            statistics.jitter = source.stats.jitter();
        }
        statistics.round_trip = self.sent.round_trip();
        statistics.lost_at_peer = self.lost_at_peer;
    }

    fn blocks(&mut self, blocks: &[ReportBlock], now: Instant) {
        let ntp = self.clock.at(now);
        let own = self.sent.ssrc();
        for block in blocks.iter().filter(|b| b.ssrc == own) {
            self.sent.on_report(block, ntp);
            self.lost_at_peer = u64::try_from(block.cumulative_lost).unwrap_or(0);
        }
    }

    fn add_source(&mut self, ssrc: Ssrc, now: Instant) -> usize {
        let source = Source { stats: ReceiverStats::new(ssrc, self.clock_hz), last: now };
        if self.sources.len() < Self::SOURCES {
            self.sources.push(source);
            return self.sources.len() - 1;
        }
        let oldest = (0..).zip(&self.sources).min_by_key(|(_, s)| s.last).map_or(0, |(at, _)| at);
        if let Some(slot) = self.sources.get_mut(oldest) {
            *slot = source;
        }
        oldest
    }
}
