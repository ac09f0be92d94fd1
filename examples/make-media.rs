//! Makes the video streams in `examples/media/`, with OpenH264's scalable encoder.
//!
//! ```text
//! cargo run --release --example make-media [-- DIR]      # default: examples/media
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `lync-t3-640x360.264` | what a Lync-side client sends: 3 temporal layers, prefix NAL units, slices under 1,100 octets |
//! | `lync-simulcast-320x180-640x360.264` | two sizes of one picture as independent streams, told apart by parameter-set id |
//! | `standard-640x360.264` | what a standards-side endpoint sends: plain AVC, one slice a picture, so larger than a packet |
//!
//! The picture is synthetic (a moving gradient, a bouncing disc and a clock hand), so the streams
//! are ours to publish. The encoder is the one that the `openh264` crate compiles; the same
//! version gives the same octets.
#![allow(
    unsafe_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the encoder is a C++ library; this program runs on its own input only"
)]

use std::error::Error;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::ptr;

use openh264_sys2::{
    API, DynamicAPI, EProfileIdc, ISVCEncoder, ISVCEncoderVtbl, PRO_BASELINE, RC_BITRATE_MODE,
    SEncParamExt, SFrameBSInfo, SLayerBSInfo, SM_SINGLE_SLICE, SM_SIZELIMITED_SLICE,
    SSourcePicture, videoFormatI420,
};

/// Pictures a stream: 3.2 seconds at 30 per second.
const PICTURES: u32 = 96;
const RATE_HZ: f32 = 30.0;
/// Pictures from one IDR to the next; the encoder wants a multiple of its group of pictures.
const IDR_EVERY: u32 = 48;
/// Largest slice in octets, where slices are limited: one packet each, even without FU-A.
const SLICE_LIMIT: u32 = 1_080;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/media")),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder)?;
    let streams = [
        Stream {
            name: "lync-t3-640x360.264",
            sizes: &[(640, 360, 500_000)],
            temporal_layers: 3,
            prefix_nal_units: true,
            limited_slices: true,
        },
        Stream {
            name: "lync-simulcast-320x180-640x360.264",
            sizes: &[(320, 180, 150_000), (640, 360, 400_000)],
            temporal_layers: 3,
            prefix_nal_units: true,
            limited_slices: true,
        },
        Stream {
            name: "standard-640x360.264",
            sizes: &[(640, 360, 500_000)],
            temporal_layers: 1,
            prefix_nal_units: false,
            limited_slices: false,
        },
    ];
    for stream in &streams {
        write(&folder, stream)?;
    }
    Ok(())
}

/// One file to be made.
struct Stream {
    name: &'static str,
    /// Width, height and bit/s of each simulcast stream, smallest first.
    sizes: &'static [(u32, u32, i32)],
    temporal_layers: i32,
    prefix_nal_units: bool,
    limited_slices: bool,
}

fn write(folder: &Path, stream: &Stream) -> Result<(), Box<dyn Error>> {
    let &(width, height, _) = stream.sizes.last().ok_or("a stream has a size")?;
    let mut encoder = Encoder::new(stream, width, height)?;
    let mut picture = Picture::new(width, height);
    let mut octets = Vec::new();
    for number in 0..PICTURES {
        picture.draw(number);
        encoder.encode(&mut picture, number, &mut octets)?;
    }
    let path = folder.join(stream.name);
    std::fs::write(&path, &octets)?;
    println!("{} {} octets, {PICTURES} pictures", path.display(), octets.len());
    Ok(())
}

/// OpenH264's encoder behind its C++ virtual table.
struct Encoder {
    api: DynamicAPI,
    this: *mut ISVCEncoder,
}

impl Encoder {
    fn new(stream: &Stream, width: u32, height: u32) -> Result<Self, Box<dyn Error>> {
        let api = DynamicAPI::from_source();
        let mut this: *mut ISVCEncoder = ptr::null_mut();
        // SAFETY: the library writes a valid encoder into `this`, or fails.
        check(unsafe { api.WelsCreateSVCEncoder(&raw mut this) })?;
        let encoder = Self { api, this };
        let table = encoder.table();
        let mut parameters = SEncParamExt::default();
        let defaults = table.GetDefaultParams.ok_or("no GetDefaultParams")?;
        // SAFETY: `this` is a live encoder and `parameters` outlives the call.
        check(unsafe { defaults(this, &raw mut parameters) })?;
        configure(&mut parameters, stream, width, height);
        let initialize = table.InitializeExt.ok_or("no InitializeExt")?;
        // SAFETY: as above.
        check(unsafe { initialize(this, &raw const parameters) })?;
        Ok(encoder)
    }

