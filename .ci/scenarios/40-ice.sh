# ICE and TURN beside libnice (behind GStreamer's nicesrc) and coturn.
# shellcheck shell=bash
scenarios+=" ice_libnice ice_libnice_relayed ice_consent turn_coturn turn_tcp turn_uclient turn_speed"
examples+=" ice-connect turn-connect turn-server"

peer=.ci/scenarios/nice_peer.py

# An agent of ours in namespace a, libnice in b: NAME DIALECT ROLE [ice-connect-options...] -- [peer-options...]
meet() {
    local name=$1 dialect=$2 role=$3 compat=rfc5245 theirs= out=$work/$1
    shift 3
    local mine=() yours=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do mine+=("$1"); shift; done
    [ $# -eq 0 ] || { shift; yours=("$@"); }
    [ "$dialect" = rfc8445 ] || compat=oc2007r2
    [ "$role" = controlling ] || theirs=--controlling
    rm -rf "$out"
    mkdir -p "$out"
    # shellcheck disable=SC2086
    timeout 40 ip netns exec "$ns-b" /usr/bin/python3 $peer --compat $compat $theirs --ip 10.98.2.2 \
        --write "$out/nice.txt" --read "$out/ours.txt" --seconds 2 "${yours[@]}" >"$out/nice.json" 2>"$out/nice.log" &
    local nice=$!
    timeout 40 ip netns exec "$ns-a" "$target/ice-connect" --json --dialect "$dialect" --role "$role" --local 10.98.1.2 \
        --write "$out/ours.txt" --read "$out/nice.txt" --send hello --expect-data --seconds 3 "${mine[@]}" >"$out/ours.jsonl" ||
        { tail -n 5 "$out/ours.jsonl" "$out/nice.log"; return 1; }
    wait $nice || { cat "$out/nice.json" "$out/nice.log"; return 1; }
    echo "  ok: $name: $(sed -n 's/.*"ms":\([0-9]*\),"state":"completed".*/\1/p' "$out/ours.jsonl" | head -n 1) ms, $(cat "$out/nice.json")"
}

# Both dialects, both roles, both nominations of ours.
scenario_ice_libnice() {
    local dialect role
    for dialect in rfc8445 ms-ice2; do
        for role in controlling controlled; do
            meet "nice-$dialect-$role" "$dialect" "$role" &
        done
    done
    for job in $(jobs -p); do wait "$job"; done
    meet nice-rfc8445-aggressive rfc8445 controlling --aggressive &
    meet nice-ms-ice2-aggressive ms-ice2 controlling --aggressive &
    for job in $(jobs -p); do wait "$job"; done
}

coturn_up() { "$lab/coturn.sh" start ip=10.98.1.1 ns="$ns-core" loopback=0 >/dev/null; sleep 1; }

# The core forwards nothing: only coturn joins the two.
scenario_ice_libnice_relayed() {
    "$lab/netns.sh" up isolated >/dev/null
    coturn_up
    local role status=0
    for role in controlling controlled; do
        meet "relayed-rfc8445-$role" rfc8445 "$role" --turn 10.98.1.1:3478 --turn-user lab:labsecret -- --turn 10.98.1.1:3478:lab:labsecret &
        # libnice's relays in this mode speak MS-TURN, which coturn does not: ours alone is in the path.
        meet "relayed-ms-ice2-$role" ms-ice2 "$role" --turn 10.98.1.1:3478 --turn-user lab:labsecret &
    done
    for job in $(jobs -p); do wait "$job" || status=1; done
    "$lab/coturn.sh" stop >/dev/null
    "$lab/netns.sh" up routed >/dev/null
    grep -q '"local_type":"relay"\|"remote_type":"relay"' "$work/relayed-rfc8445-controlling/ours.jsonl" || status=1
    return $status
}

# The peer freezes: its consent runs out, here after 6 s instead of 30.
scenario_ice_consent() {
    local out=$work/consent since
    rm -rf "$out"
    mkdir -p "$out"
    ip netns exec "$ns-b" /usr/bin/python3 $peer --controlling --ip 10.98.2.2 --write "$out/nice.txt" --read "$out/ours.txt" \
        --seconds 30 >"$out/nice.json" 2>"$out/nice.log" &
    local nice=$!
    ip netns exec "$ns-a" "$target/ice-connect" --json --role controlled --local 10.98.1.2 --write "$out/ours.txt" --read "$out/nice.txt" \
        --consent 6 --seconds 25 >"$out/ours.jsonl" &
    local ours=$!
    wait_for "$out/nice.log" ready 20
    sleep 3
    kill -STOP $nice
    since=$SECONDS
    if wait $ours; then echo "the frozen peer was not noticed"; kill -KILL $nice; return 1; fi
    kill -KILL $nice
    grep -q '"state":"consent lost"' "$out/ours.jsonl" || { cat "$out/ours.jsonl"; return 1; }
    expect "seconds until a frozen peer was noticed" $((SECONDS - since)) at-least 4
}

# Our client on coturn, at both ends and with no other way; over a connection no datagram leaves.
through_coturn() { # TRANSPORT OPTION...
    local out=$work/coturn-$1 how=$1 status=0
    shift
    rm -rf "$out"
    mkdir -p "$out"
    local turn=(--turn-transport "$how" "$@" --turn-user lab:labsecret --send hello --expect-data --seconds 2 --json)
    timeout 30 ip netns exec "$ns-a" "$target/ice-connect" --role controlling --local 10.98.1.2 --write "$out/a.txt" --read "$out/b.txt" "${turn[@]}" >"$out/a.jsonl" &
    local a=$!
    timeout 30 ip netns exec "$ns-b" "$target/ice-connect" --role controlled --local 10.98.2.2 --write "$out/b.txt" --read "$out/a.txt" "${turn[@]}" >"$out/b.jsonl" || status=1
    wait $a || status=1
    [ $status = 0 ] && grep -h '"event":"selected"' "$out"/*.jsonl | grep -q relay || { tail -n 5 "$out"/*.jsonl; return 1; }
    echo "  ok: two agents of ours over $how: $*"
}

scenario_turn_coturn() {
    "$lab/netns.sh" up isolated >/dev/null
    coturn_up
    local status=0 job
    through_coturn udp --turn 10.98.1.1:3478 &
    through_coturn tcp --turn 10.98.1.1:3478 --no-udp &
    through_coturn tls --turn 10.98.1.1:5349 --no-udp --turn-ca "$LAB_DIR/certs/ca.crt" --turn-name sip.example.test &
    for job in $(jobs -p); do wait "$job" || status=1; done
    "$lab/coturn.sh" stop >/dev/null
    # MS-TURN behind its pseudo-TLS handshake, on our server.
    ip netns exec "$ns-core" "$target/turn-server" --ms --listen 10.98.1.1:3479 --realm example.test --user lab:labsecret \
        --allow-peer 10.98.0.0/16 >"$work/coturn-tcp/ms.log" &
    local server=$!
    wait_for "$work/coturn-tcp/ms.log" ready 5
    rm -f "$work"/coturn-tcp/*.jsonl
    through_coturn tcp --turn 10.98.1.1:3479 --ms-turn --no-udp --dialect ms-ice2 || status=1
    kill $server
    "$lab/netns.sh" up routed >/dev/null
    return $status
}

# A peer that answers in capitals at PORT, or CONNECT: one that connects there and does the same.
capitals='
import socket, sys
if sys.argv[1] == "connect":
    peer = socket.create_connection((sys.argv[2], int(sys.argv[3])))
else:
    listener = socket.create_server((sys.argv[2], int(sys.argv[3])))
    print("ready", flush=True)
    peer = listener.accept()[0]
while octets := peer.recv(4096):
    peer.sendall(octets.upper())
'

# Our client's TCP allocations (RFC 6062) on SERVER, which runs already: to a peer, and taken from one.
tcp_through() {
    local out=$work/tcp-$1 relayed peer status=0
    rm -rf "$out"
    mkdir -p "$out"
    ours=(timeout 25 ip netns exec "$ns-a" "$target/turn-connect" --json --server 10.98.1.1:3478 --user lab:labsecret --send "hello there" --expect "HELLO THERE")
    timeout 25 ip netns exec "$ns-b" python3 -c "$capitals" listen 10.98.2.2 9000 >"$out/peer.log" 2>/dev/null &
    peer=$!
    wait_for "$out/peer.log" ready 10
    "${ours[@]}" --peer 10.98.2.2:9000 >"$out/out.jsonl" || status=1
    kill $peer 2>/dev/null || true
    "${ours[@]}" --accept 10.98.2.2 >"$out/in.jsonl" &
    local client=$!
    wait_for "$out/in.jsonl" waiting 10
    relayed=$(sed -n 's/.*"relayed":"[^"]*:\([0-9]*\)".*/\1/p' "$out/in.jsonl")
    timeout 25 ip netns exec "$ns-b" python3 -c "$capitals" connect 10.98.1.1 "$relayed" 2>/dev/null &
    peer=$!
    wait $client || status=1
    kill $peer 2>/dev/null || true
    [ $status = 0 ] || { tail -n 5 "$out"/*.jsonl; return 1; }
    echo "  ok: TCP through $1, to a peer and from one"
}

# The core forwards nothing: only the servers join the two.
scenario_turn_tcp() {
    local status=0 server
    mkdir -p "$work"
    "$lab/netns.sh" up isolated >/dev/null
    coturn_up
    tcp_through coturn || status=1
    "$lab/coturn.sh" stop >/dev/null
    ip netns exec "$ns-core" "$target/turn-server" --listen 10.98.1.1:3478 --realm example.test --user lab:labsecret --allow-peer 10.98.0.0/16 >"$work/tcp-server.log" &
    server=$!
    wait_for "$work/tcp-server.log" ready 5
    tcp_through ours || status=1
    kill $server
    "$lab/netns.sh" up routed >/dev/null
    return $status
}

# coturn's own client on our server: nothing may be lost.
scenario_turn_uclient() {
    local out=$work/uclient mode port
    rm -rf "$out"
    mkdir -p "$out"
    [ -s "$LAB_DIR/certs/server.crt" ] || "$lab/gen-certs.sh" >/dev/null
    ip netns exec "$ns-core" "$target/turn-server" --listen 10.98.1.1:3478 --realm example.test --user lab:labsecret --quota 100 --allow-peer 10.98.0.0/16 \
        --tls 10.98.1.1:5349 --certificate "$LAB_DIR/certs/server.crt" --key "$LAB_DIR/certs/server.key" >"$out/server.log" &
    local server=$!
    wait_for "$out/server.log" ready 5
    for mode in "" "-s" "-g -s" "-t" "-t -s" "-T" "-M" "-t -S"; do
        port=3478
        [ "$mode" != "-t -S" ] || port=5349
        # shellcheck disable=SC2086
        timeout 30 ip netns exec "$ns-a" turnutils_uclient -y -c -n 20 -m 2 -l 172 $mode -p $port -u lab -w labsecret 10.98.1.1 >"$out/client.log" 2>&1 || true
        grep -q 'tot_send_msgs=\([0-9]*\), tot_recv_msgs=\1' "$out/client.log" && ! grep -q 'tot_send_msgs=0' <(grep tot_send_msgs "$out/client.log" | tail -n 1) ||
            { kill $server; tail -n 12 "$out/client.log"; return 1; }
        echo "  ok: turnutils_uclient ${mode:-(channels)}: $(grep tot_send_msgs "$out/client.log" | tail -n 1)"
    done
    kill $server
    # -M changes its sockets after the allocation.
    expect "clients of coturn's that moved" "$(grep -c moved "$out/server.log")" at-least 1
}

# CPU seconds that a process has used, all threads.
cpu_of() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$1/stat"; }

# Thirty thousand messages through a server on loopback: NAME PID -> packets per second of its CPU time.
relay_rate() {
    local before after got
    before=$(cpu_of "$2")
    timeout 60 ip netns exec "$ns-core" turnutils_uclient -y -c -n 1000 -m 30 -l 172 -z 2 -p 3478 -u lab -w labsecret 127.0.0.1 >"$work/speed/$1.log" 2>&1 || true
    after=$(cpu_of "$2")
    got=$(sed -n 's/.*tot_recv_msgs=\([0-9]*\).*/\1/p' "$work/speed/$1.log" | tail -n 1)
    python3 -c "import sys; print(round(float(sys.argv[1]) / max(float(sys.argv[3]) - float(sys.argv[2]), 0.01)))" "${got:-0}" "$before" "$after"
}

# The relay path beside coturn's, in one run and by CPU time, so that other load does not count.
scenario_turn_speed() {
    local server coturn ours theirs
    mkdir -p "$work/speed"
    "$lab/coturn.sh" start ip=127.0.0.1 ns="$ns-core" max=50999 >/dev/null
    sleep 1
    read -r coturn _ <"$LAB_DIR/coturn/pid"
    theirs=$(relay_rate coturn "$(pgrep -P "$coturn" -x turnserver || echo "$coturn")")
    "$lab/coturn.sh" stop >/dev/null
    ip netns exec "$ns-core" "$target/turn-server" --listen 127.0.0.1:3478 --realm example.test --user lab:labsecret --quota 200 --allow-peer 127.0.0.0/8 >"$work/speed/server.log" &
    server=$!
    wait_for "$work/speed/server.log" ready 5
    ours=$(relay_rate ours $server)
    kill $server
    echo "  packets per second of CPU: $ours ours, $theirs coturn's"
    expect "ours to coturn's" "$(python3 -c "print(round($ours / max($theirs, 1), 2))")" at-least 0.95
}
