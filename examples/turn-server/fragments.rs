//! What a relay socket can be told about fragmentation, and what it tells of packets that did not
//! arrive (RFC 8656 §14, §11.5).

use std::io;
use std::net::SocketAddr;

use linkspan_turn::IcmpError;
use tokio::net::UdpSocket;

#[cfg(target_os = "linux")]
pub(crate) use linux::{IS_SUPPORTED, errors, prepare, send_whole};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{IS_SUPPORTED, errors, prepare, send_whole};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd;

    use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };

    use super::{IcmpError, SocketAddr, UdpSocket, io};

    pub(crate) const IS_SUPPORTED: bool = true;

    /// Packets may be fragmented, and errors are kept with the addresses that they are about.
    pub(crate) fn prepare(socket: &UdpSocket) -> io::Result<()> {
        let local = socket.local_addr()?;
        may_fragment(socket, local)?;
        match local {
            SocketAddr::V4(_) => setsockopt(socket, Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    /// Sends a packet that nobody may fragment.
    pub(crate) fn send_whole(
        socket: &UdpSocket,
        local: SocketAddr,
        data: &[u8],
        remote: SocketAddr,
    ) -> io::Result<()> {
        match local {
            SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?,
            SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?,
        }
        let sent = socket.try_send_to(data, remote);
        may_fragment(socket, local)?;
        sent.map(drop)
    }

    /// The errors that wait at a socket, each with the peer that a packet was for.
    pub(crate) fn errors(socket: &UdpSocket) -> Vec<(SocketAddr, IcmpError)> {
        let mut found = Vec::new();
        // The kernel keeps a part of the packet: nothing that is needed here.
        let mut packet = [0; 64];
        let mut control = nix::cmsg_space!(nix::libc::sock_extended_err, nix::libc::sockaddr_in6);
        while found.len() < MOST {
            let mut parts = [IoSliceMut::new(&mut packet)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let received = recvmsg::<SockaddrStorage>(
                socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                flags,
            );
            let Ok(received) = received else { break };
            let peer = received.address.as_ref().and_then(socket_address);
            let Ok(messages) = received.cmsgs() else { continue };
            for message in messages {
                let (ControlMessageOwned::Ipv4RecvErr(error, _)
                | ControlMessageOwned::Ipv6RecvErr(error, _)) = message
                else {
                    continue;
                };
                found.extend(peer.zip(icmp(&error, peer.is_some_and(|peer| peer.is_ipv6()))));
            }
        }
        found
    }

    /// A packet too large for the first link never left: the same as if a router had said so.
    fn icmp(error: &nix::libc::sock_extended_err, is_ipv6: bool) -> Option<IcmpError> {
        let (kind, code) = match error.ee_origin {
            nix::libc::SO_EE_ORIGIN_ICMP | nix::libc::SO_EE_ORIGIN_ICMP6 => {
                (error.ee_type, error.ee_code)
            }
            nix::libc::SO_EE_ORIGIN_LOCAL
                if i32::try_from(error.ee_errno) == Ok(nix::libc::EMSGSIZE) =>
            {
                if is_ipv6 {
                    (2, 0)
                } else {
                    (3, 4)
                }
            }
            _ => return None,
        };
        Some(IcmpError { kind, code, data: error.ee_info })
    }

    fn may_fragment(socket: &UdpSocket, local: SocketAddr) -> io::Result<()> {
        match local {
            SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?,
            SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT)?,
        }
        Ok(())
    }

    fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = address.as_sockaddr_in().map(|v4| (v4.ip(), v4.port()).into());
        let v6 = || address.as_sockaddr_in6().map(|v6| (v6.ip(), v6.port()).into());
        v4.or_else(v6)
    }

    /// Errors taken at a time.
    const MOST: usize = 64;
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{IcmpError, SocketAddr, UdpSocket, io};

    pub(crate) const IS_SUPPORTED: bool = false;

    pub(crate) fn prepare(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn send_whole(
        _: &UdpSocket,
        _: SocketAddr,
        _: &[u8],
        _: SocketAddr,
    ) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn errors(_: &UdpSocket) -> Vec<(SocketAddr, IcmpError)> {
        Vec::new()
    }
}
