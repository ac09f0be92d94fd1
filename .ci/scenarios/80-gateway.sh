# `gateway serve` as an operator knows it: what it is told by signals, asked over HTTP, and measured.
# shellcheck shell=bash
scenarios+=" gateway_life"
examples+=" gateway"

# serve_between_sipps NAME [MORE-TOML]: a gateway between two SIPps over TCP, in clear, without ICE;
# with LYNC_TLS a listener for TLS beside that.
serve_between_sipps() {
    local config=$work/$1.toml tls=
    [ -z "${LYNC_TLS:-}" ] || tls=", { transport = \"tls\", address = \"$LYNC_TLS\" }"
    cat >"$config" <<TOML
name = "gateway.example.test"
[service]
http = "10.98.1.1:9464"
drain-seconds = 20
[lync]
listeners = [{ transport = "tcp", address = "10.98.1.1:5060" }$tls]
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
# The certificate that the gateway shows to those who connect.
shown_certificate() {
    ip netns exec "$ns-core" timeout 5 openssl s_client -connect 10.98.1.1:5063 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint
}

# A certificate of its own authority in gateway_life's folder.
make_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gateway.example.test \
        -addext basicConstraints=CA:FALSE -keyout "$out/gateway.key" -out "$out/gateway.pem" 2>/dev/null
}

