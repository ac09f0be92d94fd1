#!/usr/bin/env python3
"""One libnice agent behind GStreamer's nicesrc, which meets ice-connect through files.

It writes its description, waits for the peer's, connects, sends text on every component, counts
what comes out of its nicesrc elements, and prints one JSON object.
"""
import argparse
import json
import os
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("Nice", "0.1")
from gi.repository import GLib, Gst, Nice  # noqa: E402

arguments = argparse.ArgumentParser()
arguments.add_argument("--compat", choices=["rfc5245", "oc2007r2"], default="rfc5245")
arguments.add_argument("--controlling", action="store_true")
arguments.add_argument("--ip", required=True)
arguments.add_argument("--components", type=int, default=2)
arguments.add_argument("--turn", help="ip:port:user:password")
arguments.add_argument("--write", required=True)
arguments.add_argument("--read", required=True)
arguments.add_argument("--seconds", type=float, default=2)
o = arguments.parse_args()

Gst.init(None)
loop = GLib.MainLoop()
compat = {"rfc5245": Nice.Compatibility.RFC5245, "oc2007r2": Nice.Compatibility.OC2007R2}
agent = Nice.Agent.new(loop.get_context(), compat[o.compat])
agent.set_property("controlling-mode", o.controlling)
agent.set_property("upnp", False)
agent.set_property("ice-tcp", False)
address = Nice.Address.new()
address.set_from_string(o.ip)
agent.add_local_address(address)
stream = agent.add_stream(o.components)
agent.set_stream_name(stream, "audio")
components = range(1, o.components + 1)
if o.turn:
    ip, port, user, password = o.turn.split(":")
    for component in components:
        agent.set_relay_info(
            stream, component, ip, int(port), user, password, Nice.RelayType.UDP
        )

received = {component: 0 for component in components}
ready = set()


def count(component):
    def handoff(_sink, _buffer, _pad):
        received[component] += 1

    return handoff


pipelines = []
for component in components:
    pipeline = Gst.parse_launch(
        "nicesrc name=n ! fakesink name=f signal-handoffs=true sync=false async=false"
    )
    source = pipeline.get_by_name("n")
    for name, value in (("agent", agent), ("stream", stream), ("component", component)):
        source.set_property(name, value)
    pipeline.get_by_name("f").connect("handoff", count(component))
    pipeline.set_state(Gst.State.PLAYING)
    pipelines.append(pipeline)


def gathered(_agent, _stream):
    lines = [line for line in agent.generate_local_sdp().splitlines() if line.startswith("a=")]
    with open(o.write + ".part", "w") as file:
        file.write("\n".join(lines) + "\n")
    os.rename(o.write + ".part", o.write)
    GLib.timeout_add(20, learn)


def learn():
    if not os.path.exists(o.read):
        return True
    lines = [line for line in open(o.read).read().splitlines() if line.startswith("a=")]
    lines = [line for line in lines if line != "a=end-of-candidates"]
    taken = agent.parse_remote_sdp("\n".join(["m=audio 9 ICE/SDP"] + lines) + "\n")
    if taken <= 0:
        print("the description was not understood", lines, file=sys.stderr)
        loop.quit()
    return False


def changed(_agent, _stream, component, state):
    if state in (Nice.ComponentState.READY, int(Nice.ComponentState.READY)):
        ready.add(component)
        if len(ready) == o.components and not getattr(changed, "done", False):
            changed.done = True
            print("ready", file=sys.stderr, flush=True)
            GLib.timeout_add(100, send)
            GLib.timeout_add(int(o.seconds * 1000), loop.quit)


def send():
    for component in components:
        agent.send(stream, component, 15, "\x7fhello from nice")
    return True


agent.connect("candidate-gathering-done", gathered)
agent.connect("component-state-changed", changed)
agent.gather_candidates(stream)
GLib.timeout_add_seconds(25, loop.quit)
loop.run()
for pipeline in pipelines:
    pipeline.set_state(Gst.State.NULL)
print(json.dumps({"ready": sorted(ready), "received": received}))
sys.exit(0 if len(ready) == o.components and all(received.values()) else 1)
