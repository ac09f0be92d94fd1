//! Our relay as a process: the media threads of a gateway, with streams that nobody had to agree on.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};

use linkspan_examples::{MediaThreads, Tap};
use linkspan_gateway::{
    AgreedStream, CallId, MediaCommand, MediaEvent, RemoteMedia, Side, StreamCodec, StreamFormat,
    StreamId, StreamKind, TransportConfig,
};

use crate::streams::{H264, PCMU, Places, UC, key};
use crate::{Arguments, Kind};

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (mut threads, mut events) =
        MediaThreads::start(arguments.threads, &Tap::closed(), "", HashMap::new())?;
    let places = Places::new(arguments);
    let kind = if arguments.kind == Kind::Video { StreamKind::Video } else { StreamKind::Audio };
    for stream in 0..arguments.streams {
        for side in [Side::Lync, Side::Standard] {
            let id = StreamId { call: CallId(u64::from(stream)), side, index: 0 };
            let (sockets, remote) = match side {
                Side::Lync => (places.inner(stream), places.sender(stream)),
                Side::Standard => (places.outer(stream), places.receiver(stream)),
            };
            let [rtp, rtcp] = sockets;
            let mut config = Box::new(TransportConfig::new(kind, rtp, rtcp));
            config.ssrc = 1_000_000 + u32::from(stream);
            let mut agreed = Box::new(AgreedStream::new(RemoteMedia::new(remote)));
            let way = if side == Side::Lync { 0 } else { 2 };
            agreed.receive_key = Some(key(stream, way));
            agreed.send_key = Some(key(stream, way + 1));
            agreed.formats = vec![format(kind, side)];
            threads.command(MediaCommand::Bind { stream: id, sockets: sockets.to_vec() });
            threads.command(MediaCommand::Open { stream: id, config });
            threads.command(MediaCommand::Connect { stream: id, agreed });
        }
    }
    threads.wake();
    let mut opened = 0;
    while opened < 2 * arguments.streams {
        match events.blocking_recv() {
            Some(MediaEvent::Opened { .. }) => opened += 1,
            Some(MediaEvent::BindFailed { reason, .. } | MediaEvent::OpenFailed { reason, .. }) => {
                return Err(reason.into());
            }
            Some(_) => {}
            None => return Err("the media threads are gone".into()),
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let (mut received, mut sent) = (0, 0);
        for answer in threads.ask() {
            for (stream, figures) in answer.blocking_recv()? {
                match stream.side {
                    Side::Lync => received += figures.received.packets,
                    Side::Standard => sent += figures.sent.packets,
                }
            }
        }
        writeln!(out, "{received} {sent}")?;
        out.flush()?;
    }
    Ok(())
}

fn format(kind: StreamKind, side: Side) -> StreamFormat {
    let (number, codec) = match (kind, side) {
        (StreamKind::Audio, _) => (PCMU, StreamCodec::Pcmu),
        (StreamKind::Video, Side::Lync) => (UC, StreamCodec::H264Uc),
        (StreamKind::Video, Side::Standard) => (H264, StreamCodec::H264 { single_nal: false }),
    };
    StreamFormat { send: number, receive: number, codec }
}
