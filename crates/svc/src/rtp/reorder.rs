//! Sequence numbers of one source: what is next, what waits, what is lost.

use crate::rtp::PayloadMeta;

/// Packets that arrived before their turn, in the order of their sequence numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReorderQueue {
    held: Vec<HeldPacket>,
    spare: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct HeldPacket {
    pub(crate) meta: PayloadMeta,
    pub(crate) payload: Vec<u8>,
}

impl ReorderQueue {
    /// Keeps a copy; `false` when the sequence number is there already.
    pub(crate) fn insert(&mut self, meta: PayloadMeta, payload: &[u8]) -> bool {
        let ahead = |held: &HeldPacket| meta.sequence.wrapping_sub(held.meta.sequence) < 0x8000;
        let at = self.held.iter().rposition(ahead).map_or(0, |i| i + 1);
        if at > 0 && self.held.get(at - 1).is_some_and(|h| h.meta.sequence == meta.sequence) {
            return false;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(payload);
        self.held.insert(at, HeldPacket { meta, payload: copy });
        true
    }

    /// The first packet, when its sequence number is `sequence`.
    pub(crate) fn take(&mut self, sequence: u16) -> Option<HeldPacket> {
        (self.first()?.sequence == sequence).then(|| self.held.remove(0))
    }

    /// Gives the memory of a packet back.
    pub(crate) fn recycle(&mut self, packet: HeldPacket) {
        if self.spare.len() < 64 {
            self.spare.push(packet.payload);
        }
    }

    pub(crate) fn first(&self) -> Option<&PayloadMeta> {
        self.held.first().map(|h| &h.meta)
    }

    pub(crate) fn first_payload(&self) -> Option<&[u8]> {
        self.held.first().map(|h| &h.payload[..])
    }

    pub(crate) fn last(&self) -> Option<&PayloadMeta> {
        self.held.last().map(|h| &h.meta)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}
