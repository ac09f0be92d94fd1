//! Nonce counts, for servers that can afford to remember them.

use std::collections::{HashMap, VecDeque};

use crate::auth::value::AuthValue;

/// The counts that clients used with each nonce (RFC 7616 §3.4: `nc`), so that no request can be
/// sent again by somebody who overheard it. [`DigestServer`](crate::DigestServer) itself stores
/// nothing; who wants more asks here after its `verify`.
///
/// ```
/// use linkspan_sip::{AuthValue, NonceCounts};
///
/// let mut counts = NonceCounts::new(1000);
/// let first = AuthValue::parse(r#"Digest nonce="n", nc=00000001"#).unwrap();
/// assert!(counts.take(&first));
/// assert!(!counts.take(&first));
/// ```
#[derive(Debug)]
pub struct NonceCounts {
    limit: usize,
    last: HashMap<String, u32>,
    order: VecDeque<String>,
}

impl NonceCounts {
    /// Remembers up to so many nonces; the oldest are forgotten first.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), last: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether the count is beyond every one that came with this nonce. Credentials without both
    /// are refused.
    pub fn take(&mut self, credentials: &AuthValue<'_>) -> bool {
        let (Some(nonce), Some(count)) = (credentials.param("nonce"), credentials.param("nc"))
        else {
            return false;
        };
        // RFC 7616 §3.4: eight hexadecimal digits.
        let Some(count) = u32::from_str_radix(&count, 16).ok().filter(|_| count.len() == 8) else {
            return false;
        };
        if let Some(last) = self.last.get_mut(nonce.as_ref()) {
            let fresh = count > *last;
            *last = count.max(*last);
            return fresh;
        }
        if self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
        self.order.push_back(nonce.clone().into_owned());
        self.last.insert(nonce.into_owned(), count);
        true
    }
}
