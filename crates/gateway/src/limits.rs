use core::time::Duration;

/// Bounds on what the gateway holds and for how long.
///
/// Every one is enforced by refusing the newest request, never by cutting something short.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct Limits {
    /// Calls at one time; the next INVITE is answered 503. Default 1,000.
    pub calls: usize,
    /// Largest session description, in octets; a larger one is answered 413. Default 32,768.
    pub description_octets: usize,
    /// m-lines of one description; more are answered 488. Default 16.
    pub media_lines: usize,
    /// Candidates taken from one m-line; the rest are not paired. Default 20.
    pub candidates: usize,
    /// Next hops tried for one call. Default 8.
    pub next_hops: usize,
    /// Later offers (re-INVITE, UPDATE) in one call within ten seconds; more are answered 500
    /// with Retry-After. Default 20.
    pub later_offers: usize,
    /// Events waiting to be polled; older ones are kept, newer ones counted. Default 4,096.
    pub queued_events: usize,
    /// Packets of one stream waiting to be sent. Default 1,024.
    pub queued_packets: usize,
    /// Octets of one video access unit; a larger one is dropped. Default 1,048,576.
    pub access_unit_octets: usize,
    /// The longest that a call may last, in seconds; zero is no bound. Default 0.
    pub call_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 1_000,
            description_octets: 32_768,
            media_lines: 16,
            candidates: 20,
            next_hops: 8,
            later_offers: 20,
            queued_events: 4_096,
            queued_packets: 1_024,
            access_unit_octets: 1 << 20,
            call_seconds: 0,
        }
    }
}

/// How long the gateway waits, in milliseconds where a configuration file names them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields, rename_all = "kebab-case"))]
#[non_exhaustive]
pub struct Timers {
    /// Without any response from a next hop the next one is tried (Lync trunks: 10 s).
    pub next_hop_ms: u64,
    /// A ringing callee that never answers: CANCEL there, 480 to the caller.
    pub no_answer_ms: u64,
    /// Session timer of each leg (RFC 4028): a peer that is gone without a BYE is noticed by then,
    /// also one that knows no timers. Zero asks for none. Peers that do know them may refuse less
    /// than 90 s.
    pub session_ms: u64,
    /// Without RTP and RTCP from a leg for so long the call ends; zero never ends it.
    pub silence_ms: u64,
    /// Regular RTCP reports; never above 5 s, which Lync needs.
    pub rtcp_ms: u64,
    /// Connectivity must be established this long after the answer.
    pub connectivity_ms: u64,
    /// A port is not used again for so long after its call.
    pub port_rest_ms: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            next_hop_ms: 10_000,
            no_answer_ms: 120_000,
            session_ms: 1_800_000,
            silence_ms: 0,
            rtcp_ms: 4_000,
            connectivity_ms: 30_000,
            port_rest_ms: 2_000,
        }
    }
}

impl Timers {
    /// [`next_hop_ms`](Self::next_hop_ms).
    #[must_use]
    pub const fn next_hop(&self) -> Duration {
        Duration::from_millis(self.next_hop_ms)
    }

    /// [`no_answer_ms`](Self::no_answer_ms).
    #[must_use]
    pub const fn no_answer(&self) -> Duration {
        Duration::from_millis(self.no_answer_ms)
    }

    /// [`session_ms`](Self::session_ms).
    #[must_use]
    pub const fn session(&self) -> Duration {
        Duration::from_millis(self.session_ms)
    }

    /// [`silence_ms`](Self::silence_ms); `None` when it is zero.
    #[must_use]
    pub const fn silence(&self) -> Option<Duration> {
        if self.silence_ms == 0 { None } else { Some(Duration::from_millis(self.silence_ms)) }
    }

    /// [`rtcp_ms`](Self::rtcp_ms), held between 0.5 s and 5 s.
    #[must_use]
    pub const fn rtcp(&self) -> Duration {
        let ms = if self.rtcp_ms < 500 {
            500
        } else if self.rtcp_ms > 5_000 {
            5_000
        } else {
            self.rtcp_ms
        };
        Duration::from_millis(ms)
    }

    /// [`connectivity_ms`](Self::connectivity_ms).
    #[must_use]
    pub const fn connectivity(&self) -> Duration {
        Duration::from_millis(self.connectivity_ms)
    }

    /// [`port_rest_ms`](Self::port_rest_ms).
    #[must_use]
    pub const fn port_rest(&self) -> Duration {
        Duration::from_millis(self.port_rest_ms)
    }
}
