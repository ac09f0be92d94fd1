use core::fmt;

use crate::{KeyParams, Mki, Options, SdesError, Suite};

/// An `a=crypto` line with the meaning of its parts (RFC 4568 §4).
///
/// ```
/// use linkspan_srtp::{CryptoLine, Suite};
/// let line = CryptoLine::parse(
///     "2 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^31|1:1",
/// )?;
/// assert_eq!((line.tag, line.suite), (2, Suite::AesCm128HmacSha1_80));
/// assert_eq!(line.keys[0].mki.as_ref().unwrap().len(), 1);
/// # Ok::<(), linkspan_srtp::SdesError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CryptoLine {
    /// The tag, which the answer repeats.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// One key, or several with MKIs.
    pub keys: Vec<KeyParams>,
    /// The session parameters.
    pub session: SessionParams,
}

impl CryptoLine {
    /// Reads the value of an attribute: what follows `a=crypto:`.
    ///
    /// # Errors
    ///
    /// When the line is malformed, or has to be refused: an unknown suite (also F8), or an unknown
    /// session parameter that is mandatory to understand. Offsets count from the start of `value`.
    pub fn parse(value: &str) -> Result<Self, SdesError> {
        let mut fields = Fields { text: value, at: 0 };
        let (tag, at) = fields.next().ok_or(SdesError::Syntax { what: "tag", at: 0 })?;
        let is_tag = tag.len() <= 9 && tag.bytes().all(|octet| octet.is_ascii_digit());
        let tag = tag.parse().ok().filter(|_| is_tag);
        let tag = tag.ok_or(SdesError::Syntax { what: "tag", at })?;
        let end = value.len();
        let suite = fields.next().ok_or(SdesError::Syntax { what: "suite", at: end })?;
        let keys = fields.next().ok_or(SdesError::Syntax { what: "key", at: end })?;
        Self::from_fields(tag, suite, keys, fields)
    }

    /// From the parts of a line that has been taken apart already.
    ///
    /// # Errors
    ///
    /// As [`CryptoLine::parse`]; offsets count from the start of the part.
    pub fn from_parts(
        tag: u32,
        suite: &str,
        key_params: &str,
        session_params: &str,
    ) -> Result<Self, SdesError> {
        let session = Fields { text: session_params, at: 0 };
        Self::from_fields(tag, (suite, 0), (key_params, 0), session)
    }

    fn from_fields(
        tag: u32,
        (suite, suite_at): (&str, usize),
        (keys, keys_at): (&str, usize),
        session: Fields<'_>,
    ) -> Result<Self, SdesError> {
        let suite = Suite::from_name(suite).ok_or(SdesError::Suite { at: suite_at })?;
        let keys = KeyParams::parse_all(suite, keys).map_err(|error| error.shifted(keys_at))?;
        Ok(Self { tag, suite, keys, session: SessionParams::read(session)? })
    }
}

impl fmt::Display for CryptoLine {
    /// The value of the attribute. Secret: it holds the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tag, self.suite)?;
        for (at, key) in self.keys.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { " " } else { ";" }, key.to_inline())?;
        }
        write!(f, "{}", self.session)
    }
}

/// Session parameters of a line (RFC 4568 §6.3).
///
/// ```
/// use linkspan_srtp::SessionParams;
/// let session = SessionParams::parse("KDR=3 UNENCRYPTED_SRTCP WSH=64 -NEW=1")?;
/// assert_eq!(session.key_derivation_rate, 8);
/// assert!(!session.to_options().encrypt_rtcp);
/// assert!(SessionParams::parse("NEW=1").is_err());
/// # Ok::<(), linkspan_srtp::SdesError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionParams {
    /// `KDR`: packets between key derivations, a power of two; 0 where it is absent.
    pub key_derivation_rate: u32,
    /// `UNENCRYPTED_SRTP`.
    pub unencrypted_rtp: bool,
    /// `UNENCRYPTED_SRTCP`.
    pub unencrypted_rtcp: bool,
    /// `UNAUTHENTICATED_SRTP`. Read, so that it can be refused by name: no context of this crate
    /// leaves authentication out.
    pub unauthenticated_rtp: bool,
    /// `FEC_ORDER`.
    pub fec_order: Option<FecOrder>,
    /// `FEC_KEY`: keys for a separate FEC stream, as they stand in the line. Secret.
    pub fec_key: Option<FecKey>,
    /// `WSH`: a hint for the replay window, at least 64.
    pub window_size_hint: Option<u32>,
    /// Parameters that may be ignored, without their leading `-`.
    pub ignorable: Vec<String>,
}

