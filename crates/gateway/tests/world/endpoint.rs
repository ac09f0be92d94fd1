//! One scripted end of a call: signalling, and real media through the crate's own transport.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use linkspan_gateway::{
    AgreedStream, Incoming, MediaKey, MediaTransmit, MediaTransport, Side, StreamCodec, StreamKind,
    TransportConfig, TransportEvent,
};
use linkspan_ice as ice;
use linkspan_rtp::ms::{self, VideoSourceRequest};
use linkspan_rtp::{
    Compound, DtmfConfig, DtmfReceiver, DtmfSender, PayloadType, Pli, RtcpPacket, RtpHeader,
    RtpPacket, SequenceNumber, Ssrc,
};
use linkspan_sdp as sdp;
use linkspan_sip as sip;
use linkspan_svc::{
    AccessUnit, AccessUnitReader, Depacketizer, DepacketizerConfig, PacketizationMode, Packetizer,
    PacketizerConfig, PayloadFormat, PayloadMeta,
};
use sip::{Headers, NameAddr, StatusCode, UaEvent, Uri};

/// How an endpoint behaves.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) ice: bool,
    pub(crate) encryption: sdp::EncryptionLevel,
    pub(crate) video: bool,
    /// Rings and never answers.
    pub(crate) silent: bool,
    /// Does not even send 100.
    pub(crate) dead: bool,
    /// Answers 183 with its description first.
    pub(crate) early: bool,
    /// That one reliably, and nothing in its 2xx.
    pub(crate) reliable: bool,
    /// Answers the call when it is told to.
    pub(crate) waits: bool,
    /// Its Allow has no UPDATE.
    pub(crate) no_update: bool,
    /// Makes an offer in its PRACK.
    pub(crate) prack_offers: bool,
    /// Answers later offers with these first.
    pub(crate) refuses: Vec<u16>,
    /// Answers later offers when it is told to.
    pub(crate) slow: bool,
    /// Speaks SIP over UDP.
    pub(crate) udp: bool,
    pub(crate) reject: Option<(u16, Option<&'static str>)>,
    /// Video packets only after a source request, as a Lync 2013 sender.
    pub(crate) waits_for_source_request: bool,
    /// Only packetization mode 0.
    pub(crate) single_nal: bool,
    /// Sends this Annex B stream as its picture.
    pub(crate) picture: Vec<AccessUnit>,
    /// Time between two pictures.
    pub(crate) interval: Duration,
    /// Each layer of the picture on a source of its own, by its priority id.
    pub(crate) source_per_layer: bool,
    /// This picture has the timestamp of the one before it.
    pub(crate) repeats_timestamp_at: Option<usize>,
    /// Offers no audio codec that anybody else has.
    pub(crate) odd_codecs: bool,
    /// Calls without an offer.
    pub(crate) delayed: bool,
    /// Leaves the answer out of its ACK.
    pub(crate) owes_answer: bool,
    /// Answers in its ACK without keys, whatever was offered.
    pub(crate) answers_in_clear: bool,
    /// Has G.711 A-law alone.
    pub(crate) one_codec: bool,
    /// Who it says that it is.
    pub(crate) from: &'static str,
    /// What its server asserts beside that.
    pub(crate) asserted: Option<&'static str>,
}

impl Behaviour {
    pub(crate) fn of(side: Side) -> Self {
        Self {
            ice: true,
            encryption: match side {
                Side::Lync => sdp::EncryptionLevel::Required,
                Side::Standard => sdp::EncryptionLevel::Supported,
            },
            video: true,
            silent: false,
            dead: false,
            early: false,
            reliable: false,
            waits: false,
            no_update: false,
            prack_offers: false,
            refuses: Vec::new(),
            slow: false,
            udp: false,
            reject: None,
            waits_for_source_request: side == Side::Lync,
            single_nal: false,
            picture: pictures(&media_file(match side {
                Side::Lync => "lync-t3-640x360.264",
                Side::Standard => "standard-640x360.264",
            })),
            interval: Duration::from_millis(100),
            source_per_layer: false,
            repeats_timestamp_at: None,
            odd_codecs: false,
            delayed: false,
            owes_answer: false,
            answers_in_clear: false,
            one_codec: false,
            from: match side {
                Side::Lync => "sip:alice@example.test",
                Side::Standard => "sip:room7@video.example.test",
            },
            asserted: None,
        }
    }
}

/// A stream of the examples, which are in the same repository.
pub(crate) fn media_file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/media/");
    std::fs::read(format!("{folder}{name}")).expect("a stream of the examples")
}

/// Numbers the temporal layers in the priority ids of their prefix NAL units, as Lync does
/// ([MS-H264PF] 3.1.5).
pub(crate) fn numbered(units: &[AccessUnit]) -> Vec<AccessUnit> {
    let number = |unit: &AccessUnit| {
        let mut to = AccessUnit::new(unit.timestamp());
        for nal in unit {
            let mut octets = nal.bytes.to_vec();
            if matches!(octets[0] & 0x1f, 14 | 20) {
                octets[1] = octets[1] & 0xc0 | octets[3] >> 5;
            }
            to.push(&octets);
        }
        to
    };
    units.iter().map(number).collect()
}

