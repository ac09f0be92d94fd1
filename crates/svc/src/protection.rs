use std::collections::VecDeque;
use std::ops::Range;

use crate::nal::LayerId;

/// Keeps the packets of the layers that matter most, so that they can be sent more than once, with
/// parity, or again on request; the other layers get nothing.
///
/// A picture above the base costs itself when it is lost, a base picture everything up to the next
/// key frame. Protecting the small base alone buys the most for its rate.
///
/// Tell it every packet that is sent, whole, and [`Self::end_of_picture`]; what is due then is in
/// [`Self::poll`]. A duplicate is the same packet once more, which every receiver drops; parity is
/// made of the packets that [`Due::Parity`] names, in the form that the session has (ULPFEC,
/// RFC 5109, alone or inside RED, RFC 2198); a retransmission is the answer to a NACK, as the
/// packet itself or after RFC 4588.
///
/// ```
/// use linkspan_svc::{Due, LayerId, Protection, ProtectionConfig, Protector};
/// let config = ProtectionConfig { base: Protection::Repeat { copies: 1 }, ..Default::default() };
/// let mut protector = Protector::new(config);
/// let upper = LayerId { tid: 1, ..LayerId::default() };
/// protector.sent(7, 100, Some(LayerId::default()), b"base");
/// protector.sent(7, 101, Some(upper), b"above");
/// protector.end_of_picture();
/// assert!(matches!(protector.poll(), Some(Due::Repeat(b"base"))));
/// assert!(protector.poll().is_none());
/// assert_eq!(protector.retransmit(7, 100), Some(&b"base"[..])); // NACK for both
/// assert_eq!(protector.retransmit(7, 101), None);
/// ```
#[derive(Clone, Debug)]
pub struct Protector {
    config: ProtectionConfig,
    /// The packets kept, oldest first.
    kept: VecDeque<Kept>,
    /// How many have been dropped in front of `kept`: numbers of packets stay the same.
    dropped: u64,
    /// First packet of the parity group in progress.
    group: Option<Range<u64>>,
    due: VecDeque<Task>,
    /// Packets of the picture in progress that are to be repeated.
    repeats: Vec<u64>,
    spare: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Kept {
    ssrc: u32,
    sequence: u16,
    octets: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Task {
    Repeat(u64),
    Parity(Range<u64>),
}

impl Protector {
    /// A protector that keeps nothing yet.
    #[must_use]
    pub const fn new(config: ProtectionConfig) -> Self {
        Self {
            config,
            kept: VecDeque::new(),
            dropped: 0,
            group: None,
            due: VecDeque::new(),
            repeats: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// A packet has been sent: its source and sequence number, its layer
    /// ([`crate::Payload::layer`]), and its octets as receivers' parity needs them, before
    /// encryption. Returns how it is protected.
    pub fn sent(
        &mut self,
        ssrc: u32,
        sequence: u16,
        layer: Option<LayerId>,
        packet: &[u8],
    ) -> Protection {
        let protection = self.config.of(layer);
        if protection == Protection::None {
            return protection;
        }
        while self.kept.len() >= self.config.history_packets.max(1) {
            self.forget();
        }
        let mut octets = self.spare.pop().unwrap_or_default();
        octets.clear();
        octets.extend_from_slice(packet);
        let number = self.dropped + self.kept.len() as u64;
        let other = self.kept.back().is_some_and(|k| k.ssrc != ssrc);
        self.kept.push_back(Kept { ssrc, sequence, octets });
        match protection {
            Protection::Repeat { .. } => self.repeats.push(number),
            Protection::Parity { packets } => {
                if other {
                    // Parity is of one source.
                    self.end_group();
                }
                let group = self.group.get_or_insert(number..number);
                group.end = number + 1;
                if group.end - group.start >= u64::from(packets.clamp(1, 48)) {
                    self.end_group();
                }
            }
            Protection::None | Protection::Retransmit => {}
        }
        protection
    }

    /// The picture's packets have all been sent. Duplicates and parity come behind them, so that a
    /// burst of losses does not take both.
    pub fn end_of_picture(&mut self) {
        self.end_group();
        if let Protection::Repeat { copies } = self.config.base {
            for _ in 0..copies {
                self.due.extend(self.repeats.iter().map(|&n| Task::Repeat(n)));
            }
        }
        self.repeats.clear();
    }

    /// What is due now.
    pub fn poll(&mut self) -> Option<Due<'_>> {
        // What has left the history meanwhile is no longer due.
        let task = loop {
            let task = self.due.pop_front()?;
            let first = match &task {
                Task::Repeat(number) => *number,
                Task::Parity(range) => range.start,
            };
            if first >= self.dropped {
                break task;
            }
        };
        let place = |number: u64| usize::try_from(number - self.dropped).unwrap_or(usize::MAX);
        match task {
            Task::Repeat(number) => self.kept.get(place(number)).map(|k| Due::Repeat(&k.octets)),
            Task::Parity(range) => Some(Due::Parity(Group {
                kept: &self.kept,
                range: place(range.start)..place(range.end),
            })),
        }
    }

    /// The packet that a receiver asks for again, while it is kept; `None` for layers that are not
    /// worth it.
    #[must_use]
    pub fn retransmit(&self, ssrc: u32, sequence: u16) -> Option<&[u8]> {
        let wanted = |k: &&Kept| (k.ssrc, k.sequence) == (ssrc, sequence);
        self.kept.iter().rev().find(wanted).map(|k| &k.octets[..])
    }

    fn end_group(&mut self) {
        self.due.extend(self.group.take().map(Task::Parity));
    }

    fn forget(&mut self) {
        if let Some(old) = self.kept.pop_front() {
            self.dropped += 1;
            self.spare.push(old.octets);
        }
        if self.group.as_ref().is_some_and(|g| g.start < self.dropped) {
            self.group = None;
        }
    }
}

/// What a [`Protector`] wants sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Due<'a> {
    /// A packet, once more.
    Repeat(&'a [u8]),
    /// Parity of these packets.
    Parity(Group<'a>),
}

/// Packets of one source that one parity packet protects, in the order they were sent.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    kept: &'a VecDeque<Kept>,
    range: Range<usize>,
}

impl<'a> Group<'a> {
    /// The packets.
    pub fn packets(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.kept
            .range(self.range.start..self.range.end.min(self.kept.len()))
            .map(|k| &k.octets[..])
    }
}

/// How the packets of a layer are protected.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Protection {
    /// Not at all.
    #[default]
    None,
    /// Each is sent so many times more.
    Repeat {
        /// Copies behind the original.
        copies: u8,
    },
    /// One packet of parity for so many, and at the end of each picture.
    Parity {
        /// Packets of a group, 1 to 48.
        packets: u8,
    },
    /// Again when the receiver asks.
    Retransmit,
}

/// Which layers a [`Protector`] protects, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProtectionConfig {
    /// What base packets get. Default [`Protection::Retransmit`].
    pub base: Protection,
    /// Highest `temporal_id` of AVC layers that counts as base. Default 0.
    pub max_temporal: u8,
    /// Packets that are kept. Default 512: a second of base layer.
    pub history_packets: usize,
}

impl Default for ProtectionConfig {
    fn default() -> Self {
        Self { base: Protection::Retransmit, max_temporal: 0, history_packets: 512 }
    }
}

impl ProtectionConfig {
    /// How the packets of a layer are protected; a layer that nothing tells is the base.
    #[must_use]
    pub fn of(&self, layer: Option<LayerId>) -> Protection {
        let base = layer.is_none_or(|l| l.is_avc() && l.tid <= self.max_temporal);
        if base { self.base } else { Protection::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(p: &mut Protector) -> Vec<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        while let Some(due) = p.poll() {
            found.push(match due {
                Due::Repeat(packet) => vec![packet.to_vec()],
                Due::Parity(group) => group.packets().map(<[u8]>::to_vec).collect(),
            });
        }
        found
    }

    #[test]
    fn parity_is_of_groups_of_one_source() {
        let base = Protection::Parity { packets: 3 };
        let mut p = Protector::new(ProtectionConfig { base, ..Default::default() });
        for n in 0..5u8 {
            p.sent(u32::from(n / 4), n.into(), None, &[n]);
        }
        assert_eq!(drain(&mut p), [vec![vec![0], vec![1], vec![2]], vec![vec![3]]]);
        p.end_of_picture();
        assert_eq!(drain(&mut p), [vec![vec![4]]]);
    }

    #[test]
    fn history_is_bounded_and_what_left_it_is_not_due() {
        let base = Protection::Repeat { copies: 2 };
        let config = ProtectionConfig { base, history_packets: 4, ..Default::default() };
        let mut p = Protector::new(config);
        for n in 0..6u8 {
            p.sent(1, n.into(), None, &[n]);
        }
        p.end_of_picture();
        assert_eq!(p.retransmit(1, 1), None);
        assert_eq!(p.retransmit(1, 5), Some(&[5][..]));
        assert_eq!(drain(&mut p).len(), 8);
        let parity = Protection::Parity { packets: 48 };
        let mut p = Protector::new(ProtectionConfig { base: parity, ..config });
        (0..6u8).for_each(|n| {
            p.sent(1, n.into(), None, &[n]);
        });
        p.end_of_picture();
        assert!(drain(&mut p).iter().all(|g| g.len() <= 4));
    }

    #[test]
    fn enhancement_is_left_alone() {
        let config = ProtectionConfig { max_temporal: 1, ..Default::default() };
        let layer = |did, tid| Some(LayerId { did, tid, ..LayerId::default() });
        assert_eq!(config.of(layer(0, 1)), Protection::Retransmit);
        assert_eq!(config.of(layer(0, 2)), Protection::None);
        assert_eq!(config.of(layer(1, 0)), Protection::None);
    }
}
