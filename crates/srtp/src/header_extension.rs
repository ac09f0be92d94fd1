use crate::crypto::SessionKeys;
use crate::header::{Malformed, RtpHeader};
use crate::{HeaderExtensions, Options};

/// Encrypts what the options say of the header, and returns how many octets at the start of the
/// packet the payload's cipher leaves alone.
#[inline]
pub(crate) fn protect(
    _keys: &SessionKeys,
    options: &Options,
    header: RtpHeader,
    _index: u64,
    _packet: &mut [u8],
) -> Result<usize, Malformed> {
    match options.header_extensions {
        HeaderExtensions::Plain => Ok(header.len),
        _ => Ok(header.len),
    }
}

/// Puts the header in order after the payload has been encrypted.
#[inline]
pub(crate) fn finish(_options: &Options, _header: RtpHeader, _packet: &mut [u8]) {}
