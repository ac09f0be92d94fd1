//! `ms-diagnostics`, `ms-diagnostics-public` and `ms-client-diagnostics` (`[MS-OCER]`).

use core::fmt;
use std::borrow::Cow;

use crate::error::ValueError;
use crate::lex;
use crate::params::{Params, ParamsRef};

/// A value of the diagnostics family: an id and an unordered list of parameters.
///
/// ```
/// use linkspan_sip::ms::{Diagnostics, diagnostics_id};
///
/// let value = r#"52017;reason="Encryption levels dont match""#;
/// let diagnostics = Diagnostics::parse(value).unwrap();
/// assert_eq!(diagnostics.id, diagnostics_id::ENCRYPTION_MISMATCH);
/// assert_eq!(diagnostics.reason().unwrap(), "Encryption levels dont match");
/// assert_eq!(diagnostics.to_string(), value);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostics {
    /// The id, see [`diagnostics_id`].
    pub id: u32,
    /// The sub-code of OCS 2007 behind a dot.
    pub sub_id: Option<u32>,
    /// source, reason and whatever else stands there.
    pub params: Params,
}

impl Diagnostics {
    /// A value with a reason.
    pub fn new(id: u32, reason: &str) -> Self {
        let mut this = Self { id, sub_id: None, params: Params::default() };
        this.params.set_quoted("reason", reason);
        this
    }

    /// The same with `source`, the name of the server that says it.
    #[must_use]
    pub fn with_source(mut self, source: &str) -> Self {
        let rest = std::mem::take(&mut self.params);
        self.params.set_quoted("source", source);
        self.params = Params::from(ParamsRef::new(&format!("{}{rest}", self.params)));
        self
    }

    /// Parses a value. Parameters stand in any order, and any of them may be missing.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where the id is no number or a parameter is malformed.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let text = lex::trim(text);
        let end = memchr::memchr(b';', text.as_bytes()).unwrap_or(text.len());
        let code = lex::trim(text.get(..end).unwrap_or(""));
        let (id, sub_id) = match code.split_once('.') {
            Some((id, sub_id)) => (lex::number(id), Some(lex::number(sub_id))),
            None => (lex::number(code), None),
        };
        let fail = ValueError::new("ms-diagnostics", "an error id", 0);
        let params = ParamsRef::new(text.get(end..).unwrap_or(""));
        if let Some(bad) = params.fault() {
            return Err(ValueError::new("ms-diagnostics", "a parameter", end + bad));
        }
        Ok(Self {
            id: id.ok_or(fail)?,
            sub_id: sub_id.map(|sub_id| sub_id.ok_or(fail)).transpose()?,
            params: params.into(),
        })
    }

    /// The reason, unquoted.
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        self.params.as_ref().unquoted("reason")
    }

    /// The server that says it, unquoted.
    pub fn source(&self) -> Option<Cow<'_, str>> {
        self.params.as_ref().unquoted("source")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(sub_id) = self.sub_id {
            write!(f, ".{sub_id}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// The ids that a call meets.
pub mod diagnostics_id {
    /// The encryption levels of the two sides have nothing in common: 488.
    pub const ENCRYPTION_MISMATCH: u32 = 52017;
    /// The session description is not understood: 488.
    pub const UNSUPPORTED_SDP: u32 = 52063;
}