/// Whether redundancy is computed before or after protection (RFC 4568 §6.3.4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FecOrder {
    /// The sender applies FEC first, then SRTP.
    FecSrtp,
    /// The sender applies SRTP first, then FEC.
    SrtpFec,
}

/// The text of a `FEC_KEY` parameter; not shown by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct FecKey(pub zeroize::Zeroizing<String>);

impl fmt::Debug for FecKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FecKey(..)")
    }
}

impl SessionParams {
    /// Reads parameters separated by blanks.
    ///
    /// # Errors
    ///
    /// When one is unknown and not marked as ignorable, repeated, or out of range.
    pub fn parse(text: &str) -> Result<Self, SdesError> {
        Self::read(Fields { text, at: 0 })
    }

    /// What a context needs to know of them; the window is at least the default one.
    #[must_use]
    pub fn to_options(&self) -> Options {
        let defaults = Options::default();
        let hint = self.window_size_hint.and_then(|hint| usize::try_from(hint).ok());
        Options {
            key_derivation_rate: self.key_derivation_rate,
            encrypt_rtp: !self.unencrypted_rtp,
            encrypt_rtcp: !self.unencrypted_rtcp,
            replay_window: hint.unwrap_or(0).max(defaults.replay_window).min(32_768),
            ..defaults
        }
    }

    /// Whether a Lync peer understands the line: it knows no session parameter.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn read(fields: Fields<'_>) -> Result<Self, SdesError> {
        let mut session = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (field, at) in fields {
            let wrong = SdesError::SessionParameter { at };
            if let Some(ignorable) = field.strip_prefix('-') {
                if session.ignorable.len() == MAX_IGNORABLE {
                    return Err(wrong);
                }
                session.ignorable.push(ignorable.to_owned());
                continue;
            }
            let (name, value) = match field.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (field, None),
            };
            if seen.contains(&name) {
                return Err(wrong);
            }
            seen.push(name);
            match (name, value) {
                ("KDR", Some(value)) => {
                    // RFC 4568 §6.3.1: 2^n for n from 1 to 24; 0 stands for the default.
                    session.key_derivation_rate = match decimal(value) {
                        Some(0) => 0,
                        Some(n @ 1..=24) => 1 << n,
                        _ => return Err(wrong),
                    };
                }
                ("UNENCRYPTED_SRTP", None) => session.unencrypted_rtp = true,
                ("UNENCRYPTED_SRTCP", None) => session.unencrypted_rtcp = true,
                ("UNAUTHENTICATED_SRTP", None) => session.unauthenticated_rtp = true,
                ("FEC_ORDER", Some("FEC_SRTP")) => session.fec_order = Some(FecOrder::FecSrtp),
                ("FEC_ORDER", Some("SRTP_FEC")) => session.fec_order = Some(FecOrder::SrtpFec),
                ("FEC_KEY", Some(key)) if key.starts_with("inline:") => {
                    session.fec_key = Some(FecKey(zeroize::Zeroizing::new(key.to_owned())));
                }
                ("WSH", Some(value)) => {
                    let hint = decimal(value).filter(|hint| *hint >= 64).ok_or(wrong)?;
                    session.window_size_hint = Some(hint);
                }
                _ => return Err(wrong),
            }
        }
        Ok(session)
    }
}

impl fmt::Display for SessionParams {
    /// The parameters, each behind a blank.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key_derivation_rate > 0 {
            write!(f, " KDR={}", self.key_derivation_rate.trailing_zeros())?;
        }
        for (on, name) in [
            (self.unencrypted_rtp, "UNENCRYPTED_SRTP"),
            (self.unencrypted_rtcp, "UNENCRYPTED_SRTCP"),
            (self.unauthenticated_rtp, "UNAUTHENTICATED_SRTP"),
        ] {
            if on {
                write!(f, " {name}")?;
            }
        }
        match self.fec_order {
            Some(FecOrder::FecSrtp) => f.write_str(" FEC_ORDER=FEC_SRTP")?,
            Some(FecOrder::SrtpFec) => f.write_str(" FEC_ORDER=SRTP_FEC")?,
            None => {}
        }
        if let Some(FecKey(key)) = &self.fec_key {
            write!(f, " FEC_KEY={}", key.as_str())?;
        }
        if let Some(hint) = self.window_size_hint {
            write!(f, " WSH={hint}")?;
        }
        self.ignorable.iter().try_for_each(|field| write!(f, " -{field}"))
    }
}

