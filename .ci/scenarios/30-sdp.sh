# Descriptions of programs that nobody here wrote: a browser's, GStreamer's and linphone's, each
# answered, and our answers taken by them; the last two in a call through `gateway serve`.
# shellcheck shell=bash
scenarios+=" browser webrtcbin from_gstreamer from_linphone"
examples+=" sdp-answer"
sdp_scripts=.ci/scenarios/sdp

# Chromium's package and its driver take 15 s to install; nothing is fetched beside them.
scenario_browser() {
    command -v chromedriver >/dev/null ||
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium chromium-driver >/dev/null
    ip netns exec "$ns-a" timeout 60 python3 $sdp_scripts/browser.py "$target/sdp-answer"
}

scenario_webrtcbin() {
    ip netns exec "$ns-a" timeout 60 /usr/bin/python3 $sdp_scripts/webrtcbin.py "$target/sdp-answer"
}

callee=
stoppers+=" sdp_stop"
sdp_stop() {
    [ -z "$callee" ] || kill "$callee" 2>/dev/null
    [ ! -d "$LAB_DIR/linphone-lin" ] || "$lab/linphone.sh" stop lin >/dev/null 2>&1
}

# sdp_callee NAME ARGUMENTS...: the Lync side waits for a call.
sdp_callee() {
    local out=$work/$1
    shift
    rm -rf "$out"
    mkdir -p "$out"
    (exec ip netns exec "$ns-a" "$target/lync-client" --answer --listen 10.98.1.2:5070 --transport tcp --local 10.98.1.2 --from sip:alice@example.test \
        --tone 660 --encryption required --out "$out" --json "$@" >"$out/client.jsonl") &
    callee=$!
    sleep 1
}

scenario_from_gstreamer() {
    local out=$work/from_gstreamer
    start_gateway from_gstreamer none none 5070
    sdp_callee from_gstreamer --video "$media/lync-t3-640x360.264" --seconds 8
    ip netns exec "$ns-b" timeout 60 /usr/bin/python3 $sdp_scripts/gst_call.py $room sip:alice@10.98.2.1 10.98.2.1:5060 6 "$out" |
        tee "$out/gst.jsonl"
    wait $callee || { tail -n 5 "$out/client.jsonl"; return 1; }
    expect "streams that GStreamer makes of our answer" "$(grep -c '"caps": "application/x-rtp' "$out/gst.jsonl")" equals 2
    expect "pictures decoded by GStreamer" "$(sed -n 's/.*"pictures": \([0-9]*\).*/\1/p' "$out/gst.jsonl")" at-least 20
    expect_tone "the tone that GStreamer heard" "$out/heard.wav" 660
    expect_tone "the tone received from GStreamer" "$out/received.wav" 550
    local pictures
    pictures=$(ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 "$out/received.h264" | tr -d ,)
    expect "pictures received from GStreamer and decoded" "${pictures:-0}" at-least 30
}

# linphone has SRTP, G.711 and no H.264; its sound is a private pulseaudio's.
scenario_from_linphone() {
    local out=$work/from_linphone
    "$lab/linphone.sh" start lin ip=$room port=5068 enc=srtp ns="$ns-b" answer=0 max=60
    start_gateway from_linphone supported none 5070
    sdp_callee from_linphone --audio-only --seconds 8
    "$lab/linphone.sh" cmd lin "call sip:alice@10.98.2.1:5060" >/dev/null
    wait_for "$out/client.jsonl" '"state":"established"' 15
    wait $callee || { tail -n 5 "$out/client.jsonl"; return 1; }
    grep -q '"codec":"PCM[UA]"\|"codec":"G722"' "$out/client.jsonl"
    expect "audio received from linphone" "$(stream_field "$out/client.jsonl" audio received)" at-least 100
    expect_tone "the tone received from linphone" "$out/received.wav" 660
    "$lab/linphone.sh" received lin | tee "$out/heard"
    grep -q "Length" "$out/heard"
    # Our answer took a key of its offer: nothing went in clear.
    grep -q 'standard/0: audio PCM[UA], SRTP' "$work/from_linphone-gateway.log"
}