/// The access units of an Annex B stream.
pub(crate) fn pictures(stream: &[u8]) -> Vec<AccessUnit> {
    let mut reader = AccessUnitReader::new(stream);
    let mut units = Vec::new();
    let mut unit = AccessUnit::default();
    while reader.read_into(&mut unit) {
        units.push(unit.clone());
    }
    units
}

pub(crate) struct Endpoint {
    pub(crate) side: Side,
    pub(crate) address: SocketAddr,
    pub(crate) behaviour: Behaviour,
    pub(crate) ua: sip::UserAgent,
    session: sdp::Session,
    pending: Option<sdp::LocalOffer>,
    pub(crate) call: Option<sip::SessionId>,
    pub(crate) streams: Vec<Stream>,
    seed: [u8; 32],
    next_port: u16,
    /// Responses to our requests, and requests to us.
    pub(crate) heard: Vec<String>,
    pub(crate) responses: Vec<sip::Response>,
    pub(crate) requests: Vec<sip::Request>,
    pub(crate) offers: Vec<sdp::SessionDescription>,
    pub(crate) answers: Vec<sdp::SessionDescription>,
    pub(crate) ended: bool,
    pub(crate) agreed: Option<sdp::Agreed>,
    pub(crate) direction: sdp::Direction,
    pub(crate) waiting: Option<sip::RequestId>,
    /// The conference that it hosts.
    pub(crate) focus: Option<super::focus_host::FocusHost>,
    /// Who subscribed last.
    pub(crate) reader: Option<sip::SubscriptionId>,
    /// A conference: says so in its Contact.
    pub(crate) is_focus: bool,
    /// A later offer that waits for its answer.
    asked: Option<(sip::RequestId, sip::Request)>,
    /// What a call that waits is answered with.
    pub(crate) held: Option<Option<sip::Body>>,
    /// The answer to the call's offer.
    pub(crate) answered: Option<Vec<u8>>,
    /// Changes what is sent.
    pub(crate) rewrite: Option<Rewrite>,
    /// The PRACK that has made an offer, by its CSeq.
    prack: Option<u32>,
}

/// Another message in the place of one, where there is to be one.
pub(crate) type Rewrite = Box<dyn FnMut(&[u8]) -> Option<bytes::Bytes>>;

pub(crate) struct Stream {
    pub(crate) kind: StreamKind,
    pub(crate) transport: MediaTransport,
    key: MediaKey,
    port: u16,
    agreed: Option<AgreedStream>,
    sequence: SequenceNumber,
    pub(crate) layers: BTreeMap<u8, SequenceNumber>,
    timestamp: u32,
    next: Option<Instant>,
    pub(crate) sent_audio: Vec<Vec<u8>>,
    pub(crate) received_audio: Vec<Vec<u8>>,
    pub(crate) sent_video: Vec<u8>,
    pub(crate) sent_pictures: usize,
    pub(crate) received_video: Vec<u8>,
    pub(crate) received_pictures: usize,
    pub(crate) damaged: usize,
    pub(crate) idr_received: usize,
    picture_at: usize,
    packetizer: Option<Packetizer>,
    depacketizer: Option<Depacketizer>,
    dtmf: DtmfSender,
    heard_dtmf: DtmfReceiver,
    pub(crate) digits: String,
    pub(crate) source_requests: Vec<VideoSourceRequest>,
    pub(crate) keyframe_requests: usize,
    restart: bool,
    pub(crate) pairs: Option<Vec<ice::SelectedPair>>,
    /// Stops sending after so many audio packets or pictures.
    pub(crate) most: usize,
    pub(crate) ssrcs: Vec<u32>,
    pub(crate) sequences: Vec<u16>,
}

impl Endpoint {
    pub(crate) fn new(
        side: Side,
        address: SocketAddr,
        behaviour: Behaviour,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let dialect = match side {
            Side::Lync => sip::Dialect::Lync,
            Side::Standard => sip::Dialect::Standard,
        };
        let mut config = sip::UaConfig { dialect, ..sip::UaConfig::default() };
        config.allow.retain(|method| !behaviour.no_update || *method != sip::Method::Update);
        Self {
            side,
            address,
            ua: sip::UserAgent::new(config, seed, now),
            session: sdp::Session::new(profile(side, &behaviour)),
            behaviour,
            pending: None,
            call: None,
            streams: Vec::new(),
            seed,
            next_port: if side == Side::Lync { 20_000 } else { 30_000 },
            heard: Vec::new(),
            responses: Vec::new(),
            requests: Vec::new(),
            offers: Vec::new(),
            answers: Vec::new(),
            ended: false,
            agreed: None,
            direction: sdp::Direction::SendRecv,
            waiting: None,
            focus: None,
            reader: None,
            is_focus: false,
            asked: None,
            held: None,
            answered: None,
            rewrite: None,
            prack: None,
        }
    }

    /// A behaviour that was changed later counts.
    pub(crate) fn profile_changed(&mut self) {
        self.session = sdp::Session::new(profile(self.side, &self.behaviour));
    }

    pub(crate) fn media_ip(&self) -> IpAddr {
        self.address.ip()
    }

    pub(crate) fn stream(&mut self, kind: StreamKind) -> &mut Stream {
        self.streams.iter_mut().find(|s| s.kind == kind).expect("no such stream")
    }

