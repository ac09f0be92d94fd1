//! Who sends, whose packets are taken, and who may speak.

use super::MediaView;
use crate::attribute::{Floor, FloorControl, SourceAttribute, SourceFilter, SourceGroup};
use crate::mline::decimal;
use crate::section::Lines;

impl<'a> MediaView<'a> {
    /// The SSRCs of the `a=ssrc` lines (RFC 5576), each once, in order.
    #[must_use]
    pub fn ssrcs(&self) -> Vec<u32> {
        let mut found = Vec::new();
        for value in self.all("ssrc") {
            if let Some(ssrc) = decimal(crate::mline::split_token(value).0)
                && found.last() != Some(&ssrc)
                && !found.contains(&ssrc)
            {
                found.push(ssrc);
            }
        }
        found
    }

    /// `a=ssrc` lines that parse (RFC 5576).
    pub fn sources(&self) -> impl Iterator<Item = SourceAttribute<'a>> + use<'a> {
        self.all("ssrc").filter_map(|value| SourceAttribute::parse(value).ok())
    }

    /// `a=source-filter` lines that parse (RFC 4570), the session's when this section has none.
    #[must_use]
    pub fn source_filters(&self) -> Vec<SourceFilter<'a>> {
        let of = |lines: Lines<'a>| -> Vec<_> {
            lines.named("source-filter").filter_map(|v| SourceFilter::parse(v).ok()).collect()
        };
        let own = of(self.lines);
        if own.is_empty() { of(self.session) } else { own }
    }

    /// `a=ssrc-group` lines that parse (RFC 5576 §4.2).
    pub fn source_groups(&self) -> impl Iterator<Item = SourceGroup<'a>> + use<'a> {
        self.all("ssrc-group").filter_map(|value| SourceGroup::parse(value).ok())
    }

    /// `a=floorid` lines that parse (RFC 8856).
    pub fn floors(&self) -> impl Iterator<Item = Floor<'a>> + use<'a> {
        self.all("floorid").filter_map(|value| Floor::parse(value).ok())
    }

    /// The roles that `a=floorctrl` offers (RFC 8856 §5.1), in order.
    pub fn floor_control(&self) -> impl Iterator<Item = FloorControl> + use<'a> {
        FloorControl::parse(self.attribute("floorctrl").unwrap_or_default())
    }

    /// The versions of BFCP in `a=bfcpver` (RFC 8856 §5.5), in order.
    pub fn bfcp_versions(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.attribute("bfcpver").unwrap_or_default().split(' ').filter_map(decimal)
    }

    /// `a=confid` (RFC 8856 §5.2): the conference, as BFCP numbers it.
    #[must_use]
    pub fn conference_id(&self) -> Option<u32> {
        decimal(self.attribute("confid")?)
    }

    /// `a=userid` (RFC 8856 §5.3): the reader's number in the conference.
    #[must_use]
    pub fn user_id(&self) -> Option<u16> {
        decimal(self.attribute("userid")?)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Description, FloorControl};

    #[test]
    fn groups_and_floors_are_read() {
        let text = "v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
            m=application 3238 UDP/BFCP *\r\na=floorctrl:c-only s-only\r\na=bfcpver:1 2\r\n\
            a=confid:4321\r\na=userid:1234\r\na=floorid:1 mstrm:10\r\n\
            m=video 4000 RTP/AVP 96\r\na=ssrc-group:FID 11 12\r\na=ssrc-group:FID\r\n\
            a=ssrc-group:FEC-FR 11 x\r\na=ssrc-group:SIM 1 2 3\r\na=ice-pacing:50\r\n";
        let description = Description::parse(text.as_bytes()).unwrap();
        let mut media = description.media();
        let (bfcp, video) = (media.next().unwrap(), media.next().unwrap());
        let roles: Vec<_> = bfcp.floor_control().collect();
        assert_eq!(roles, [FloorControl::Client, FloorControl::Server]);
        assert!(bfcp.bfcp_versions().eq([1, 2]));
        assert_eq!((bfcp.conference_id(), bfcp.user_id()), (Some(4321), Some(1234)));
        assert_eq!((video.conference_id(), video.user_id()), (None, None));
        assert_eq!(video.ice_pacing(), Some(50));
        let groups: Vec<_> =
            video.source_groups().map(|g| (g.semantics, g.ssrcs().collect::<Vec<_>>())).collect();
        assert_eq!(groups, [("FID", vec![11, 12]), ("SIM", vec![1, 2, 3])]);
    }
}
