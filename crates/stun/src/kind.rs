use crate::Dialect;

/// Class of a message (RFC 8489 §5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// Success response.
    Success,
    /// Error response.
    Error,
}

impl Class {
    /// True for both kinds of response.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self, Self::Success | Self::Error)
    }
}

/// Method of a message (RFC 8489 §18.2, RFC 8656 §18, RFC 6062 §6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// 0x001.
    Binding,
    /// 0x003.
    Allocate,
    /// 0x004; not in MS-TURN.
    Refresh,
    /// 0x006; in MS-TURN a request with the type 0x0004.
    Send,
    /// 0x007; in MS-TURN the type 0x0115.
    Data,
    /// 0x008.
    CreatePermission,
    /// 0x009.
    ChannelBind,
    /// 0x00A, RFC 6062.
    Connect,
    /// 0x00B, RFC 6062.
    ConnectionBind,
    /// 0x00C, RFC 6062.
    ConnectionAttempt,
    /// MS-TURN's 0x0006: packets without a wrapping go to this peer.
    SetActiveDestination,
    /// Any other, 12 bits.
    Other(u16),
}

impl Method {
    const fn from_code(code: u16) -> Self {
        match code {
            0x001 => Self::Binding,
            0x003 => Self::Allocate,
            0x004 => Self::Refresh,
            0x006 => Self::Send,
            0x007 => Self::Data,
            0x008 => Self::CreatePermission,
            0x009 => Self::ChannelBind,
            0x00a => Self::Connect,
            0x00b => Self::ConnectionBind,
            0x00c => Self::ConnectionAttempt,
            other => Self::Other(other),
        }
    }

    const fn code(self) -> u16 {
        match self {
            Self::Binding => 0x001,
            Self::Allocate => 0x003,
            Self::Refresh => 0x004,
            Self::Send | Self::SetActiveDestination => 0x006,
            Self::Data => 0x007,
            Self::CreatePermission => 0x008,
            Self::ChannelBind => 0x009,
            Self::Connect => 0x00a,
            Self::ConnectionBind => 0x00b,
            Self::ConnectionAttempt => 0x00c,
            Self::Other(code) => code & 0x0fff,
        }
    }
}

/// Splits a message type. The two topmost bits are zero.
pub(crate) const fn split(wire: u16, dialect: Dialect) -> (Class, Method) {
    let class = match wire & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    // RFC 8489 §5: M11..M7 C1 M6..M4 C0 M3..M0.
    let code = (wire & 0x000f) | ((wire & 0x00e0) >> 1) | ((wire & 0x3e00) >> 2);
    if !matches!(dialect, Dialect::MsTurn) {
        return (class, Method::from_code(code));
    }
    // [MS-TURN] 2.2.1: the whole number counts. 0x0115 is no error of method 5.
    match wire {
        0x0115 => (Class::Indication, Method::Data),
        _ => match code {
            0x001 => (class, Method::Binding),
            0x003 => (class, Method::Allocate),
            0x004 => (class, Method::Send),
            0x006 => (class, Method::SetActiveDestination),
            other => (class, Method::Other(other)),
        },
    }
}

/// Joins class and method to a message type.
pub(crate) const fn join(class: Class, method: Method, dialect: Dialect) -> u16 {
    let code = match (dialect, method) {
        (Dialect::MsTurn, Method::Data) => return 0x0115,
        (Dialect::MsTurn, Method::Send) => 0x004,
        _ => method.code(),
    };
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (code & 0x000f) | ((code & 0x0070) << 1) | ((code & 0x0f80) << 2) | class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_in_every_dialect() {
        for dialect in [Dialect::Rfc8489, Dialect::MsIce2, Dialect::MsTurn, Dialect::Rfc3489] {
            for wire in 0..0x4000 {
                let (class, method) = split(wire, dialect);
                assert_eq!(join(class, method, dialect), wire, "{dialect:?} {class:?} {method:?}");
            }
        }
    }

    #[test]
    fn ms_turn_reads_whole_numbers() {
        let read = |wire| split(wire, Dialect::MsTurn);
        assert_eq!(read(0x0004), (Class::Request, Method::Send));
        assert_eq!(read(0x0115), (Class::Indication, Method::Data));
        assert_eq!(read(0x0106), (Class::Success, Method::SetActiveDestination));
        assert_eq!(split(0x0004, Dialect::Rfc8489), (Class::Request, Method::Refresh));
    }
}
