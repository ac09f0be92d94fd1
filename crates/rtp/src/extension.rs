use crate::{ParseError, WriteError};

/// The header extension of a packet (RFC 3550 §5.3.1).
///
/// When both sides agreed on RFC 8285 (`a=extmap`), [`HeaderExtension::elements`] reads the
/// elements inside.
///
/// ```
/// use linkspan_rtp::HeaderExtension;
/// let extension = HeaderExtension { profile: 0xbede, data: &[0x10, 0x7f, 0, 0x21, 1, 2, 0, 0] };
/// let elements: Vec<_> = extension.elements().collect::<Result<_, _>>()?;
/// assert_eq!(elements[0].data, [0x7f]);
/// assert_eq!((elements[1].id, elements[1].data), (2, &[1, 2][..]));
/// # Ok::<(), linkspan_rtp::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeaderExtension<'a> {
    /// The 16 bits "defined by profile".
    pub profile: u16,
    /// The data behind the length field.
    pub data: &'a [u8],
}

impl<'a> HeaderExtension<'a> {
    /// The elements of a one-byte (`0xBEDE`) or two-byte (`0x100x`) extension, in order. Any other
    /// profile has none. After an error the iterator ends.
    #[must_use]
    pub fn elements(&self) -> ExtensionElements<'a> {
        let form = ExtensionForm::of_profile(self.profile);
        ExtensionElements { rest: if form.is_some() { self.data } else { &[] }, form, at: 0 }
    }

    /// The data of the first element with this id.
    #[must_use]
    pub fn element(&self, id: u8) -> Option<&'a [u8]> {
        self.elements().map_while(Result::ok).find(|e| e.id == id).map(|e| e.data)
    }
}

/// The two forms of RFC 8285.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ExtensionForm {
    /// Ids 1-14 with 1 to 16 octets each (§4.2).
    OneByte,
    /// Ids 1-255 with up to 255 octets each (§4.3); `appbits` are the low four bits of the
    /// profile.
    TwoByte {
        /// Application bits, 0 to 15.
        appbits: u8,
    },
}

impl ExtensionForm {
    /// The form that a "defined by profile" value announces.
    #[must_use]
    pub fn of_profile(profile: u16) -> Option<Self> {
        let [high, low] = profile.to_be_bytes();
        match (high, low) {
            (0xbe, 0xde) => Some(Self::OneByte),
            (0x10, low) if low & 0xf0 == 0 => Some(Self::TwoByte { appbits: low }),
            _ => None,
        }
    }

    /// The value that announces this form.
    #[must_use]
    pub fn profile(self) -> u16 {
        match self {
            Self::OneByte => 0xbede,
            Self::TwoByte { appbits } => 0x1000 | u16::from(appbits & 0x0f),
        }
    }

    /// Appends one element.
    ///
    /// # Errors
    ///
    /// When the id or the length does not exist in this form.
    pub fn write_element(self, id: u8, data: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let too_long = WriteError::TooLong { what: "extension element" };
        let len = u8::try_from(data.len()).map_err(|_| too_long)?;
        match self {
            Self::OneByte => {
                // RFC 8285 §4.2: the field is the length minus one; id 15 ends the list.
                if !(1..=14).contains(&id) {
                    return Err(WriteError::Value { what: "extension id" });
                }
                let field = len.checked_sub(1).ok_or(WriteError::Value { what: "extension" })?;
                if field > 15 {
                    return Err(too_long);
                }
                out.push((id << 4) | field);
            }
            Self::TwoByte { .. } => {
                if id == 0 {
                    return Err(WriteError::Value { what: "extension id" });
                }
                out.extend_from_slice(&[id, len]);
            }
        }
        out.extend_from_slice(data);
        Ok(())
    }

    /// Fills `out` with padding elements up to a multiple of four octets.
    pub fn pad(self, out: &mut Vec<u8>) {
        let padded = out.len().next_multiple_of(4);
        out.resize(padded, 0);
    }
}

/// One element of a header extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtensionElement<'a> {
    /// The local id, as mapped by `a=extmap`.
    pub id: u8,
    /// Offset of `data` in the extension's data.
    pub at: usize,
    /// The element's data.
    pub data: &'a [u8],
}

/// Iterator over the elements of a header extension.
#[derive(Clone, Debug)]
pub struct ExtensionElements<'a> {
    rest: &'a [u8],
    form: Option<ExtensionForm>,
    at: usize,
}

impl<'a> ExtensionElements<'a> {
    fn read(&mut self) -> Result<Option<ExtensionElement<'a>>, ParseError> {
        loop {
            let Some((&first, rest)) = self.rest.split_first() else { return Ok(None) };
            self.advance(1, rest);
            // RFC 8285 §4.1.2: zero octets are padding, between elements and at the end.
            if first == 0 {
                continue;
            }
            let (id, len) = match self.form {
                Some(ExtensionForm::OneByte) => match first >> 4 {
                    // §4.2: id 15 stops the processing, what came before counts. Id 0 with a
                    // length is padding of one octet with garbage: skipped with its data.
                    15 => return Ok(None),
                    id => (id, usize::from(first & 0x0f).saturating_add(1)),
                },
                _ => {
                    let Some((&len, rest)) = self.rest.split_first() else {
                        return Err(ParseError::Truncated { what: "extension", at: self.at });
                    };
                    self.advance(1, rest);
                    (first, usize::from(len))
                }
            };
            let at = self.at;
            let Some((data, rest)) = self.rest.split_at_checked(len) else {
                return Err(ParseError::Truncated { what: "extension element", at });
            };
            self.advance(len, rest);
            if id != 0 {
                return Ok(Some(ExtensionElement { id, at, data }));
            }
        }
    }

    fn advance(&mut self, by: usize, rest: &'a [u8]) {
        self.at = self.at.saturating_add(by);
        self.rest = rest;
    }
}

impl<'a> Iterator for ExtensionElements<'a> {
    type Item = Result<ExtensionElement<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read();
        if !matches!(item, Ok(Some(_))) {
            self.rest = &[];
        }
        item.transpose()
    }
}