    /// Places a call to `uri` through the gateway.
    pub(crate) fn place_call(&mut self, uri: &str, now: Instant) {
        let kinds: &[StreamKind] = if self.behaviour.video {
            &[StreamKind::Audio, StreamKind::Video]
        } else {
            &[StreamKind::Audio]
        };
        let mut offer = String::new();
        if !self.behaviour.delayed {
            for kind in kinds {
                self.open(*kind, ice::Role::Controlling, now);
            }
            let local = self.local();
            let (description, pending) = self.session.offer(&local);
            self.pending = Some(pending);
            offer = description.to_string();
        }
        let (gateway, transport) = match self.side {
            Side::Lync => (super::GATEWAY_LYNC, sip::Transport::Tls),
            Side::Standard if self.behaviour.udp => (super::GATEWAY_STANDARD, sip::Transport::Udp),
            Side::Standard => (super::GATEWAY_STANDARD, sip::Transport::Tcp),
        };
        let own = Uri::parse(self.behaviour.from).unwrap();
        let mut from = NameAddr::new(own).with_display("A Caller");
        let mut headers = Headers::new();
        if let Some(asserted) = self.behaviour.asserted {
            headers.push("P-Asserted-Identity", asserted);
        }
        let mut text = offer;
        let mut content_type = "application/sdp".to_owned();
        if self.side == Side::Lync {
            from = from.with_param("epid", "d2ff665153");
            headers.push("Ms-Conversation-ID", "AdKCt6xl6HOex5lgSXKtavryVhRJlw==");
            headers.push("ms-keep-alive", "UAC;hop-hop=yes");
            headers.push("ms-subnet", "192.0.2.0");
            headers.push("Supported", "ms-early-media, 100rel, timer");
            content_type = "multipart/alternative;boundary=\"----=_Part\"".into();
            text = multipart(&text);
        }
        let body = (!self.behaviour.delayed).then(|| sip::Body::new(content_type, text));
        let uri = Uri::parse(uri).unwrap();
        let invite = sip::OutgoingInvite {
            path: sip::Path::new(transport, self.address, gateway.parse().unwrap()),
            uri: uri.clone(),
            from,
            to: NameAddr::new(uri),
            contact: self.contact(),
            routes: Vec::new(),
            call_id: None,
            headers,
            body,
        };
        self.call = Some(self.ua.invite(invite, now).unwrap());
    }

    pub(crate) fn contact(&self) -> NameAddr {
        let uri = match self.side {
            Side::Lync => format!("sip:alice@{};transport=tls", self.address),
            Side::Standard => format!("sip:room7@{};transport=tcp", self.address),
        };
        let mut contact = NameAddr::new(Uri::parse(&uri).unwrap());
        if self.is_focus {
            contact.params.set_flag("isfocus");
        }
        contact
    }

    pub(crate) fn hang_up(&mut self, now: Instant) {
        self.ua.end(self.call.unwrap(), Headers::new(), now).unwrap();
        self.ended = true;
        self.streams.iter_mut().for_each(|s| s.next = None);
    }

    /// A later offer with another direction.
    pub(crate) fn hold(&mut self, direction: sdp::Direction, now: Instant) {
        self.direction = direction;
        self.reoffer(now);
    }

    pub(crate) fn reoffer(&mut self, now: Instant) {
        let local = self.local();
        let (offer, pending) = self.session.offer(&local);
        self.pending = Some(pending);
        let body = Some(sip::Body::sdp(offer.to_string()));
        let id = self.ua.reinvite(self.call.unwrap(), Headers::new(), body, now).unwrap();
        self.waiting = Some(id);
    }

    /// An offer by UPDATE.
    pub(crate) fn update(&mut self, direction: sdp::Direction, now: Instant) {
        self.direction = direction;
        let local = self.local();
        let (offer, pending) = self.session.offer(&local);
        self.pending = Some(pending);
        let body = Some(sip::Body::sdp(offer.to_string()));
        let (call, update) = (self.call.unwrap(), sip::Method::Update);
        self.waiting = self.ua.request(call, update, Headers::new(), body, now).ok();
        assert!(self.waiting.is_some());
    }

