use crate::error::PacsiError;
use crate::ms::messages::{self, BitstreamInfo, StreamLayout, UcMessage};
use crate::nal::{NalHeader, NalType, SvcExtension};

/// Payload content scalability information (RFC 6190 §4.9) with the Microsoft messages in it.
///
/// ```
/// use linkspan_svc::ms::{BitstreamInfo, Pacsi, UcMessage};
/// let octets = [
///     0x1e, 0x81, 0x80, 0x2f, 0x22, 0x01, 0x04, // layer 1, DONC 260
///     0, 21, 6, 5, 18, 0x05, 0xfb, 0xc6, 0xb9, 0x5a, 0x80, 0x40, 0xe5, 0xa2, 0x2a, 0xab, 0x40, 0x20,
///     0x26, 0x7e, 0x26, 1, 2,
/// ];
/// let pacsi = Pacsi::parse(&octets)?;
/// assert_eq!((pacsi.layer.tid, pacsi.layer.prid, pacsi.donc), (1, 1, Some(260)));
/// let info = BitstreamInfo { ref_frame_count: 1, nal_units: 2 };
/// assert_eq!(pacsi.messages, [UcMessage::BitstreamInfo(info)]);
/// assert_eq!(pacsi.to_bytes(), octets);
/// # Ok::<(), linkspan_svc::PacsiError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pacsi {
    /// `nal_ref_idc`: the largest of what it describes.
    pub ref_idc: u8,
    /// The layer. Its `idr` is no proof of a key frame: a known client sets it always.
    pub layer: SvcExtension,
    /// The flags X, A, P, C, S and E in their places (`40` and `20`, Y and T, are ignored: the
    /// fields below decide).
    pub flags: u8,
    /// `TL0PICIDX` and `IDRPICID`, with Y.
    pub picture_index: Option<(u8, u16)>,
    /// `DONC`, the cross-session decoding order number, with T.
    pub donc: Option<u16>,
    /// The SEI NAL units.
    pub messages: Vec<UcMessage>,
}

impl Pacsi {
    /// Reads a NAL unit of type 30.
    ///
    /// # Errors
    /// [`PacsiError`], with the place.
    pub fn parse(nal: &[u8]) -> Result<Self, PacsiError> {
        let view = PacsiView::parse(nal)?;
        let mut messages = Vec::new();
        for sei in view.messages() {
            messages.push(UcMessage::parse(sei?)?);
        }
        Ok(Self {
            ref_idc: view.header.ref_idc,
            layer: view.layer,
            flags: view.flags & !(FLAG_Y | FLAG_T),
            picture_index: view.picture_index,
            donc: view.donc,
            messages,
        })
    }

    /// Appends the NAL unit.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_front(out);
        for message in &self.messages {
            write_sized(out, |out| message.write(out));
        }
    }

    /// The NAL unit.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Everything before the messages.
    pub(crate) fn write_front(&self, out: &mut Vec<u8>) {
        let header = NalHeader { forbidden: false, ref_idc: self.ref_idc, kind: NalType::Pacsi };
        out.push(header.to_octet());
        out.extend_from_slice(&self.layer.to_octets());
        let y = if self.picture_index.is_some() { FLAG_Y } else { 0 };
        let t = if self.donc.is_some() { FLAG_T } else { 0 };
        out.push(self.flags & !(FLAG_Y | FLAG_T) | y | t);
        if let Some((tl0, idr)) = self.picture_index {
            out.push(tl0);
            out.extend_from_slice(&idr.to_be_bytes());
        }
        if let Some(donc) = self.donc {
            out.extend_from_slice(&donc.to_be_bytes());
        }
    }
}

/// Appends what `write` appends, behind its length.
pub(crate) fn write_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    write(out);
    let length = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>) {
        *place = length.to_be_bytes();
    }
}

