use crate::access_unit::AccessUnit;
use crate::reader::AccessUnitReader;
use crate::uc_to_avc::{LayerTarget, UcToAvc};

/// Extracts the sub-bitstream of an operation point from an Annex B stream (H.264 §G.8.8.1).
///
/// Every NAL unit of the result stands behind `00 00 00 01`.
///
/// ```
/// use linkspan_svc::{ExtractForm, ExtractOptions, extract};
/// let stream = [0, 0, 1, 0x6e, 0xc0, 0x80, 7, 0x20, 0, 0, 1, 0x65, 0xb8, 0x04];
/// let avc = extract(&stream, &ExtractOptions { form: ExtractForm::Avc, ..Default::default() });
/// assert_eq!(avc, [0, 0, 0, 1, 0x65, 0xb8, 0x04]);
/// ```
#[must_use]
pub fn extract(stream: &[u8], options: &ExtractOptions) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len());
    let mut reader = AccessUnitReader::new(stream);
    let mut unit = AccessUnit::default();
    let target = LayerTarget { stream: options.stream, max_temporal: options.max_temporal };
    let mut rewriter = UcToAvc::new(target);
    while reader.read_into(&mut unit) {
        if let Some(avc) = rewriter.process(&unit) {
            out.extend_from_slice(avc.annex_b());
        }
    }
    out
}

/// What [`extract`] takes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtractOptions {
    /// Simulcast stream, numbered in the order of the sequence parameter sets.
    pub stream: u8,
    /// Target `dependency_id`.
    pub max_dependency: u8,
    /// Target `quality_id`.
    pub max_quality: u8,
    /// Target `temporal_id`.
    pub max_temporal: u8,
    /// Which form.
    pub form: ExtractForm,
}

impl Default for ExtractOptions {
    /// The whole stream, normatively.
    fn default() -> Self {
        Self {
            stream: 0,
            max_dependency: 7,
            max_quality: 15,
            max_temporal: 7,
            form: ExtractForm::Normative,
        }
    }
}

/// The form of an extracted stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ExtractForm {
    /// As H.264 §G.8.8.1 says: every parameter set stays.
    #[default]
    Normative,
    /// Without parameter sets that no kept slice uses.
    Minimal,
    /// What a plain AVC decoder takes: [`UcToAvc`].
    Avc,
}
