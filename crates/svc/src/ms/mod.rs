//! What Lync and Skype for Business do differently: UC-SVC, \[MS-H264PF\].

mod messages;
mod pacsi;
mod policy;
mod writer;

pub use messages::{
    BitstreamInfo, Crop, CroppingInfo, FrameRate, LayerDescription, LayerType, StreamLayout,
    UcMessage,
};
pub use pacsi::{Pacsi, PacsiView};
pub use policy::MaxVideoRate;

pub(crate) use messages::is_uc_sei;
pub(crate) use writer::PacsiWriter;
