//! OpenH264's scalable encoder, for the programs that make streams.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the encoder is a C++ library; its programs run on their own input only"
)]

use std::error::Error;
use std::ffi::c_int;
use std::ptr;

use openh264_sys2::{
    API, DynamicAPI, EProfileIdc, ISVCEncoder, ISVCEncoderVtbl, PRO_BASELINE, RC_BITRATE_MODE,
    SEncParamExt, SFrameBSInfo, SLayerBSInfo, SM_SINGLE_SLICE, SM_SIZELIMITED_SLICE,
    SSourcePicture, videoFormatI420,
};

/// Pictures a second.
const RATE_HZ: f32 = 30.0;

/// What is to be encoded.
pub(crate) struct Settings {
    /// Width, height and bit/s of each simulcast stream, smallest first.
    pub(crate) sizes: &'static [(u32, u32, i32)],
    pub(crate) temporal_layers: i32,
    pub(crate) prefix_nal_units: bool,
    /// Largest slice in octets; 0 is one slice a picture.
    pub(crate) slice_octets: u32,
    /// Pictures from one IDR picture to the next; 0 is never. The encoder wants a multiple of its
    /// group of pictures.
    pub(crate) idr_every: u32,
}

/// OpenH264's encoder behind its C++ virtual table.
pub(crate) struct Encoder {
    api: DynamicAPI,
    this: *mut ISVCEncoder,
}

impl Encoder {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let &(width, height, _) = settings.sizes.last().ok_or("a stream has a size")?;
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
        configure(&mut parameters, settings, width, height);
        let initialize = table.InitializeExt.ok_or("no InitializeExt")?;
        // SAFETY: as above.
        check(unsafe { initialize(this, &raw const parameters) })?;
        Ok(encoder)
    }

    /// Encodes one picture and appends its NAL units, each behind a start code.
    pub(crate) fn encode(
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

fn configure(parameters: &mut SEncParamExt, stream: &Settings, width: u32, height: u32) {
    parameters.iPicWidth = width as c_int;
    parameters.iPicHeight = height as c_int;
    parameters.fMaxFrameRate = RATE_HZ;
    parameters.iTargetBitrate = stream.sizes.iter().map(|size| size.2).sum();
    parameters.iRCMode = RC_BITRATE_MODE;
    parameters.iTemporalLayerNum = stream.temporal_layers;
    parameters.iSpatialLayerNum = stream.sizes.len() as c_int;
    parameters.bSimulcastAVC = stream.sizes.len() > 1;
    parameters.bPrefixNalAddingCtrl = stream.prefix_nal_units;
    parameters.uiIntraPeriod = stream.idr_every;
    parameters.uiMaxNalSize = stream.slice_octets;
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
            if stream.slice_octets > 0 { SM_SIZELIMITED_SLICE } else { SM_SINGLE_SLICE };
        layer.sSliceArgument.uiSliceSizeConstraint = stream.slice_octets;
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
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) planes: [Vec<u8>; 3],
}

impl Picture {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let luma = (width * height) as usize;
        Self { width, height, planes: [vec![0; luma], vec![0; luma / 4], vec![0; luma / 4]] }
    }
}
