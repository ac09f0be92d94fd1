//! How what one leg says is told to the other: pure functions.

use crate::id::Side;

/// A diagnostics header of the Lync dialect ([MS-OCER] §7), as it is written or was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// Error id.
    pub id: u32,
    /// Reason text, without quotation marks.
    pub reason: String,
    /// `ms-client-diagnostics`, which an endpoint writes; otherwise `ms-diagnostics`, which a
    /// server writes and which names its source.
    pub client: bool,
}

impl Diagnostic {
    /// "Encryption levels dont match": the spelling is Lync's.
    pub const ENCRYPTION_MISMATCH: u32 = 52_017;
    /// "Unsupported session description".
    pub const UNSUPPORTED_DESCRIPTION: u32 = 52_063;

    /// 52017, as Lync clients write it.
    #[must_use]
    pub fn encryption_mismatch() -> Self {
        Self {
            id: Self::ENCRYPTION_MISMATCH,
            reason: "Encryption levels dont match".into(),
            client: true,
        }
    }

    /// 52063, as Lync clients write it.
    #[must_use]
    pub fn unsupported_description() -> Self {
        Self {
            id: Self::UNSUPPORTED_DESCRIPTION,
            reason: "Unsupported session description".into(),
            client: true,
        }
    }

    /// What a Lync client is told when a description is refused.
    #[must_use]
    pub fn of_refusal(refusal: &linkspan_sdp::Refusal) -> Self {
        let (id, reason) = refusal.lync_diagnostic();
        Self { id, reason: reason.into(), client: true }
    }

    /// Header name and value; `source` is the name of the gateway.
    #[must_use]
    pub fn header(&self, source: &str) -> (&'static str, String) {
        let Self { id, reason, client } = self;
        let reason: String =
            reason.chars().filter(|c| !matches!(c, '"' | '\\' | '\r' | '\n')).collect();
        if *client {
            ("ms-client-diagnostics", format!("{id};reason=\"{reason}\""))
        } else {
            ("ms-diagnostics", format!("{id};source=\"{source}\";reason=\"{reason}\""))
        }
    }
}

/// A rejection as it is told to the caller.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// Status code.
    pub status: u16,
    /// Why it is not the one received, where it is not.
    pub explanation: &'static str,
    /// What a Lync caller is told beside it.
    pub diagnostic: Option<Diagnostic>,
}

/// How a final response of 300 to 699 from the callee's side is told to the caller.
///
/// `diagnostic` is the id of the diagnostics header that a Lync callee's side sent.
///
/// ```
/// use linkspan_gateway::{Side, map_rejection};
///
/// let told = map_rejection(Side::Standard, 486, "Busy Here", None);
/// assert_eq!((told.status, told.diagnostic.unwrap().id), (486, 10_486));
/// assert_eq!(map_rejection(Side::Lync, 504, "", Some(1012)).status, 403);
/// ```
#[must_use]
pub fn map_rejection(
    callee: Side,
    status: u16,
    reason: &str,
    diagnostic: Option<u32>,
) -> Rejection {
    let (told, explanation) = map_status(callee, status, diagnostic);
    let diagnostic = (callee == Side::Standard).then(|| match (status, diagnostic) {
        (488 | 606, Some(Diagnostic::ENCRYPTION_MISMATCH)) => Diagnostic::encryption_mismatch(),
        (488 | 606 | 415, _) => Diagnostic::unsupported_description(),
        // [MS-OCER] §9.3.2: 10000 and the code that the gateway's far side gave.
        _ => Diagnostic {
            id: 10_000 + u32::from(status),
            reason: format!("Gateway responded with {status} {reason}"),
            client: false,
        },
    });
    Rejection { status: told, explanation, diagnostic }
}

fn map_status(callee: Side, status: u16, diagnostic: Option<u32>) -> (u16, &'static str) {
    if callee == Side::Lync {
        match diagnostic {
            Some(Diagnostic::ENCRYPTION_MISMATCH) => return (488, "encryption policy"),
            Some(1001 | 1002 | 1012 | 1027) => return (403, "external access policy"),
            Some(1003 | 4005) => return (404, "no such user"),
            Some(1005 | 1008 | 1010 | 1014 | 1046 | 1047) => return (504, "not routable"),
            Some(4002 | 4009) => return (485, "ambiguous number"),
            _ => {}
        }
    }
    match status {
        // The other side's redirections, challenges and dialog errors mean nothing to the caller.
        300..=399 => (480, "redirection is not followed"),
        401 | 407 => (403, "the far side asked for credentials"),
        481..=483 => (500, "an error between the gateway and the far side"),
        // 605 is Lync's "decline everywhere"; RFC 3261 §21.6.2 has 603.
        605 => (603, "605 is unknown outside Lync"),
        606 => (488, "606 as its single-target form"),
        408..=699 | 400..=406 => (status, "unchanged"),
        _ => (500, "not a final response"),
    }
}

