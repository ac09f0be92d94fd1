//! `a=sendrecv` and its kin.

/// Which way media flows, seen from the writer (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Direction {
    /// Both ways; what no attribute means.
    #[default]
    SendRecv,
    /// The writer sends only.
    SendOnly,
    /// The writer receives only.
    RecvOnly,
    /// Neither way; RTCP goes on.
    Inactive,
}

impl Direction {
    /// From the attribute's name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The attribute's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// From what is sent and what is received.
    #[must_use]
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same media seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// Whether `answer` may answer an offer of this direction (RFC 3264 §6.1).
    #[must_use]
    pub const fn admits(self, answer: Self) -> bool {
        (!answer.sends() || self.receives()) && (!answer.receives() || self.sends())
    }
}

impl core::fmt::Display for Direction {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Direction; 4] =
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

    /// RFC 3264 §6.1, the four paragraphs on directions.
    #[test]
    fn admits_what_the_rfc_allows() {
        let admitted = |offer: Direction| -> Vec<&str> {
            ALL.iter().filter(|a| offer.admits(**a)).map(|a| a.name()).collect()
        };
        assert_eq!(admitted(Direction::SendOnly), ["recvonly", "inactive"]);
        assert_eq!(admitted(Direction::RecvOnly), ["sendonly", "inactive"]);
        assert_eq!(admitted(Direction::SendRecv), ["sendrecv", "sendonly", "recvonly", "inactive"]);
        assert_eq!(admitted(Direction::Inactive), ["inactive"]);
    }

    #[test]
    fn names_and_reversal_are_inverse() {
        for d in ALL {
            assert_eq!(Direction::from_name(d.name()), Some(d));
            assert_eq!(d.reversed().reversed(), d);
            assert!(d.admits(d.reversed()));
        }
    }
}
