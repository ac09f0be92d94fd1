//! An endpoint that places and takes audio and video calls, in the dialect of either world.

mod audio;
mod call;
mod convert;
mod g722;
mod lync;
mod outcome;
mod setup;
mod stream;
mod video;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use linkspan_gateway::Side;
use linkspan_sdp as sdp;
use linkspan_sip as sip;
use sip::UserAgent;
use tokio::sync::mpsc;

use self::call::Call;
use self::lync::{FrontEnd, Identity};
use crate::{Datagram, MediaNet, Report, SipInput, SipNet, Tap, Tls, fresh_seed, random_octets};

pub use outcome::{CallError, CallReport, StreamReport};
pub use video::VideoClip;

/// Who an endpoint is and how it speaks.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Its name in the call ladder.
    pub party: String,
    /// The world that it belongs to: everything that is different there follows from this.
    pub side: Side,
    /// Display name.
    pub display: String,
    /// User part of its address.
    pub user: String,
    /// Host part of its address.
    pub domain: String,
    /// What carries its signalling.
    pub transport: sip::Transport,
    /// Where it is to be called.
    pub listen: SocketAddr,
    /// Whether it takes calls at all; without a certificate it cannot over TLS.
    pub accepts: bool,
    /// Where its own calls go, whatever their address.
    pub proxy: Option<SocketAddr>,
    /// Local address of its media.
    pub media_address: IpAddr,
    /// How far SRTP is demanded.
    pub encryption: sdp::EncryptionLevel,
    /// How the media path is found.
    pub ice: sdp::IceMode,
    /// RTP and RTCP on one port, where the peer agrees.
    pub rtcp_mux: bool,
    /// Packetization modes of H.264 that it takes, in order of preference; used on the standards
    /// side.
    pub packetization_modes: Vec<u8>,
}

impl EndpointConfig {
    /// An endpoint on loopback with the usual settings of its world: TLS, MS-ICE2 and required
    /// encryption on the Lync side; TCP, RFC 8445 and required encryption on the other.
    pub fn new(side: Side, party: &str, user: &str, domain: &str) -> Self {
        let address = IpAddr::from([127, 0, 0, 1]);
        let (transport, ice) = match side {
            Side::Lync => (sip::Transport::Tls, sdp::IceMode::MsIce2),
            Side::Standard => (sip::Transport::Tcp, sdp::IceMode::Rfc8445),
        };
        Self {
            party: party.to_owned(),
            side,
            display: party.to_owned(),
            user: user.to_owned(),
            domain: domain.to_owned(),
            transport,
            listen: SocketAddr::new(address, 0),
            accepts: true,
            proxy: None,
            media_address: address,
            encryption: sdp::EncryptionLevel::Required,
            ice,
            rtcp_mux: false,
            packetization_modes: vec![1],
        }
    }
}

/// What an endpoint does in a call.
#[derive(Clone, Debug, Default)]
pub struct CallPlan {
    /// What it says: µ-law at 8,000 Hz, 160 octets a packet. Empty: silence.
    pub audio: Vec<u8>,
    /// What it dials when it has said that.
    pub digits: String,
    /// What it shows; `None` shows nothing but takes what it is shown.
    pub video: Option<VideoClip>,
    /// Whether the call has video at all.
    pub without_video: bool,
    /// Both begin anew when they end.
    pub repeats: bool,
    /// Asks for one more keyframe when the peer's pictures have stopped.
    pub asks_for_refresh: bool,
    /// Hangs up by itself when all is said and seen.
    pub hangs_up: bool,
    /// Hangs up after this time in any case, counted from the answer.
    pub longest: Option<Duration>,
}

/// One endpoint with its sockets; one call at a time.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    address: SocketAddr,
    identity: Identity,
    front_end: Option<FrontEnd>,
    agent: UserAgent,
    sip: SipNet,
    sip_input: mpsc::Receiver<SipInput>,
    media: MediaNet,
    media_input: mpsc::Receiver<Datagram>,
    report: Report,
}

impl Endpoint {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When an address is taken, TLS is asked for without a certificate, or there is no
    /// randomness.
    pub async fn start(
        config: EndpointConfig,
        tls: Option<Tls>,
        tap: Tap,
        report: Report,
    ) -> io::Result<Self> {
        let (sip, sip_input) = SipNet::new(&config.party, tls, tap.clone());
        let (media, media_input) = MediaNet::new(&config.party, tap);
        let address = if config.accepts {
            sip.listen(config.transport, config.listen).await?
        } else {
            SocketAddr::new(config.listen.ip(), config.transport.default_port())
        };
        let lync = config.side == Side::Lync;
        let agent = sip::UaConfig {
            product: if lync { LYNC_PRODUCT } else { "linkspan-endpoint" }.to_owned(),
            dialect: if lync { sip::Dialect::Lync } else { sip::Dialect::Standard },
            ..sip::UaConfig::default()
        };
        // Without a listener the way back is the client's own connection.
        let front_end = if lync && config.accepts {
            Some(FrontEnd::new(config.transport, address, random_octets()?))
        } else {
            None
        };
        Ok(Self {
            identity: setup::identity(&config)?,
            agent: UserAgent::new(agent, fresh_seed()?, Instant::now()),
            config,
            address,
            front_end,
            sip,
            sip_input,
            media,
            media_input,
            report,
        })
    }

    /// Where it is to be called.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets where its own calls go.
    pub fn set_proxy(&mut self, proxy: SocketAddr) {
        self.config.proxy = Some(proxy);
    }

    /// The name that the certificate of the proxy must carry, where that is not its address.
    pub fn expect_name(&self, name: &str) {
        if let Some(proxy) = self.config.proxy {
            self.sip.expect_name(proxy, name);
        }
    }

    /// What the gateway did not give back as it was given, on the Lync side: routes and Vias of
    /// the front end.
    pub fn faults(&self) -> &[String] {
        self.front_end.as_ref().map_or(&[], |front_end| &front_end.faults)
    }

    /// What it is called by others.
    pub fn uri(&self) -> String {
        format!("sip:{}@{}", self.config.user, self.config.domain)
    }

    /// Calls `uri` and stays in the call to its end.
    ///
    /// # Errors
    /// [`CallError`]: the call was refused, was lost, or carried no media.
    pub async fn call(&mut self, uri: &str, plan: &CallPlan) -> Result<CallReport, CallError> {
        Call::place(self, uri, plan)?.run().await
    }

    /// Takes the next call, waiting for it for `patience`, and stays in it to its end.
    ///
    /// # Errors
    /// [`CallError`]: nobody called, or the call was lost.
    pub async fn answer(
        &mut self,
        plan: &CallPlan,
        patience: Duration,
    ) -> Result<CallReport, CallError> {
        Call::wait(self, plan, patience)?.run().await
    }
}

const LYNC_PRODUCT: &str = "UCCAPI/15.0.4569.1503 OC/15.0.4569.1503 (Microsoft Lync)";