    /// Whether an offer of its own waits for its answer.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.waiting.is_some() || self.pending.is_some()
    }

    pub(crate) const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// An offer by re-INVITE, or a wish for one, where nothing is in its way.
    pub(crate) fn try_invite(&mut self, direction: sdp::Direction, asks: bool, now: Instant) {
        let before = self.direction;
        self.direction = direction;
        let local = self.local();
        let offer = (!asks).then(|| self.session.offer(&local));
        let (offer, pending) = offer.unzip();
        let body = offer.map(|offer| sip::Body::sdp(offer.to_string()));
        match self.ua.reinvite(self.call.unwrap(), Headers::new(), body, now) {
            Ok(id) => (self.waiting, self.pending) = (Some(id), pending),
            Err(_) => self.direction = before,
        }
    }

    /// An offer of one more stream, by UPDATE.
    pub(crate) fn add_video_by_update(&mut self, now: Instant) {
        self.open(StreamKind::Video, ice::Role::Controlling, now);
        self.update(self.direction, now);
    }

    pub(crate) const fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// A later offer that waits is answered.
    pub(crate) fn answer_asked(&mut self, now: Instant) {
        let (id, request) = self.asked.take().unwrap();
        self.offered_later(id, &request, now);
    }

    /// A call that waits is answered.
    pub(crate) fn pick_up(&mut self, now: Instant) {
        let body = self.held.take().unwrap();
        let contact = self.contact();
        self.ua.accept(self.call.unwrap(), contact, Headers::new(), body, now).unwrap();
    }

    /// Asks for an offer, to be answered with a direction.
    pub(crate) fn ask_again(&mut self, direction: sdp::Direction, now: Instant) {
        self.direction = direction;
        let id = self.ua.reinvite(self.call.unwrap(), Headers::new(), None, now).unwrap();
        self.waiting = Some(id);
    }

    /// A later offer with one more stream.
    pub(crate) fn add_video(&mut self, now: Instant) {
        self.open(StreamKind::Video, ice::Role::Controlling, now);
        self.reoffer(now);
    }

    /// A later offer without the video.
    pub(crate) fn drop_video(&mut self, now: Instant) {
        self.stream(StreamKind::Video).port = 0;
        self.stream(StreamKind::Video).next = None;
        self.reoffer(now);
    }

    pub(crate) fn dial(&mut self, digits: &str, now: Instant) {
        self.stream(StreamKind::Audio).dtmf.send(digits, now).unwrap();
    }

    /// Asks for a keyframe in the way of its side.
    pub(crate) fn want_keyframe(&mut self, number: u16, now: Instant) {
        let side = self.side;
        let stream = self.stream(StreamKind::Video);
        let (sender, media) =
            (Ssrc(stream.transport.ssrc()), Ssrc(stream.transport.remote_ssrc().unwrap_or(0)));
        let sent = match side {
            Side::Lync => {
                let request =
                    ms::PictureLoss { sender, media, request_id: number, priority_ids: 1 };
                stream.transport.send_feedback(|out| request.write(out), now)
            }
            Side::Standard => {
                stream.transport.send_feedback(|out| Pli::new(sender, media).write(out), now)
            }
        };
        sent.unwrap();
    }

    fn open(&mut self, kind: StreamKind, role: ice::Role, now: Instant) {
        let port = self.next_port;
        self.next_port += 2;
        let ip = self.media_ip();
        let mut config =
            TransportConfig::new(kind, SocketAddr::new(ip, port), SocketAddr::new(ip, port + 1));
        config.ice = self.behaviour.ice.then_some(match self.side {
            Side::Lync => (ice::Dialect::MsIce2, role),
            Side::Standard => (ice::Dialect::Rfc8445, role),
        });
        config.ssrc = 1_000 + u32::from(port);
        let mut seed = self.seed;
        seed[31] ^= port.to_le_bytes()[0];
        let (codec_at_20ms, config_of_dtmf) = (0, DtmfConfig::default());
        self.streams.push(Stream {
            kind,
            transport: MediaTransport::new(config, seed, now),
            key: MediaKey::generate(seed),
            port,
            agreed: None,
            sequence: SequenceNumber(codec_at_20ms),
            layers: BTreeMap::new(),
            timestamp: 90_000,
            next: None,
            sent_audio: Vec::new(),
            received_audio: Vec::new(),
            sent_video: Vec::new(),
            sent_pictures: 0,
            received_video: Vec::new(),
            received_pictures: 0,
            damaged: 0,
            idr_received: 0,
            picture_at: 0,
            packetizer: None,
            depacketizer: None,
            dtmf: DtmfSender::new(config_of_dtmf),
            heard_dtmf: DtmfReceiver::default(),
            digits: String::new(),
            source_requests: Vec::new(),
            keyframe_requests: 0,
            restart: false,
            pairs: None,
            most: usize::MAX,
            ssrcs: Vec::new(),
            sequences: Vec::new(),
        });
    }

    fn local(&self) -> Vec<sdp::LocalMedia> {
        let mut local = Vec::new();
        for stream in &self.streams {
            let width = if stream.kind == StreamKind::Video { 99 } else { 0 };
            local.push(sdp::LocalMedia {
                address: self.media_ip(),
                rtp_port: stream.port,
                rtcp_port: stream.port + 1,
                ice: stream.transport.local_ice().as_ref().map(sdp::LocalIce::from),
                crypto: vec![sdp::Crypto::new(1, stream.key.suite_name(), &stream.key.to_inline())],
                ssrc_range: Some((stream.transport.ssrc(), stream.transport.ssrc() + width)),
                direction: self.direction,
                ..sdp::LocalMedia::default()
            });
        }
        local
    }

    pub(crate) fn poll_sip(&mut self) -> Option<sip::Transmit> {
        let mut transmit = self.ua.poll_transmit()?;
        if self.behaviour.prack_offers && transmit.payload.starts_with(b"PRACK ") {
            let message = sip::Message::parse(&transmit.payload).unwrap();
            self.prack = message.cseq().unwrap().map(|cseq| cseq.number());
            let mut prack = message.to_request().unwrap();
            let local = self.local();
            let (offer, pending) = self.session.offer(&local);
            self.pending = Some(pending);
            prack.set_body(sip::Body::sdp(offer.to_string()));
            transmit.payload = prack.to_bytes();
        }
        if let Some(other) = self.rewrite.as_mut().and_then(|rewrite| rewrite(&transmit.payload)) {
            transmit.payload = other;
        }
        Some(transmit)
    }

    /// The engine keeps answers to its own PRACK to itself.
    fn hear_prack(&mut self, octets: &[u8], now: Instant) {
        let Ok(message) = sip::Message::parse(octets) else { return };
        let Ok(Some(cseq)) = message.cseq() else { return };
        let prack = cseq.method_str() == "PRACK" && message.status().is_some();
        if prack && self.prack.take_if(|number| *number == cseq.number()).is_some() {
            let response = message.to_response().unwrap();
            self.heard.push(format!("prack {}", response.status.as_u16()));
            if response.status.is_success() {
                self.accepted(&response, now);
            }
            self.responses.push(response);
        }
    }

    pub(crate) fn poll_media(&mut self) -> Option<MediaTransmit> {
        self.streams.iter_mut().find_map(|s| s.transport.poll_transmit())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let streams = self.streams.iter().flat_map(|s| [s.next, s.transport.poll_timeout()]);
        streams.flatten().chain(self.ua.poll_timeout()).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.ua.poll_timeout().is_some_and(|at| at <= now) {
            self.ua.handle_timeout(now);
            self.pump(now);
        }
        for stream in &mut self.streams {
            stream.transport.handle_timeout(now);
            stream.tell();
            if stream.next.is_some_and(|at| at <= now) {
                stream.send(self.side, &self.behaviour, now);
            }
        }
    }

    pub(crate) fn handle_sip(&mut self, input: sip::Received<'_>, now: Instant) {
        if self.behaviour.dead {
            return;
        }
        self.hear_prack(input.payload, now);
        self.ua.handle_input(input, now).unwrap();
        self.pump(now);
    }

    pub(crate) fn handle_datagram(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        mut packet: BytesMut,
        now: Instant,
    ) {
        for stream in &mut self.streams {
            if let Ok(incoming) = stream.transport.handle_input(local, remote, &mut packet, now) {
                stream.take(incoming, &packet, now);
                stream.tell();
            }
        }
    }

    fn pump(&mut self, now: Instant) {
        while let Some(event) = self.ua.poll_event() {
            let host = self.focus.as_mut();
            if !host.is_some_and(|host| host.handle(&mut self.ua, &event, now)) {
                self.react(event, now);
            }
        }
    }

    fn react(&mut self, event: UaEvent, now: Instant) {
        match event {
            UaEvent::Invite { session, request, .. } => {
                self.heard.push("INVITE".into());
                self.requests.push(request.clone());
                self.call = Some(session);
                self.incoming(session, &request, now);
            }
            UaEvent::Progress { response, .. } => {
                self.heard.push(response.status.as_u16().to_string());
                if response.headers.require().has("100rel") && !response.body.is_empty() {
                    self.accepted(&response, now);
                }
                self.responses.push(response);
            }
            UaEvent::Accepted { session, response } => {
                self.heard.push("200".into());
                if self.behaviour.delayed {
                    self.answer_in_ack(session, &response, now);
                } else {
                    self.ua.ack(session, Headers::new(), None, now).unwrap();
                    // An answer of before, or that of the INVITE.
                    if self.pending.is_some() && self.waiting.is_none() {
                        self.accepted(&response, now);
                    }
                }
                self.responses.push(response);
            }
            UaEvent::Rejected { response, .. } => {
                self.heard.push(response.status.as_u16().to_string());
                self.responses.push(response);
                self.ended = true;
            }
            UaEvent::Reinvite { id, request, .. } => {
                self.heard.push("re-INVITE".into());
                self.requests.push(request.clone());
                self.offered_later(id, &request, now);
            }
            UaEvent::Response { session, id, response } => {
                self.heard.push(format!("re {}", response.status.as_u16()));
                if self.waiting == Some(id) {
                    self.waiting = None;
                    if !response.status.is_success() {
                        self.pending = None;
                    } else if self.pending.is_none() {
                        self.answer_in_ack(session.unwrap(), &response, now);
                    } else {
                        if response.headers.cseq().unwrap().unwrap().method_str() == "INVITE" {
                            self.ua.ack(session.unwrap(), Headers::new(), None, now).unwrap();
                        }
                        self.accepted(&response, now);
                    }
                }
                self.responses.push(response);
            }
            UaEvent::Request { id, request, .. } if request.method == sip::Method::Subscribe => {
                self.heard.push("SUBSCRIBE".into());
                let (contact, hour) = (self.contact(), Duration::from_secs(3_600));
                let none = Headers::new();
                self.reader = self.ua.accept_subscription(id, &contact, hour, none, now).ok();
            }
            UaEvent::Notified { request, .. } => {
                self.heard.push(request.method.to_string());
                self.requests.push(request);
            }
            UaEvent::SubscriptionRefreshed { subscription, .. } => {
                let end = sip::SubscriptionState::terminated("timeout");
                self.ua.notify(subscription, &end, &Headers::new(), None, now).unwrap();
            }
            UaEvent::Request { id, request, .. } if request.method == sip::Method::Update => {
                self.heard.push("UPDATE".into());
                self.requests.push(request.clone());
                self.offered_later(id, &request, now);
            }
            UaEvent::Request { id, request, .. } => {
                self.heard.push(request.method.to_string());
                self.requests.push(request);
                let _ = self.ua.respond(id, StatusCode::OK, Headers::new(), None, now);
            }
            UaEvent::Cancelled { .. } => {
                self.heard.push("CANCEL".into());
                self.ended = true;
            }
            UaEvent::Ended { cause, .. } => {
                if let sip::EndCause::Bye(request) = cause {
                    self.heard.push("BYE".into());
                    self.requests.push(*request);
                }
                self.ended = true;
                self.streams.iter_mut().for_each(|s| s.next = None);
            }
            // BYEs of several dialogs may cross, and datagrams come twice.
            UaEvent::Refused { .. }
                if self.focus.is_some() || self.behaviour.udp || self.rewrite.is_some() => {}
            // Offers may meet.
            UaEvent::Refused { error: sip::RefusedError::Answered(pending), .. }
                if pending == StatusCode::REQUEST_PENDING => {}
            UaEvent::Refused { error, .. } => panic!("the gateway sent nonsense: {error}"),
            _ => {}
        }
    }

    fn offered_later(&mut self, id: sip::RequestId, request: &sip::Request, now: Instant) {
        if self.pending.is_some() {
            let pending = StatusCode::REQUEST_PENDING;
            self.ua.respond(id, pending, Headers::new(), None, now).unwrap();
            return;
        }
        if !self.behaviour.refuses.is_empty() {
            let status = StatusCode::new(self.behaviour.refuses.remove(0)).unwrap();
            self.ua.respond(id, status, Headers::new(), None, now).unwrap();
            return;
        }
        if self.behaviour.slow {
            self.asked = Some((id, request.clone()));
            return;
        }
        let offer = sdp::SessionDescription::parse(&request.body).unwrap();
        self.offers.push(offer.clone());
        while self.streams.len() < offer.media.len() {
            self.open(StreamKind::Video, ice::Role::Controlled, now);
        }
        let local = self.local();
        let (answer, agreed) = self.session.answer(&offer, &local).unwrap();
        let body = Some(sip::Body::sdp(answer.to_string()));
        self.ua.respond(id, StatusCode::OK, Headers::new(), body, now).unwrap();
        self.connect(&agreed, now);
    }

    fn incoming(&mut self, session: sip::SessionId, request: &sip::Request, now: Instant) {
        let offer = sdp::SessionDescription::parse(&request.body).unwrap();
        self.offers.push(offer.clone());
        if let Some((status, diagnostic)) = self.behaviour.reject {
            let mut headers = Headers::new();
            if let Some(diagnostic) = diagnostic {
                headers.push("ms-diagnostics", diagnostic);
            }
            let status = StatusCode::new(status).unwrap();
            self.ua.reject(session, status, headers, None, now).unwrap();
            return;
        }
        for view in offer.media_views() {
            let kind = match view.kind() {
                sdp::MediaKind::Audio => StreamKind::Audio,
                _ => StreamKind::Video,
            };
            self.open(kind, ice::Role::Controlled, now);
        }
        let ringing = StatusCode::new(180).unwrap();
        self.ua.progress(session, ringing, Headers::new(), None, now).unwrap();
        if self.behaviour.silent {
            return;
        }
        let mut local = self.local();
        if !self.behaviour.video {
            for (entry, stream) in local.iter_mut().zip(&self.streams) {
                if stream.kind == StreamKind::Video {
                    entry.rtp_port = 0;
                }
            }
        }
        match self.session.answer(&offer, &local) {
            Ok((answer, agreed)) => {
                self.answered = Some(answer.to_bytes());
                let mut body = Some(sip::Body::sdp(answer.to_string()));
                if self.behaviour.early {
                    let (early, mut headers) = (StatusCode::new(183).unwrap(), Headers::new());
                    if self.behaviour.reliable {
                        headers.push("Require", "100rel");
                    }
                    self.ua.progress(session, early, headers, body.clone(), now).unwrap();
                    body = body.filter(|_| !self.behaviour.reliable);
                }
                self.held = Some(body);
                self.connect(&agreed, now);
                if !self.behaviour.waits {
                    self.pick_up(now);
                }
            }
            Err(refusal) => {
                let mut headers = Headers::new();
                if refusal.is_encryption_mismatch() {
                    let told = "52017;reason=\"Encryption levels dont match\"";
                    headers.push("ms-client-diagnostics", told);
                }
                let status = StatusCode::new(refusal.status()).unwrap();
                self.ua.reject(session, status, headers, None, now).unwrap();
            }
        }
    }

    /// The 2xx has the offer; the ACK has the answer, where there is one.
    pub(crate) fn answer_in_ack(
        &mut self,
        session: sip::SessionId,
        response: &sip::Response,
        now: Instant,
    ) {
        let offer = sdp::SessionDescription::parse(&response.body).unwrap();
        self.offers.push(offer.clone());
        for view in offer.media_views().skip(self.streams.len()) {
            let video = view.kind() == sdp::MediaKind::Video;
            let kind = if video { StreamKind::Video } else { StreamKind::Audio };
            self.open(kind, ice::Role::Controlled, now);
        }
        let mut local = self.local();
        if !self.behaviour.video {
            local.truncate(1);
        }
        let answer = self.session.answer(&offer, &local).ok();
        let answer = answer.filter(|_| !self.behaviour.owes_answer);
        let body = answer.as_ref().map(|(answer, _)| {
            let text = answer.to_string();
            let clear = |text: &str| {
                let lines = text.lines().filter(|line| !line.starts_with("a=crypto"));
                lines.map(|line| line.replace("RTP/SAVP", "RTP/AVP") + "\r\n").collect()
            };
            sip::Body::sdp(if self.behaviour.answers_in_clear { clear(&text) } else { text })
        });
        self.ua.ack(session, Headers::new(), body, now).unwrap();
        if let Some((_, agreed)) = answer {
            self.connect(&agreed, now);
        }
    }

    fn accepted(&mut self, response: &sip::Response, now: Instant) {
        let answer = sdp::SessionDescription::parse(&response.body).unwrap();
        self.answers.push(answer.clone());
        let agreed = self.pending.take().unwrap().accept(&answer).expect("a usable answer");
        self.connect(&agreed, now);
    }

    fn connect(&mut self, agreed: &sdp::Agreed, now: Instant) {
        self.agreed = Some(agreed.clone());
        for (stream, media) in self.streams.iter_mut().zip(&agreed.media) {
            if !media.accepted {
                stream.next = None;
                continue;
            }
            let agreed = AgreedStream::try_from(media).unwrap();
            stream
                .transport
                .connect(
                    agreed.remote.clone(),
                    agreed.send_key.clone(),
                    agreed.receive_key.clone(),
                    now,
                )
                .unwrap();
            stream.set_codecs(&agreed, &self.behaviour);
            stream.next = agreed.sends.then_some(stream.next.unwrap_or(now));
            stream.agreed = Some(agreed);
        }
    }
}