scenario_gateway_life() {
    local certificate log=$work/gateway_life-gateway.log out=$work/gateway_life
    rm -rf "$out"
    mkdir -p "$out"
    "$lab/sipp.sh" uas uas ns="$ns-b" port=5090 transport=t1 ip=$room secs=60
    make_certificate
    LYNC_TLS=10.98.1.1:5063 serve_between_sipps gateway_life "[tls]
certificate = \"$out/gateway.pem\"
key = \"$out/gateway.key\"
ca = \"$LAB_DIR/certs/ca.crt\"
mutual = false" --trace "$out"
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
    sed -i 's/^domain = "\*bad"$/domain = "elsewhere.test"/; s/:5060" }\]$/:5062" }]/' "$work/gateway_life.toml"
    certificate=$(shown_certificate)
    make_certificate
    kill -HUP "$gateway_pid"
    wait_for "$log" reloaded: 5
    [ -n "$certificate" ] && [ "$(shown_certificate)" != "$certificate" ] || { echo "  FAILED: the certificate is the old one"; return 1; }
    echo "  ok: who connects now is shown the new certificate"
    wait_for "$log" 'standard: the listeners have changed' 5
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

# What call set-up costs beside Kamailio as a proxy between the same two SIPps, and what a call holds.
scenarios+=" gateway_calls"

# Nanoseconds of processor time that a process and those it has started have had.
processor_time() {
    python3 - "$1" <<'PY'
import glob, sys
def tree(pid):
    yield pid
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in open(path).read().split():
            yield from tree(child)
total = 0
for pid in tree(sys.argv[1]):
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        total += int(open(path).read().split()[0])
print(total)
PY
}

signalling_calls() { # CALLS RATE HOLD-MS PORT: calls without media from the Lync side
    ( cd "$work" && ip netns exec "$ns-a" timeout 60 sipp -nostdin -sf "$OLDPWD/.ci/scenarios/sipp/uac_signalling.xml" -t t1 -i 10.98.1.2 -p "$4" \
        -s room -r "$2" -m "$1" -l "$1" -d "$3" -timeout 55 -recv_timeout 10000 10.98.1.1:5060 >"$work/signalling.screen" 2>&1 ) ||
        { tail -n 30 "$work/signalling.screen"; return 1; }
}

resident() { awk '/VmRSS/ { print $2 * 1024 }' "/proc/$1/status"; }

# cost_of_calls PID PORT: `spent`, the microseconds of processor time that each call costs.
cost_of_calls() {
    local before
    signalling_calls 50 50 0 "$2"
    before=$(processor_time "$1")
    signalling_calls "$calls" 100 0 $(($2 + 1))
    spent=$((($(processor_time "$1") - before) / calls / 1000))
}

scenario_gateway_calls() {
    local calls=${SIGNALLING_CALLS:-1000} before spent kamailio gateway held pid
    "$lab/sipp.sh" uas uas ns="$ns-b" port=5090 transport=t1 ip=$room secs=120
    "$lab/kamailio.sh" start ip=10.98.1.1 ns="$ns-core" nodes="sip:$room:5090;transport=tcp" secs=60 >/dev/null
    sleep 1
    read -r pid _ <"$LAB_DIR/kamailio/pid"
    cost_of_calls "$pid" 5300
    kamailio=$spent
    "$lab/kamailio.sh" stop >/dev/null
    serve_between_sipps gateway_calls "$(printf '[limits]\ncalls = 1200')"
    cost_of_calls "$gateway_pid" 5302
    gateway=$spent
    echo "  processor time a call: Kamailio $kamailio us, gateway $gateway us"
    before=$(resident "$gateway_pid")
    signalling_calls 1000 200 12000 5304 &
    local uac=$!
    wait_status 'len([c for c in s["calls"] if c["state"] == "active"])' 1000 12
    held=$((($(resident "$gateway_pid") - before) / 1000))
    echo "  memory a held call: $held octets"
    wait $uac
    wait_status 'len(s["calls"])' 0 5
    [ "$gateway" -le $((2 * kamailio)) ] || { echo "  FAILED: more than twice Kamailio's"; return 1; }
    [ "$held" -lt 65536 ] || { echo "  FAILED: more than 64 kB"; return 1; }
    echo "  ok: at most twice Kamailio's, under 64 kB"
}

# Malformed SIP, STUN and RTP at 5,000 a second each from a network of their own, while a video call runs.
scenarios+=" gateway_floods"
examples+=" lync-client"

flooders_up() {
    ip netns list | grep -q "^$ns-f\b" || ip netns add "$ns-f"
    ip -n "$ns-core" link show cf >/dev/null 2>&1 || ip -n "$ns-core" link add cf type veth peer name eth0 netns "$ns-f"
    ip -n "$ns-core" addr replace 10.98.3.1/24 dev cf
    ip -n "$ns-f" addr replace 10.98.3.2/24 dev eth0
    ip -n "$ns-core" link set cf up
    ip -n "$ns-f" link set eth0 up
    ip -n "$ns-f" route replace default via 10.98.3.1
}

flood() { ip netns exec "$ns-f" python3 .ci/scenarios/flood.py "$@"; }

scenario_gateway_floods() {
    local out=$work/gateway_floods log=$work/gateway_floods-gateway.log ports before lines pids pid
    rm -rf "$out"
    mkdir -p "$out"
    flooders_up
    trap 'stop_all; ip netns del "$ns-f" 2>/dev/null || true' EXIT
    start_room enc=srtp-mand $narrowband
    UNTRACED=1 start_gateway gateway_floods required none 5070
    lync_client --call sip:room@video.example.test --proxy 10.98.1.1:5061 --transport tls \
        --ca "$LAB_DIR/certs/ca.crt" --server-name sip.example.test \
        --cert "$LAB_DIR/certs/server.crt" --key "$LAB_DIR/certs/server.key" --local 10.98.1.2 --from sip:alice@example.test \
        --video "$media/lync-t3-640x360.264" --tone 660 --seconds 14 --encryption required --out "$out" --json >"$out/client.jsonl" &
    local client=$!
    wait_for "$out/client.jsonl" '"state":"established"' 15
    sleep 2
    before=$(resident "$gateway_pid") lines=$(wc -l <"$log")
    ports=$(ip netns exec "$ns-core" ss -Hlun | awk '{ print $4 }' | grep -E ':(4|5)[0-9]{4}$')
    [ "$(wc -w <<<"$ports")" -ge 8 ] || { echo "  FAILED: no media ports: $ports"; return 1; }
    flood sip 5000 8 10.98.2.1:5060 &
    pids=$!
    # shellcheck disable=SC2086
    flood stun 5000 8 $ports &
    pids+=" $!"
    # shellcheck disable=SC2086
    flood rtp 5000 8 $ports &
    pids+=" $!"
    sleep 4
    expect_picture
    for pid in $pids; do wait "$pid"; done
    python3 - "$before" "$(resident "$gateway_pid")" "$lines" "$(wc -l <"$log")" <<'PY'
import sys
before, after, first, last = map(int, sys.argv[1:])
print(f"  memory: {after - before} octets more; log: {last - first} lines in 8 s")
sys.exit(after - before > 20 << 20 or last - first > 8 * 60)
PY
    wait $client || { tail -n 5 "$out/client.jsonl"; return 1; }
    for media in audio video; do
        expect "$media packets lost on the way to the Lync side" "$(stream_field "$out/client.jsonl" $media lost)" equals 0
    done
    expect "pictures damaged" "$(stream_field "$out/client.jsonl" video damaged)" equals 0
    expect_from_baresip "$out"
    expect_at_baresip
    kill -INT "$gateway_pid"
    wait "$gateway_pid"
    gateway_pid=
    grep -q 'call-1.*audio.*(0 lost)' "$log"
    ! grep -E 'call-1/(lync|standard)/[01]: (audio|video) .*\([1-9][0-9]* lost\)' "$log" || { echo "  FAILED: packets of the call were lost"; return 1; }
    echo "  ok: the call is unharmed"
}

# What relaying a packet costs beside rtpengine, the same streams in the same run.
scenarios+=" gateway_relay"
examples+=" relay-bench"
alone+=" gateway_calls gateway_floods gateway_relay"

scenario_gateway_relay() {
    local pid child seconds=${RELAY_SECONDS:-3} run
    rtp_bench() { ip netns exec "$ns-core" "$target/relay-bench" --json --seconds "$seconds" "$@" | tee -a "$work/gateway_relay.jsonl"; }
    rm -f "$work/gateway_relay.jsonl"
    "$lab/rtpengine.sh" start ip=127.0.0.1 ns="$ns-core" >/dev/null
    trap 'stop_all; "$lab/rtpengine.sh" stop >/dev/null' EXIT
    sleep 1
    read -r pid _ <"$LAB_DIR/rtpengine/pid"
    child=$(pgrep -P "$pid" -x rtpengine | head -n 1)
    # In turn, so that what else the machine does is shared by all, and the best run of each: what
    # other processes take of a shared processor's caches only adds to a run.
    for run in 1 2 3 4 5; do
        rtp_bench --kind audio --ng 127.0.0.1:2223 --pid "${child:-$pid}" >/dev/null
        rtp_bench --kind audio --no-loss >/dev/null
        rtp_bench --kind large --streams 92 >/dev/null
        rtp_bench --kind video --streams 92 --no-loss >/dev/null
    done
    python3 - "$work/gateway_relay.jsonl" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
def cost(relay, kind): return min(r["us_per_packet"] for r in rows if (r["relay"], r["kind"]) == (relay, kind))
theirs, ours, large, video = cost("rtpengine", "Audio"), cost("linkspan", "Audio"), cost("linkspan", "Large"), cost("linkspan", "Video")
print(f"  us of processor time a packet: rtpengine RTP -> SRTP {theirs:.1f}, ours SRTP -> SRTP {ours:.1f}; "
      f"X-H264UC -> H.264 {video:.1f}, {video / ours:.2f}x that, and {video / large:.2f}x packets of its sizes and times passed as they are ({large:.1f})")
# The last ratio swings with what the caches of a shared machine have left: its bound only guards against a fall.
ok = ours <= theirs and video <= 1.2 * ours and video <= 1.6 * large
print("  ok: no more than rtpengine's, with rewriting at most 1.2 times ours without" if ok else "  FAILED")
sys.exit(0 if ok else 1)
PY
}

# No media passes directly between the gateway and the room: it goes through coturn, by the gateway's own
# relayed candidates, and between the two over TCP.
scenarios+=" gateway_turn"

scenario_gateway_turn() {
    local out=$work/gateway_turn
    rm -rf "$out"
    mkdir -p "$out"
    trap 'stop_all; "$lab/coturn.sh" stop >/dev/null; ip netns exec "$ns-b" nft delete table inet relayed 2>/dev/null || true' EXIT
    "$lab/coturn.sh" start ip=10.98.1.1 ns="$ns-core" loopback=0 min=61000 max=61199 secs=120 >/dev/null
    ip netns exec "$ns-b" nft -f - <<'NFT'
table inet relayed {
  chain out { type filter hook output priority 0; udp dport 50000-59999 drop; }
  chain in { type filter hook input priority 0; udp sport 50000-59999 drop; }
}
NFT
    start_room enc=srtp-mand nat=ice $narrowband
    STANDARD_MORE='turn = [{ address = "10.98.1.1:3478", username = "lab", password = "labsecret", transport = "tcp" }]' \
        start_gateway gateway_turn required rfc8445 5070
    lync_client --call sip:room@video.example.test --proxy 10.98.1.1:5061 --transport tls \
        --ca "$LAB_DIR/certs/ca.crt" --server-name sip.example.test \
        --cert "$LAB_DIR/certs/server.crt" --key "$LAB_DIR/certs/server.key" --local 10.98.1.2 --from sip:alice@example.test \
        --video "$media/lync-t3-640x360.264" --tone 660 --seconds 14 --encryption required --out "$out" --json >"$out/client.jsonl" &
    local client=$!
    wait_for "$out/client.jsonl" '"state":"established"' 25
    sleep 10
    expect_picture
    wait $client || { tail -n 5 "$out/client.jsonl"; return 1; }
    expect_from_baresip "$out"
    expect_at_baresip
    grep -Eq 'call-1/standard/0: 10.98.1.1:61[0-9]{3} <-> ' "$work/gateway_turn-gateway.log"
    "$lab/tshark/decode_check.sh" "$work/gateway_turn-trace/call-1.pcap"
    echo "  ok: the call's media went through coturn"
}
