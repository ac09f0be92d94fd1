//! The gateway's own part of a description.

use linkspan_sdp as sdp;

use super::call::Call;
use super::convert;
use super::core::Core;
use super::streams::End;
use crate::id::{Side, StreamKind};

impl Call {
    /// Local media toward `side`, one entry for each section of a description of `offerer`'s.
    pub(super) fn local_media(
        &self,
        core: &Core,
        side: Side,
        offerer: Side,
        sections: usize,
    ) -> Vec<sdp::LocalMedia> {
        let mut local = vec![sdp::LocalMedia::default(); sections];
        for stream in &self.streams {
            let end = stream.ends.of(side);
            let Some(port) = end.port().filter(|_| end.is_open()) else { continue };
            let slot = stream.section.of(offerer).and_then(|at| local.get_mut(at));
            if let Some(slot) = slot {
                *slot = describe(core, side, stream.kind, end, port);
            }
        }
        local
    }
}

fn describe(core: &Core, side: Side, kind: StreamKind, end: &End, port: u16) -> sdp::LocalMedia {
    let config = core.config.side(side);
    let advertised = config.advertised();
    let pairs = end.pairs.as_deref();
    let mut ice =
        end.ice().map(|ice| convert::local_ice(ice, pairs.filter(|_| side == Side::Lync)));
    if advertised != config.media_address
        && let Some(ice) = &mut ice
    {
        // A one-to-one translation of addresses outside: ports stay.
        for candidate in &mut ice.candidates {
            if candidate.address.ip() == config.media_address {
                candidate.address.set_ip(advertised);
            }
        }
    }
    let mut address = (advertised, port, port.saturating_add(1));
    // RFC 8445 §5.1.4: what works most likely, a relayed address where there is one.
    if let Some([rtp, rest @ ..]) = end.ice().map(|ice| ice.defaults.as_slice())
        && rtp.ip() != config.media_address
    {
        let rtcp = rest.first().map_or_else(|| rtp.port().saturating_add(1), |rtcp| rtcp.port());
        address = (rtp.ip(), rtp.port(), rtcp);
    }
    let mut remote_candidates = Vec::new();
    // [MS-ICE2] 3.1.4.8.3: the last offer names the pairs, and its answer as well.
    if side == Side::Lync
        && ice.is_some()
        && let Some([rtp, rest @ ..]) = pairs
    {
        let selected = rtp.local_candidate.address;
        let rtcp = rest.first().map_or(selected, |pair| pair.local_candidate.address);
        address = (selected.ip(), selected.port(), rtcp.port());
        let all = core::iter::once(rtp).chain(rest);
        remote_candidates = (1..).zip(all).map(|(c, p)| (c, p.remote_candidate.address)).collect();
    }
    let (address, rtp_port, rtcp_port) = address;
    let width = if kind == StreamKind::Video { 100 } else { 1 };
    sdp::LocalMedia {
        address,
        rtp_port,
        rtcp_port,
        ice,
        crypto: vec![sdp::Crypto::new(1, end.key.suite_name(), &end.key.to_inline())],
        ssrc_range: Some((end.ssrc, end.ssrc.saturating_add(width - 1))),
        remote_candidates,
        ..sdp::LocalMedia::default()
    }
}