impl Stream {
    fn set_codecs(&mut self, agreed: &AgreedStream, behaviour: &Behaviour) {
        if self.kind != StreamKind::Video || self.packetizer.is_some() {
            return;
        }
        let Some(format) = agreed.formats.first() else { return };
        let (config, payload_format) = match format.codec {
            StreamCodec::H264Uc => (PacketizerConfig::uc_svc(1_100), PayloadFormat::UcSvc),
            _ if behaviour.single_nal => {
                (PacketizerConfig::avc(PacketizationMode::SingleNal, 1_200), PayloadFormat::Avc)
            }
            _ => (
                PacketizerConfig::avc(PacketizationMode::NonInterleaved, 1_100),
                PayloadFormat::Avc,
            ),
        };
        self.packetizer = Some(Packetizer::new(config));
        self.depacketizer = Some(Depacketizer::new(DepacketizerConfig::new(payload_format)));
    }

    fn tell(&mut self) {
        while let Some(event) = self.transport.poll_event() {
            if let TransportEvent::Connected { pairs } = event {
                self.pairs = Some(pairs);
            }
        }
    }

    fn send(&mut self, side: Side, behaviour: &Behaviour, now: Instant) {
        match self.kind {
            StreamKind::Audio => self.send_audio(now),
            StreamKind::Video => self.send_video(side, behaviour, now),
        }
    }

