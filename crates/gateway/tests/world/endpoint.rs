//! One scripted end of a call: signalling, and real media through the crate's own transport.

pub(crate) mod behaviour;
mod reactions;
mod stream;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::BytesMut;
use linkspan_gateway::{
    MediaKey, MediaTransmit, MediaTransport, Side, StreamKind, TransportConfig,
};
use linkspan_ice as ice;
use linkspan_rtp::ms;
use linkspan_rtp::{DtmfConfig, DtmfReceiver, DtmfSender, Pli, SequenceNumber, Ssrc};
use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sip::{Headers, NameAddr, Uri};

pub(crate) use behaviour::Behaviour;
use behaviour::profile;
pub(crate) use stream::Stream;

/// A scripted end.
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
