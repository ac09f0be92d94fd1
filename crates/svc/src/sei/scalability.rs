use crate::bits::BitReader;
use crate::error::ParseError;
use crate::nal::LayerId;
use crate::params::ProfileLevel;

/// Which layers a stream has, and what each comes to (H.264 §G.13.1.1, §G.13.2.1).
///
/// Regions of interest, conversions and priority tables are read over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScalabilityInfo {
    /// `temporal_id_nesting_flag`: no picture refers over one of a lower temporal layer, so a
    /// receiver can go up behind any of these.
    pub is_temporally_nested: bool,
    /// The layers, in the order of the message.
    pub layers: Vec<ScalableLayer>,
}

/// One layer of a [`ScalabilityInfo`]: together with all layers that it depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScalableLayer {
    /// `layer_id`, the name that other messages use.
    pub id: u32,
    /// Its identifiers.
    pub layer: LayerId,
    /// `discardable_flag`.
    pub discardable: bool,
    /// `layer_output_flag`.
    pub output: bool,
    /// `layer_profile_level_idc`.
    pub profile_level: Option<ProfileLevel>,
    /// Bit rates.
    pub bitrate: Option<LayerBitrate>,
    /// `avg_frm_rate`, pictures a second.
    pub frame_rate: Option<f64>,
    /// Width and height of the picture in macroblocks.
    pub size_mbs: Option<(u32, u32)>,
    /// `layer_id`s of the layers that it directly depends on; empty where another layer's list
    /// holds for it.
    pub depends_on: Vec<u32>,
}

/// Bit rates of a layer in bit/s.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LayerBitrate {
    /// `avg_bitrate`, with everything that the layer depends on.
    pub average_bps: u64,
    /// `max_bitrate_layer`, of the layer alone.
    pub max_layer_bps: u64,
    /// `max_bitrate_layer_representation`, with everything that the layer depends on.
    pub max_bps: u64,
}

impl ScalabilityInfo {
    /// The layer with these identifiers.
    #[must_use]
    pub fn layer(&self, did: u8, qid: u8, tid: u8) -> Option<&ScalableLayer> {
        let same = |l: &&ScalableLayer| (l.layer.did, l.layer.qid, l.layer.tid) == (did, qid, tid);
        self.layers.iter().find(same)
    }

    /// H.264 §G.13.1.1.
    pub(super) fn read(r: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let is_temporally_nested = r.flag()?;
        r.flag()?; // priority_layer_info_present_flag: those tables stand behind the layers
        r.flag()?; // priority_id_setting_flag
        let mut info = Self { is_temporally_nested, layers: Vec::new() };
        for _ in 0..=r.ue_max("num_layers_minus1", 2_047)? {
            info.layers.push(ScalableLayer::read(r)?);
        }
        Ok(info)
    }
}

/// The presence flags of a layer.
#[derive(Clone, Copy, Debug)]
struct Flags(u32);

impl Flags {
    /// The flag with this place, `sub_pic_layer_flag` being 0.
    const fn has(self, place: u32) -> bool {
        self.0 >> (10 - place) & 1 != 0
    }
}