/// A PACSI NAL unit read in place: nothing is copied, messages are read when asked for.
#[derive(Clone, Copy, Debug)]
pub struct PacsiView<'a> {
    /// The first octet.
    pub header: NalHeader,
    /// The layer.
    pub layer: SvcExtension,
    /// Octet 4: X Y T A P C S E, the first on top.
    pub flags: u8,
    /// `TL0PICIDX` and `IDRPICID`.
    pub picture_index: Option<(u8, u16)>,
    /// `DONC`.
    pub donc: Option<u16>,
    messages: &'a [u8],
    messages_at: usize,
}

impl<'a> PacsiView<'a> {
    /// Reads the fixed part of a NAL unit of type 30.
    ///
    /// # Errors
    /// [`PacsiError`], with the place.
    pub fn parse(nal: &'a [u8]) -> Result<Self, PacsiError> {
        let [first, a, b, c, flags, rest @ ..] = nal else {
            return Err(PacsiError::Truncated { at: nal.len() });
        };
        let header = NalHeader::from_octet(*first);
        if header.kind != NalType::Pacsi {
            return Err(PacsiError::WrongType);
        }
        let (mut rest, mut at) = (rest, 5);
        let mut picture_index = None;
        if flags & FLAG_Y != 0 {
            let [tl0, hi, lo, tail @ ..] = rest else { return Err(PacsiError::Truncated { at }) };
            picture_index = Some((*tl0, u16::from_be_bytes([*hi, *lo])));
            (rest, at) = (tail, at + 3);
        }
        let mut donc = None;
        if flags & FLAG_T != 0 {
            let [hi, lo, tail @ ..] = rest else { return Err(PacsiError::Truncated { at }) };
            donc = Some(u16::from_be_bytes([*hi, *lo]));
            (rest, at) = (tail, at + 2);
        }
        Ok(Self {
            header,
            layer: SvcExtension::from_octets([*a, *b, *c]),
            flags: *flags,
            picture_index,
            donc,
            messages: rest,
            messages_at: at,
        })
    }

    /// The SEI NAL units, as they stand; ends behind the first error.
    pub fn messages(&self) -> impl Iterator<Item = Result<&'a [u8], PacsiError>> + use<'a> {
        let (mut rest, mut at) = (self.messages, self.messages_at);
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let found = rest
                .split_first_chunk::<2>()
                .and_then(|(size, tail)| tail.split_at_checked(u16::from_be_bytes(*size).into()));
            let Some((nal, tail)) = found else {
                rest = &[];
                return Some(Err(PacsiError::Truncated { at }));
            };
            at += 2 + nal.len();
            rest = tail;
            Some(Ok(nal))
        })
    }

    /// The stream layout in it, if any and if it can be read.
    #[must_use]
    pub fn stream_layout(&self) -> Option<StreamLayout> {
        self.find(&messages::STREAM_LAYOUT).and_then(|nal| match UcMessage::parse(nal) {
            Ok(UcMessage::StreamLayout(layout)) => Some(layout),
            _ => None,
        })
    }

    /// The SEI NAL unit of the stream layout, as it stands.
    pub(crate) fn stream_layout_nal(&self) -> Option<&'a [u8]> {
        self.find(&messages::STREAM_LAYOUT)
    }

    /// The bitstream information in it.
    #[must_use]
    pub fn bitstream_info(&self) -> Option<BitstreamInfo> {
        let nal = self.find(&messages::BITSTREAM_INFO)?;
        let (_, body, _) = messages::user_data(nal)?;
        let [ref_frame_count, nal_units, ..] = *body else { return None };
        Some(BitstreamInfo { ref_frame_count, nal_units })
    }

    fn find(&self, uuid: &[u8; 16]) -> Option<&'a [u8]> {
        self.messages()
            .filter_map(Result::ok)
            .find(|nal| messages::user_data(nal).is_some_and(|(found, ..)| found == uuid))
    }
}

/// Octet 4 of a PACSI: TL0PICIDX and IDRPICID follow (RFC 6190 §4.9).
pub(crate) const FLAG_Y: u8 = 0x40;
/// Octet 4 of a PACSI: DONC follows.
pub(crate) const FLAG_T: u8 = 0x20;
/// Octet 4 of a PACSI: the next NAL unit is the first of its layer representation.
pub(crate) const FLAG_S: u8 = 0x02;
