# The README's gateway in two terminals: its configuration and its commands, to the letter, but for
# programs that are built already, in a network that has nothing but its own loopback.
# shellcheck shell=bash
scenarios+=" readme"
examples+=" gateway lync-client"

# readme_part WHAT: of the section, the configuration (toml), the shell block (sh), or the indented
# commands.
readme_part() {
    sed -n '/^## A gateway in two terminals/,/^## /p' README.md | case $1 in
    commands) sed -n 's/^    \(cargo .*\)/\1/p' ;;
    *) sed -n '/^```'"$1"'$/,/^```$/{ /^```/!p; }' ;;
    esac | sed "s|cargo run --release --example \([a-z-]*\) --|$(realpath "$target")/\1|"
}

# readme_run: reads commands, and runs them one after the other where a reader would.
readme_run() { cd "$out" && exec ip netns exec "$ns-a" bash -euo pipefail; }

scenario_readme() {
    local out=$work/readme check serve
    rm -rf "$out"
    mkdir -p "$out"
    ln -s "$PWD/examples" "$out/examples"
    readme_part toml >"$out/gateway.toml"
    expect "lines of the configuration: 20 at most" "$(awk 'NF { n++ } END { print (n > 0 && n <= 20) }' "$out/gateway.toml")" equals 1
    { read -r check; read -r serve; } < <(readme_part commands)
    (readme_run <<<"$check") | tail -n 1 | grep -qx sound
    echo "  ok: its check says that the configuration is sound"
    (readme_run <<<"exec $serve") >"$out/gateway.log" 2>&1 &
    gateway_pid=$!
    ln -sf "$out/gateway.log" "$work/readme-gateway.log"
    wait_for "$out/gateway.log" ready 10
    # The room is left running by the commands, as a terminal would; it ends with them here.
    readme_part sh | sed 's/& sleep 2$/\& room=$!; trap "kill $room" EXIT; sleep 2/' >"$out/commands"
    (readme_run <"$out/commands") >"$out/call.log" 2>&1 || { tail -n 20 "$out/call.log"; return 1; }
    expect_from_baresip "$out/call"
    sleep 1
    expect_tone "the tone that the room heard" "$(ls "$out"/room/dump-*-dec.wav)" 660
    expect "pictures that went to the room" "$(sed -n 's|^call-1/standard/1: video H264: .* in .*, \([0-9]*\) out.*|\1|p' "$out/gateway.log")" at-least 60
}