    fn send_audio(&mut self, now: Instant) {
        self.next = Some(now + Duration::from_millis(20));
        self.timestamp = self.timestamp.wrapping_add(160);
        if !self.transport.is_connected() {
            return;
        }
        let Some(agreed) = &self.agreed else { return };
        let event = agreed.formats.iter().find(|f| f.codec == StreamCodec::TelephoneEvent);
        if let Some(packet) = self.dtmf.poll_packet(now, self.timestamp)
            && let Some(event) = event
        {
            let header = RtpHeader {
                marker: packet.marker,
                payload_type: PayloadType(event.send),
                sequence: self.sequence,
                timestamp: packet.timestamp,
                ssrc: Ssrc(self.transport.ssrc()),
            };
            self.sequence = self.sequence.next();
            let mut octets = Vec::new();
            header.write_packet(&packet.payload, &mut octets);
            self.transport.send_rtp(BytesMut::from(&octets[..]), now).unwrap();
            return;
        }
        if self.dtmf.is_sending() || self.sent_audio.len() >= self.most {
            return;
        }
        let Some(format) = agreed.formats.first() else { return };
        // Every packet is different, and tells where it is from.
        let mut payload = vec![self.port.to_le_bytes()[0]; 160];
        payload[..4].copy_from_slice(&(self.sent_audio.len() as u32).to_be_bytes());
        let header = RtpHeader {
            marker: false,
            payload_type: PayloadType(format.send),
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: Ssrc(self.transport.ssrc()),
        };
        self.sequence = self.sequence.next();
        let mut octets = Vec::new();
        header.write_packet(&payload, &mut octets);
        self.transport.send_rtp(BytesMut::from(&octets[..]), now).unwrap();
        self.sent_audio.push(payload);
    }

