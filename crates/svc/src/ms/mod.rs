//! What Lync and Skype for Business do differently: UC-SVC, \[MS-H264PF\].

mod messages;
mod pacsi;
mod writer;

pub use messages::{
    BitstreamInfo, Crop, CroppingInfo, FrameRate, LayerDescription, LayerType, StreamLayout,
    UcMessage,
};
pub use pacsi::{Pacsi, PacsiView};

pub(crate) use messages::is_uc_sei;
pub(crate) use writer::PacsiWriter;
