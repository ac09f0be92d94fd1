//! Finding the server of a URI (RFC 3263), over records that the caller resolved.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use crate::path::Transport;
use crate::uri::UriRef;

/// A question to the resolver.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Question {
    /// NAPTR of a domain.
    Naptr(String),
    /// SRV of a service name, `_sips._tcp.example.com`.
    Srv(String),
    /// A and AAAA of a host.
    Addresses(String),
}

/// The resolver's answer; empty lists where there is nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// NAPTR records.
    Naptr(Vec<Naptr>),
    /// SRV records.
    Srv(Vec<Srv>),
    /// Addresses, in the order of RFC 6724 if the resolver knows it.
    Addresses(Vec<IpAddr>),
}

/// A NAPTR record, as far as RFC 3263 uses it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first within an order.
    pub preference: u16,
    /// `s` for those that name SRV records.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T`.
    pub service: String,
    /// The SRV name.
    pub replacement: String,
}

/// An SRV record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// Port of the target.
    pub port: u16,
    /// Host of the target; `.` says that there is no service.
    pub target: String,
}

/// Which service names are asked for where NAPTR says nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Discovery {
    /// RFC 3263 §4.1: `_sips._tcp`, `_sip._tcp`, `_sip._udp`.
    #[default]
    Standard,
    /// A partner of a Lync federation: `_sipfederationtls._tcp` alone, over TLS.
    LyncFederation,
    /// The home server of a Lync client: `_sipinternaltls._tcp`, `_sipinternal._tcp`, `_sip._tls`.
    LyncClient,
}

/// The search for the next hop of one URI: it asks, is answered, and yields targets in the order in
/// which they are to be tried. A failed target is simply followed by the next.
///
/// ```
/// use linkspan_sip::{Answer, Discovery, Locator, Question, Srv, Transport, UriRef};
///
/// let uri = UriRef::parse("sips:bob@example.com").unwrap();
/// let mut locator = Locator::new(&uri, Discovery::Standard, 7);
/// assert_eq!(locator.question(), Some(&Question::Naptr("example.com".into())));
/// locator.answer(Answer::Naptr(vec![]));
/// assert_eq!(locator.question(), Some(&Question::Srv("_sips._tcp.example.com".into())));
/// let target = "edge.example.com".to_owned();
/// locator.answer(Answer::Srv(vec![Srv { priority: 0, weight: 0, port: 5061, target }]));
/// locator.answer(Answer::Addresses(vec!["192.0.2.9".parse().unwrap()]));
/// assert_eq!(locator.next_target(), Some((Transport::Tls, "192.0.2.9:5061".parse().unwrap())));
/// ```
#[derive(Clone, Debug)]
pub struct Locator {
    host: String,
    secure: bool,
    discovery: Discovery,
    questions: VecDeque<(Question, Transport, u16)>,
    targets: VecDeque<(Transport, SocketAddr)>,
    found_service: bool,
    random: u64,
}

impl Locator {
    /// A search for the host of a sip or sips URI (for a request: of its topmost Route, else of its
    /// Request-URI). `seed` draws among records of equal priority by weight.
    pub fn new(uri: &UriRef<'_>, discovery: Discovery, seed: u64) -> Self {
        let secure = uri.is_sips() || discovery == Discovery::LyncFederation;
        let named = uri.transport().and_then(Transport::from_token);
        let mut this = Self {
            host: uri.params().value("maddr").unwrap_or_else(|| uri.host()).to_owned(),
            secure,
            discovery,
            questions: VecDeque::new(),
            targets: VecDeque::new(),
            found_service: false,
            random: seed,
        };
        // RFC 3263 §4.1: sips means TLS whatever the parameter says.
        let transport = match named {
            Some(Transport::Tcp | Transport::Tls) if secure => Some(Transport::Tls),
            other => other,
        };
        let usual = if secure { Transport::Tls } else { Transport::Udp };
        if let Some(ip) = crate::uri::host_ip(&this.host) {
            let transport = transport.unwrap_or(usual);
            let port = uri.port().unwrap_or_else(|| transport.default_port());
            this.targets.push_back((transport, (ip, port).into()));
        } else if let Some(port) = uri.port() {
            let question = Question::Addresses(this.host.clone());
            this.questions.push_back((question, transport.unwrap_or(usual), port));
        } else if let Some(transport) = transport {
            let name = format!("{}.{}", service(transport, secure), this.host);
            this.questions.push_back((Question::Srv(name), transport, 0));
        } else if discovery == Discovery::Standard {
            this.questions.push_back((Question::Naptr(this.host.clone()), usual, 0));
        } else {
            this.ask_services();
        }
        this
    }

