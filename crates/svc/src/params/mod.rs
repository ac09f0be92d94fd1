mod pps;
mod profile;
mod sets;
mod sps;
mod vui;

pub use pps::Pps;
pub use profile::{Level, ProfileLevel};
pub use sets::ParameterSets;
pub use sps::{Cropping, Sps, SvcSpsExtension};
pub use vui::{BitstreamRestriction, Vui};
