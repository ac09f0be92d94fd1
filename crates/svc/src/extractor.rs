use crate::access_unit::AccessUnit;
use crate::annexb::write_annex_b;
use crate::extract::ExtractOptions;
use crate::limits::Limits;
use crate::nal::{LayerId, NalType, SvcExtension};
use crate::sei;
use crate::splitter::{Place, Splitter};

/// Extracts an operation point NAL unit by NAL unit (H.264 §G.8.8.1), for streams that are not there
/// as a whole: what comes out, all in all, is what [`crate::extract`] makes in the normative form.
///
/// A slice goes out at once; what stands in front of the first kept slice of an access unit waits
/// for it. Layers are those of prefix NAL units and of slice extensions: a stream without either is
/// one layer here, and simulcast streams are not told apart.
///
/// ```
/// use linkspan_svc::{ExtractOptions, Extractor, nal_units};
/// let stream = [
///     0, 0, 1, 0x6e, 0xc0, 0x80, 7, 0x20, 0, 0, 1, 0x65, 0xb8, 4, // the base
///     0, 0, 1, 0x74, 0xc0, 0x90, 7, 0xb8, 4, // a larger picture
/// ];
/// let base = ExtractOptions { max_dependency: 0, max_quality: 0, ..ExtractOptions::default() };
/// let mut extractor = Extractor::new(base);
/// let mut out = Vec::new();
/// nal_units(&stream).for_each(|nal| extractor.push(nal, &mut out));
/// extractor.finish(&mut out);
/// assert_eq!(out, [0, 0, 0, 1, 0x65, 0xb8, 4]);
/// ```
#[derive(Clone, Debug)]
pub struct Extractor {
    options: ExtractOptions,
    splitter: Splitter,
    /// What waits for the first kept slice of the access unit in progress.
    waiting: AccessUnit,
    /// What may belong to the next access unit.
    next: AccessUnit,
    /// A prefix NAL unit, which goes where its slice goes.
    prefix: Vec<u8>,
    unit: Progress,
    slice_kept: bool,
}

/// How far an access unit is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    /// It has no slice yet.
    Empty,
    /// None of its slices is of the operation point.
    Dropped,
    Kept,
}

impl Extractor {
    /// An extractor at the start of a stream; [`ExtractOptions::form`] does not count.
    #[must_use]
    pub fn new(options: ExtractOptions) -> Self {
        Self {
            options,
            splitter: Splitter::default(),
            waiting: AccessUnit::default(),
            next: AccessUnit::default(),
            prefix: Vec::new(),
            unit: Progress::Empty,
            slice_kept: true,
        }
    }

    /// Takes the next NAL unit, and appends to `out` what is known to be kept, each behind
    /// `00 00 00 01`.
    pub fn push(&mut self, nal: &[u8], out: &mut Vec<u8>) {
        match self.splitter.next(nal) {
            Place::Held => {
                self.next.push_in(nal, None, 0);
                // Nobody sends so much in front of a picture.
                if self.next.annex_b().len() > Limits::default().access_unit_octets {
                    self.join_next(out);
                }
                return;
            }
            Place::New => {
                self.end_unit(out);
                self.join_next(out);
            }
            Place::Same => self.join_next(out),
        }
        self.take(nal, out);
    }

    /// The stream has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.join_next(out);
        self.flush_prefix(out);
        self.end_unit(out);
    }

    fn join_next(&mut self, out: &mut Vec<u8>) {
        let next = core::mem::take(&mut self.next);
        next.iter().for_each(|nal| self.take(nal.bytes, out));
        self.next = next;
        self.next.reset(0);
    }

    fn end_unit(&mut self, out: &mut Vec<u8>) {
        if self.unit != Progress::Dropped {
            self.flush_waiting(out);
        }
        self.waiting.reset(0);
        self.unit = Progress::Empty;
    }

    fn flush_waiting(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.waiting.annex_b());
        self.waiting.reset(0);
    }

    /// One NAL unit of the access unit in progress.
    fn take(&mut self, nal: &[u8], out: &mut Vec<u8>) {
        let kind = NalType::new(nal.first().copied().unwrap_or(0));
        if kind.is_vcl() {
            return self.slice(nal, out);
        }
        self.flush_prefix(out);
        if kind == NalType::Prefix {
            self.prefix.extend_from_slice(nal);
            return;
        }
        let options = &self.options;
        let kept = match kind {
            NalType::SubsetSps => !options.is_base(),
            NalType::Sei => !sei::is_dropped(nal, options.is_base(), |l| options.keeps(0, l)),
            NalType::Filler => self.slice_kept,
            _ => true,
        };
        if kept {
            self.write(nal, out);
        }
    }

    fn slice(&mut self, nal: &[u8], out: &mut Vec<u8>) {
        let told = SvcExtension::parse(nal).or_else(|_| SvcExtension::parse(&self.prefix));
        let layer = told.map_or_else(|_| LayerId::default(), SvcExtension::layer);
        self.slice_kept = self.options.keeps(0, layer);
        if !self.slice_kept {
            self.prefix.clear();
            if self.unit == Progress::Empty {
                self.unit = Progress::Dropped;
            }
            return;
        }
        self.unit = Progress::Kept;
        self.flush_waiting(out);
        self.flush_prefix(out);
        write_annex_b(nal, out);
    }

    /// A prefix NAL unit whose slice is kept, or which has none.
    fn flush_prefix(&mut self, out: &mut Vec<u8>) {
        let prefix = core::mem::take(&mut self.prefix);
        if !prefix.is_empty() && !self.options.is_base() {
            self.write(&prefix, out);
        }
        self.prefix = prefix;
        self.prefix.clear();
    }

    fn write(&mut self, nal: &[u8], out: &mut Vec<u8>) {
        if self.unit == Progress::Kept {
            write_annex_b(nal, out);
        } else {
            self.waiting.push_in(nal, None, 0);
        }
    }
}
