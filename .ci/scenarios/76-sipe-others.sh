# A real Lync client with others than a room beside it: linphone, Kamailio on the way, SIPp's load.
# shellcheck shell=bash
scenarios+=" sipe_linphone sipe_kamailio sipe_load"
alone+=" sipe_load"

# The lab keeps one linphone of a name for all lanes.
phone=phone$ns
stop_others() {
    "$lab/linphone.sh" stop "$phone"
    "$lab/kamailio.sh" stop
    "$lab/sipp.sh" stop load
} >/dev/null 2>&1
stoppers+=" stop_others"

# linphone plays 660 Hz, so SIPE plays 440.
scenario_sipe_linphone() {
    sipe_begin sipe_linphone
    sipe_pool
    sipe_gateway room_hop=udp:$room:5068 at=$room:5068
    sipe start alice ns="$ns-a" tone=440 >/dev/null
    "$lab/linphone.sh" start "$phone" ip=$room port=5068 enc=srtp ns="$ns-b" >/dev/null
    sipe_call sip:linphone@video.example.test audio "media-connected audio"
    sleep 5
    sipe received alice >"$out/received.txt"
    expect_near "linphone's tone that SIPE hears" "$(received_field audio Roughfrequency)" 660
    expect_near "SIPE's tone that linphone hears" "$("$lab/linphone.sh" received "$phone" | sed -n 's/.*Roughfrequency=\([0-9]*\).*/\1/p')" 440 10
    sipe_hang_up
    sipe_judge lync standard
}

# The room is registered at Kamailio, which records its route; both ways go through it.
scenario_sipe_kamailio() {
    sipe_begin sipe_kamailio
    "$lab/kamailio.sh" start ip=10.98.1.1 port=5060 tlsport=5991 ns="$ns-core" nodes="sip:10.98.2.1:5060" >/dev/null
    sipe_pool
    sipe_gateway room_hop=udp:10.98.1.1:5060 at=10.98.1.1 extra='[[routes]]
domain = "10.98.1.1"
to = "lync"
next-hops = ["tcp:10.98.1.1:5061"]
request-host = "example.test"'
    sipe_alice
    sipe_room enc=srtp-mand domain=10.98.1.1 reg=60
    wait_for "$LAB_DIR/baresip-room/log" '200 OK' 10
    sipe_call
    sleep 1
    expect_picture_at_room
    expect_at_alice
    sipe_hang_up
    sipe_forget
    sipe mark alice
    baresip dial room sip:alice@10.98.1.1 >/dev/null
    sipe wait alice "EVENT first-picture" 20
    sleep 1
    expect_picture_at_room
    expect_at_alice
    room_hangs_up
    sipe_judge lync standard
    expect "Record-Routes of Kamailio's at the gateway" "$(grep -lis '^record-route: <sip:10.98.1.1' "$out"/sip/*10.98.1.1_5060* | wc -l)" at-least 2
}

# 1,200 calls in a minute, from a trunk to a Lync side of SIPp's, beside a video call of SIPE's.
scenario_sipe_load() {
    # Judged is the video call; taking 1,200 calls' keys apart would take the longer part of an hour.
    sipe_begin sipe_load "not port 5062 and not port 5092 and not udp portrange 6000-6199"
    sipe_pool
    sipe_gateway far=supported more=', { transport = "tcp", address = "10.98.1.1:5062" }' extra='[[routes]]
domain = "10.98.1.1"
to = "lync"
next-hops = ["tcp:10.98.1.2:5092"]'
    sipe_alice
    # Encryption is as the far end likes: SIPp has none.
    sipe_room enc=srtp
    "$lab/sipp.sh" uas load ns="$ns-a" ip=10.98.1.2 port=5092 scen=uas_lync secs=120 >/dev/null
    sipe_call
    sleep 1
    expect_flow "before the load"
    "$lab/sipp.sh" uac trunk ns="$ns-b" ip=$room to=10.98.1.1:5062 rate=20 calls=1200 hold=1000 limit=200 max=90 >"$out/load.txt" 2>&1 &
    local load=$! before part
    for part in 1 2 3 4 5; do
        before=$(pictures_at_alice)
        sleep 10
        expect "pictures at SIPE under load, part $part" "$(($(pictures_at_alice) - before))" at-least 100
    done
    expect_picture_at_room
    wait $load || { cat "$out/load.txt"; echo "  FAILED: calls were lost"; return 1; }
    sed 's/^/  ok: SIPp: /' "$out/load.txt"
    expect_at_alice
    sipe cmd alice hangup
    sipe wait alice "EVENT call-ended" 10 >/dev/null
    wait_for "$out/gateway.log" '^call-1: ended' 5
    expect "video legs, and packets lost on them" "$(sed -n 's|^call-1/[a-z]*/1: video.* (\([0-9]*\) lost).*|\1|p' "$out/gateway.log" | awk '{ n += $1 } END { print NR, n + 0 }')" equals "2 0"
    sipe_judge lync
}
