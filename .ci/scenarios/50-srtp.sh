# The real libsrtp (Debian's, through GStreamer's srtpenc and srtpdec) and ours, both ways.
# shellcheck shell=bash
scenarios+=" libsrtp"

scenario_libsrtp() {
    local log=$work/libsrtp.log
    timeout 300 cargo test -p linkspan-srtp --test libsrtp -- --ignored --nocapture >"$log" 2>&1 ||
        { tail -n 30 "$log"; return 1; }
    grep '^  ok:' "$log"
    expect "suites and kinds of packet" "$(grep -c '^  ok:' "$log")" equals 12
}
