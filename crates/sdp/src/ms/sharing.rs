//! Application sharing: RDP in RTP (\[MS-SDPEXT\] 3.1.5.18).

use crate::{Direction, MediaView};

/// What a section says about the application that it shares.
///
/// ```
/// use linkspan_sdp::ms::{ApplicationSharing, SharingRole};
/// use linkspan_sdp::Direction;
///
/// let sharer = ApplicationSharing { role: SharingRole::Sharer, ..ApplicationSharing::default() };
/// let viewer = sharer.answer(&ApplicationSharing::default());
/// assert_eq!((viewer.role, viewer.session_id), (SharingRole::Viewer, sharer.session_id));
/// assert_eq!(viewer.flow, Direction::SendRecv);
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ApplicationSharing {
    /// `a=x-applicationsharing-session-id`.
    pub session_id: u32,
    /// `a=x-applicationsharing-role`.
    pub role: SharingRole,
    /// `a=x-applicationsharing-media-type`: `rdp`.
    pub media_type: String,
    /// `a=x-applicationsharing-contentflow` (3.1.5.18.5), seen from the writer; both ways when
    /// unsaid.
    pub flow: Direction,
}

/// Who shares.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SharingRole {
    /// The writer shares its screen: it is the RDP server.
    Sharer,
    /// The writer looks on: it is the RDP client.
    #[default]
    Viewer,
}

impl SharingRole {
    /// From the attribute's value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim_matches(' ') {
            "sharer" => Some(Self::Sharer),
            "viewer" => Some(Self::Viewer),
            _ => None,
        }
    }

    /// The attribute's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sharer => "sharer",
            Self::Viewer => "viewer",
        }
    }

    /// The role of the other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sharer => Self::Viewer,
            Self::Viewer => Self::Sharer,
        }
    }
}

impl Default for ApplicationSharing {
    /// A viewer of session 1, both ways.
    fn default() -> Self {
        Self {
            session_id: 1,
            role: SharingRole::Viewer,
            media_type: "rdp".into(),
            flow: Direction::SendRecv,
        }
    }
}

impl ApplicationSharing {
    /// The answer to an offer that says `self`: the same session and type, the other role, and of
    /// the flow what both want: `sendonly` is answered `recvonly` or `inactive`, and so on.
    #[must_use]
    pub fn answer(&self, ours: &Self) -> Self {
        Self {
            session_id: self.session_id,
            role: self.role.other(),
            media_type: self.media_type.clone(),
            flow: self.flow.reversed().and(ours.flow),
        }
    }

    /// Reads a section; `None` when it says nothing of sharing.
    pub(crate) fn read(view: &MediaView<'_>) -> Option<Self> {
        let value = |name| view.attribute(name).map(|v| v.trim_matches(' '));
        let session_id = value(SESSION_ID);
        let role = value(ROLE).and_then(SharingRole::from_name);
        let media_type = value(MEDIA_TYPE);
        let flow = value(CONTENT_FLOW).or_else(|| value(CONTENT_FLOW_OF_THE_GRAMMAR)).is_some();
        if session_id.is_none() && role.is_none() && media_type.is_none() && !flow {
            return None;
        }
        let base = Self::default();
        Some(Self {
            session_id: session_id.and_then(crate::mline::decimal).unwrap_or(base.session_id),
            role: role.unwrap_or_default(),
            media_type: media_type.map_or(base.media_type, Into::into),
            flow: view.content_flow(),
        })
    }

    /// Name and value of the attributes.
    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut found = vec![
            (SESSION_ID, self.session_id.to_string()),
            (ROLE, self.role.name().to_owned()),
            (MEDIA_TYPE, self.media_type.clone()),
        ];
        if self.flow != Direction::SendRecv {
            found.push((CONTENT_FLOW, self.flow.name().to_owned()));
        }
        found
    }
}

const SESSION_ID: &str = "x-applicationsharing-session-id";
const ROLE: &str = "x-applicationsharing-role";
const MEDIA_TYPE: &str = "x-applicationsharing-media-type";
pub(crate) const CONTENT_FLOW: &str = "x-applicationsharing-contentflow";
/// As the grammar of 3.1.5.18.5 spells it; its table has the other name.
pub(crate) const CONTENT_FLOW_OF_THE_GRAMMAR: &str = "x-application-contentflow";

#[cfg(test)]
mod tests {
    use super::*;

    /// \[MS-SDPEXT\] 3.1.5.18.5, the table.
    #[test]
    fn content_flows_are_answered_as_the_table_has_it() {
        let all =
            [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        let answers = |flow| -> Vec<Direction> {
            let offer = ApplicationSharing { flow, ..ApplicationSharing::default() };
            let ours = |flow| ApplicationSharing { flow, ..ApplicationSharing::default() };
            let mut found: Vec<_> = all.iter().map(|f| offer.answer(&ours(*f)).flow).collect();
            found.sort_by_key(|d| d.name());
            found.dedup();
            found
        };
        assert_eq!(answers(Direction::SendOnly), [Direction::Inactive, Direction::RecvOnly]);
        assert_eq!(answers(Direction::RecvOnly), [Direction::Inactive, Direction::SendOnly]);
        assert_eq!(answers(Direction::Inactive), [Direction::Inactive]);
        assert_eq!(answers(Direction::SendRecv).len(), 4);
    }
}
