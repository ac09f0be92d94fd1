use core::fmt;

/// One of the two worlds that the gateway joins.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Side {
    /// Microsoft Lync, Skype for Business.
    Lync,
    /// Standards-based SIP.
    Standard,
}

impl Side {
    /// The side across the bridge.
    ///
    /// ```
    /// use linkspan_gateway::Side;
    /// assert_eq!(Side::Lync.other(), Side::Standard);
    /// ```
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Lync => Self::Standard,
            Self::Standard => Self::Lync,
        }
    }

    /// `lync` or `standard`, as programs print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lync => "lync",
            Self::Standard => "standard",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StreamKind {
    /// `m=audio`, telephone events included.
    Audio,
    /// `m=video`, the main picture.
    Video,
}

impl StreamKind {
    /// `audio` or `video`, as programs print it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call through the gateway: both of its legs, for as long as it lasts and in every event.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call-{}", self.0)
    }
}

/// One m-line of one leg of a call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId {
    /// The call.
    pub call: CallId,
    /// The leg.
    pub side: Side,
    /// Position among the m-lines of the call.
    pub index: u8,
}

impl StreamId {
    /// The stream that this one is bridged to: same call and m-line, other leg.
    #[must_use]
    pub const fn peer(self) -> Self {
        Self { call: self.call, side: self.side.other(), index: self.index }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.call, self.side, self.index)
    }
}
