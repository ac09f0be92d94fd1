//! `a=setup` and `a=connection` (RFC 4145).

/// Who opens a connection (RFC 4145 §4), or the DTLS association of a section (RFC 8842 §5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Setup {
    /// The writer opens it.
    Active,
    /// The writer waits for it.
    Passive,
    /// The answerer chooses.
    ActPass,
    /// Nobody opens it yet.
    HoldConn,
}

impl Setup {
    const ALL: [(&'static str, Self); 4] = [
        ("active", Self::Active),
        ("passive", Self::Passive),
        ("actpass", Self::ActPass),
        ("holdconn", Self::HoldConn),
    ];

    /// From the attribute's value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim_matches(' ');
        Self::ALL.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, setup)| *setup)
    }

    /// The attribute's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, setup)| *setup == self).map_or("", |(name, _)| *name)
    }

    /// Whether `answer` may answer an offer of this value (RFC 4145 §4.1).
    #[must_use]
    pub const fn admits(self, answer: Self) -> bool {
        matches!(
            (self, answer),
            (_, Self::HoldConn)
                | (Self::Active | Self::ActPass, Self::Passive)
                | (Self::Passive | Self::ActPass, Self::Active)
        )
    }

    /// The part that is left to the side that reads this value in an answer.
    #[must_use]
    pub const fn counterpart(self) -> Self {
        match self {
            Self::Active => Self::Passive,
            Self::Passive | Self::ActPass => Self::Active,
            Self::HoldConn => Self::HoldConn,
        }
    }

    /// The answer to an offer of this value that comes nearest to `wanted`. Where the choice is
    /// free it is [`Active`](Self::Active), which saves a DTLS handshake half a round trip
    /// (RFC 5763 §5).
    #[must_use]
    pub const fn answer(self, wanted: Self) -> Self {
        match (self, wanted) {
            (_, Self::HoldConn) | (Self::HoldConn, _) => Self::HoldConn,
            (Self::Active, _) | (Self::ActPass, Self::Passive) => Self::Passive,
            (Self::Passive | Self::ActPass, _) => Self::Active,
        }
    }
}

impl core::fmt::Display for Setup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a connection is opened for a section or the one that is there goes on
/// (`a=connection`, RFC 4145 §5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ConnectionUse {
    /// `new`; what no attribute means.
    #[default]
    New,
    /// `existing`.
    Existing,
}

impl ConnectionUse {
    /// From the attribute's value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim_matches(' ') {
            "new" => Some(Self::New),
            "existing" => Some(Self::Existing),
            _ => None,
        }
    }

    /// The attribute's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }

    /// The answer (RFC 4145 §5.1): the connection that is there goes on when both want that.
    #[must_use]
    pub const fn answer(self, wanted: Self) -> Self {
        match (self, wanted) {
            (Self::Existing, Self::Existing) => Self::Existing,
            _ => Self::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4145 §4.1, the table of offers and answers.
    #[test]
    fn answers_are_those_of_the_table() {
        use Setup::{ActPass, Active, HoldConn, Passive};
        let admitted = |offer: Setup| -> Vec<Setup> {
            Setup::ALL.iter().map(|(_, s)| *s).filter(|answer| offer.admits(*answer)).collect()
        };
        assert_eq!(admitted(Active), [Passive, HoldConn]);
        assert_eq!(admitted(Passive), [Active, HoldConn]);
        assert_eq!(admitted(ActPass), [Active, Passive, HoldConn]);
        assert_eq!(admitted(HoldConn), [HoldConn]);
        for (name, offer) in Setup::ALL {
            assert_eq!(Setup::from_name(name), Some(offer));
            for (_, wanted) in Setup::ALL {
                assert!(offer.admits(offer.answer(wanted)), "{offer} {wanted}");
            }
        }
        assert_eq!(ActPass.answer(ActPass), Active);
        assert_eq!(ActPass.answer(Passive), Passive);
    }

    #[test]
    fn a_connection_goes_on_when_both_want_it() {
        use ConnectionUse::{Existing, New};
        assert_eq!(Existing.answer(Existing), Existing);
        assert_eq!((New.answer(Existing), Existing.answer(New)), (New, New));
        assert_eq!(ConnectionUse::from_name(New.name()), Some(New));
    }
}
