# What happens within calls between a real Lync client and a real room, and how they end.
# shellcheck shell=bash
scenarios+=" sipe_features sipe_endings"

# rms FILE-OF-S16 RATE: how loud its last half second is.
rms() { tail -c "$2" "$1" | sox -t raw -r "$2" -e signed -b 16 -c 1 - -n stat 2>&1 | awk '/RMS.*amplitude/ { print $3 }'; }
rms_at_alice() { rms "$LAB_DIR/sipe-alice/received-audio.s16" 16000; }
rms_at_room() { rms "$(ls -t "$LAB_DIR"/baresip-room/dump-*-dec.wav | head -n 1)" 8000; }

expect_loud() { # WHAT RMS yes|no
    expect "$1" "$(awk -v r="${2:-0}" 'BEGIN { print (r > 0.01) ? "yes" : "no" }')" equals "$3"
}

pictures_at_alice() {
    sipe cmd alice received
    sipe wait alice "EVENT received" 3 | sed -n 's/.*pictures=\([0-9]*\).*/\1/p'
}
# Once a call was on hold baresip plays nothing more, though it goes on receiving: so its packets count.
packets_at_room() { baresip cmd room audio_debug | sed -n 's/.* psent=[0-9]* rcvd=\([0-9]*\).*/\1/p'; }

# Pictures and sound come, in both directions.
expect_flow() { # WHEN
    local pictures packets first second
    pictures=$(pictures_at_alice)
    packets=$(packets_at_room)
    first=$(baresip snapshot room)
    sleep 1.5
    second=$(baresip snapshot room)
    expect "$1: new pictures at SIPE" "$(($(pictures_at_alice) - pictures))" at-least 8
    expect "$1: baresip's picture moves" "$(cmp -s "$first" "$second" && echo no || echo yes)" equals yes
    expect_loud "$1: SIPE hears baresip" "$(rms_at_alice)" yes
    expect "$1: audio packets at baresip" "$(($(packets_at_room) - packets))" at-least 15
}

expect_no_flow() { # WHEN
    local pictures packets
    sleep 0.5
    pictures=$(pictures_at_alice)
    packets=$(packets_at_room)
    sleep 1
    expect "$1: new pictures at SIPE" "$(($(pictures_at_alice) - pictures))" equals 0
    expect "$1: audio packets at baresip" "$(($(packets_at_room) - packets))" equals 0
}

# wait_count FILE PATTERN COUNT SECONDS: so many lines.
wait_count() {
    for _ in $(seq $(($4 * 10))); do
        [ "$(grep -cE "$2" "$1")" -ge "$3" ] && return
        sleep 0.1
    done
    echo "  FAILED: fewer than $3 lines '$2' in $1"
    return 1
}

# Digits, mute, hold and resume, from each side, in one call.
scenario_sipe_features() {
    sipe_begin sipe_features
    sipe_up -- enc=srtp-mand
    local log=$out/gateway.log
    sipe_call
    sleep 1
    expect_flow "at first"

    sipe cmd alice "dtmf 12#"
    wait_count "$log" '^call-1/lync/0: digit' 3 5
    expect "digits from SIPE" "$(sed -n 's|^call-1/lync/0: digit ||p' "$log" | tr -d '\n')" equals "12#"

    sipe cmd alice mute
    sleep 1.5
    expect_loud "SIPE is muted: baresip hears it" "$(rms_at_room)" no
    sipe cmd alice unmute
    sleep 1.5
    expect_loud "SIPE is not muted: baresip hears it" "$(rms_at_room)" yes
    baresip cmd room mute >/dev/null
    sleep 1.5
    expect_loud "the room is muted: SIPE hears it" "$(rms_at_alice)" no
    baresip cmd room mute >/dev/null
    sleep 1.5
    expect_loud "the room is not muted: SIPE hears it" "$(rms_at_alice)" yes

    sipe cmd alice hold
    wait_for "$log" '^call-1: held' 5
    expect_no_flow "SIPE holds"
    sipe cmd alice unhold
    wait_count "$log" '^call-1: active' 2 5
    sleep 1
    expect_flow "SIPE resumes"

    sipe mark alice
    baresip cmd room hold >/dev/null
    sipe wait alice "EVENT hold remote" 5 >/dev/null
    wait_count "$log" '^call-1: held' 2 5
    expect_no_flow "the room holds"
    sipe mark alice
    baresip cmd room resume >/dev/null
    sipe wait alice "EVENT unhold remote" 5 >/dev/null
    wait_count "$log" '^call-1: active' 3 5
    sleep 1
    expect_flow "the room resumes"

    # Last: baresip sends sound between the packets of a digit, and SIPE plays nothing after that.
    for digit in 4 5; do
        baresip cmd room sndcode $digit >/dev/null
        sleep 0.4
    done
    wait_count "$log" '^call-1/standard/0: digit' 2 5
    expect "digits from the room" "$(sed -n 's|^call-1/standard/0: digit ||p' "$log" | tr -d '\n')" equals 45
    sipe_hang_up
    sipe_judge lync standard
    expect_events 10.98.1.1 10.98.1.2
    expect_events 10.98.2.1 10.98.2.2
}

