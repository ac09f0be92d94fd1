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

# The call is set up under the loss, and the picture keeps coming for ten seconds: at SIPE at both
# levels; at the room where an intra picture of SIPE's, of some ten packets, still comes through
# whole (at 30 % one in thirty does, and nothing is sent twice), else it is told what the room had.
lossy_call() { # PERCENT
    local loss=$1 since=$SECONDS part pictures before
    echo "  $loss % lost"
    lose "$loss"
    # SIPE's ICE gives a component up when the check that nominates is lost too often: it redials.
    sipe_call || {
        echo "  not connected: called once more"
        sipe cmd alice hangup
        sleep 2
        sipe_call
    }
    sleep 1
    for part in 1 2; do
        before=$(pictures_at_alice)
        if [ "$loss" -le 10 ]; then
            expect_picture_at_room
        else
            sleep 4
            echo "  the room shows a new picture of SIPE's: $(baresip snapshot room >/dev/null && echo yes || echo no)"
        fi
        sleep 3
        pictures=$(pictures_at_alice)
        expect "pictures at SIPE, part $part" "$((pictures - before))" at-least 8
    done
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
