//! What a strict element checks before it serves a message.

use crate::error::{HeaderError, ParseError, ParseErrorKind};
use crate::message::{Message, StartLine};

impl Message<'_> {
    /// Checks what every request and response must have (RFC 3261 §8.1.1, §8.2): the mandatory
    /// headers, their grammar, and that CSeq names the method of the request.
    ///
    /// # Errors
    ///
    /// [`ParseError`], whose `status` is what to answer.
    pub fn validate(&self) -> Result<(), ParseError> {
        let request = self.is_request();
        let fail = |kind| ParseError::new(kind, 0, request);
        let header = |error: HeaderError| fail(ParseErrorKind::Header(error));
        let missing = |name| fail(ParseErrorKind::Missing(name));
        self.via().map_err(header)?.ok_or_else(|| missing("Via"))?;
        self.from().map_err(header)?.ok_or_else(|| missing("From"))?;
        self.to().map_err(header)?.ok_or_else(|| missing("To"))?;
        self.call_id().map_err(header)?.ok_or_else(|| missing("Call-ID"))?;
        let cseq = self.cseq().map_err(header)?.ok_or_else(|| missing("CSeq"))?;
        if let StartLine::Request { method, .. } = self.start_line()
            && cseq.method_str() != method
        {
            return Err(fail(ParseErrorKind::CSeqMethod));
        }
        Ok(())
    }
}
