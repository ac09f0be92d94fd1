#!/usr/bin/env python3
"""Hostile datagrams at a steady rate: flood.py sip|stun|rtp RATE SECONDS IP:PORT...

Each is malformed in one of several ways, or well formed and nobody's; the same ones each time.
Prints how many were sent.
"""
import os, random, socket, struct, sys, time

kind, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
targets = [(host, int(port)) for host, port in (a.rsplit(":", 1) for a in sys.argv[4:])]
rng = random.Random(kind)

INVITE = (b"INVITE sip:alice@10.98.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.98.3.2:5060;branch=z9hG4bK%08x\r\n"
          b"From: <sip:mallory@evil.test>;tag=1\r\nTo: <sip:alice@10.98.2.1>\r\nCall-ID: %08x@evil.test\r\n"
          b"CSeq: 1 INVITE\r\nContact: <sip:mallory@10.98.3.2>\r\nMax-Forwards: 70\r\n")


def sip():
    invite = INVITE % (rng.getrandbits(32), rng.getrandbits(32))
    return rng.choice([
        lambda: rng.randbytes(rng.randrange(5, 900)),
        lambda: invite[:rng.randrange(5, len(invite))],
        lambda: invite + b"Content-Length: 99999999\r\n\r\nv=0\r\n",
        lambda: invite + b"CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
        lambda: invite + b"X: " + b"a" * 1200 + b"\r\n\r\n",
        lambda: invite.replace(b"SIP/2.0\r\nVia", b"SIP/9.9\r\nVia") + b"\r\n",
        lambda: invite + b"Content-Type: application/sdp\r\n\r\nm=\xff\xff",
        lambda: invite + b"Via: " * 60 + b"\r\n\r\n",
        lambda: b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.98.2.1;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n",
    ])()


def stun():
    head = struct.pack("!HHI", rng.choice([0x0001, 0x0101, 0x0111, 0x0003, 0x0017]), rng.randrange(0, 200) & ~3, 0x2112A442)
    return rng.choice([
        lambda: head + rng.randbytes(12) + rng.randbytes(rng.randrange(0, 200)),
        lambda: head[:rng.randrange(1, 8)],
        lambda: struct.pack("!HHI", 1, 24, 0x2112A442) + rng.randbytes(12) + struct.pack("!HH", 8, 20) + rng.randbytes(20),
        lambda: struct.pack("!HHI", 1, 8, 0x2112A442) + rng.randbytes(12) + struct.pack("!HH", 6, 0xFFFF) + b"abcd",
        lambda: struct.pack("!HH", 0x4000 + rng.randrange(0x3FFF), rng.randrange(65535)) + rng.randbytes(40),
    ])()


def rtp():
    return rng.choice([
        lambda: struct.pack("!BBHII", 0x80, rng.choice([0, 8, 9, 96, 122]), rng.getrandbits(16), rng.getrandbits(32), rng.getrandbits(32)) + rng.randbytes(160),
        lambda: struct.pack("!BBHII", 0x9F, 96, 1, 2, 3) + rng.randbytes(rng.randrange(0, 60)),
        lambda: struct.pack("!BBH", 0x81, rng.choice([200, 201, 205, 206]), rng.randrange(65535)) + rng.randbytes(60),
        lambda: b"\x80" + rng.randbytes(rng.randrange(0, 11)),
        lambda: struct.pack("!BBHII", 0xA0, 0, 1, 2, 3) + b"\xff",
    ])()


packets = [{"sip": sip, "stun": stun, "rtp": rtp}[kind]() for _ in range(2000)]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start, sent = time.monotonic(), 0
while (now := time.monotonic() - start) < seconds:
    while sent < now * rate:
        out.sendto(packets[sent % len(packets)], targets[sent % len(targets)])
        sent += 1
    time.sleep(0.001)
print(kind, sent)
