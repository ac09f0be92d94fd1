//! Reading a side from a file: what is left out takes that side's default, not the other's.

use std::net::IpAddr;

use linkspan_sdp::ms::MaxVideoRate;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::{
    AddressRange, AudioCodec, DamagedVideo, Encryption, H264, IceKind, Listener, SideConfig,
    TurnServer,
};
use crate::id::Side;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SideFile {
    listeners: Option<Vec<Listener>>,
    contact: Option<String>,
    peers: Option<Vec<AddressRange>>,
    media_address: Option<IpAddr>,
    advertised_address: Option<IpAddr>,
    first_port: Option<u16>,
    last_port: Option<u16>,
    encryption: Option<Encryption>,
    ice: Option<IceKind>,
    turn: Option<Vec<TurnServer>>,
    rtcp_mux: Option<bool>,
    audio: Option<Vec<AudioCodec>>,
    video: Option<bool>,
    h264: Option<H264>,
    damaged_video: Option<DamagedVideo>,
    max_payload: Option<usize>,
}

impl SideFile {
    fn over(self, default: SideConfig) -> SideConfig {
        SideConfig {
            listeners: self.listeners.unwrap_or(default.listeners),
            contact: self.contact.or(default.contact),
            peers: self.peers.unwrap_or(default.peers),
            media_address: self.media_address.unwrap_or(default.media_address),
            advertised_address: self.advertised_address.or(default.advertised_address),
            first_port: self.first_port.unwrap_or(default.first_port),
            last_port: self.last_port.unwrap_or(default.last_port),
            encryption: self.encryption.unwrap_or(default.encryption),
            ice: self.ice.unwrap_or(default.ice),
            turn: self.turn.unwrap_or(default.turn),
            rtcp_mux: self.rtcp_mux.unwrap_or(default.rtcp_mux),
            audio: self.audio.unwrap_or(default.audio),
            video: self.video.unwrap_or(default.video),
            h264: self.h264.unwrap_or(default.h264),
            damaged_video: self.damaged_video.unwrap_or(default.damaged_video),
            max_payload: self.max_payload.unwrap_or(default.max_payload),
        }
    }
}

/// A number, or the name of a video policy.
#[derive(Deserialize)]
#[serde(untagged)]
enum VideoRate {
    Kbps(u32),
    Policy(String),
}

pub(super) fn video_kbps<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match VideoRate::deserialize(from)? {
        VideoRate::Kbps(kbps) => Ok(kbps),
        VideoRate::Policy(name) => match MaxVideoRate::from_name(&name) {
            Some(rate) => Ok(rate.kbps()),
            None => Err(Error::custom("expected CIF250K, VGA600K or Hd720p15M")),
        },
    }
}

pub(super) fn lync<'de, D: Deserializer<'de>>(from: D) -> Result<SideConfig, D::Error> {
    Ok(SideFile::deserialize(from)?.over(SideConfig::of(Side::Lync)))
}

pub(super) fn standard<'de, D: Deserializer<'de>>(from: D) -> Result<SideConfig, D::Error> {
    Ok(SideFile::deserialize(from)?.over(SideConfig::of(Side::Standard)))
}
