#!/usr/bin/python3
"""A GStreamer endpoint calls: its offer is printed and our answer is read by GStreamer's own SDP
library, whose caps of it the sound and the picture then follow over RTP.

    gst_call.py LOCAL-IP TARGET-URI GATEWAY-IP:PORT SECONDS OUT-FOLDER

Prints what it answered to and what arrived; leaves heard.wav in the folder.
"""

import json
import os
import re
import socket
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import Gio, Gst, GstSdp  # noqa: E402

LOCAL, TARGET, GATEWAY, SECONDS, OUT = sys.argv[1:]
SIP_PORT = 5074
# Kind, port, payload type, and its attributes.
STREAMS = [
    ("audio", 42000, 8, [("rtpmap", "8 PCMA/8000"), ("ptime", "20")]),
    ("video", 42002, 97, [("rtpmap", "97 H264/90000"),
                          ("fmtp", "97 packetization-mode=1;profile-level-id=42e01f")]),
]
SEND = {
    "audio": "audiotestsrc is-live=true freq=550 ! audio/x-raw,rate=8000,channels=1 ! alawenc ! "
             "rtppcmapay pt={pt} ! udpsink name=sink",
    "video": "videotestsrc is-live=true pattern=ball ! video/x-raw,width=352,height=288,"
             "framerate=15/1 ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 "
             "key-int-max=15 ! video/x-h264,profile=constrained-baseline ! "
             "rtph264pay pt={pt} mtu=1200 config-interval=-1 ! udpsink name=sink",
}
RECEIVE = {
    "audio": "udpsrc name=source ! rtpjitterbuffer ! rtppcmadepay ! alawdec ! wavenc ! "
             "filesink location={out}/heard.wav",
    "video": "udpsrc name=source ! rtpjitterbuffer ! rtph264depay ! avdec_h264 ! "
             "fakesink name=pictures sync=false signal-handoffs=true",
}


def offer():
    lines = ["v=0", f"o=- 1 1 IN IP4 {LOCAL}", "s=gstreamer", f"c=IN IP4 {LOCAL}", "t=0 0"]
    for kind, port, payload, attributes in STREAMS:
        lines.append(f"m={kind} {port} RTP/AVP {payload}")
        lines += [f"a={name}:{value}" for name, value in attributes]
    # As GStreamer prints it: building it there from caps crashes in 1.22's Python bindings.
    result, message = GstSdp.SDPMessage.new_from_text("\r\n".join([*lines, ""]))
    assert result == GstSdp.SDPResult.OK, result
    return message.as_text()


class Call:
    """One INVITE over UDP, and what it needs: no more of SIP than a test wants."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOCAL, SIP_PORT))
        host, port = GATEWAY.rsplit(":", 1)
        self.gateway = (host, int(port))
        self.id, self.to, self.cseq = f"gst-{os.getpid()}@{LOCAL}", f"<{TARGET}>", 1

    def send(self, method, body=""):
        lines = [
            f"{method} {TARGET} SIP/2.0",
            f"Via: SIP/2.0/UDP {LOCAL}:{SIP_PORT};branch=z9hG4bK{method}{self.cseq}{os.getpid()};rport",
            f"From: <sip:gst@{LOCAL}>;tag=gst", f"To: {self.to}", f"Call-ID: {self.id}",
            f"CSeq: {self.cseq} {method}", f"Contact: <sip:gst@{LOCAL}:{SIP_PORT}>",
            "Max-Forwards: 70",
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        text = "\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "", body])
        self.socket.sendto(text.encode(), self.gateway)

    def response(self, method):
        """The final response; the To tag is taken from it."""
        self.socket.settimeout(20)
        while True:
            text = self.socket.recv(65535).decode()
            status = int(text.split(" ", 2)[1]) if text.startswith("SIP/2.0") else 0
            if status >= 200 and re.search(rf"(?im)^CSeq: *\d+ {method}", text):
                self.to = re.search(r"(?im)^To: *(.*?)\r?$", text).group(1)
                return status, text.split("\r\n\r\n", 1)[1]


def media_streams(answer):
    """What GStreamer makes of an answer: kind, payload type, caps, address, port of each stream."""
    result, message = GstSdp.SDPMessage.new_from_text(answer)
    assert result == GstSdp.SDPResult.OK, result
    for index in range(message.medias_len()):
        media = message.get_media(index)
        if media.get_port() == 0:
            continue
        payload = int(media.get_format(0))
        caps = media.get_caps_from_media(payload)
        assert caps is not None, f"no caps for {payload}"
        rtp = Gst.Caps.from_string(caps.to_string().replace("application/x-unknown", "application/x-rtp"))
        connection = media.get_connection(0) if media.connections_len() else message.get_connection()
        yield index, media.get_media(), payload, rtp, connection.address, media.get_port()


def run(pipeline_text, name, shared, **properties):
    pipeline = Gst.parse_launch(pipeline_text)
    element = pipeline.get_by_name(name)
    element.set_property("socket", shared)
    element.set_property("close-socket", False)
    for key, value in properties.items():
        element.set_property(key, value)
    pipeline.set_state(Gst.State.PLAYING)
    return pipeline


def main():
    Gst.init(None)
    call = Call()
    call.send("INVITE", offer())
    status, answer = call.response("INVITE")
    call.send("ACK")
    if status != 200:
        raise SystemExit(f"FAILED: {status} {answer}")
    pictures, pipelines, sockets = [], [], []
    for index, kind, payload, caps, host, port in media_streams(answer):
        own = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, Gio.SocketProtocol.UDP)
        own.bind(Gio.InetSocketAddress.new_from_string(LOCAL, STREAMS[index][1]), True)
        sockets.append(own)
        receive = run(RECEIVE[kind].format(out=OUT), "source", own, caps=caps)
        send = run(SEND[kind].format(pt=payload), "sink", own, host=host, port=port)
        pipelines += [receive, send]
        if kind == "video":
            sink = receive.get_by_name("pictures")
            sink.connect("handoff", lambda *_: pictures.append(1))
        print(json.dumps({"kind": kind, "payload": payload, "caps": caps.to_string()}), flush=True)
    time.sleep(float(SECONDS))
    for pipeline in pipelines:
        pipeline.send_event(Gst.Event.new_eos())
    time.sleep(0.3)
    for pipeline in pipelines:
        pipeline.set_state(Gst.State.NULL)
    call.cseq += 1
    call.send("BYE")
    status, _ = call.response("BYE")
    print(json.dumps({"pictures": len(pictures), "bye": status}), flush=True)


main()
