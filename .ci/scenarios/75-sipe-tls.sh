# The client signs its messages (NTLM) and speaks TLS; the trunk is mutual TLS.
# shellcheck shell=bash
scenarios+=" sipe_tls sipe_wrong_certificate"

# tls_pool NAME: the stand-in with certificates everywhere, which wants the gateway's to bear NAME.
tls_pool() {
    local certs=$LAB_DIR/certs
    sipe fe pool start ns="$ns-core" -- --tls "$certs/server.pem" --auth ntlm --route video.example.test=tls:10.98.1.1:5161 \
        --trunk-listen 10.98.1.1:5061 --trunk-tls "$certs/server.pem" --trunk-ca "$certs/ca.crt" --trunk-name "$1" >/dev/null
}

# The trunk is named as its certificate is; the namespace knows the name.
tls_names() {
    mkdir -p "/etc/netns/$ns-core"
    echo "10.98.1.1 sip.example.test" >"/etc/netns/$ns-core/hosts"
}

tls_up() { # GATEWAY-KEYS...
    tls_names
    tls_pool sip.example.test
    sipe_gateway lync=tls trunk=tls:sip.example.test:5061 "$@"
    sipe_alice transport=tls
    sipe_room enc=srtp-mand
}

scenario_sipe_tls() {
    sipe_begin sipe_tls
    tls_up
    sipe_call
    sleep 1
    expect_picture_at_room
    expect_at_alice
    sipe_hang_up
    sipe_called
    sleep 1
    expect_picture_at_room
    expect_at_alice
    room_hangs_up
    local log=$LAB_DIR/sipe-fe-pool/log
    expect "signatures that the pool found valid" "$(grep -c ' valid$' "$log")" at-least 10
    expect "signatures that it found invalid" "$(grep -c INVALID "$log")" equals 0
    expect "certificates that it read of the gateway" "$(grep -c 'gateway certificate names' "$log")" at-least 1
    sipe_judge_own lync standard
}

# Certificates of another authority: at the gateway, and then of the gateway.
scenario_sipe_wrong_certificate() {
    sipe_begin sipe_wrong_certificate
    local other=$out/other
    LAB_DIR=$other "$lab/gen-certs.sh" >/dev/null 2>&1
    echo "  the gateway trusts another authority"
    tls_up ca="$other/certs/ca.crt"
    # The handshake of TLS 1.3 is over for the pool when its certificate is refused: SIPE is not told.
    sipe cmd alice "call sip:room@video.example.test av"
    wait_line "TLS refused.*certificate.*remote=10.98.1.1:"
    sipe cmd alice hangup
    baresip dial room sip:alice@10.98.2.1:5060 >/dev/null
    wait_for "$LAB_DIR/baresip-room/log" 'session closed: 50[0-9]' 15
    wait_line "10.98.1.1:5061.*certificate|certificate.*10.98.1.1:5061"
    kill -INT "$gateway_pid"
    wait "$gateway_pid" || true

    echo "  the gateway's own certificate is of another authority"
    sipe_gateway lync=tls trunk=tls:sip.example.test:5061 cert="$other/certs/server"
    sipe_call sip:room@video.example.test av call-ended
    expect_told fe-504-INVITE "ms-diagnostics: 1010;"
    wait_line "TLS refused.*remote=10.98.1.1:"
    sipe_judge
}

wait_line() { # PATTERN: a line of the gateway's, within some seconds
    wait_for "$out/gateway.log" "$1" 10
    echo "  ok: the gateway says: $(grep -E "$1" "$out/gateway.log" | tail -n 1)"
}
