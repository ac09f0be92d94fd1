//! As much of rtpengine's control protocol as two SDP descriptions need: bencoded dictionaries over
//! UDP.

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use crate::Kind;
use crate::streams::key;

/// Commands rtpengine.
pub(crate) struct Ng {
    socket: UdpSocket,
    cookie: u128,
}

impl Ng {
    pub(crate) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(address.ip(), 0))?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        // Cookies are remembered beyond a connection.
        let cookie = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Self { socket, cookie: cookie.unwrap_or_default().as_micros() })
    }

    /// Sets a stream up, in clear from the sender and with SRTP to the receiver; gives the address
    /// that it is to be sent to.
    pub(crate) fn call(
        &mut self,
        stream: u16,
        (sender, receiver): (SocketAddr, SocketAddr),
        _kind: Kind,
    ) -> Result<SocketAddr, Box<dyn Error>> {
        let id = name(stream);
        let offer = self.ask(&[
            ("command", Value::Text("offer")),
            ("call-id", Value::Text(&id)),
            ("from-tag", Value::Text("a")),
            ("sdp", Value::Text(&description(sender, "RTP/AVP", ""))),
            ("ICE", Value::Text("remove")),
            ("DTLS", Value::Text("off")),
            ("transport-protocol", Value::Text("RTP/SAVP")),
            ("replace", Value::List(&["origin", "session-connection"])),
        ])?;
        let mut offered = offer.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
        let tag = offered
            .find(|line| line.contains("AES_CM_128_HMAC_SHA1_80"))
            .and_then(|line| line.split(' ').next())
            .ok_or("rtpengine offers no AES_CM_128_HMAC_SHA1_80")?;
        let key = key(stream, 2);
        let crypto = format!("a=crypto:{tag} {} {}\r\n", key.suite_name(), key.to_inline());
        let answer = self.ask(&[
            ("command", Value::Text("answer")),
            ("call-id", Value::Text(&id)),
            ("from-tag", Value::Text("a")),
            ("to-tag", Value::Text("b")),
            ("sdp", Value::Text(&description(receiver, "RTP/SAVP", &crypto))),
            ("ICE", Value::Text("remove")),
            ("replace", Value::List(&["origin", "session-connection"])),
        ])?;
        let media = answer.lines().find_map(|line| line.strip_prefix("m=audio "));
        let port =
            media.and_then(|media| media.split(' ').next()).ok_or("no port in the answer")?;
        Ok(SocketAddr::new(sender.ip(), port.parse()?))
    }

    pub(crate) fn delete(&mut self, streams: u16) -> Result<(), Box<dyn Error>> {
        for stream in 0..streams {
            self.ask(&[
                ("command", Value::Text("delete")),
                ("call-id", Value::Text(&name(stream))),
                ("from-tag", Value::Text("a")),
            ])?;
        }
        Ok(())
    }

    fn ask(&mut self, entries: &[(&str, Value<'_>)]) -> Result<String, Box<dyn Error>> {
        self.cookie += 1;
        // The answer to a cookie is given again to whoever comes with it again.
        let cookie = format!("{}-{}", std::process::id(), self.cookie);
        let mut entries = entries.to_vec();
        entries.sort_by_key(|(key, _)| *key);
        let mut request = format!("{cookie} d");
        for (key, value) in &entries {
            text(&mut request, key);
            match value {
                Value::Text(value) => text(&mut request, value),
                Value::List(items) => {
                    request.push('l');
                    items.iter().for_each(|item| text(&mut request, item));
                    request.push('e');
                }
            }
        }
        request.push('e');
        self.socket.send(request.as_bytes())?;
        let mut answer = vec![0; 65_536];
        loop {
            let read = self.socket.recv(&mut answer)?;
            let answer = String::from_utf8_lossy(answer.get(..read).unwrap_or_default());
            let Some(answer) = answer.strip_prefix(&format!("{cookie} ")) else { continue };
            if !answer.contains("6:result2:ok") {
                return Err(format!("rtpengine: {answer}").into());
            }
            // The description is the only thing with lines in it.
            return Ok(answer.to_owned());
        }
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    List(&'a [&'a str]),
}

fn text(out: &mut String, text: &str) {
    out.push_str(&format!("{}:{text}", text.len()));
}

fn name(stream: u16) -> String {
    format!("relay-bench-{}-{stream}", std::process::id())
}

fn description(at: SocketAddr, profile: &str, more: &str) -> String {
    let (ip, port) = (at.ip(), at.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\n{more}a=sendrecv\r\n"
    )
}
