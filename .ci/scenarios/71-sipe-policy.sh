# Encryption policies of both sides against each other, with a real Lync client and a real room.
# shellcheck shell=bash
scenarios+=" sipe_optional sipe_require"

# Encryption is optional on the Lync side, and there is none on the other: the call falls back there.
# Another caller, who has no encryption either, then finds SIPE busy: it has one call at a time.
scenario_sipe_optional() {
    sipe_begin sipe_optional
    pool_options="--av-encryption optional"
    both_ways encryption=supported far=none --
    sipe_called
    ! "$lab/sipp.sh" uac second ns="$ns-b" ip=$room to=10.98.2.1:5060 user=alice calls=1 >/dev/null || { echo "  FAILED: a second call beside the first"; return 1; }
    grep -aq '^SIP/2.0 486' "$LAB_DIR/sipp-second/msg" || { grep -a '^SIP/2.0' "$LAB_DIR/sipp-second/msg"; return 1; }
    grep -aq ' 486 ' "$(ls "$LAB_DIR"/sipe-fe-pool/messages/*-alice-486-INVITE* | tail -n 1)"
    echo "  ok: SIPE is busy, and the other caller hears 486"
    sleep 1
    expect_at_alice
    room_hangs_up
    expect "streams of the room in clear" "$(grep -c '/standard/.: .*, RTP$' "$out/gateway.log")" equals 6
    sipe_judge lync
}

# sipe_told WHAT: the header lines of the last message of this kind that alice got.
sipe_told() {
    local file
    file=$(ls "$LAB_DIR"/sipe-fe-pool/messages/*-"$1".sip 2>/dev/null | tail -n 1)
    [ -n "$file" ] || { echo "no $1 for SIPE" >&2; return 1; }
    tr -d '\r' <"$file"
}

# expect_told WHAT TEXT: that message, with this text in it.
expect_told() {
    sipe_told "$1" | grep -iF "$2" >"$out/told.txt" || { echo "  FAILED: no '$2' in the $1 that SIPE got"; sipe_told "$1" | head -n 30; return 1; }
    echo "  ok: SIPE got $1: $(head -n 1 "$out/told.txt")"
}

# A room without SRTP, and a policy that demands it: SIPE hears why, and so does the room.
scenario_sipe_require() {
    sipe_begin sipe_require
    sipe_up --
    sipe_call sip:room@video.example.test av call-ended
    expect_told fe-488-INVITE 'ms-client-diagnostics: 52017;reason="Encryption levels dont match"'
    expect "attempts that SIPE made" "$(grep -c ': opening$' "$out/gateway.log")" equals 1
    all_idle
    sipe mark alice
    baresip dial room sip:alice@10.98.2.1:5060 >/dev/null
    wait_for "$LAB_DIR/baresip-room/log" 'session closed: 488' 10
    echo "  ok: the room's call got 488"
    ! sipe wait alice incoming-call 1 2>/dev/null || { echo "  FAILED: SIPE rang"; return 1; }
    gateway_idle
    sipe_judge
}
