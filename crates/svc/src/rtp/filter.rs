use crate::extract::ExtractOptions;
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::rtp::PayloadMeta;
use crate::sei;

/// Extracts an operation point packet by packet, for a relay that puts nothing together: packets of
/// layers above the target are dropped, an aggregation packet with some of both is written anew.
///
/// Serves one synchronisation source whose packets come in order ([`crate::Depacketizer`] puts them in
/// order by putting pictures together; a relay has a reorder buffer in front). Sequence numbers close
/// up over what is dropped and keep the gaps of what was lost; the marker moves to the last packet
/// of a picture that is kept, for which one packet is held back until the next one comes.
///
/// The layer of a packet is that of its slice extension, of the prefix NAL unit in front, or of the
/// PACSI of its picture; a fragment goes with the first one of its NAL unit.
///
/// ```
/// use linkspan_svc::{ExtractOptions, PacketFilter, PayloadMeta};
/// let base = ExtractOptions { max_temporal: 0, ..ExtractOptions::default() };
/// let mut filter = PacketFilter::new(base);
/// let mut sent = Vec::new();
/// let pacsi = |tid: u8| [0x7e, 0x80, 0x80, tid << 5 | 7, 0];
/// for (sequence, timestamp, marker, payload) in [
///     (7, 0, false, &pacsi(0)[..]),
///     (8, 0, true, &[0x61, 0xe0]),
///     (9, 3_000, false, &pacsi(1)),
///     (10, 3_000, true, &[0x61, 0xe0]),
///     (11, 6_000, false, &pacsi(0)),
/// ] {
///     let meta = PayloadMeta { ssrc: 1, sequence, timestamp, marker };
///     filter.push(meta, payload, &mut |meta, _payload| sent.push((meta.sequence, meta.marker)));
/// }
/// filter.flush(&mut |meta, _payload| sent.push((meta.sequence, meta.marker)));
/// assert_eq!(sent, [(7, false), (8, true), (9, true)]);
/// ```
#[derive(Clone, Debug)]
pub struct PacketFilter {
    options: ExtractOptions,
    /// Sequence numbers of the last packet that came and of the last one that went on.
    last: Option<(u16, u16)>,
    timestamp: Option<u32>,
    /// The layer of the PACSI of the picture in progress.
    described: Option<LayerId>,
    /// The layer of the last prefix NAL unit, for the slice behind it.
    prefix: Option<LayerId>,
    /// Whether the NAL unit whose fragments are coming is kept.
    fragment: bool,
    slice_kept: bool,
    held: Option<PayloadMeta>,
    octets: Vec<u8>,
    scratch: Vec<u8>,
}

/// Where the packets go.
type Sink<'s> = &'s mut dyn FnMut(PayloadMeta, &[u8]);

impl PacketFilter {
    /// A filter that has seen nothing; [`ExtractOptions::form`] and the stream do not count.
    #[must_use]
    pub const fn new(options: ExtractOptions) -> Self {
        Self {
            options: ExtractOptions { stream: 0, ..options },
            last: None,
            timestamp: None,
            described: None,
            prefix: None,
            fragment: false,
            slice_kept: true,
            held: None,
            octets: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Changes the target, from the next packet on. Higher layers are for the caller to begin where
    /// a decoder can follow.
    pub const fn set_options(&mut self, options: ExtractOptions) {
        self.options = ExtractOptions { stream: 0, ..options };
    }

    /// Takes the next packet of the source and gives `send` those that can go.
    pub fn push(&mut self, meta: PayloadMeta, payload: &[u8], send: Sink<'_>) {
        if self.timestamp != Some(meta.timestamp) {
            self.timestamp = Some(meta.timestamp);
            (self.described, self.prefix, self.fragment) = (None, None, false);
            self.release(true, send);
        }
        let lost = self.last.map_or(1, |(came, _)| meta.sequence.wrapping_sub(came));
        self.scratch.clear();
        let kept = self.keeps_packet(payload);
        let sent = self.last.map_or_else(|| meta.sequence.wrapping_sub(1), |(_, sent)| sent);
        // What was lost may have been kept: the receiver must see it.
        let sequence = sent.wrapping_add(lost.wrapping_sub(1));
        self.last = Some((meta.sequence, sequence));
        if !kept {
            if meta.marker {
                self.release(true, send);
            }
            return;
        }
        self.release(false, send);
        let sequence = sequence.wrapping_add(1);
        self.last = Some((meta.sequence, sequence));
        self.octets.clear();
        let octets = if self.scratch.is_empty() { payload } else { &self.scratch };
        self.octets.extend_from_slice(octets);
        self.held = Some(PayloadMeta { sequence, ..meta });
        if meta.marker {
            self.release(true, send);
        }
    }

    /// Gives out the packet that is held back: after a silence, or at the end.
    pub fn flush(&mut self, send: Sink<'_>) {
        self.release(true, send);
    }

    fn release(&mut self, marker: bool, send: Sink<'_>) {
        if let Some(meta) = self.held.take() {
            send(PayloadMeta { marker, ..meta }, &self.octets);
        }
    }

    fn keeps_packet(&mut self, payload: &[u8]) -> bool {
        let [first, rest @ ..] = payload else { return false };
        match NalType::new(*first) {
            NalType::StapA => self.keeps_some(*first, rest),
            NalType::FuA => {
                let [header, body @ ..] = rest else { return false };
                if header & 0x80 != 0 {
                    let mut head = [first & 0xe0 | header & 0x1f, 0, 0, 0];
                    head.iter_mut().skip(1).zip(body).for_each(|(to, from)| *to = *from);
                    self.fragment = self.keeps(&head);
                }
                self.fragment
            }
            _ => self.keeps(payload),
        }
    }

    /// Whether any unit of a STAP-A is kept; where not all are, the others are in `scratch`.
    fn keeps_some(&mut self, first: u8, mut rest: &[u8]) -> bool {
        let (mut kept, mut all) = (false, true);
        self.scratch.push(first);
        while let Some((size, tail)) = rest.split_first_chunk::<2>() {
            let size_octets = *size;
            let Some((unit, tail)) = tail.split_at_checked(u16::from_be_bytes(*size).into()) else {
                break;
            };
            rest = tail;
            if self.keeps(unit) {
                kept = true;
                self.scratch.extend_from_slice(&size_octets);
                self.scratch.extend_from_slice(unit);
            } else {
                all = false;
            }
        }
        if all {
            self.scratch.clear();
        }
        kept
    }

    fn keeps(&mut self, nal: &[u8]) -> bool {
        let options = self.options;
        let keeps = |layer: LayerId| options.keeps(0, layer);
        let own = SvcExtension::parse(nal).ok().map(SvcExtension::layer);
        let kind = NalType::new(nal.first().copied().unwrap_or(0));
        let unit = self.described.is_none_or(keeps);
        match kind {
            NalType::Pacsi => {
                self.described = own;
                own.is_none_or(keeps)
            }
            NalType::Prefix => {
                self.prefix = own;
                !options.is_base() && own.is_none_or(keeps)
            }
            kind if kind.is_vcl() => {
                let prefix = self.prefix.take();
                let layer = own.or(prefix).or(self.described);
                self.slice_kept = keeps(layer.unwrap_or_default());
                self.slice_kept
            }
            // Sets may be needed by what comes later.
            NalType::SubsetSps => !options.is_base(),
            NalType::Sps | NalType::Pps | NalType::SpsExtension => true,
            NalType::Sei => unit && !sei::is_dropped(nal, options.is_base(), keeps),
            NalType::Filler => self.slice_kept,
            _ => unit,
        }
    }
}
