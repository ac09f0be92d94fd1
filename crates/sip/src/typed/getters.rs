//! The typed getters, the same on a received and on an owned message.

use crate::error::HeaderError;
use crate::header_name::HeaderName;
use crate::headers::{Headers, Selector};
use crate::lex;
use crate::message::Message;
use crate::name_addr::NameAddrRef;
use crate::typed::{
    CSeq, Date, NameAddrs, Parametrized, ParametrizedList, RAck, Tokens, Via, Vias, Warning,
};

macro_rules! getters {
    ($life:lifetime) => {
        fn one(&self, name: HeaderName) -> Option<&$life str> {
            self.values(Selector::known(name)).next()
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

        fn parametrized(
            &self,
            name: HeaderName,
        ) -> Result<Option<Parametrized<$life>>, HeaderError> {
            let parsed = self.one(name).map(Parametrized::parse).transpose();
            parsed.map_err(|error| error.within(name.as_str(), 0))
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
                    if value.is_empty() || lex::find_not_long(value.as_bytes(), lex::WORD).is_some() =>
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

        /// Event (RFC 6665).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn event(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::Event)
        }

        /// Subscription-State (RFC 6665).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn subscription_state(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::SubscriptionState)
        }

        /// Session-Expires (RFC 4028): seconds and `refresher`.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn session_expires(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::SessionExpires)
        }

        /// Min-SE (RFC 4028), in seconds.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn min_se(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::MinSe)
        }

        /// Retry-After, in seconds, with `duration`.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn retry_after(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::RetryAfter)
        }

        /// Replaces (RFC 3891): a Call-ID with `to-tag` and `from-tag`.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn replaces(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::Replaces)
        }

        /// Content-Disposition.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn content_disposition(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::ContentDisposition)
        }

        /// Info-Package (RFC 6086).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn info_package(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            self.parametrized(HeaderName::InfoPackage)
        }

        /// Min-Expires, in seconds.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
            self.count(HeaderName::MinExpires)
        }

        /// Content-Length.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn content_length(&self) -> Result<Option<u32>, HeaderError> {
            self.count(HeaderName::ContentLength)
        }

        /// Flow-Timer (RFC 5626), in seconds.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn flow_timer(&self) -> Result<Option<u32>, HeaderError> {
            self.count(HeaderName::FlowTimer)
        }

        /// Refer-To (RFC 3515).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn refer_to(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            self.address(HeaderName::ReferTo)
        }

        /// Referred-By (RFC 3892).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn referred_by(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            self.address(HeaderName::ReferredBy)
        }

        /// Reply-To.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn reply_to(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            self.address(HeaderName::ReplyTo)
        }

        /// RAck (RFC 3262).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn rack(&self) -> Result<Option<RAck<$life>>, HeaderError> {
            self.one(HeaderName::RAck).map(RAck::parse).transpose()
        }

        /// Date.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn date(&self) -> Result<Option<Date>, HeaderError> {
            self.one(HeaderName::Date).map(Date::parse).transpose()
        }

        /// The first Warning.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn warning(&self) -> Result<Option<Warning<$life>>, HeaderError> {
            let first = self.one(HeaderName::Warning).map(|line| {
                lex::split_outside(line, b',').map_or(line, |(first, _)| first)
            });
            first.map(Warning::parse).transpose()
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
            Vias::new(self.values(Selector::known(HeaderName::Via)))
        }

        fn addresses(&self, name: HeaderName) -> NameAddrs<'_, $life> {
            NameAddrs::new(name.as_str(), self.values(Selector::known(name)))
        }

        fn tokens(&self, name: HeaderName) -> Tokens<'_, $life> {
            Tokens::new(self.values(Selector::known(name)))
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

        /// Every Path (RFC 3327).
        pub fn paths(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::Path)
        }

        /// Every Service-Route (RFC 3608).
        pub fn service_routes(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::ServiceRoute)
        }

        /// Every P-Preferred-Identity (RFC 3325).
        pub fn preferred_identities(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::PPreferredIdentity)
        }

        /// Every History-Info (RFC 7044).
        pub fn history(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::HistoryInfo)
        }

        /// Every Call-Info.
        pub fn call_infos(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::CallInfo)
        }

        /// Every Alert-Info.
        pub fn alert_infos(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::AlertInfo)
        }

        /// Every Error-Info.
        pub fn error_infos(&self) -> NameAddrs<'_, $life> {
            self.addresses(HeaderName::ErrorInfo)
        }

        /// The option tags of Proxy-Require.
        pub fn proxy_require(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::ProxyRequire)
        }

        /// The option tags of Unsupported.
        pub fn unsupported(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::Unsupported)
        }

        /// The packages of Allow-Events.
        pub fn allow_events(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::AllowEvents)
        }

        /// The Call-IDs of In-Reply-To.
        pub fn in_reply_to(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::InReplyTo)
        }

        /// The codings of Content-Encoding.
        pub fn content_encodings(&self) -> Tokens<'_, $life> {
            self.tokens(HeaderName::ContentEncoding)
        }

        /// Every Reason (RFC 3326): a protocol with `cause` and `text`.
        pub fn reasons(&self) -> ParametrizedList<'_, $life> {
            ParametrizedList::new(self.values(Selector::known(HeaderName::Reason)))
        }

        /// The values of Privacy (RFC 3323).
        pub fn privacy(&self) -> impl Iterator<Item = &$life str> + '_ {
            let lines = self.values(Selector::known(HeaderName::Privacy));
            lines.flat_map(|line| line.split(';')).map(lex::trim).filter(|value| !value.is_empty())
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
