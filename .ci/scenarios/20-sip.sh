# SIP alone: SIPp, Kamailio and baresip beside sip-ua, a registrar and caller without media.
# shellcheck shell=bash
scenarios+=" sip_sipp sip_kamailio sip_registrar"
examples+=" sip-ua"

server_pid=
# serve NAME NETNS ARGUMENTS...: a sip-ua that is ready; its events go to NAME.jsonl.
serve() {
    local name=$1 netns=$2
    shift 2
    rm -f "$work/$name.jsonl"
    ip netns exec "$netns" "$target/sip-ua" serve --json "$@" >"$work/$name.jsonl" 2>"$work/$name.log" &
    server_pid=$!
    wait_for "$work/$name.jsonl" '"event":"ready"' 10
}

stop_server() {
    [ -z "$server_pid" ] || { kill "$server_pid" 2>/dev/null && wait "$server_pid" 2>/dev/null; server_pid=; } || true
}

# How often an event is in a file of JSON lines.
count() { grep -c "\"event\":\"$2\"" "$1" || true; }

# Calls both ways over UDP and TCP, and OPTIONS pings.
scenario_sip_sipp() {
    trap 'stop_server; stop_all' EXIT
    serve sip_sipp "$ns-core" --listen udp:10.98.2.1:5060 --listen tcp:10.98.2.1:5060 --answer
    for transport in u1 t1; do
        "$lab/sipp.sh" ping ping ns="$ns-b" ip=$room to=10.98.2.1:5060 transport=$transport
        "$lab/sipp.sh" uac uac ns="$ns-b" ip=$room to=10.98.2.1:5060 transport=$transport calls=5 rate=5 hold=300
    done
    expect "calls of SIPp answered" "$(count "$work/sip_sipp.jsonl" invite)" equals 10
    expect "and ended" "$(count "$work/sip_sipp.jsonl" ended)" equals 10
    expect "pings answered" "$(count "$work/sip_sipp.jsonl" options)" at-least 6
    for transport in udp:u1 tcp:t1; do
        "$lab/sipp.sh" uas uas ns="$ns-b" port=5090 transport="${transport#*:}" ip=$room secs=20
        sleep 0.5
        ip netns exec "$ns-a" "$target/sip-ua" call "sip:trunk@$room:5090" --proxy "${transport%:*}:$room:5090" \
            --local 10.98.1.2 --seconds 0.5
        "$lab/sipp.sh" stop uas
    done
    echo "  ok: SIPp answered over UDP and TCP"
}

# Kamailio between caller and callee: TLS on one side, TCP on the other, two Record-Routes, and its
# OPTIONS probes of the callee.
scenario_sip_kamailio() {
    trap 'stop_server; "$lab/kamailio.sh" stop >/dev/null 2>&1; stop_all' EXIT
    serve sip_kamailio "$ns-b" --listen "udp:$room:5070" --listen "tcp:$room:5070" --answer
    "$lab/kamailio.sh" start ip=10.98.2.1 ns="$ns-core" ping=1 nodes="sip:$room:5070;transport=tcp"
    sleep 3
    local caller=(ip netns exec "$ns-a" "$target/sip-ua" --json)
    for proxy in "tls:10.98.2.1:5061 --ca $LAB_DIR/certs/ca.crt --server-name sip.example.test" tcp:10.98.2.1:5060 udp:10.98.2.1:5060; do
        # shellcheck disable=SC2086
        "${caller[@]}" call sip:room@10.98.2.1 --proxy $proxy --local 10.98.1.2 --seconds 0.5 | tee "$work/sip_kamailio-call.jsonl"
        expect "the call through ${proxy%% *} ended in order" "$(count "$work/sip_kamailio-call.jsonl" ended)" equals 1
    done
    "${caller[@]}" options sip:10.98.2.1 --proxy udp:10.98.2.1:5060 --local 10.98.1.2
    expect "calls that Kamailio brought" "$(count "$work/sip_kamailio.jsonl" invite)" equals 3
    expect "and ended by its Record-Route" "$(count "$work/sip_kamailio.jsonl" ended)" equals 3
    expect "probes of Kamailio answered" "$(count "$work/sip_kamailio.jsonl" options)" at-least 2
}

# Two baresips register with Digest, and one calls the other through our two legs.
scenario_sip_registrar() {
    trap 'stop_server; "$lab/baresip.sh" stop alice >/dev/null 2>&1; stop_all' EXIT
    local registrar=10.98.2.1
    serve sip_registrar "$ns-core" --listen "udp:$registrar:5060" --listen "tcp:$registrar:5060" \
        --algorithm MD5 --user alice:secret --user room:geheim --user carol:pass --realm example.test
    local plain="video=0 enc= nat= acodecs=PCMU/8000/1 domain=$registrar reg=60"
    # shellcheck disable=SC2086
    "$lab/baresip.sh" start alice ip=10.98.1.2 port=5080 ns="$ns-a" auth=secret transport=udp answer=manual $plain
    # shellcheck disable=SC2086
    "$lab/baresip.sh" start room ip=$room port=5070 ns="$ns-b" auth=geheim transport=tcp $plain
    for user in alice room; do
        wait_for "$work/sip_registrar.jsonl" "\"event\":\"registered\",\"status\":200,\"user\":\"$user\"" 10
    done
    "$lab/baresip.sh" dial alice "sip:room@$registrar" >/dev/null
    wait_for "$work/sip_registrar.jsonl" '"event":"connected"' 10
    sleep 3
    "$lab/baresip.sh" hangup alice >/dev/null
    wait_for "$work/sip_registrar.jsonl" '"event":"ended"' 10
    sleep 1
    expect_tone "alice's tone at the room, past our two legs" "$(ls -t "$LAB_DIR"/baresip-room/dump-*-dec.wav | head -n 1)" 440
    # Ours, with the right and with a wrong password.
    local client=(ip netns exec "$ns-a" "$target/sip-ua" register sip:carol@example.test --proxy "udp:$registrar:5060" --local 10.98.1.2)
    "${client[@]}" --user carol:pass
    if "${client[@]}" --user carol:wrong; then
        echo "a wrong password was taken"
        return 1
    fi
    echo "  ok: a wrong password is refused"
}
