//! `ms-keep-alive` (`[MS-CONMGMT]` 2.2.1).

use core::fmt;
use core::time::Duration;

use crate::error::ValueError;
use crate::lex;
use crate::params::ParamsRef;

/// The value of `ms-keep-alive`: who speaks, and, from a server, how often it wants to hear.
///
/// ```
/// use linkspan_sip::ms::KeepAlive;
///
/// let text = "UAS; tcp=no; hop-hop=yes; end-end=no; timeout=300";
/// let answer = KeepAlive::parse(text).unwrap();
/// assert_eq!(answer.timeout.unwrap().as_secs(), 300);
/// assert_eq!(KeepAlive::client().to_string(), "UAC;hop-hop=yes");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepAlive {
    /// `UAC`: asked by a client.
    pub client: bool,
    /// Between neighbours.
    pub hop_hop: bool,
    /// From end to end.
    pub end_end: bool,
    /// The longest silence that the server allows; a client takes 60 s until it knows.
    pub timeout: Option<Duration>,
}

impl KeepAlive {
    /// What a client asks for.
    pub fn client() -> Self {
        Self { client: true, hop_hop: true, end_end: false, timeout: None }
    }

    /// What a server answers.
    pub fn server(timeout: Duration) -> Self {
        Self { client: false, hop_hop: true, end_end: false, timeout: Some(timeout) }
    }

    /// Parses the value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where neither UAC nor UAS stands first.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let end = text.find(';').unwrap_or(text.len());
        let role = lex::trim(text.get(..end).unwrap_or(""));
        let client = role.eq_ignore_ascii_case("UAC");
        if !client && !role.eq_ignore_ascii_case("UAS") {
            return Err(ValueError::new("ms-keep-alive", "UAC or UAS", 0));
        }
        let params = ParamsRef::new(text.get(end..).unwrap_or(""));
        let yes = |name| params.value(name).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        let timeout = params.value("timeout").and_then(lex::number::<u32>);
        Ok(Self {
            client,
            hop_hop: yes("hop-hop"),
            end_end: yes("end-end"),
            timeout: timeout.map(|seconds| Duration::from_secs(seconds.into())),
        })
    }
}

impl fmt::Display for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |value| if value { "yes" } else { "no" };
        if self.client {
            return write!(f, "UAC;hop-hop={}", yes(self.hop_hop));
        }
        let (hop, end) = (yes(self.hop_hop), yes(self.end_end));
        write!(f, "UAS; tcp=no; hop-hop={hop}; end-end={end}")?;
        match self.timeout {
            Some(timeout) => write!(f, "; timeout={}", timeout.as_secs()),
            None => Ok(()),
        }
    }
}
