# A real Lync client (pidgin-sipe) calls a real room (baresip) through `gateway serve`, and is called
# by it. The client is in lab-a; in lab-core are the stand-in for its front end, with a static route
# to the gateway and a trunk for it, and the gateway; the room is in lab-b.
# The functions here serve the other files of this number too.
# shellcheck shell=bash
scenarios+=" sipe_srtp sipe_ice"
examples+=" gateway"

sipe() { "$lab/sipe.sh" "$@"; }
baresip() { "$lab/baresip.sh" "$@"; }

stop_sipe() {
    sipe stop alice
    sipe fe pool stop
    "$lab/capture.sh" stop sipe
} >/dev/null 2>&1
stoppers+=" stop_sipe"

# sipe_begin NAME [FILTER]: a folder for what the scenario leaves, and its capture, without the
# client's questions to a name server that is not there: some of them look like RTP.
sipe_begin() {
    name=$1 out=$work/$1
    rm -rf "$out"
    mkdir -p "$out"
    "$lab/capture.sh" start sipe iface=any ns="$ns-core" secs=300 filter="not port 53${2:+ and $2}" >/dev/null
}

# sipe_gateway KEY=VALUE...: a gateway between the front end and the room, which is reached by
# `room_hop` under the host `at`. `extra` is text for the end of the configuration, `side` for the
# end of its standards side, `more` for further listeners there; `place` is its namespace.
sipe_gateway() {
    local encryption=required far=required ice=none room_hop=udp:$room:5070 at=$room:5070 more= place=core lync_ip=10.98.1.1 far_ip=10.98.2.1 lync=tcp trunk=tcp:10.98.1.1:5061
    local options="fragments-in-mode-0 = true" side= extra= lync_extra= cert=$LAB_DIR/certs/server ca=$LAB_DIR/certs/ca.crt
    [ $# = 0 ] || local "$@"
    cat >"$out/gateway.toml" <<EOT
name = "gateway.example.test"

[tls]
certificate = "$cert.crt"
key = "$cert.key"
ca = "$ca"

[lync]
listeners = [{ transport = "$lync", address = "$lync_ip:5161" }]
media-address = "$lync_ip"
encryption = "$encryption"
$lync_extra

[standard]
listeners = [{ transport = "udp", address = "$far_ip:5060" }, { transport = "tcp", address = "$far_ip:5060" }$more]
media-address = "$far_ip"
encryption = "$far"
ice = "$ice"
h264 = { $options }
$side

[[routes]]
domain = "video.example.test"
to = "standard"
next-hops = ["$room_hop"]
request-host = "$at"

[[routes]]
domain = "10.98.2.1"
to = "lync"
next-hops = ["$trunk"]
request-host = "example.test"

$extra
EOT
    ip netns exec "$ns-$place" "$target/gateway" serve --config "$out/gateway.toml" --trace "$out/trace" >"$out/gateway.log" 2>&1 &
    gateway_pid=$!
    wait_for "$out/gateway.log" ready 10
    ln -sf "$out/gateway.log" "$work/$name-gateway.log"
}

# sipe_pool [OPTION...]: the stand-in for the front end, and alice signed in to it.
sipe_pool() {
    sipe fe pool start ns="$ns-core" -- --route video.example.test=tcp:10.98.1.1:5161 \
        --trunk-listen 10.98.1.1:5061 --line alice=+14255550100 "$@" >/dev/null
}
sipe_alice() { sipe start alice ns="$ns-a" tone=660 pattern=smpte "$@" >/dev/null; }

pool_options=
# The whole set-up; what belongs to the room comes as its own arguments.
sipe_up() { # GATEWAY-KEYS... -- ROOM-KEYS...
    local keys=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do keys+=("$1"); shift; done
    shift
    # shellcheck disable=SC2086
    sipe_pool $pool_options
    sipe_gateway "${keys[@]}"
    sipe_alice
    sipe_room "$@"
}

sipe_room() { # ROOM-KEYS...
    sipe_media
    start_room $narrowband audio="$LAB_DIR/media/long.wav" src="$LAB_DIR/media/long.mp4" "$@" >/dev/null
}

# baresip hangs up when its file has come to its end, which the lab's do after 20 s.
sipe_media() {
    [ -s "$LAB_DIR/media/long.mp4" ] && return
    sox -n -r 8000 -c 1 -b 16 "$LAB_DIR/media/long.wav" synth 300 sine 440 vol 0.125
    ffmpeg -v error -nostdin -y -stream_loop 14 -i "$LAB_DIR/media/video.mp4" -c copy "$LAB_DIR/media/long.mp4"
}

sipe_forget() { rm -f "$LAB_DIR"/sipe-alice/received-* "$LAB_DIR"/baresip-room/snapshot-*; }

# alice calls; what is waited for by default is baresip's picture at her.
sipe_call() { # [URI] [av|audio] [EVENT]
    sipe_forget
    sipe cmd alice "call ${1:-sip:room@video.example.test} ${2:-av}"
    sipe wait alice "EVENT ${3:-first-picture}" 15
}

# The room calls.
sipe_called() { # [EVENT] [URI]
    sipe_forget
    sipe mark alice
    baresip dial room "${2:-sip:alice@10.98.2.1:5060}" >/dev/null
    sipe wait alice "EVENT ${1:-first-picture}" 20
}

sipe_hang_up() {
    sipe cmd alice hangup
    sipe_ended
}
room_hangs_up() {
    sipe mark alice
    baresip hangup room >/dev/null
    sipe_ended
}

# Both sides have no call left, and the gateway has given everything back.
sipe_ended() {
    sipe wait alice "EVENT call-ended" 10 >/dev/null
    all_idle
}

all_idle() {
    gateway_idle
    baresip stat room 2>/dev/null | grep -q ESTABLISHED && { echo "  FAILED: the room is still in a call"; return 1; }
    echo "  ok: both legs have ended"
}

# As many calls have ended as have begun.
gateway_idle() {
    local begun ended
    for _ in $(seq 50); do
        begun=$(grep -c ': opening$' "$out/gateway.log") || true
        ended=$(grep -cE '^call-[0-9]+: ended' "$out/gateway.log") || true
        [ "$begun" -gt 0 ] && [ "$begun" = "$ended" ] && return
        sleep 0.1
    done
    echo "  FAILED: $begun calls begun, $ended ended at the gateway"
    return 1
}

# received_field WORD FIELD: of `sipe.sh received`.
received_field() { sed -n "s/^$1 .*$2=\([^ ]*\).*/\1/p" "$out/received.txt"; }

# What alice hears and sees of the room.
expect_at_alice() { # [audio] [HZ]
    sipe received alice >"$out/received.txt"
    expect_near "the tone that SIPE hears" "$(received_field audio Roughfrequency)" "${2:-440}"
    [ "${1:-av}" = audio ] && return
    expect "pictures at SIPE" "$(received_field video pictures)" at-least 20
    expect "their size" "$(received_field video size)" equals 352,288
    expect "their mean luma" "$(received_field video YAVG)" at-least 30
    expect "they move" "$(received_field video moving)" equals yes
}

# Pictures of SIPE's at the room, which change within some seconds.
expect_picture_at_room() {
    local first="" second="" luma
    # baresip writes the next picture that it shows: under loss that may take a keyframe.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        first=$(baresip snapshot room) && break
        sleep 0.5
    done
    expect "pictures of SIPE that baresip shows" "$([ -s "$first" ] && echo 1 || echo 0)" at-least 1
    for _ in 1 2 3 4 5 6 7 8; do
        sleep 1
        second=$(baresip snapshot room) || continue
        cmp -s "$first" "$second" || break
    done
    expect "SIPE's picture at baresip: width" "$(ffprobe -v error -show_entries stream=width -of csv=p=0 "$second")" equals 352
    luma=$(ffmpeg -v error -nostdin -i "$second" -vf signalstats,metadata=print:file=- -f null - 2>/dev/null | sed -n 's/.*YAVG=//p' | head -n 1)
    expect "its mean luma" "$luma" at-least 30
    expect "it moves" "$(cmp -s "$first" "$second" && echo no || echo yes)" equals yes
}

# What the room has heard in the call that has just ended.
expect_sound_at_room() {
    local recording
    sleep 1
    recording=$(ls -t "$LAB_DIR"/baresip-room/dump-*-dec.wav | head -n 1)
    expect_near "SIPE's tone that baresip hears" "$(frequency "$recording")" 660
}

frequency() { sox "$1" -n stat 2>&1 | awk -F: '/Rough/ { gsub(/ /, "", $2); print $2 }'; }

expect_near() { # WHAT HEARD SENT [PERCENT]
    python3 - "$1" "${2:-0}" "$3" "${4:-5}" <<'EOT'
import sys
what, heard, sent, percent = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
ok = abs(heard - sent) <= sent * percent / 100
print(f"  {'ok' if ok else 'FAILED'}: {what}: {heard:g} Hz heard, {sent:g} Hz sent")
sys.exit(0 if ok else 1)
EOT
}

# Ends the capture and judges it: nothing malformed, all STUN verifies, and so does every SRTP
# stream that the gateway sent; the arguments are the sides that must have some.
sipe_judge() { # [lync] [standard]
    "$lab/capture.sh" stop sipe "$out" >"$out/callpack.txt"
    judge_capture "$@"
}

# The same of the gateway's own capture, where what was on TLS lines is in clear.
sipe_judge_own() { # [lync] [standard]
    cp "$out/trace/gateway.pcap" "$out/capture.pcap"
    /usr/bin/python3 "$lab/tshark/callpack.py" "$out" >"$out/callpack.txt"
    judge_capture "$@"
}

judge_capture() { # [lync] [standard]
    "$lab/tshark/decode_check.sh" "$out/capture.pcap" 5060 5061 5063 5070 5161 >"$out/decode.txt" || { sed -n '/BAD/,$p' "$out/decode.txt"; return 1; }
    echo "  ok: $(tail -n 1 "$out/decode.txt")"
    /usr/bin/python3 "$lab/tshark/stun_integrity.py" "$out" >"$out/stun.txt" || { cat "$out/stun.txt"; return 1; }
    echo "  ok: STUN verifies: $(grep -oE "'0x0[01]01 short-term[^,}]*" "$out/stun.txt" | tr -d "'" | tr '\n' ';')"
    python3 - "$out/expect.json" "$@" <<'EOT'
import json, sys
side = {"10.98.1.1": "lync", "10.98.2.1": "standard"}
streams = [s for s in json.load(open(sys.argv[1]))["rtp_streams"] if s["src"].split(":")[0] in side]
srtp = [s for s in streams if s["srtp"] != "none"]
failed = sum(s["auth_failed"] for s in srtp)
packets = {name: sum(s["packets"] for s in srtp if side[s["src"].split(":")[0]] == name) for name in side.values()}
wanted = all(packets[name] > 40 for name in sys.argv[2:])
clear = [s for s in streams if s["srtp"] == "none" and side[s["src"].split(":")[0]] in sys.argv[2:] and s["packets"] > 3]
ok = wanted and failed == 0 and not clear
print(f"  {'ok' if ok else 'FAILED'}: the gateway's SRTP verifies: packets {packets}, {failed} refused, {len(clear)} streams in clear")
sys.exit(0 if ok else 1)
EOT
}

# Audio and video, both directions, both media, called from either side.
both_ways() { # GATEWAY-KEYS... -- ROOM-KEYS...
    sipe_up "$@"
    sipe_call
    sleep 2
    expect_picture_at_room
    expect_at_alice
    sipe_hang_up
    expect_sound_at_room
    sipe_called
    sleep 2
    expect_picture_at_room
    expect_at_alice
    room_hangs_up
    expect_sound_at_room
}

scenario_sipe_srtp() {
    sipe_begin sipe_srtp
    both_ways -- enc=srtp-mand
    sipe_judge lync standard
}

scenario_sipe_ice() {
    sipe_begin sipe_ice
    both_ways ice=rfc8445 -- enc=srtp-mand nat=ice
    sipe_judge lync standard
}
