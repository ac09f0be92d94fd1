//! The typed getters, the same on a received and on an owned message.

use crate::error::HeaderError;
use crate::header_name::HeaderName;
use crate::headers::{Headers, Selector};
use crate::lex;
use crate::message::Message;
use crate::name_addr::NameAddrRef;
use crate::typed::{CSeq, NameAddrs, Tokens, Via, Vias};

macro_rules! getters {
    ($life:lifetime) => {
        fn one(&self, name: HeaderName) -> Option<&$life str> {
            self.values(Selector::Known(name)).next()
        }

        fn address(&self, name: HeaderName) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            let parsed = self.one(name).map(NameAddrRef::parse).transpose();
            parsed.map_err(|error| error.within(name.as_str(), 0))
        }

        fn count(&self, name: HeaderName) -> Result<Option<u32>, HeaderError> {
            let number = |value| {
                lex::number(value).ok_or(HeaderError::new(name.as_str(), "a number", 0))
            };
            self.one(name).map(number).transpose()
        }

        /// From.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn from(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            self.address(HeaderName::From)
        }

        /// To.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn to(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            self.address(HeaderName::To)
        }

        /// Call-ID.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is not `word ["@" word]`.
        pub fn call_id(&self) -> Result<Option<&$life str>, HeaderError> {
            let value = self.one(HeaderName::CallId);
            match value {
                Some(value)
                    if value.is_empty() || lex::find_not(value.as_bytes(), lex::WORD).is_some() =>
                {
                    Err(HeaderError::new("Call-ID", "a word", 0))
                }
                value => Ok(value),
            }
        }

        /// CSeq.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn cseq(&self) -> Result<Option<CSeq<$life>>, HeaderError> {
            self.one(HeaderName::CSeq).map(CSeq::parse).transpose()
        }

        /// The top Via.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn via(&self) -> Result<Option<Via<$life>>, HeaderError> {
            self.vias().next().transpose()
        }

        /// Max-Forwards.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is no number.
        pub fn max_forwards(&self) -> Result<Option<u32>, HeaderError> {
            self.count(HeaderName::MaxForwards)
        }

        /// Expires, in seconds.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is no number.
        pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
            self.count(HeaderName::Expires)
        }

        /// RSeq (RFC 3262).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is no number.
        pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
            self.count(HeaderName::RSeq)
        }

        /// The first Contact.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn contact(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            self.contacts().next().transpose()
        }

        /// Content-Type, as written.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is not `type/subtype` with parameters.
        pub fn content_type(&self) -> Result<Option<&$life str>, HeaderError> {
            let Some(value) = self.one(HeaderName::ContentType) else { return Ok(None) };
            let kind = value.split(';').next().unwrap_or("");
            let sound = kind.split_once('/').is_some_and(|(kind, subtype)| {
                lex::is_token(lex::trim(kind)) && lex::is_token(lex::trim(subtype))
            });
            if sound { Ok(Some(value)) } else { Err(HeaderError::new("Content-Type", "a type", 0)) }
        }
    };
}

macro_rules! lists {
    ($life:lifetime) => {
        /// Every Via, top first.
        pub fn vias(&self) -> Vias<'_, $life> {
            Vias::new(self.values(Selector::Known(HeaderName::Via)))
        }

        fn addresses(&self, name: HeaderName) -> NameAddrs<'_, $life> {
            NameAddrs::new(name.as_str(), self.values(Selector::Known(name)))
        }

        fn tokens(&self, name: HeaderName) -> Tokens<'_, $life> {
            Tokens::new(self.values(Selector::Known(name)))
        }

        /// Every Contact. `*` is an error here; see [`HeaderName::Contact`]'s raw values for it.
        pub fn contacts(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::Contact)
        }

        /// Every Route.
        pub fn routes(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::Route)
        }

        /// Every Record-Route.
        pub fn record_routes(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::RecordRoute)
        }

        /// Every P-Asserted-Identity (RFC 3325).
        pub fn asserted_identities(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::PAssertedIdentity)
        }

        /// The option tags of Supported.
        pub fn supported(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::Supported)
        }

        /// The option tags of Require.
        pub fn require(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::Require)
        }

        /// The media types of Accept, with their parameters.
        pub fn accept(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::Accept)
        }

        /// The methods of Allow.
        pub fn allow(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::Allow)
        }
    };
}

impl<'a> Message<'a> {
    getters!('a);
    lists!('a);
}

impl Headers {
    getters!('_);
    lists!('_);
}