    /// What has to be resolved next; `None` where the targets are complete.
    pub fn question(&self) -> Option<&Question> {
        self.questions.front().map(|(question, ..)| question)
    }

    /// The answer to [`Locator::question`]. One of another kind counts as empty.
    pub fn answer(&mut self, answer: Answer) {
        let Some((question, transport, port)) = self.questions.pop_front() else { return };
        match (question, answer) {
            (Question::Naptr(_), Answer::Naptr(records)) => self.take_naptr(records),
            (Question::Naptr(_), _) => self.ask_services(),
            (Question::Srv(_), Answer::Srv(records)) => self.take_srv(records, transport),
            (Question::Addresses(_), Answer::Addresses(addresses)) => {
                let targets = addresses.into_iter().take(MAX_RECORDS);
                self.targets.extend(targets.map(|ip| (transport, (ip, port).into())));
            }
            _ => {}
        }
        if self.questions.is_empty() && self.targets.is_empty() && !self.found_service {
            self.fall_back(transport);
        }
    }

    /// The next place to try, once there is no question left for it.
    pub fn next_target(&mut self) -> Option<(Transport, SocketAddr)> {
        self.targets.pop_front()
    }

    /// RFC 3263 §4.1: by order, then by preference; only what we can speak, and for sips only TLS.
    fn take_naptr(&mut self, records: Vec<Naptr>) {
        let mut usable: Vec<(Naptr, Transport)> = records
            .into_iter()
            .take(MAX_RECORDS)
            .filter(|record| record.flags.eq_ignore_ascii_case("s"))
            .filter_map(|record| {
                let transport = match record.service.to_ascii_uppercase().as_str() {
                    "SIPS+D2T" => Transport::Tls,
                    "SIP+D2T" if !self.secure => Transport::Tcp,
                    "SIP+D2U" if !self.secure => Transport::Udp,
                    _ => return None,
                };
                Some((record, transport))
            })
            .collect();
        if usable.is_empty() {
            return self.ask_services();
        }
        usable.sort_by_key(|(record, _)| (record.order, record.preference));
        let questions = usable
            .into_iter()
            .map(|(record, transport)| (Question::Srv(record.replacement), transport, 0));
        self.questions.extend(questions);
    }

    /// RFC 3263 §4.1: without NAPTR every service we can speak is asked for.
    fn ask_services(&mut self) {
        let services: &[(&str, Transport)] = match self.discovery {
            Discovery::LyncFederation => &[("_sipfederationtls._tcp", Transport::Tls)],
            Discovery::LyncClient => &[
                ("_sipinternaltls._tcp", Transport::Tls),
                ("_sipinternal._tcp", Transport::Tcp),
                ("_sip._tls", Transport::Tls),
            ],
            Discovery::Standard if self.secure => &[("_sips._tcp", Transport::Tls)],
            Discovery::Standard => &[
                ("_sips._tcp", Transport::Tls),
                ("_sip._tcp", Transport::Tcp),
                ("_sip._udp", Transport::Udp),
            ],
        };
        let host = &self.host;
        self.questions.extend(
            services
                .iter()
                .map(|&(name, transport)| (Question::Srv(format!("{name}.{host}")), transport, 0)),
        );
    }

    /// RFC 2782: by priority, and within one drawn by weight.
    fn take_srv(&mut self, mut records: Vec<Srv>, transport: Transport) {
        records.truncate(MAX_RECORDS);
        self.found_service |= !records.is_empty();
        records.retain(|record| record.target != ".");
        records.sort_by_key(|record| (record.priority, record.weight));
        let mut ordered = VecDeque::new();
        while let Some(priority) = records.first().map(|record| record.priority) {
            let end = records.iter().position(|record| record.priority != priority);
            let group = records.get(..end.unwrap_or(records.len())).unwrap_or(&[]);
            let total: u64 = group.iter().map(|record| u64::from(record.weight)).sum();
            let mut draw = self.draw() % (total + 1);
            let index = group.iter().position(|record| {
                let hit = draw <= u64::from(record.weight);
                draw = draw.saturating_sub(u64::from(record.weight));
                hit
            });
            let record = records.remove(index.unwrap_or(0));
            let host = record.target.trim_end_matches('.').to_owned();
            ordered.push_back((Question::Addresses(host), transport, record.port));
        }
        // The addresses of this service before the next service.
        ordered.append(&mut self.questions);
        self.questions = ordered;
    }