/// What of the lines offered is taken, in order of preference.
///
/// ```
/// use linkspan_srtp::{AcceptancePolicy, CryptoLine};
/// // A Lync client offers the same suite three times; the line without MKI is preferred.
/// let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
/// let offered = [
///     format!("2 AES_CM_128_HMAC_SHA1_80 {key}|2^31|1:1"),
///     format!("3 AES_CM_128_HMAC_SHA1_80 {key}|2^31"),
///     format!("4 AES_256_CM_HMAC_SHA1_80 {key}"),
/// ];
/// let lines: Vec<_> = offered.iter().map(|line| CryptoLine::parse(line)).collect();
/// let policy = AcceptancePolicy::default();
/// let chosen = policy.choose(lines.iter().filter_map(|line| line.as_ref().ok()));
/// assert_eq!(chosen.unwrap().tag, 3);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptancePolicy {
    /// Suites accepted, the best first. RFC 4568 lets the offerer's order decide only between
    /// lines of one suite here.
    pub suites: Vec<Suite>,
    /// Whether a line without encryption of RTP or RTCP is accepted. Default no.
    pub allow_unencrypted: bool,
    /// Whether a line with an MKI is accepted. Default yes, behind those without.
    pub allow_mki: bool,
}

impl AcceptancePolicy {
    /// The best acceptable line.
    #[must_use]
    pub fn choose<'l>(
        &self,
        lines: impl IntoIterator<Item = &'l CryptoLine>,
    ) -> Option<&'l CryptoLine> {
        let ranked = lines.into_iter().filter_map(|line| Some((self.rank(line)?, line)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, line)| line)
    }

    /// Whether a line is acceptable at all.
    #[must_use]
    pub fn accepts(&self, line: &CryptoLine) -> bool {
        self.rank(line).is_some()
    }

    fn rank(&self, line: &CryptoLine) -> Option<(usize, bool)> {
        let session = &line.session;
        let unencrypted = session.unencrypted_rtp || session.unencrypted_rtcp;
        let has_mki = line.keys.iter().any(|key| key.mki.is_some());
        // Redundancy in front of or behind SRTP needs its own machinery, which no peer offers.
        let refused = session.unauthenticated_rtp
            || session.fec_key.is_some()
            || (unencrypted && !self.allow_unencrypted)
            || (has_mki && !self.allow_mki);
        let place = self.suites.iter().position(|suite| *suite == line.suite)?;
        (!refused).then_some((place, has_mki))
    }
}

impl Default for AcceptancePolicy {
    /// Every suite with an SDES name: AEAD first, then AES-CM with 80-bit tags, then with 32.
    fn default() -> Self {
        let suites = vec![
            Suite::AeadAes256Gcm,
            Suite::AeadAes128Gcm,
            Suite::AesCm256HmacSha1_80,
            Suite::AesCm192HmacSha1_80,
            Suite::AesCm128HmacSha1_80,
            Suite::AesCm256HmacSha1_32,
            Suite::AesCm192HmacSha1_32,
            Suite::AesCm128HmacSha1_32,
        ];
        Self { suites, allow_unencrypted: false, allow_mki: true }
    }
}

/// The MKI that a Lync client writes into its first line: value 1, one octet.
pub(crate) fn lync_mki() -> Option<Mki> {
    Mki::new(1, 1)
}

/// Fields separated by blanks, with their offsets.
#[derive(Clone, Copy)]
struct Fields<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, usize);

    fn next(&mut self) -> Option<(&'a str, usize)> {
        let rest = self.text.get(self.at..)?;
        let start = rest.find(|c| !matches!(c, ' ' | '\t'))?;
        let field = rest.get(start..)?;
        let field = field.split([' ', '\t']).next()?;
        let at = self.at.saturating_add(start);
        self.at = at.saturating_add(field.len());
        Some((field, at))
    }
}

fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Ignorable parameters kept of one line.
const MAX_IGNORABLE: usize = 16;
