//! Getters of the headers that fewer messages carry.

use crate::auth::AuthValue;
use crate::error::{HeaderError, ValueError};
use crate::header_name::HeaderName;
use crate::headers::{Headers, Selector};
use crate::lex;
use crate::message::Message;
use crate::name_addr::NameAddrRef;
use crate::typed::{NameAddrs, Parametrized, ParametrizedList, Tokens};

macro_rules! texts {
    ($life:lifetime: $($getter:ident = $name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $getter(&self) -> Option<&$life str> {
            self.values(Selector::known(HeaderName::$name)).next()
        }
    )*};
}

macro_rules! values {
    ($life:lifetime: $($getter:ident = $name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn $getter(&self) -> Result<Option<Parametrized<$life>>, HeaderError> {
            let value = self.values(Selector::known(HeaderName::$name)).next();
            let parsed = value.map(Parametrized::parse).transpose();
            parsed.map_err(|error| error.within(HeaderName::$name.as_str(), 0))
        }
    )*};
}

macro_rules! value_lists {
    ($life:lifetime: $($getter:ident = $name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $getter(&self) -> ParametrizedList<'_, $life> {
            ParametrizedList::new(self.values(Selector::known(HeaderName::$name)))
        }
    )*};
}

macro_rules! token_lists {
    ($life:lifetime: $($getter:ident = $name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $getter(&self) -> Tokens<'_, $life> {
            Tokens::new(self.values(Selector::known(HeaderName::$name)))
        }
    )*};
}

macro_rules! credentials {
    ($life:lifetime: $($getter:ident = $name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        pub fn $getter(
            &self,
        ) -> impl Iterator<Item = Result<AuthValue<$life>, ValueError>> + '_ {
            self.values(Selector::known(HeaderName::$name)).map(AuthValue::parse)
        }
    )*};
}

macro_rules! getters {
    ($life:lifetime) => {
        texts! { $life:
            subject = Subject "Subject.";
            organization = Organization "Organization.";
            priority = Priority "Priority: `emergency`, `urgent`, `normal`, `non-urgent`.";
            user_agent = UserAgent "User-Agent.";
            server = Server "Server.";
            mime_version = MimeVersion "MIME-Version.";
            content_id = ContentId "Content-ID (RFC 8262), with its brackets.";
            sip_etag = SipEtag "SIP-ETag (RFC 3903).";
            sip_if_match = SipIfMatch "SIP-If-Match (RFC 3903).";
            identity_info = IdentityInfo "Identity-Info (RFC 4474).";
        }
        values! { $life:
            identity = Identity "Identity: the signature of RFC 4474, quoted, or the token of RFC 8224 with its parameters.";
            join = Join "Join (RFC 3911): a Call-ID with `to-tag` and `from-tag`.";
            target_dialog = TargetDialog "Target-Dialog (RFC 4538): a Call-ID with `local-tag` and `remote-tag`.";
            refer_sub = ReferSub "Refer-Sub (RFC 4488): `true` or `false`.";
            access_network = PAccessNetworkInfo "P-Access-Network-Info (RFC 7315).";
            charging_vector = PChargingVector "P-Charging-Vector (RFC 7315): `icid-value` and its kin, the first as the value.";
        }
        value_lists! { $life:
            accept_contacts = AcceptContact "Every Accept-Contact (RFC 3841), its value `*`.";
            reject_contacts = RejectContact "Every Reject-Contact (RFC 3841), its value `*`.";
            accept_encodings = AcceptEncoding "The codings of Accept-Encoding, with `q`.";
            accept_languages = AcceptLanguage "The languages of Accept-Language, with `q`.";
            recv_infos = RecvInfo "The packages of Recv-Info (RFC 6086).";
            visited_networks = PVisitedNetworkId "Every P-Visited-Network-ID (RFC 7315).";
        }
        token_lists! { $life:
            content_languages = ContentLanguage "The languages of Content-Language.";
            request_dispositions = RequestDisposition "The directives of Request-Disposition (RFC 3841).";
            resource_priorities = ResourcePriority "The values of Resource-Priority (RFC 4412): `namespace.priority`.";
            accept_resource_priorities = AcceptResourcePriority "The values of Accept-Resource-Priority (RFC 4412).";
        }
        credentials! { $life:
            www_authenticate = WwwAuthenticate "Every challenge of WWW-Authenticate.";
            proxy_authenticate = ProxyAuthenticate "Every challenge of Proxy-Authenticate.";
            authorization = Authorization "The credentials of Authorization.";
            proxy_authorization = ProxyAuthorization "The credentials of Proxy-Authorization.";
        }

        /// Every P-Associated-URI (RFC 7315).
        pub fn associated_uris(&self) -> NameAddrs<'_, $life> {
            let name = HeaderName::PAssociatedUri;
            NameAddrs::new(name.as_str(), self.values(Selector::known(name)))
        }

        /// P-Called-Party-ID (RFC 7315).
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is malformed.
        pub fn called_party(&self) -> Result<Option<NameAddrRef<$life>>, HeaderError> {
            let value = self.values(Selector::known(HeaderName::PCalledPartyId)).next();
            value.map(NameAddrRef::parse).transpose()
        }

        /// Timestamp: when the request was sent, and the delay of the response, in seconds.
        ///
        /// # Errors
        ///
        /// [`HeaderError`] where the value is not one or two decimal numbers.
        pub fn timestamp(&self) -> Result<Option<(f64, Option<f64>)>, HeaderError> {
            let value = self.values(Selector::known(HeaderName::Timestamp)).next();
            value.map(timestamp).transpose()
        }
    };
}

impl<'a> Message<'a> {
    getters!('a);
}

impl Headers {
    getters!('_);
}

/// RFC 3261 §20.38: `1*DIGIT [ "." *DIGIT ] [ LWS delay ]`.
fn timestamp(text: &str) -> Result<(f64, Option<f64>), HeaderError> {
    let fail = HeaderError::new("Timestamp", "one or two decimal numbers", 0);
    let decimal = |word: &str| {
        let sound = word.starts_with(|char: char| char.is_ascii_digit())
            && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        word.parse::<f64>().ok().filter(|_| sound).ok_or(fail)
    };
    let mut words = lex::trim(text).split_ascii_whitespace();
    let sent = decimal(words.next().ok_or(fail)?)?;
    let delay = words.next().map(decimal).transpose()?;
    if words.next().is_some() { Err(fail) } else { Ok((sent, delay)) }
}