    /// Encodes one picture and appends its NAL units, each behind a start code.
    fn encode(
        &mut self,
        picture: &mut Picture,
        number: u32,
        octets: &mut Vec<u8>,
    ) -> Result<(), Box<dyn Error>> {
        let (width, height) = (picture.width as c_int, picture.height as c_int);
        let mut source = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [width, width / 2, width / 2, 0],
            iPicWidth: width,
            iPicHeight: height,
            uiTimeStamp: i64::from(number) * 1_000 / RATE_HZ as i64,
            ..SSourcePicture::default()
        };
        for (plane, data) in source.pData.iter_mut().zip(&mut picture.planes) {
            *plane = data.as_mut_ptr();
        }
        let mut output = SFrameBSInfo::default();
        let encode = self.table().EncodeFrame.ok_or("no EncodeFrame")?;
        // SAFETY: the planes have the stated strides and outlive the call.
        check(unsafe { encode(self.this, &raw const source, &raw mut output) })?;
        for layer in &output.sLayerInfo[..output.iLayerNum as usize] {
            octets.extend_from_slice(layer_octets(layer));
        }
        Ok(())
    }

    fn table(&self) -> &'static ISVCEncoderVtbl {
        // SAFETY: an encoder begins with the pointer to its table, which is static in the library.
        unsafe { &**self.this }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: made by WelsCreateSVCEncoder, and used by nobody else.
        unsafe {
            if let Some(uninitialize) = self.table().Uninitialize {
                uninitialize(self.this);
            }
            self.api.WelsDestroySVCEncoder(self.this);
        }
    }
}

fn configure(parameters: &mut SEncParamExt, stream: &Stream, width: u32, height: u32) {
    parameters.iPicWidth = width as c_int;
    parameters.iPicHeight = height as c_int;
    parameters.fMaxFrameRate = RATE_HZ;
    parameters.iTargetBitrate = stream.sizes.iter().map(|size| size.2).sum();
    parameters.iRCMode = RC_BITRATE_MODE;
    parameters.iTemporalLayerNum = stream.temporal_layers;
    parameters.iSpatialLayerNum = stream.sizes.len() as c_int;
    parameters.bSimulcastAVC = stream.sizes.len() > 1;
    parameters.bPrefixNalAddingCtrl = stream.prefix_nal_units;
    parameters.uiIntraPeriod = IDR_EVERY;
    parameters.uiMaxNalSize = if stream.limited_slices { SLICE_LIMIT } else { 0 };
    // One thread: the same octets at each run.
    parameters.iMultipleThreadIdc = 1;
    parameters.bEnableFrameSkip = false;
    parameters.bEnableSceneChangeDetect = false;
    parameters.bEnableDenoise = false;
    for (layer, &(width, height, bitrate_bps)) in
        parameters.sSpatialLayers.iter_mut().zip(stream.sizes)
    {
        layer.iVideoWidth = width as c_int;
        layer.iVideoHeight = height as c_int;
        layer.fFrameRate = RATE_HZ;
        layer.iSpatialBitrate = bitrate_bps;
        layer.iMaxSpatialBitrate = 0;
        layer.uiProfileIdc = PRO_BASELINE as EProfileIdc;
        layer.sSliceArgument.uiSliceMode =
            if stream.limited_slices { SM_SIZELIMITED_SLICE } else { SM_SINGLE_SLICE };
        layer.sSliceArgument.uiSliceSizeConstraint =
            if stream.limited_slices { SLICE_LIMIT } else { 0 };
    }
}

/// The NAL units of one layer lie one behind the other.
fn layer_octets(layer: &SLayerBSInfo) -> &[u8] {
    // SAFETY: the library fills `iNalCount` lengths and as many octets as they add up to.
    unsafe {
        let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, layer.iNalCount as usize);
        let total: c_int = lengths.iter().sum();
        std::slice::from_raw_parts(layer.pBsBuf, total as usize)
    }
}

fn check(code: c_int) -> Result<(), Box<dyn Error>> {
    if code == 0 { Ok(()) } else { Err(format!("the encoder answers {code}").into()) }
}

/// A 4:2:0 picture.
struct Picture {
    width: u32,
    height: u32,
    planes: [Vec<u8>; 3],
}

impl Picture {
    fn new(width: u32, height: u32) -> Self {
        let luma = (width * height) as usize;
        Self { width, height, planes: [vec![0; luma], vec![0; luma / 4], vec![0; luma / 4]] }
    }

    /// Draws picture `number`: all of it moves, and no two pictures are alike.
    fn draw(&mut self, number: u32) {
        let (width, height) = (self.width as i32, self.height as i32);
        let n = number as i32;
        let (disc_x, disc_y) = (bounce(n * 5, width), bounce(n * 3, height));
        let radius = height / 6;
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (x - disc_x, y - disc_y);
                let in_disc = dx * dx + dy * dy < radius * radius;
                let bars = ((x + 2 * n) / 40 + y / 40) % 2 * 24;
                let slope = (x * 100 / width + y * 80 / height + n) % 256;
                let value = if in_disc {
                    235 - (dx * dx + dy * dy) * 90 / (radius * radius)
                } else {
                    24 + bars + slope * 3 / 5
                };
                self.planes[0][(y * width + x) as usize] = value.clamp(16, 235) as u8;
            }
        }
        let (chroma_width, chroma_height) = (width / 2, height / 2);
        for y in 0..chroma_height {
            for x in 0..chroma_width {
                let at = (y * chroma_width + x) as usize;
                self.planes[1][at] = (90 + (x * 70 / chroma_width + n / 2) % 80) as u8;
                self.planes[2][at] = (100 + (y * 60 / chroma_height + n / 3) % 60) as u8;
            }
        }
    }
}

/// A position that runs to and fro between 0 and `limit`.
fn bounce(position: i32, limit: i32) -> i32 {
    let around = position.rem_euclid(2 * limit);
    if around < limit { around } else { 2 * limit - around }
}
