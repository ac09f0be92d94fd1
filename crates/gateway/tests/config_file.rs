//! The configuration read from TOML: defaults of each side, names, and what is refused.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use linkspan_gateway::{
    AudioCodec, Config, DamagedVideo, Encryption, IceKind, PacketizationModes, Side,
    SignallingTransport,
};

const FILE: &str = r#"
name = "gw.example.test"
max-video-kbps = 2000

[lync]
listeners = [{ transport = "tls", address = "192.0.2.80:5061" }]
media-address = "192.0.2.80"
peers = ["192.0.2.0/24"]

[standard]
listeners = [
    { transport = "tcp", address = "198.51.100.80:5060" },
    { transport = "udp", address = "198.51.100.80:5060" },
]
media-address = "198.51.100.80"
advertised-address = "203.0.113.80"
encryption = "none"
ice = "none"
audio = ["pcmu"]
damaged-video = "freeze"
h264 = { packetization-modes = "single-nal", fragments-in-mode-0 = true }

[[routes]]
domain = "*.video.example.test"
to = "standard"
next-hops = ["udp:sip.example.test", "tcp:[2001:db8::1]:5070"]
request-host = "sip.example.test"

[[routes]]
domain = "example.test"
to = "lync"
next-hops = ["tls:fe01.example.test:5061"]

[[routes]]
name = "abroad"
domain = "*"
numbers = ["+44*", "+49XXXXXXXX*"]
to = "standard"
next-hops = ["udp:198.51.100.11"]
remove-plus = true
max-calls = 30

[[dial-plan]]
from = "lync"
pattern = "9*"
strip = 1
prepend = "+"

[[users]]
number = "+14255550100"
uri = "alice@example.test"

[[conferences]]
domain = "meet.example.test"
user = "weekly"
focus = "https://meet.contoso.example/alice/K7Q2M4ZD"
organizer-domain = "contoso.example"

[timers]
no-answer-ms = 60000

[limits]
calls = 10
"#;

#[test]
fn a_file_is_read_with_the_defaults_of_each_side() {
    let mut config: Config = toml::from_str(FILE).unwrap();
    config.check().unwrap();
    assert_eq!(config.lync.encryption, Encryption::Required);
    let focus = config.conferences[0].resolve("weekly", "meet.example.test").unwrap();
    assert_eq!(&*focus.organizer, "alice@contoso.example");
    assert_eq!((config.lync.ice, config.lync.first_port), (IceKind::MsIce2, 40_000));
    assert_eq!((config.standard.ice, config.standard.first_port), (IceKind::None, 50_000));
    assert_eq!(config.standard.audio, [AudioCodec::Pcmu]);
    let damaged = (config.lync.damaged_video, config.standard.damaged_video);
    assert_eq!(damaged, (DamagedVideo::Conceal, DamagedVideo::Freeze));
    assert_eq!(config.standard.h264.packetization_modes, PacketizationModes::SingleNal);
    assert!(config.standard.h264.fragments_in_mode_0 && !config.lync.h264.fragments_in_mode_0);
    assert_eq!(config.standard.h264.profile_level_id, "42e01f");
    assert_eq!(config.standard.advertised(), "203.0.113.80".parse::<std::net::IpAddr>().unwrap());
    let udp = config.standard.listener(SignallingTransport::Udp).unwrap();
    assert_eq!(udp.address.port(), 5060);
    assert_eq!(config.routes[1].to, Side::Lync);
    let trunk = &config.routes[2];
    assert!(trunk.numbers[1].matches("+49301234567") && trunk.remove_plus);
    assert_eq!((trunk.max_calls, trunk.name.as_deref()), (Some(30), Some("abroad")));
    assert_eq!(config.dial_plan[0].apply("94420").as_deref(), Some("+4420"));
    assert_eq!(config.users[0].address(), Some(("alice", "example.test")));
    assert_eq!((config.timers.no_answer_ms, config.timers.next_hop_ms), (60_000, 10_000));
    assert_eq!((config.limits.calls, config.limits.media_lines), (10, 16));

    assert_eq!(config.unresolved(), ["sip.example.test", "fe01.example.test"]);
    config.set_addresses("FE01.example.test", &["192.0.2.12".parse().unwrap()]);
    assert_eq!(config.unresolved(), ["sip.example.test"]);
    let remote = "192.0.2.12:5061".parse().unwrap();
    assert_eq!(config.tls_name(remote), Some("fe01.example.test"));
}

#[test]
fn turn_servers_are_of_a_side() {
    let server = "turn = [{ address = \"203.0.113.9:3478\", username = \"u\", password = \"p\" }]";
    let file = FILE.replace("peers = [\"192.0.2.0/24\"]", server);
    let config: Config = toml::from_str(&file).unwrap();
    assert_eq!((config.lync.turn.len(), config.standard.turn.len()), (1, 0));
    config.check().unwrap();
    let file = file.replace("\"u\"", "\"b64:%\"").replace("203.0.113.9", "[2001:db8::9]");
    let config: Config = toml::from_str(&file).unwrap();
    let problems = config.check().unwrap_err().problems;
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["lync.turn[0]", "lync.turn[0].address"]);
}

#[test]
fn what_is_written_is_read_again() {
    let config: Config = toml::from_str(FILE).unwrap();
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&written).unwrap(), config);
    let empty: Config = toml::from_str("").unwrap();
    assert_eq!(empty, Config::default());
}

#[test]
fn mistakes_are_refused_where_they_are() {
    for (from, to) in [
        ("max-video-kbps", "max-video-kbits"),
        ("peers = [\"192.0.2.0/24\"]", "peers = [\"192.0.2.0/33\"]"),
        ("transport = \"tls\"", "transport = \"sctp\""),
        ("\"udp:sip.example.test\"", "\"sip.example.test\""),
        ("encryption = \"none\"", "encryption = \"maybe\""),
        ("media-address = \"192.0.2.80\"", "media-addres = \"192.0.2.80\""),
        ("domain = \"example.test\"", "domain = \"*example.test\""),
        ("audio = [\"pcmu\"]", "audio = [\"opus\"]"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let error = toml::from_str::<Config>(&FILE.replace(from, to)).unwrap_err();
        assert!(error.span().is_some(), "{to}: {error}");
    }
}

#[test]
fn a_video_policy_may_stand_for_its_rate() {
    let read = |value: &str| {
        toml::from_str::<Config>(&FILE.replace("max-video-kbps = 2000", value))
            .map(|config| config.max_video_kbps)
            .map_err(|error| error.to_string())
    };
    assert_eq!(read("max-video-kbps = \"VGA600K\""), Ok(600));
    assert_eq!(read("max-video-kbps = \"hd720p15m\""), Ok(1_500));
    assert!(read("max-video-kbps = \"4K\"").unwrap_err().contains("VGA600K"));
}
