# One end of a call disappears without a word. The gateway notices, and tells the other end.
# shellcheck shell=bash
scenarios+=" sipe_vanish_silence sipe_vanish_consent sipe_vanish_timer"

# The process dies as in a power cut: no BYE, no goodbye to its server.
kill_peer() { # NAME
    local pid
    read -r pid _ <"$LAB_DIR/$1/pid"
    kill -KILL -- "-$pid"
}

# vanished WHO PATTERN SECONDS: WHO is gone, and so the call ends, for this reason.
vanished() {
    kill_peer "$1"
    wait_for "$out/gateway.log" "^call-[0-9]+: ended: $2" "$3"
    echo "  ok: $(grep -E '^call-[0-9]+: ended' "$out/gateway.log" | tail -n 1), after $1 had gone"
    gateway_idle
}

# Neither RTP nor RTCP: at either end.
scenario_sipe_vanish_silence() {
    sipe_begin sipe_vanish_silence
    sipe_up extra="[timers]
silence-ms = 5000" -- enc=srtp-mand
    sipe_call
    sipe mark alice
    vanished baresip-room "neither RTP nor RTCP" 15
    sipe wait alice "EVENT call-ended" 5 >/dev/null
    sipe_room enc=srtp-mand
    sipe_call
    vanished sipe-alice "neither RTP nor RTCP|.*connection" 15
    baresip stat room | grep -q ESTABLISHED && { echo "  FAILED: the room is still in a call"; return 1; }
    sipe_judge lync standard
}

# RFC 7675: the room's consent expires 30 s after its last answer.
scenario_sipe_vanish_consent() {
    sipe_begin sipe_vanish_consent
    sipe_up ice=rfc8445 -- enc=srtp-mand nat=ice
    sipe_call
    sleep 1
    sipe mark alice
    vanished baresip-room "no media path" 45
    sipe wait alice "EVENT call-ended" 5 >/dev/null
    sipe_judge lync standard
}

# A session timer on the Lync side, of a client that knows none and whose media are on hold.
scenario_sipe_vanish_timer() {
    sipe_begin sipe_vanish_timer
    sipe_up extra="[timers]
session-ms = 12000" -- enc=srtp-mand
    sipe_call
    sleep 8
    expect_at_alice
    vanished sipe-alice ".*" 40
    baresip stat room | grep -q ESTABLISHED && { echo "  FAILED: the room is still in a call"; return 1; }
    sipe_judge lync standard
}