impl ScalableLayer {
    fn read(r: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut layer = Self { id: r.ue_max("layer_id", 2_047)?, ..Self::default() };
        layer.layer.prid = r.u8(6)?;
        layer.discardable = r.flag()?;
        layer.layer.did = r.u8(3)?;
        layer.layer.qid = r.u8(4)?;
        layer.layer.tid = r.u8(3)?;
        // sub_pic, sub_region, iroi, profile, bitrate, frame rate, size, dependency, sets,
        // restriction, exact_inter_layer_pred.
        let flags = Flags(r.u(11)?);
        if flags.has(0) || flags.has(2) {
            r.flag()?; // exact_sample_value_match_flag
        }
        let converts = r.flag()?;
        layer.output = r.flag()?;
        if flags.has(3) {
            layer.profile_level = Some([r.u8(8)?, r.u8(8)?, r.u8(8)?].into());
        }
        if flags.has(4) {
            layer.bitrate = Some(LayerBitrate {
                average_bps: bitrate(r)?,
                max_layer_bps: bitrate(r)?,
                max_bps: bitrate(r)?,
            });
            r.u(16)?; // max_bitrate_calc_window
        }
        if flags.has(5) {
            r.u(2)?; // constant_frm_rate_idc
            // In frames per 256 seconds.
            layer.frame_rate = Some(f64::from(r.u(16)?) / 256.0);
        }
        if flags.has(6) || flags.has(2) {
            let mut side = |name| Ok(r.ue_max(name, 2_047)? + 1);
            layer.size_mbs =
                Some((side("frm_width_in_mbs_minus1")?, side("frm_height_in_mbs_minus1")?));
        }
        skip_regions(r, flags)?;
        layer.read_dependencies(r, flags)?;
        skip_sets(r, flags)?;
        if converts {
            skip_conversion(r)?;
        }
        Ok(layer)
    }

    fn read_dependencies(&mut self, r: &mut BitReader<'_>, flags: Flags) -> Result<(), ParseError> {
        if !flags.has(7) {
            r.ue()?; // layer_dependency_info_src_layer_id_delta
            return Ok(());
        }
        for _ in 0..r.ue_max("num_directly_dependent_layers", 255)? {
            let delta = r.ue_max("directly_dependent_layer_id_delta_minus1", 2_047)?;
            self.depends_on.push(self.id.saturating_sub(delta + 1));
        }
        Ok(())
    }
}

/// Sub-regions, and grids of regions of interest.
fn skip_regions(r: &mut BitReader<'_>, flags: Flags) -> Result<(), ParseError> {
    if flags.has(1) {
        r.ue()?; // base_region_layer_id
        if !r.flag()? {
            r.u(32)?; // offsets
            r.u(32)?; // width and height
        }
    }
    if flags.has(0) {
        r.ue()?; // roi_id
    }
    if flags.has(2) {
        if r.flag()? {
            r.ue()?;
            r.ue()?;
        } else {
            for _ in 0..=r.ue_max("num_rois_minus1", 2_047)? {
                for _ in 0..3 {
                    r.ue()?;
                }
            }
        }
    }
    Ok(())
}

/// Numbers of parameter sets, and `bitstream_restriction`.
fn skip_sets(r: &mut BitReader<'_>, flags: Flags) -> Result<(), ParseError> {
    if flags.has(8) {
        for (name, max, more) in [
            ("num_seq_parameter_sets", 32, 0),
            ("num_subset_seq_parameter_sets", 32, 0),
            ("num_pic_parameter_sets_minus1", 255, 1),
        ] {
            for _ in 0..r.ue_max(name, max)? + more {
                r.ue()?;
            }
        }
    } else {
        r.ue()?; // parameter_sets_info_src_layer_id_delta
    }
    if flags.has(9) {
        r.flag()?;
        for _ in 0..6 {
            r.ue()?;
        }
    }
    Ok(())
}

fn skip_conversion(r: &mut BitReader<'_>) -> Result<(), ParseError> {
    r.ue()?; // conversion_type_idc
    for _ in 0..2 {
        if r.flag()? {
            r.u(24)?;
            r.u(32)?;
        }
    }
    Ok(())
}

/// §G.13.2.1: 14 bits, times 100, 1000, 10000 or 100000.
fn bitrate(r: &mut BitReader<'_>) -> Result<u64, ParseError> {
    let code = r.u(16)?;
    Ok(u64::from(code & 0x3fff) * 10u64.pow(2 + (code >> 14)))
}

pub(super) fn read_layers_not_present(r: &mut BitReader<'_>) -> Result<Vec<u32>, ParseError> {
    let mut layers = Vec::new();
    for _ in 0..r.ue_max("num_layers", 2_048)? {
        layers.push(r.ue_max("layer_id", 2_047)?);
    }
    Ok(layers)
}
