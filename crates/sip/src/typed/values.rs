//! Header values of other shapes: a token with parameters, RAck, Warning, Date.

use crate::error::ValueError;
use crate::headers::Values;
use crate::lex::{self, CommaList};
use crate::params::ParamsRef;

/// A value with parameters: Event, Subscription-State, Session-Expires, Content-Disposition,
/// Reason, Replaces and their kin.
///
/// ```
/// use linkspan_sip::Parametrized;
///
/// let timer = Parametrized::parse("1800;refresher=uac").unwrap();
/// assert_eq!(timer.number(), Some(1800));
/// assert_eq!(timer.params().value("refresher"), Some("uac"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parametrized<'a> {
    value: &'a str,
    params: ParamsRef<'a>,
}

impl<'a> Parametrized<'a> {
    /// Parses one value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where the value is empty or a parameter is malformed.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let text = lex::trim(text);
        let end = memchr::memchr(b';', text.as_bytes()).unwrap_or(text.len());
        let value = lex::trim(text.get(..end).unwrap_or(""));
        if value.is_empty() {
            return Err(ValueError::new("value", "a value", 0));
        }
        let params = ParamsRef::new(text.get(end..).unwrap_or(""));
        match params.fault() {
            Some(bad) => Err(ValueError::new("value", "a parameter", end + bad)),
            None => Ok(Self { value, params }),
        }
    }

    /// What stands before the parameters.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// The value as a number; a comment behind it, as Retry-After may have, is passed over.
    pub fn number(&self) -> Option<u32> {
        lex::number(lex::trim(self.value.split('(').next().unwrap_or("")))
    }

    /// The parameters.
    pub fn params(&self) -> ParamsRef<'a> {
        self.params
    }
}

/// Every value of a header that is a comma list of [`Parametrized`].
#[derive(Clone, Debug)]
pub struct ParametrizedList<'s, 'a> {
    lines: Values<'s, 'a>,
    line: Option<CommaList<'a>>,
}

impl<'s, 'a> ParametrizedList<'s, 'a> {
    pub(crate) fn new(lines: Values<'s, 'a>) -> Self {
        Self { lines, line: None }
    }
}

impl<'a> Iterator for ParametrizedList<'_, 'a> {
    type Item = Result<Parametrized<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.line.as_mut().and_then(Iterator::next) {
                Some(Ok(value)) => {
                    let parsed = Parametrized::parse(value);
                    // Where a malformed value ends cannot be known.
                    if parsed.is_err() {
                        self.line = None;
                    }
                    return Some(parsed);
                }
                Some(Err(at)) => {
                    self.line = None;
                    return Some(Err(ValueError::new("value", "a value", at)));
                }
                None => self.line = Some(CommaList::new(self.lines.next()?)),
            }
        }
    }
}

/// RAck (RFC 3262 §7.2): which reliable response of which request.
///
/// ```
/// let rack = linkspan_sip::RAck::parse("776656 1 INVITE").unwrap();
/// assert_eq!((rack.rseq, rack.cseq, rack.method), (776656, 1, "INVITE"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RAck<'a> {
    /// RSeq of the response.
    pub rseq: u32,
    /// CSeq number of the request.
    pub cseq: u32,
    /// Method of the request.
    pub method: &'a str,
}

impl<'a> RAck<'a> {
    /// Parses the value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where it is not two numbers and a token.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let fail = ValueError::new("RAck", "two numbers and a method", 0);
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or(fail);
        let (rseq, cseq, method) = (word()?, word()?, word()?);
        match (lex::number(rseq), lex::number(cseq), words.next()) {
            (Some(rseq), Some(cseq), None) if lex::is_token(method) => {
                Ok(Self { rseq, cseq, method })
            }
            _ => Err(fail),
        }
    }
}

/// One value of Warning (RFC 3261 §20.43).
///
/// ```
/// let text = r#"308 lcs.microsoft.com "Encryption Levels not compatible""#;
/// let warning = linkspan_sip::Warning::parse(text).unwrap();
/// assert_eq!((warning.code, warning.agent), (308, "lcs.microsoft.com"));
/// assert_eq!(warning.text(), "Encryption Levels not compatible");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Warning<'a> {
    /// Three digits.
    pub code: u16,
    /// Host name or pseudonym of who warns.
    pub agent: &'a str,
    quoted: &'a str,
}