# expect_events FROM TO: what the gateway has sent as telephone events.
expect_events() {
    python3 - "$out/expect.json" "$@" <<'EOT'
import json, sys
path, source, target = sys.argv[1:]
way = lambda s: (s["src"].split(":")[0], s["dst"].split(":")[0]) == (source, target)
events = sum(n for s in json.load(open(path))["rtp_streams"] if way(s)
             for pt, n in s["payload_types"].items() if pt in ("101", "102"))
print(f"  {'ok' if events >= 6 else 'FAILED'}: telephone events from {source} to {target}: {events} packets")
sys.exit(0 if events >= 6 else 1)
EOT
}

# Calls that never begin, or are given up: by each side.
scenario_sipe_endings() {
    sipe_begin sipe_endings
    sipe_up extra="[timers]
no-answer-ms = 4000" -- enc=srtp-mand answer=manual
    local log=$out/gateway.log room_log=$LAB_DIR/baresip-room/log

    echo "  SIPE gives up"
    sipe cmd alice "call sip:room@video.example.test av"
    wait_count "$log" ': ringing' 1 10
    sleep 0.5
    sipe_hang_up
    wait_for "$log" 'CANCEL' 5

    echo "  no answer at the room"
    sipe_call sip:room@video.example.test av call-ended
    expect_told fe-480-INVITE "SIP/2.0 480"
    gateway_idle

    echo "  the room is busy"
    sipe cmd alice "call sip:room@video.example.test av"
    wait_count "$log" ': ringing' 3 10
    baresip hangup room >/dev/null
    sipe wait alice "EVENT call-ended" 10 >/dev/null
    expect_told fe-486-INVITE "ms-diagnostics: 10486;"
    gateway_idle

    echo "  unknown at the room"
    sipe_call sip:nobody@video.example.test av call-ended
    expect_told fe-404-INVITE "ms-diagnostics: 10404;"
    gateway_idle

    sipe stop alice >/dev/null
    sipe_alice answer=manual
    echo "  the room gives up"
    sipe mark alice
    baresip dial room sip:alice@10.98.2.1:5060 >/dev/null
    sipe wait alice "EVENT incoming-call" 10 >/dev/null
    baresip hangup room >/dev/null
    sipe_ended

    echo "  no answer at SIPE"
    sipe mark alice
    baresip dial room sip:alice@10.98.2.1:5060 >/dev/null
    wait_for "$room_log" 'session closed: 480' 10
    sipe_ended

    echo "  SIPE declines"
    sipe mark alice
    baresip dial room sip:alice@10.98.2.1:5060 >/dev/null
    sipe wait alice "EVENT incoming-call" 10 >/dev/null
    sleep 0.5
    sipe cmd alice reject
    wait_for "$room_log" 'session closed: (603|486)' 10
    gateway_idle

    echo "  unknown at the pool"
    baresip dial room sip:nobody@10.98.2.1:5060 >/dev/null
    wait_for "$room_log" 'session closed: 404' 10
    gateway_idle
    sipe_judge
}
