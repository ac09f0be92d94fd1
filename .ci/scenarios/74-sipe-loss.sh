# Random loss on the Lync side, in both directions.
# shellcheck shell=bash
scenarios+=" sipe_loss"

# lose PERCENT: of the UDP packets from and to alice, on the gateway's side of the wire: so the
# capture shows all that she has sent.
lose() {
    ip netns exec "$ns-core" nft -f - <<EOT
table inet loss
delete table inet loss
table inet loss {
    chain in { type filter hook input priority 0; iifname "ca" meta l4proto udp numgen random mod 100 < $1 drop; }
    chain out { type filter hook output priority 0; oifname "ca" meta l4proto udp numgen random mod 100 < $1 drop; }
}
EOT
}

# The gateway has asked for keyframes where it lost them, and not more often than twice a second.
expect_few_requests() { # SECONDS
    local asked
    asked=$(sed -n "s|^call-[0-9]*/lync/1: .* \([0-9]*\) keyframes asked for.*|\1|p" "$out/gateway.log" | tail -n 1)
    expect "${asked:-0} keyframes asked for at SIPE in $1 s: few" "$((${asked:-0} <= 2 * $1 + 1))" equals 1
}

# Pictures of SIPE's that baresip has shown.
pictures_at_room() { baresip cmd room video_debug | sed -n 's/.*vidisp: .*frames=\([0-9]*\).*/\1/p' | head -n 1; }

# The call is set up under the loss, and both pictures keep coming. Of SIPE's own, a single slice of
# two fragments or three, every other one comes whole at 30 %, and of most others the beginning.
lossy_call() { # PERCENT
    local since=$SECONDS part seen shown
    echo "  $1 % lost"
    lose "$1"
    sipe_call
    expect_picture_at_room
    for part in 1 2; do
        seen=$(pictures_at_alice) shown=$(pictures_at_room)
        sleep 5
        expect "pictures at SIPE in 5 s, part $part" "$(($(pictures_at_alice) - seen))" at-least 8
        expect "pictures of SIPE's at baresip in 5 s, part $part" "$(($(pictures_at_room) - shown))" at-least 15
    done
    expect_picture_at_room
    lose 0
    sipe_hang_up
    expect_few_requests $((SECONDS - since))
}

scenario_sipe_loss() {
    sipe_begin sipe_loss
    sipe_up -- enc=srtp-mand
    lossy_call 10
    lossy_call 30
    sipe_judge lync standard
}