    fn send_video(&mut self, side: Side, behaviour: &Behaviour, now: Instant) {
        self.next = Some(now + behaviour.interval);
        let ticks = u32::try_from(behaviour.interval.as_millis() * 90).unwrap();
        if behaviour.repeats_timestamp_at != Some(self.sent_pictures) {
            self.timestamp = self.timestamp.wrapping_add(ticks);
        }
        let waits = side == Side::Lync && behaviour.waits_for_source_request;
        if !self.transport.is_connected() || (waits && self.source_requests.is_empty()) {
            return;
        }
        if self.sent_pictures >= self.most {
            return;
        }
        if core::mem::take(&mut self.restart) {
            // The streams have few keyframes: a request starts them again.
            self.picture_at = 0;
        }
        let Some(agreed) = &self.agreed else { return };
        let Some(payload_type) = agreed.formats.first().map(|f| f.send) else { return };
        // Over and over.
        let count = behaviour.picture.len();
        let Some(unit) = behaviour.picture.get(self.picture_at % count) else { return };
        self.picture_at += 1;
        self.sent_pictures += 1;
        self.sent_video.extend_from_slice(unit.annex_b());
        let Some(packetizer) = &mut self.packetizer else { return };
        for payload in packetizer.packetize(unit).iter() {
            // Lync sends each layer with an SSRC of its own, SIPE all on one.
            let layer = if behaviour.source_per_layer { payload.prid() } else { 0 };
            let sequence = self.layers.entry(layer).or_insert(self.sequence);
            let header = RtpHeader {
                marker: payload.marker,
                payload_type: PayloadType(payload_type),
                sequence: *sequence,
                timestamp: self.timestamp,
                ssrc: Ssrc(self.transport.ssrc() + u32::from(layer)),
            };
            *sequence = sequence.next();
            let mut octets = Vec::new();
            header.write_packet(&payload.to_vec(), &mut octets);
            self.transport.send_rtp(BytesMut::from(&octets[..]), now).unwrap();
        }
    }

