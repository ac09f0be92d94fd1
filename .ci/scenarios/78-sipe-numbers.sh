# Numbers between a real Lync client and a real room: an extension becomes a number by the dial plan,
# and the number its user's address; a number that the client dials is a room's.
# shellcheck shell=bash
scenarios+=" sipe_numbers"

scenario_sipe_numbers() {
    sipe_begin sipe_numbers
    sipe_up extra='[[routes]]
domain = "example.test"
to = "lync"
next-hops = ["tcp:10.98.1.1:5061"]

[[dial-plan]]
from = "standard"
pattern = "XXXX"
prepend = "+1425555"

[[users]]
number = "+14255550100"
uri = "alice@example.test"

[[users]]
number = "+442055501"
uri = "room@video.example.test"' -- enc=srtp-mand
    sipe_call sip:+442055501@video.example.test audio 'media-connected audio'
    sleep 3
    expect_at_alice audio
    sipe_hang_up
    expect_sound_at_room
    sipe_called 'media-connected audio' sip:0100@10.98.2.1:5060
    sleep 3
    expect_at_alice audio
    room_hangs_up
    expect_sound_at_room
    expect "the number is the room's" "$(grep -c '^call-1: routes.*: room@10.98.2.2:5070 to standard' "$out/gateway.log")" equals 1
    expect "the extension is alice's" "$(grep -c '^call-2: routes.*: alice@example.test to lync' "$out/gateway.log")" equals 1
    sipe_judge lync standard
}
