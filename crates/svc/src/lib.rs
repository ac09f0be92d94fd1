#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access_unit;
mod active_sets;
mod annexb;
mod avc_to_uc;
mod bits;
mod bounded;
mod dpb;
mod error;
mod extract;
mod extractor;
#[cfg(feature = "__fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod inspect;
mod limits;
mod model;
pub mod ms;
mod nal;
mod params;
mod protection;
mod reader;
mod rewrite;
mod rtp;
mod sei;
mod select;
mod simulcast;
mod slice;
mod slice_syntax;
mod splitter;
mod temporal;
mod temporal_switch;
mod uc_to_avc;

pub use access_unit::{AccessUnit, Nal, Nals};
pub use annexb::{
    LengthPrefixedNalUnits, LocatedNal, LocatedNalUnits, NalUnits, length_prefixed_nal_units,
    located_nal_units, nal_units, write_annex_b,
};
pub use avc_to_uc::{AvcToUc, AvcToUcConfig, Layering};
pub use error::{DepacketizeError, NalError, PacsiError, ParseError, ProfileError};
pub use extract::{ExtractForm, ExtractOptions, extract, extract_into};
pub use extractor::Extractor;
pub use gate::{GateConfig, KeyframeRequest, LossGate, LossPolicy, ReferenceRule};
pub use inspect::{NalInfo, OperationPoint, inspect, operation_points};
pub use limits::Limits;
pub use model::LayerModel;
pub use nal::{LayerId, NalHeader, NalType, SvcExtension};
pub use params::{
    BitstreamRestriction, Cropping, Level, ParameterSets, Pps, ProfileLevel, Sps, SvcSpsExtension,
    Vui,
};
pub use protection::{Due, Group, Protection, ProtectionConfig, Protector};
pub use reader::{AccessUnitReader, StreamNal};
pub use rtp::{
    Depacketizer, DepacketizerConfig, PacketFilter, PacketizationMode, Packetizer,
    PacketizerConfig, PacketizerFormat, Payload, PayloadFormat, PayloadMeta, Payloads, SessionMode,
    TruncatedSlices,
};
pub use sei::{
    LayerBitrate, Nesting, RecoveryPoint, ScalabilityInfo, ScalableLayer, SeiMessage, SeiMessages,
    SeiPayload, rbsp, sei_messages,
};
pub use select::{Constraints, LayerOption, LayerSelector, SelectorConfig};
pub use simulcast::{SimulcastConfig, SimulcastSwitch};
pub use slice::{InterLayer, SliceHeader, SliceType};
pub use temporal_switch::SwitchingPoints;
pub use uc_to_avc::{FrameNumbering, LayerTarget, UcToAvc};