impl<'a> Warning<'a> {
    /// Parses one value.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where it is not a code, an agent and a quoted string.
    pub fn parse(text: &'a str) -> Result<Self, ValueError> {
        let fail = ValueError::new("Warning", "a code, an agent and a quoted text", 0);
        let (code, rest) = lex::trim(text).split_once(' ').ok_or(fail)?;
        let (agent, quoted) = lex::trim_start(rest).split_once(' ').ok_or(fail)?;
        let quoted = lex::trim(quoted);
        let code = lex::number(code).filter(|code| (100..1000).contains(code)).ok_or(fail)?;
        let whole =
            quoted.starts_with('"') && lex::quoted_end(quoted.as_bytes(), 0) == Some(quoted.len());
        if whole { Ok(Self { code, agent, quoted }) } else { Err(fail) }
    }

    /// The text, without quotes and escapes.
    pub fn text(&self) -> std::borrow::Cow<'a, str> {
        lex::unquote(self.quoted)
    }
}

/// Date (RFC 3261 §20.17): RFC 1123's form, in GMT and nothing else.
///
/// ```
/// use linkspan_sip::Date;
///
/// let date = Date::parse("Sat, 13 Nov 2010 23:29:00 GMT").unwrap();
/// assert_eq!(date.unix_seconds(), 1_289_690_940);
/// assert_eq!(date.to_string(), "Sat, 13 Nov 2010 23:29:00 GMT");
/// assert!(Date::parse("Fri, 01 Jan 2010 16:00:00 EST").is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Date {
    unix_seconds: i64,
}

impl Date {
    /// A date so many seconds after the start of 1970.
    pub fn from_unix_seconds(unix_seconds: i64) -> Self {
        // Four digits of a year are all that the form has.
        Self { unix_seconds: unix_seconds.clamp(0, 253_402_300_799) }
    }

    /// Seconds since the start of 1970.
    pub fn unix_seconds(self) -> i64 {
        self.unix_seconds
    }

    /// Parses the value. The day of the week is not compared with the date.
    ///
    /// # Errors
    ///
    /// [`ValueError`] where it is not `day, DD month YYYY HH:MM:SS GMT`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let fail = |expected| ValueError::new("Date", expected, 0);
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or_else(|| fail("a date"));
        let (weekday, day, month, year, time, zone) =
            (word()?, word()?, word()?, word()?, word()?, word()?);
        if zone != "GMT" {
            return Err(fail("GMT"));
        }
        let weekday = weekday.strip_suffix(',').filter(|day| DAYS.contains(day));
        weekday.ok_or_else(|| fail("a day of the week"))?;
        let month = MONTHS.iter().position(|name| *name == month).ok_or_else(|| fail("a month"))?;
        let day: i64 =
            lex::number(day).filter(|day| (1..=31).contains(day)).ok_or_else(|| fail("a day"))?;
        let year: i64 = lex::number(year)
            .filter(|year| (1970..=9999).contains(year))
            .ok_or_else(|| fail("a year"))?;
        let mut parts = time.split(':').map(lex::number::<i64>);
        let (Some(Some(hour)), Some(Some(minute)), Some(Some(second)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fail("a time"));
        };
        if hour > 23 || minute > 59 || second > 60 {
            return Err(fail("a time"));
        }
        let month = i64::try_from(month).unwrap_or(0);
        let seconds = days_before(year, month) + day - 1;
        Ok(Self { unix_seconds: ((seconds * 24 + hour) * 60 + minute) * 60 + second })
    }
}

impl core::fmt::Display for Date {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let days = self.unix_seconds / 86_400;
        let time = self.unix_seconds % 86_400;
        let mut year = 1970 + days / 366;
        while days_before(year + 1, 0) <= days {
            year += 1;
        }
        let mut month = 11;
        while month > 0 && days_before(year, month) > days {
            month -= 1;
        }
        let day = days - days_before(year, month) + 1;
        let name = |names: &[&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("")
        };
        // 1 January 1970 was a Thursday.
        let weekday = name(&DAYS, (days + 3) % 7);
        let month = name(&MONTHS, month);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// Days from the start of 1970 to the start of a month, 0 to 11, of a year from 1970 on.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = year - 1;
    let leaps = (last / 4 - last / 100 + last / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let within = usize::try_from(month).ok().and_then(|month| BEFORE.get(month)).unwrap_or(&334);
    (year - 1970) * 365 + leaps + within + i64::from(month > 1 && leap(year))
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_they_are_read() {
        for seconds in (0..4_000_000_000).step_by(86_413 * 17) {
            let date = Date::from_unix_seconds(seconds);
            assert_eq!(Date::parse(&date.to_string()), Ok(date), "{date}");
        }
        assert_eq!(
            Date::from_unix_seconds(951_782_400).to_string(),
            "Tue, 29 Feb 2000 00:00:00 GMT"
        );
    }
}
