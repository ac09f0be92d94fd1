//! What only Microsoft writes.

use super::MediaView;
use crate::mline::decimal;
use crate::{Crypto, Direction, ms};

/// The Lync dialect.
impl<'a> MediaView<'a> {
    /// `a=x-ssrc-range` (\[MS-SDPEXT\] 3.1.5.31.2), first and last.
    #[must_use]
    pub fn ssrc_range(&self) -> Option<(u32, u32)> {
        ms::parse_ssrc_range(self.attribute("x-ssrc-range")?)
    }

    /// `a=cryptoscale` lines that parse.
    #[must_use]
    pub fn cryptoscale(&self) -> Vec<Crypto> {
        self.all("cryptoscale").filter_map(|v| Crypto::parse_cryptoscale(v).ok()).collect()
    }

    /// `a=x-caps` lines that parse (\[MS-SDPEXT\] 3.1.5.24).
    pub fn video_capabilities(&self) -> impl Iterator<Item = ms::VideoCapabilities> + use<'a> {
        self.all("x-caps").filter_map(|value| ms::VideoCapabilities::parse(value).ok())
    }

    /// `a=candidate` lines of the older MS-ICE that parse.
    pub fn legacy_candidates(&self) -> impl Iterator<Item = ms::LegacyCandidate<'a>> + use<'a> {
        self.all("candidate").filter_map(|value| ms::LegacyCandidate::parse(value).ok())
    }

    /// The session's `a=x-mediabw` for this section's label.
    #[must_use]
    pub fn media_bandwidth(&self) -> Option<ms::MediaBandwidth<'a>> {
        let label = self.label()?;
        self.session
            .attributes()
            .filter(|a| a.name == "x-mediabw")
            .filter_map(|a| ms::MediaBandwidth::parse(a.value?).ok())
            .find(|b| b.label == label)
    }

    /// `a=x-source-streamid` (\[MS-SDPEXT\] 3.1.5.32): the media source id that a conference
    /// server gave its reader.
    #[must_use]
    pub fn source_stream_id(&self) -> Option<u32> {
        decimal(self.attribute("x-source-streamid")?.trim_matches(' '))
    }

    /// `a=x-bypassid` (\[MS-SDPEXT\] 3.1.5.25), inherited.
    #[must_use]
    pub fn bypass_id(&self) -> Option<&'a str> {
        self.inherited("x-bypassid").map(|id| id.trim_matches(' '))
    }

    /// `a=x-applicationsharing-contentflow` (\[MS-SDPEXT\] 3.1.5.18.5), in both spellings of its
    /// text; both ways when unsaid.
    #[must_use]
    pub fn content_flow(&self) -> Direction {
        let flow = self.attribute(ms::CONTENT_FLOW);
        let flow = flow.or_else(|| self.attribute(ms::CONTENT_FLOW_OF_THE_GRAMMAR));
        Direction::from_name(flow.unwrap_or_default().trim_matches(' ')).unwrap_or_default()
    }

    /// What the section says about a shared application (\[MS-SDPEXT\] 3.1.5.18).
    #[must_use]
    pub fn application_sharing(&self) -> Option<ms::ApplicationSharing> {
        ms::ApplicationSharing::read(self)
    }

    /// `a=x-source` and `a=x-sourceid`: the role that the section plays, and the device behind it.
    #[must_use]
    pub fn source(&self) -> (Option<&'a str>, Option<&'a str>) {
        let value = |name| self.attribute(name).map(|v| v.trim_matches(' '));
        (value("x-source"), value("x-sourceid"))
    }

    /// `a=x-candidate-info` lines as written; what they say is not documented.
    pub fn candidate_info(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all("x-candidate-info")
    }

    /// The user names of `a=remote-candidate`: the candidates of the older MS-ICE that the
    /// writer's last offer has selected (\[MS-ICE\] 3.1.4.8.1).
    pub fn legacy_remote_candidates(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all("remote-candidate").map(|user| user.trim_matches(' ')).filter(|u| !u.is_empty())
    }

    /// Whether this looks like a section of a Microsoft client.
    #[must_use]
    pub fn is_lync(&self) -> bool {
        self.attributes().any(|a| {
            matches!(
                a.name,
                "x-ssrc-range" | "x-source" | "x-caps" | "cryptoscale" | "x-candidate-ipv6"
            )
        })
    }
}