/// Whether the next hop is tried after this final response; connection failures and silence
/// count as 503 and 408.
///
/// ```
/// assert!(linkspan_gateway::tries_next_hop(503));
/// assert!(!linkspan_gateway::tries_next_hop(486));
/// ```
#[must_use]
pub const fn tries_next_hop(status: u16) -> bool {
    matches!(status, 408 | 500 | 502 | 503 | 504)
}

/// Of two final responses, the one to tell the caller (RFC 3261 §16.7 step 6): a 6xx wins, then
/// the lower class; within 4xx a refusal that says something about the callee.
///
/// ```
/// assert_eq!(linkspan_gateway::better_rejection(503, 404), 404);
/// assert_eq!(linkspan_gateway::better_rejection(404, 603), 603);
/// ```
#[must_use]
pub const fn better_rejection(first: u16, second: u16) -> u16 {
    const fn rank(status: u16) -> u16 {
        match status / 100 {
            6 => 0,
            class => class,
        }
    }
    if rank(second) < rank(first) { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejections_map_both_ways() {
        use Side::{Lync, Standard};
        let mut failed = Vec::new();
        for (callee, status, diagnostic, told, told_diagnostic) in [
            // Toward a Lync caller: the status, and the gateway's diagnostics with it.
            (Standard, 486, None, 486, Some(10_486)),
            (Standard, 404, None, 404, Some(10_404)),
            (Standard, 480, None, 480, Some(10_480)),
            (Standard, 603, None, 603, Some(10_603)),
            (Standard, 408, None, 408, Some(10_408)),
            (Standard, 503, None, 503, Some(10_503)),
            (Standard, 302, None, 480, Some(10_302)),
            (Standard, 401, None, 403, Some(10_401)),
            (Standard, 407, None, 403, Some(10_407)),
            (Standard, 481, None, 500, Some(10_481)),
            (Standard, 483, None, 500, Some(10_483)),
            (Standard, 488, None, 488, Some(52_063)),
            (Standard, 488, Some(52_017), 488, Some(52_017)),
            (Standard, 606, None, 488, Some(52_063)),
            (Standard, 199, None, 500, Some(10_199)),
            // Toward a standards caller: no Microsoft header.
            (Lync, 486, None, 486, None),
            (Lync, 605, None, 603, None),
            (Lync, 488, Some(52_017), 488, None),
            (Lync, 404, Some(1003), 404, None),
            (Lync, 500, Some(4005), 404, None),
            (Lync, 403, Some(1002), 403, None),
            (Lync, 504, Some(1012), 403, None),
            (Lync, 404, Some(1005), 504, None),
            (Lync, 485, Some(4009), 485, None),
            (Lync, 480, Some(1034), 480, None),
            (Lync, 407, None, 403, None),
            (Lync, 301, None, 480, None),
        ] {
            let got = map_rejection(callee, status, "Reason", diagnostic);
            if (got.status, got.diagnostic.as_ref().map(|d| d.id)) != (told, told_diagnostic) {
                failed.push((callee, status, diagnostic, got));
            }
        }
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn every_status_maps_to_a_final_rejection() {
        for callee in [Side::Lync, Side::Standard] {
            for status in 0..1000 {
                let told = map_rejection(callee, status, "", None);
                assert!((400..700).contains(&told.status), "{status} became {}", told.status);
            }
        }
    }

    #[test]
    fn diagnostics_are_written_as_lync_reads_them() {
        let (name, value) = Diagnostic::encryption_mismatch().header("gw.example.test");
        assert_eq!(name, "ms-client-diagnostics");
        assert_eq!(value, "52017;reason=\"Encryption levels dont match\"");
        let hostile = Diagnostic { id: 10_486, reason: "a\"b\r\nX: y".into(), client: false };
        let (name, value) = hostile.header("gw.example.test");
        assert_eq!(name, "ms-diagnostics");
        assert_eq!(value, "10486;source=\"gw.example.test\";reason=\"abX: y\"");
    }

    #[test]
    fn fail_over_stops_at_answers_about_the_callee() {
        for status in [408, 500, 502, 503, 504] {
            assert!(tries_next_hop(status), "{status}");
        }
        for status in [403, 404, 480, 486, 488, 600, 603, 604] {
            assert!(!tries_next_hop(status), "{status}");
        }
        assert_eq!(better_rejection(503, 408), 408);
        assert_eq!(better_rejection(408, 503), 408);
        assert_eq!(better_rejection(486, 404), 486);
    }
}
