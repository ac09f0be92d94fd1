//! What one side has written so far in a session.

use core::net::IpAddr;

use super::dtls::Association;
use super::write::{self, Layout, Written};
use crate::{Dialect, HeaderExtension, MediaKind, Profile, Proto, SessionDescription};

/// Version and layout of a side's descriptions, from one exchange to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Of the last description written; `None` before the first.
    version: Option<u64>,
    session_id: u64,
    /// The last description, without its version.
    last: Vec<u8>,
    pub(crate) sections: Vec<SectionState>,
}

/// A section as it stands after an exchange.
#[derive(Clone, Debug)]
pub(crate) struct SectionState {
    pub(crate) kind: MediaKind,
    /// To repeat in a line that is not used.
    pub(crate) proto: Proto,
    pub(crate) formats: Vec<String>,
    pub(crate) used: bool,
    pub(crate) encrypted: bool,
    /// Payload types that we have bound to encodings: they do not change (RFC 3264 §8.3.2).
    pub(crate) bound: Vec<(u8, crate::Codec)>,
    pub(crate) label: Option<String>,
    pub(crate) mid: Option<String>,
    /// Shares its transport with others.
    pub(crate) bundled: bool,
    pub(crate) association: Option<Association>,
    pub(crate) extensions: Vec<HeaderExtension>,
}

impl SectionState {
    /// A section that is not used, with what to repeat of its `m=` line.
    pub(crate) const fn unused(kind: MediaKind, proto: Proto, formats: Vec<String>) -> Self {
        Self {
            kind,
            proto,
            formats,
            used: false,
            encrypted: false,
            bound: Vec::new(),
            label: None,
            mid: None,
            bundled: false,
            association: None,
            extensions: Vec::new(),
        }
    }
}

impl History {
    /// Writes a description with the version it has to have: one more than the last when
    /// anything is different (RFC 3264 §8).
    pub(crate) fn write(
        &mut self,
        profile: &Profile,
        sections: &[Written<'_>],
        groups: &[String],
        address: IpAddr,
    ) -> SessionDescription {
        if self.version.is_none() {
            self.session_id = session_id(profile, sections);
        }
        let layout = Layout { sections, groups, fallback: address };
        let fresh = write::description(profile, self.session_id, 0, layout).to_bytes();
        let version = match self.version {
            None => match profile.dialect {
                Dialect::Lync => 0,
                Dialect::Standard => 1,
            },
            Some(version) if fresh == self.last => version,
            Some(version) => version.saturating_add(1),
        };
        self.version = Some(version);
        self.last = fresh;
        write::description(profile, self.session_id, version, layout)
    }

    /// The version of the last description.
    pub(crate) const fn version(&self) -> Option<u64> {
        self.version
    }

    /// Takes over the layout of a description.
    pub(crate) fn set_sections(&mut self, sections: Vec<SectionState>) {
        self.sections = sections;
    }
}

/// RFC 8866 §5.2: unique together with user name and address. The first local media makes it so:
/// two sessions of one user never share their ports at the same time.
fn session_id(profile: &Profile, sections: &[Written<'_>]) -> u64 {
    if profile.dialect == Dialect::Lync || profile.session_id != 0 {
        return if profile.dialect == Dialect::Lync { 0 } else { profile.session_id };
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |octets: &[u8]| {
        for octet in octets {
            hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for section in sections {
        if let Written::Used(section) = section {
            mix(section.local.address.to_string().as_bytes());
            mix(&section.local.rtp_port.to_be_bytes());
            mix(section.local.ice.as_ref().map_or(&[], |ice| ice.ufrag.as_bytes()));
        }
    }
    // Some readers take it for a signed 32-bit number.
    hash & 0x7fff_ffff
}
