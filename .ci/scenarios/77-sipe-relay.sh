# The gateway is in a network that neither the client nor the room can reach: their signalling goes
# through the front end and Kamailio, their media through relays. Toward the room that is coturn;
# toward the client it is our own MS-TURN server, which the pool names to the client as well.
# shellcheck shell=bash
scenarios+=" sipe_relay"
examples+=" turn-server"

relay_pid=
stop_relay() {
    "$lab/coturn.sh" stop >/dev/null 2>&1
    [ -z "$relay_pid" ] || kill -INT "$relay_pid" 2>/dev/null
    "$lab/netns.sh" up routed >/dev/null
}
stoppers+=" stop_relay"

relay_up() {
    "$lab/netns.sh" up isolated >/dev/null
    "$lab/coturn.sh" start ip=10.98.1.1 ns="$ns-core" loopback=0 >/dev/null
    "$lab/kamailio.sh" start ip=10.98.1.1 port=5060 tlsport=5991 ns="$ns-core" nodes="sip:10.98.2.2:5060" >/dev/null
    ip netns exec "$ns-core" "$target/turn-server" --ms --listen 10.98.1.1:3479 --realm example.test \
        --user edge:edgesecret --allow-peer 10.98.0.0/16 --ports 51000-51999 >"$out/edge.log" 2>&1 &
    relay_pid=$!
    sipe fe pool start ns="$ns-core" -- --route video.example.test=tcp:10.98.2.2:5161 --trunk-listen 10.98.1.1:5061 \
        --relay 10.98.1.1:3479:3479 --relay-user edge --relay-password edgesecret >/dev/null
    sipe_gateway place=b lync_ip=10.98.2.2 far_ip=10.98.2.2 ice=rfc8445 room_hop=udp:10.98.1.1:5060 at=10.98.1.1 \
        lync_extra='turn = [{ address = "10.98.1.1:3479", username = "edge", password = "edgesecret" }]' \
        side='turn = [{ address = "10.98.1.1:3478", username = "lab", password = "labsecret" }]' \
        extra='[[routes]]
domain = "10.98.1.1"
to = "lync"
next-hops = ["tcp:10.98.1.1:5061"]
request-host = "example.test"'
    sipe_alice
    sipe_room ip=10.98.1.2 ns="$ns-a" domain=10.98.1.1 reg=60 enc=srtp-mand nat=ice \
        stun=turn:10.98.1.1:3478 stunuser=lab stunpass=labsecret
    wait_for "$LAB_DIR/baresip-room/log" '200 OK' 10
}

# expect_relayed CALL: both media of both legs go through the relays; on the Lync side through one
# that either end has taken.
expect_relayed() {
    expect "$1: streams through our MS-TURN server" "$(grep -cE "^$1/lync/[01]: .*10.98.1.1:51[0-9]{3}" "$out/gateway.log")" at-least 2
    expect "$1: streams through coturn" "$(grep -cE "^$1/standard/[01]: 10.98.1.1:50[0-9]{3} <->" "$out/gateway.log")" at-least 2
}

scenario_sipe_relay() {
    sipe_begin sipe_relay
    relay_up
    sipe_call sip:room@video.example.test av first-picture
    sleep 1
    expect_picture_at_room
    expect_at_alice
    sipe_hang_up
    expect_sound_at_room
    expect "relays that SIPE has taken" "$(grep -c '^10.98.1.2:.* allocated' "$out/edge.log")" at-least 4
    expect "relayed candidates in its offer" "$(grep -hs 'typ relay' "$LAB_DIR"/sipe-fe-pool/messages/*-alice-INVITE-* | wc -l)" at-least 4
    expect_relayed call-1
    # The other way: what alice answers has relayed candidates, too.
    sipe_called first-picture sip:alice@10.98.1.1
    sleep 1
    expect_picture_at_room
    expect_at_alice
    room_hangs_up
    expect_sound_at_room
    expect "relays that SIPE has taken in both calls" "$(grep -c '^10.98.1.2:.* allocated' "$out/edge.log")" at-least 8
    expect_relayed call-2
    "$lab/capture.sh" stop sipe "$out" >"$out/callpack.txt"
    judge_capture
}
