#!/usr/bin/python3
"""GStreamer's webrtcbin against sdp-answer: its offer is answered and the answer taken, our offer is
answered by it and that taken.

    webrtcbin.py SDP-ANSWER [RECORD-FOLDER]
"""

import json
import os
import subprocess
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC  # noqa: E402

PROGRAM = sys.argv[1]
RECORD = sys.argv[2] if len(sys.argv) > 2 else None
CAPS = [
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,"
    "encoding-params=(string)2",
    "application/x-rtp,media=video,encoding-name=H264,payload=97,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f",
]


def wait(condition, seconds=10):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def ask(element, action, *arguments):
    promise = Gst.Promise.new()
    element.emit(action, *arguments, promise)
    result = promise.wait()
    reply = promise.get_reply()
    if result != Gst.PromiseResult.REPLIED:
        raise SystemExit(f"FAILED: {action}: {result}")
    if reply and reply.has_field("error"):
        raise SystemExit(f"FAILED: {action}: {reply.get_value('error').message}")
    return reply


def description(kind, text):
    result, message = GstSdp.SDPMessage.new_from_text(text)
    assert result == GstSdp.SDPResult.OK, result
    return GstWebRTC.WebRTCSessionDescription.new(kind, message)


def peer():
    pipeline = Gst.Pipeline.new()
    element = Gst.ElementFactory.make("webrtcbin")
    element.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    pipeline.add(element)
    pipeline.set_state(Gst.State.PLAYING)
    pipeline.get_state(Gst.SECOND)
    return pipeline, element


def gathered(element):
    complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
    assert wait(lambda: element.get_property("ice-gathering-state") == complete), "no candidates"
    return element.get_property("local-description").sdp.as_text()


def check(what, good, seen):
    print(f"  {'ok' if good else 'FAILED'}: {what}: {seen}")
    if not good:
        raise SystemExit(1)


def record(name, text):
    if RECORD:
        with open(os.path.join(RECORD, name), "w", newline="") as file:
            file.write(text)


def signalling_state(element):
    return element.get_property("signaling-state").value_nick


def offers():
    pipeline, element = peer()
    for caps in CAPS:
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDRECV
        element.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
    reply = ask(element, "create-offer", None)
    ask(element, "set-local-description", reply.get_value("offer"))
    offer = gathered(element)
    record("webrtcbin_offer.sdp", offer)
    answered = subprocess.run([PROGRAM, "--profile", "webrtc", "--json", "-"],
                              input=offer.encode(), capture_output=True, check=False)
    if answered.returncode:
        raise SystemExit(f"FAILED: sdp-answer: {answered.stderr.decode()}\n{offer}")
    answer = json.loads(answered.stdout)
    outcomes = [media["outcome"] for media in answer["media"]]
    check("webrtcbin's offer is answered", outcomes == ["accepted"] * 2, outcomes)
    ask(element, "set-remote-description", description(GstWebRTC.WebRTCSDPType.ANSWER, answer["sdp"]))
    state = signalling_state(element)
    check("webrtcbin takes the answer", state == "stable", state)
    pipeline.set_state(Gst.State.NULL)


def answers():
    ours = subprocess.Popen([PROGRAM, "--profile", "webrtc", "--json", "--call", "audio,video", "-"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    offer = json.loads(ours.stdout.readline())["sdp"]
    pipeline, element = peer()
    for caps in CAPS:
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDRECV
        element.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
    ask(element, "set-remote-description", description(GstWebRTC.WebRTCSDPType.OFFER, offer))
    reply = ask(element, "create-answer", None)
    ask(element, "set-local-description", reply.get_value("answer"))
    answer = gathered(element)
    record("webrtcbin_answer.sdp", answer)
    rest, _ = ours.communicate(answer.encode(), timeout=20)
    explain = json.loads(rest)["explain"] if ours.returncode == 0 else answer
    check("webrtcbin answers our offer, and we take it", ours.returncode == 0, explain)
    pipeline.set_state(Gst.State.NULL)


Gst.init(None)
offers()
answers()
