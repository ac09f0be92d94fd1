#!/usr/bin/env python3
"""Chromium's descriptions against sdp-answer, and sdp-answer's against Chromium.

    browser.py SDP-ANSWER [RECORD-FOLDER]

Chromium is driven through chromedriver. For each bundle policy it makes an offer that sdp-answer
answers, and takes the answer; then it answers an offer of sdp-answer's, which has to accept that.
With a folder, the descriptions are written there.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

PROGRAM = sys.argv[1]
RECORD = sys.argv[2] if len(sys.argv) > 2 else None
PORT = 9517
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # Candidates with addresses instead of names that only the browser can resolve.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]

# Offers of a page that sends and receives sound and picture.
OFFER = """
const done = arguments[arguments.length - 1], [policy] = arguments;
(async () => {
  const pc = window.pc = new RTCPeerConnection({ bundlePolicy: policy });
  pc.addTransceiver('audio');
  pc.addTransceiver('video');
  pc.createDataChannel('x');
  await pc.setLocalDescription(await pc.createOffer());
  while (pc.iceGatheringState !== 'complete') await new Promise(r => setTimeout(r, 20));
  done({ sdp: pc.localDescription.sdp });
})().catch(e => done({ error: String(e) }));
"""
TAKE_ANSWER = """
const done = arguments[arguments.length - 1], [sdp] = arguments;
(async () => {
  await pc.setRemoteDescription({ type: 'answer', sdp });
  done({
    state: pc.signalingState,
    directions: pc.getTransceivers().map(t => t.currentDirection),
    codecs: pc.getReceivers().map(r => r.getParameters().codecs.map(c => c.mimeType)),
    transports: new Set(pc.getReceivers().map(r => r.transport)).size,
  });
})().catch(e => done({ error: String(e) }));
"""
ANSWER = """
const done = arguments[arguments.length - 1], [sdp] = arguments;
(async () => {
  const pc = new RTCPeerConnection();
  await pc.setRemoteDescription({ type: 'offer', sdp });
  for (const t of pc.getTransceivers()) t.direction = 'sendrecv';
  await pc.setLocalDescription(await pc.createAnswer());
  while (pc.iceGatheringState !== 'complete') await new Promise(r => setTimeout(r, 20));
  done({ sdp: pc.localDescription.sdp, state: pc.signalingState });
})().catch(e => done({ error: String(e) }));
"""


def request(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json"}
    call = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", data, head, method=method)
    with urllib.request.urlopen(call, timeout=30) as answer:
        return json.load(answer)["value"]


def run(session, script, *arguments):
    body = {"script": script, "args": list(arguments)}
    value = request("POST", f"/session/{session}/execute/async", body)
    if "error" in value:
        raise SystemExit(f"FAILED: Chromium: {value['error']}\n{arguments}")
    return value


def record(name, sdp):
    if RECORD:
        with open(os.path.join(RECORD, name), "w", newline="") as file:
            file.write(sdp)


def check(what, good, seen):
    print(f"  {'ok' if good else 'FAILED'}: {what}: {seen}")
    if not good:
        raise SystemExit(1)


def offers(session):
    for policy in ("balanced", "max-bundle", "max-compat"):
        offer = run(session, OFFER, policy)["sdp"]
        record(f"chromium_{policy}_offer.sdp", offer)
        answered = subprocess.run([PROGRAM, "--profile", "webrtc", "--json", "-"],
                                  input=offer.encode(), capture_output=True, check=False)
        if answered.returncode:
            raise SystemExit(f"FAILED: sdp-answer: {answered.stderr.decode()}\n{offer}")
        answer = json.loads(answered.stdout)
        outcomes = [media["outcome"] for media in answer["media"]]
        # The data channel is no RTP: it is refused, and the rest goes on.
        good = outcomes[:2] == ["accepted"] * 2 and outcomes[2].startswith("refused")
        check(f"{policy}: the offer is answered", good, outcomes)
        taken = run(session, TAKE_ANSWER, answer["sdp"])
        good = (taken["state"] == "stable" and taken["directions"] == ["sendrecv"] * 2
                and "audio/opus" in taken["codecs"][0] and "video/VP8" in taken["codecs"][1]
                and taken["transports"] == 1)
        check(f"{policy}: Chromium takes the answer", good, taken)


def answers(session):
    ours = subprocess.Popen([PROGRAM, "--profile", "webrtc", "--json", "--call", "audio,video", "-"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    offer = json.loads(ours.stdout.readline())["sdp"]
    answer = run(session, ANSWER, offer)
    record("offer_to_chromium.sdp", offer)
    record("chromium_answer.sdp", answer["sdp"])
    rest, _ = ours.communicate(answer["sdp"].encode(), timeout=20)
    check("Chromium answers our offer, and we take it", ours.returncode == 0 and
          answer["state"] == "stable", json.loads(rest)["explain"] if rest else "")


def main():
    folder = tempfile.mkdtemp(prefix="linkspan-chromium-")
    driver = subprocess.Popen(["chromedriver", f"--port={PORT}", "--silent"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    session = None
    try:
        for _ in range(100):
            try:
                if request("GET", "/status")["ready"]:
                    break
            except OSError:
                time.sleep(0.1)
        options = {"args": FLAGS + [f"--user-data-dir={folder}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        opened = request("POST", "/session", wanted)
        session = opened["sessionId"]
        print(f"  Chromium {opened['capabilities']['browserVersion']}")
        offers(session)
        answers(session)
    finally:
        if session:
            request("DELETE", f"/session/{session}")
        driver.terminate()
        driver.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


main()