    fn take(&mut self, incoming: Incoming, packet: &[u8], _now: Instant) {
        match incoming {
            Incoming::Consumed => {}
            Incoming::Rtp(len) => self.take_rtp(&packet[..len]),
            Incoming::Rtcp(len) => self.take_rtcp(&packet[..len]),
        }
    }

    fn take_rtp(&mut self, packet: &[u8]) {
        let view = RtpPacket::parse(packet).unwrap();
        let header = view.header();
        if !self.ssrcs.contains(&header.ssrc.0) {
            self.ssrcs.push(header.ssrc.0);
        }
        self.sequences.push(header.sequence.0);
        let agreed = self.agreed.as_ref().unwrap();
        let format = agreed.formats.iter().find(|f| f.receive == header.payload_type.0);
        let format = format.unwrap_or_else(|| panic!("payload type {}", header.payload_type));
        match format.codec {
            StreamCodec::TelephoneEvent => {
                let event = self.heard_dtmf.on_packet(header.timestamp, view.payload()).unwrap();
                self.digits.extend(event.and_then(|e| e.to_char()));
            }
            StreamCodec::H264Uc | StreamCodec::H264 { .. } => {
                let meta = PayloadMeta {
                    ssrc: header.ssrc.0,
                    sequence: header.sequence.0,
                    timestamp: header.timestamp,
                    marker: header.marker,
                };
                let depacketizer = self.depacketizer.as_mut().unwrap();
                let _ = depacketizer.push(meta, view.payload());
                while let Some(unit) = depacketizer.poll_access_unit() {
                    self.received_pictures += 1;
                    self.damaged += usize::from(unit.is_damaged());
                    self.idr_received += usize::from(unit.is_idr());
                    self.received_video.extend_from_slice(unit.annex_b());
                }
            }
            _ => self.received_audio.push(view.payload().to_vec()),
        }
    }

    fn take_rtcp(&mut self, packet: &[u8]) {
        for packet in Compound::parse(packet).unwrap().packets().flatten() {
            match packet {
                RtcpPacket::Pli(_) | RtcpPacket::Fir(_) => {
                    self.keyframe_requests += 1;
                    self.restart = true;
                }
                RtcpPacket::ApplicationFeedback(feedback) => {
                    if let Ok(ms::Feedback::VideoSourceRequest(request)) =
                        ms::Feedback::parse(&feedback)
                    {
                        self.source_requests.push(request);
                    }
                }
                _ => {}
            }
        }
    }
}

fn profile(side: Side, behaviour: &Behaviour) -> sdp::Profile {
    let mut profile = match side {
        Side::Lync => sdp::Profile::lync(),
        Side::Standard => sdp::Profile::standard(),
    };
    profile.encryption = behaviour.encryption;
    profile.ice = match (side, behaviour.ice) {
        (_, false) => sdp::IceMode::None,
        (Side::Lync, true) => sdp::IceMode::MsIce2,
        (Side::Standard, true) => sdp::IceMode::Rfc8445,
    };
    if behaviour.single_nal {
        profile.video = vec![sdp::Codec::h264("42e01f", 0)];
    }
    if behaviour.one_codec {
        profile.audio = vec![sdp::Codec::pcma(), sdp::Codec::telephone_event()];
    }
    if behaviour.odd_codecs {
        profile.audio = vec![sdp::Codec::opus()];
        profile.video = Vec::new();
    }
    profile
}

/// The two-part body of a Lync client: a stub for old servers, then the real one.
fn multipart(description: &str) -> String {
    format!(
        "------=_Part\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: 7bit\r\n\
         Content-ID: <old@example.test>\r\n\
         Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n\r\n\
         o=- 0 0 IN IP4 192.0.2.31\r\ns=session\r\nm=audio 0 RTP/AVP\r\n\r\n------=_Part\r\n\
         Content-Type: application/sdp\r\nContent-Transfer-Encoding: 7bit\r\n\
         Content-ID: <new@example.test>\r\nContent-Disposition: session; handling=optional\r\n\r\n\
         {description}\r\n------=_Part--\r\n"
    )
}