    /// RFC 3263 §4.2: no SRV at all, so the host itself.
    fn fall_back(&mut self, transport: Transport) {
        self.found_service = true;
        let transport = match self.discovery {
            // A federation partner without the record is none.
            Discovery::LyncFederation => return,
            Discovery::LyncClient => Transport::Tls,
            Discovery::Standard if self.secure => Transport::Tls,
            Discovery::Standard => transport,
        };
        let question = Question::Addresses(self.host.clone());
        self.questions.push_back((question, transport, transport.default_port()));
    }

    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn service(transport: Transport, secure: bool) -> &'static str {
    match transport {
        Transport::Tls => "_sips._tcp",
        Transport::Tcp if secure => "_sips._tcp",
        Transport::Tcp => "_sip._tcp",
        Transport::Udp => "_sip._udp",
    }
}

/// Records of one answer that are looked at.
const MAX_RECORDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn locate(
        uri: &str,
        discovery: Discovery,
        resolve: impl Fn(&Question) -> Answer,
    ) -> Vec<String> {
        let mut locator = Locator::new(&UriRef::parse(uri).unwrap(), discovery, 1);
        let mut seen = Vec::new();
        for _ in 0..100 {
            let Some(question) = locator.question() else { break };
            let answer = resolve(question);
            locator.answer(answer);
        }
        while let Some((transport, target)) = locator.next_target() {
            seen.push(format!("{} {target}", transport.via_token()));
        }
        seen
    }

    fn nothing(question: &Question) -> Answer {
        match question {
            Question::Naptr(_) => Answer::Naptr(vec![]),
            Question::Srv(_) => Answer::Srv(vec![]),
            Question::Addresses(_) => Answer::Addresses(vec!["192.0.2.1".parse().unwrap()]),
        }
    }

    #[test]
    fn addresses_ports_and_bare_hosts() {
        for (uri, expected) in [
            ("sip:192.0.2.9", "UDP 192.0.2.9:5060"),
            ("sips:[2001:db8::1]", "TLS [2001:db8::1]:5061"),
            ("sip:192.0.2.9;transport=tcp", "TCP 192.0.2.9:5060"),
            ("sip:example.com:5070", "UDP 192.0.2.1:5070"),
            ("sips:example.com;transport=tcp", "TLS 192.0.2.1:5061"),
            ("sip:example.com;maddr=192.0.2.7", "UDP 192.0.2.7:5060"),
            ("sip:example.com", "UDP 192.0.2.1:5060"),
        ] {
            assert_eq!(locate(uri, Discovery::Standard, nothing), [expected], "{uri}");
        }
        assert!(locate("sip:example.com", Discovery::LyncFederation, nothing).is_empty());
    }

    #[test]
    fn naptr_orders_services_and_srv_orders_hosts() {
        let resolve = |question: &Question| match question {
            Question::Naptr(_) => Answer::Naptr(
                [(2, "SIP+D2U", "u"), (1, "SIP+D2T", "t"), (1, "SIPS+D2X", "x")]
                    .map(|(order, service, replacement)| Naptr {
                        order,
                        preference: 0,
                        flags: "S".into(),
                        service: service.into(),
                        replacement: replacement.into(),
                    })
                    .to_vec(),
            ),
            Question::Srv(name) => {
                let base = if name == "t" { 10 } else { 20 };
                let record = |priority, host: u16| Srv {
                    priority,
                    weight: 1,
                    port: 5000 + base + host,
                    target: host.to_string(),
                };
                Answer::Srv(vec![record(5, 2), record(1, 1)])
            }
            Question::Addresses(host) => {
                Answer::Addresses(vec![format!("192.0.2.{host}").parse().unwrap()])
            }
        };
        assert_eq!(
            locate("sip:example.com", Discovery::Standard, resolve),
            [
                "TCP 192.0.2.1:5011",
                "TCP 192.0.2.2:5012",
                "UDP 192.0.2.1:5021",
                "UDP 192.0.2.2:5022"
            ]
        );
    }
}
