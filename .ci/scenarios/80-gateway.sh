# `gateway serve` as an operator knows it: what it is told by signals, asked over HTTP, and measured.
# shellcheck shell=bash
scenarios+=" gateway_life"
examples+=" gateway"

# serve_between_sipps NAME [MORE-TOML]: a gateway between two SIPps over TCP, in clear, without ICE.
serve_between_sipps() {
    local config=$work/$1.toml
    cat >"$config" <<TOML
name = "gateway.example.test"
[service]
http = "10.98.1.1:9464"
drain-seconds = 20
[lync]
listeners = [{ transport = "tcp", address = "10.98.1.1:5060" }]
media-address = "10.98.1.1"
encryption = "none"
ice = "none"
[standard]
listeners = [{ transport = "tcp", address = "10.98.2.1:5060" }]
media-address = "10.98.2.1"
encryption = "none"
ice = "none"
[[routes]]
domain = "10.98.1.1"
to = "standard"
next-hops = ["tcp:$room:5090"]
${2:-}
TOML
    ip netns exec "$ns-core" "$target/gateway" serve --config "$config" "${@:3}" >"$work/$1-gateway.log" 2>&1 &
    gateway_pid=$!
    wait_for "$work/$1-gateway.log" ready 10
}

status() { ip netns exec "$ns-core" curl -s "http://10.98.1.1:9464/$1"; }

# wait_status FIELD VALUE SECONDS
wait_status() {
    local value
    for _ in $(seq $(($3 * 5))); do
        value=$(status status | python3 -c "import json,sys; s=json.load(sys.stdin); print($1)")
        [ "$value" = "$2" ] && return
        sleep 0.2
    done
    echo "  FAILED: $1 is $value, not $2"
    return 1
}

sipp_calls() { # NAME hold= calls= rate= …: calls from the Lync side
    local name=$1
    shift
    "$lab/sipp.sh" uac "$name" ns="$ns-a" ip=10.98.1.2 to=10.98.1.1:5060 transport=t1 "$@"
}

# Calls come, are seen in status and metrics, survive SIGHUP and a drain; new ones are refused then.
scenario_gateway_life() {
    local log=$work/gateway_life-gateway.log out=$work/gateway_life
    rm -rf "$out"
    "$lab/sipp.sh" uas uas ns="$ns-b" port=5090 transport=t1 ip=$room secs=60
    serve_between_sipps gateway_life "" --trace "$out"
    sipp_calls before calls=4 rate=4 hold=7000 >"$work/gateway_life-uac.log" &
    local uac=$!
    wait_status 'len([c for c in s["calls"] if c["state"] == "active"])' 4 5
    echo "  ok: four calls in the status, active"
    status metrics >"$work/gateway_life.metrics"
    grep -q 'linkspan_gateway_calls{state="active"} 4' "$work/gateway_life.metrics"
    grep -q 'linkspan_gateway_call_events_total{what="answered"} 4' "$work/gateway_life.metrics"
    tail -n 1 "$work/gateway_life.metrics" | grep -q '# EOF'
    echo "  ok: the same in the metrics"
    # A mistake changes nothing; a route that is gone is gone for new calls.
    sed -i 's/^domain = "10.98.1.1"$/domain = "*bad"/' "$work/gateway_life.toml"
    kill -HUP "$gateway_pid"
    wait_for "$log" 'gateway_life.toml:[0-9]+:[0-9]+: ' 5
    sed -i 's/^domain = "\*bad"$/domain = "elsewhere.test"/' "$work/gateway_life.toml"
    kill -HUP "$gateway_pid"
    wait_for "$log" reloaded: 5
    ! sipp_calls gone calls=1 port=5196 >/dev/null || { echo "  FAILED: a call by a route that is gone"; return 1; }
    grep -q '404' "$LAB_DIR/sipp-gone/err" "$LAB_DIR/sipp-gone/msg"
    wait_status 'len(s["calls"])' 4 2
    echo "  ok: routes are read again, running calls stay"
    kill -TERM "$gateway_pid"
    wait_for "$log" draining: 5
    [ "$(ip netns exec "$ns-core" curl -s -o /dev/null -w '%{http_code}' http://10.98.1.1:9464/health)" = 503 ]
    ! sipp_calls drained calls=1 port=5197 >/dev/null || { echo "  FAILED: a call while draining"; return 1; }
    grep -q '503 Service' "$LAB_DIR/sipp-drained/msg"
    grep -q '^Retry-After: ' "$LAB_DIR/sipp-drained/msg"
    echo "  ok: 503 with Retry-After while draining"
    wait $uac
    grep -q 'Successful call.*4' "$work/gateway_life-uac.log" || { cat "$work/gateway_life-uac.log"; return 1; }
    wait "$gateway_pid"
    gateway_pid=
    echo "  ok: running calls have ended by themselves, and the gateway after them"
    # Each call's own record.
    "$lab/tshark/decode_check.sh" "$out/call-1.pcap"
    grep -q 'offer of lync is translated' "$out/call-1.txt"
    grep -q 'BYE' "$out/call-1.txt"
    # Stopped at once: both ends get their BYE.
    sed -i 's/^domain = "elsewhere.test"$/domain = "10.98.1.1"/' "$work/gateway_life.toml"
    ip netns exec "$ns-core" "$target/gateway" serve --config "$work/gateway_life.toml" >"$log.2" 2>&1 &
    gateway_pid=$!
    wait_for "$log.2" ready 10
    sipp_calls stopped calls=1 hold=20000 port=5198 max=25 >/dev/null &
    uac=$!
    wait_status 'len([c for c in s["calls"] if c["state"] == "active"])' 1 5
    kill -INT "$gateway_pid"
    wait "$gateway_pid"
    gateway_pid=
    sleep 0.5
    grep -q '^BYE ' "$LAB_DIR/sipp-stopped/msg"
    kill $uac 2>/dev/null || true
    wait $uac 2>/dev/null || true
    echo "  ok: SIGINT ends calls with BYE, and the gateway at once"
}
