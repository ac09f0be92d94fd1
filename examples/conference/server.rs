//! The conferencing server's media: every sound that comes is counted and sent back.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linkspan_sdp as sdp;
use tokio::net::UdpSocket;

/// The sound of one participant.
#[derive(Debug)]
pub(crate) struct Leg {
    heard: Arc<AtomicU64>,
    echo: tokio::task::JoinHandle<()>,
}

impl Leg {
    /// Answers an offer, on sockets of its own.
    pub(crate) fn answer(offer: &str, ip: IpAddr) -> io::Result<(Self, String)> {
        let offer = sdp::SessionDescription::parse(offer.as_bytes()).map_err(io::Error::other)?;
        let (rtp, rtcp) = (bind(ip)?, bind(ip)?);
        let local = sdp::LocalMedia {
            address: ip,
            rtp_port: rtp.local_addr()?.port(),
            rtcp_port: rtcp.local_addr()?.port(),
            ssrc_range: Some((OWN_SSRC, OWN_SSRC)),
            ..sdp::LocalMedia::default()
        };
        let profile = sdp::Profile {
            encryption: sdp::EncryptionLevel::None,
            ice: sdp::IceMode::None,
            ..sdp::Profile::lync()
        };
        let answered = sdp::Session::new(profile).answer(&offer, &[local]);
        let (answer, _) = answered.map_err(io::Error::other)?;
        let heard = Arc::new(AtomicU64::new(0));
        let echo = tokio::spawn(echo(rtp, rtcp, heard.clone()));
        Ok((Self { heard, echo }, answer.to_string()))
    }

    /// RTP packets that have come so far.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.echo.abort();
    }
}

fn bind(ip: IpAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(ip, 0))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// `rtcp` is held so that what comes there finds somebody.
async fn echo(rtp: UdpSocket, rtcp: UdpSocket, heard: Arc<AtomicU64>) {
    let mut packet = [0; 2_048];
    let mut report = [0; 2_048];
    loop {
        tokio::select! {
            received = rtp.recv_from(&mut packet) => {
                let Ok((length, from)) = received else { continue };
                let Some(packet) = packet.get_mut(..length) else { continue };
                if let Some(ssrc) = packet.get_mut(8..12) {
                    heard.fetch_add(1, Ordering::Relaxed);
                    ssrc.copy_from_slice(&OWN_SSRC.to_be_bytes());
                    let _ = rtp.send_to(packet, from).await;
                }
            }
            _ = rtcp.recv_from(&mut report) => {}
        }
    }
}

const OWN_SSRC: u32 = 0x00C0_FFEE;
