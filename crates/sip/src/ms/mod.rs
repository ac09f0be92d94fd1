//! What Lync and Skype for Business do differently.

mod diagnostics;

pub use diagnostics::{Diagnostics, diagnostics_id};
