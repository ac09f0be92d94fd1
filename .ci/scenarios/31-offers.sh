# Offers at other times than in the INVITE, made by SIPp: asked for, in PRACK, by UPDATE.
# shellcheck shell=bash
scenarios+=" offers_delayed offers_early"

offers_stop() {
    for pid in $offers_pids; do kill "$pid" 2>/dev/null; done
}
offers_pids=
stoppers+=" offers_stop"

# offers_sipp NETWORK ADDRESS SCENARIO ARGUMENTS...: one call of a scenario over TCP, its messages in $out.
offers_sipp() {
    local network=$1 address=$2 scenario=$3
    shift 3
    cp "$LAB_DIR/media/pcmu.pcap" "$out/"
    (cd "$out" && exec ip netns exec "$ns-$network" timeout 30 sipp -nostdin -sf "$offers_scenarios/$scenario.xml" -t t1 -i "$address" -mi "$address" \
        -m 1 -recv_timeout 8000 -trace_err -error_file "$scenario.err" -trace_msg -message_file "$scenario.msg" "$@" >"$scenario.screen" 2>&1)
}
offers_scenarios=$PWD/.ci/scenarios/sipp

# serve_offers NAME: a gateway in clear between the two networks, both ways.
serve_offers() {
    serve_between_sipps "$1" '[[routes]]
domain = "10.98.2.1"
to = "lync"
next-hops = ["tcp:10.98.1.2:5092"]'
}

# A call without an offer to baresip, then held and resumed by INVITEs without one.
scenario_offers_delayed() {
    local out=$work/offers_delayed
    rm -rf "$out"
    mkdir -p "$out"
    "$lab/baresip.sh" start room ip=$room ns="$ns-b" port=5090 transport=tcp video=0 "$narrowband"
    serve_offers offers_delayed
    offers_sipp a 10.98.1.2 uac_delayed -p 5096 -mp 6096 -s room 10.98.1.1:5060 || { tail -n 20 "$out"/*.err; return 1; }
    expect "descriptions of an audio line at SIPp, three offers and three answers" "$(grep -c '^m=audio [1-9].* RTP/AVP' "$out/uac_delayed.msg")" equals 6
    expect "re-INVITEs that baresip took" "$(grep -c 'standard is told what lync has come to' "$work/offers_delayed-gateway.log")" equals 2
    expect "answers of baresip" "$(grep -c 'answer of standard: m=0 section: audio joined' "$work/offers_delayed-gateway.log")" equals 2
    expect_tone "the tone that baresip recorded" "$(ls -t "$LAB_DIR"/baresip-room/dump-*-dec.wav | head -n 1)" 440
}

# Lync's side takes one exchange before the answer: the gateway answers SIPp. A standards callee is asked.
scenario_offers_early() {
    local out caller callee caller_at told
    serve_offers offers_early
    for caller in b a; do
        out=$work/offers_early_$caller
        rm -rf "$out"
        mkdir -p "$out"
        case $caller in
        b) callee=(a 10.98.1.2 uas_early -p 5092 -mp 6092) caller_at=(b $room uac_early -p 5096 -mp 6096 -s alice 10.98.2.1:5060) told=0 ;;
        a) callee=(b $room uas_early -p 5090 -mp 6090) caller_at=(a 10.98.1.2 uac_early -p 5096 -mp 6096 -s room 10.98.1.1:5060) told=2 ;;
        esac
        offers_sipp "${callee[@]}" &
        offers_pids+=" $!"
        sleep 0.5
        offers_sipp "${caller_at[@]}" || { tail -n 30 "$out"/*.err; return 1; }
        wait "${offers_pids##* }" || { tail -n 30 "$out/uas_early.err"; return 1; }
        expect "UPDATEs that the callee was sent" "$(grep -c '^UPDATE ' "$out/uas_early.msg")" equals $told
        expect "UPDATEs of SIPp and their answers" "$(grep -c '^CSeq: [34] UPDATE' "$out/uac_early.msg")" equals 4
    done
}
