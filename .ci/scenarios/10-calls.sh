# Calls between lync-client and baresip or SIPp through `gateway serve`.
# shellcheck shell=bash
scenarios+=" srtp_ice rtp_no_ice srtp_no_ice from_baresip_srtp_ice from_baresip_rtp encryption_mismatch sipp"
examples+=" gateway lync-client"

# baresip answers only when the sound that it plays has the rate of the codec.
narrowband="acodecs=PCMU/8000/1"
wideband="acodecs=G722/16000/1 audio=$LAB_DIR/media/a440-16k.wav"
start_room() { "$lab/baresip.sh" start room ip=$room ns="$ns-b" port=5070 "$@"; }

lync_client() { ip netns exec "$ns-a" "$target/lync-client" "$@"; }

# Lync side to baresip: our picture and tone there, its picture and tone here.
call_room() { # NAME ENCRYPTION ICE baresip-options...
    local name=$1 encryption=$2 ice=$3
    shift 3
    local out=$work/$name
    rm -rf "$out"
    mkdir -p "$out"
    start_room "$@"
    start_gateway "$name" "$encryption" "$ice" 5070
    lync_client --call sip:room@video.example.test --proxy 10.98.1.1:5061 --transport tls \
        --ca "$LAB_DIR/certs/ca.crt" --server-name sip.example.test \
        --cert "$LAB_DIR/certs/server.crt" --key "$LAB_DIR/certs/server.key" --local 10.98.1.2 --from sip:alice@example.test \
        --video "$media/lync-t3-640x360.264" --tone 660 --digits '12#' --seconds 8 \
        --encryption required --out "$out" --json >"$out/client.jsonl" &
    local client=$!
    wait_for "$out/client.jsonl" '"state":"established"' 15
    sleep 6
    expect_picture
    wait $client || { tail -n 5 "$out/client.jsonl"; return 1; }
    expect "Lync leg encrypted" "$(stream_field "$out/client.jsonl" video encrypted)" equals True
    expect_from_baresip "$out"
    expect_at_baresip
}

scenario_srtp_ice() { call_room srtp_ice required rfc8445 enc=srtp-mand nat=ice $wideband; }
scenario_rtp_no_ice() { call_room rtp_no_ice none none $narrowband; }
scenario_srtp_no_ice() { call_room srtp_no_ice required none enc=srtp-mand $narrowband; }

# baresip calls the Lync side.
call_lync() { # NAME ENCRYPTION ICE baresip-options...
    local name=$1 encryption=$2 ice=$3
    shift 3
    local out=$work/$name
    rm -rf "$out"
    mkdir -p "$out"
    start_room answer=manual "$@"
    start_gateway "$name" "$encryption" "$ice" 5070
    lync_client --answer --listen 10.98.1.2:5070 --transport tcp --local 10.98.1.2 --from sip:alice@example.test \
        --video "$media/lync-t3-640x360.264" --tone 660 --seconds 8 \
        --encryption required --out "$out" --json >"$out/client.jsonl" &
    local client=$!
    sleep 1
    "$lab/baresip.sh" dial room sip:alice@10.98.2.1:5060 >/dev/null
    wait_for "$out/client.jsonl" '"state":"established"' 15
    sleep 6
    expect_picture
    wait $client || { tail -n 5 "$out/client.jsonl"; return 1; }
    expect_from_baresip "$out"
    expect_at_baresip
}

scenario_from_baresip_srtp_ice() { call_lync from_baresip_srtp_ice required rfc8445 enc=srtp-mand nat=ice $narrowband; }
scenario_from_baresip_rtp() { call_lync from_baresip_rtp none none $wideband; }

# Levels that cannot meet: the Lync side hears why, and the room never rings.
scenario_encryption_mismatch() {
    local out=$work/encryption_mismatch
    rm -rf "$out"
    mkdir -p "$out"
    start_room
    start_gateway encryption_mismatch none none 5070
    sed -i 's/^encryption = "required"$/encryption = "none"/' "$work/encryption_mismatch.toml"
    kill "$gateway_pid"
    wait "$gateway_pid" 2>/dev/null || true
    ip netns exec "$ns-core" "$target/gateway" serve --config "$work/encryption_mismatch.toml" >"$out/gateway.log" 2>&1 &
    gateway_pid=$!
    wait_for "$out/gateway.log" ready 10
    if lync_client --call sip:room@video.example.test --proxy 10.98.1.1:5061 --transport tls \
        --ca "$LAB_DIR/certs/ca.crt" --server-name sip.example.test \
        --cert "$LAB_DIR/certs/server.crt" --key "$LAB_DIR/certs/server.key" --local 10.98.1.2 --from sip:alice@example.test --tone 660 \
        --seconds 2 --encryption required --out "$out" --json >"$out/client.jsonl"; then
        echo "the call was set up against the policy"
        return 1
    fi
    grep -q '"status":488' "$out/client.jsonl" && grep -q 52017 "$out/client.jsonl"
    echo "  ok: 488 with ms-client-diagnostics 52017"
}

# SIPp, for signalling: it answers as a trunk, then calls as one.
scenario_sipp() {
    local out=$work/sipp
    rm -rf "$out"
    mkdir -p "$out"
    "$lab/sipp.sh" uas uas ns="$ns-b" port=5090 transport=u1 ip=$room secs=60
    start_gateway sipp supported none 5090
    lync_client --call sip:+15551000@video.example.test --proxy 10.98.1.1:5061 --transport tls \
        --ca "$LAB_DIR/certs/ca.crt" --server-name sip.example.test \
        --cert "$LAB_DIR/certs/server.crt" --key "$LAB_DIR/certs/server.key" --local 10.98.1.2 --from sip:alice@example.test --audio-only --tone 660 \
        --seconds 3 --encryption required --out "$out" --json >"$out/client.jsonl" || { tail -n 5 "$out/client.jsonl"; return 1; }
    expect "audio echoed by SIPp" "$(stream_field "$out/client.jsonl" audio received)" at-least 100
    lync_client --answer --listen 10.98.1.2:5070 --transport tcp --local 10.98.1.2 --from sip:alice@example.test \
        --audio-only --tone 660 --seconds 20 --encryption required --out "$out" --json >"$out/callee.jsonl" &
    local callee=$!
    sleep 1
    "$lab/sipp.sh" uac uac ns="$ns-b" ip=$room to=10.98.2.1:5060 user=alice transport=u1 calls=1 hold=2000
    wait $callee || { tail -n 5 "$out/callee.jsonl"; return 1; }
    echo "  ok: SIPp's call was answered and ended"
}
