//! Every header that has a getter, read once.
#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use linkspan_sip::Message;

const HEADERS: &str = "s: Lunch, today\r\nOrganization: Example\r\nPriority: urgent\r\nUser-Agent: UA/1 (a, b)\r\n\
    Server: S/1\r\nMIME-Version: 1.0\r\nContent-ID: <1@example.com>\r\nSIP-ETag: dx200xyz\r\nSIP-If-Match: x1\r\n\
    n: <https://example.com/cert>\r\ny: \"c2ln\"\r\nJoin: 1@a;to-tag=2;from-tag=3\r\n\
    Target-Dialog: 4@a;local-tag=5;remote-tag=6\r\nRefer-Sub: false\r\n\
    P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=00\r\nP-Charging-Vector: icid-value=1234;icid-generated-at=h\r\n\
    a: *;audio;require, *;video\r\nj: *;automata\r\nAccept-Encoding: gzip;q=1.0, identity;q=0.5\r\n\
    Accept-Language: da, en-gb;q=0.8\r\nRecv-Info: conference, foo;x=1\r\nP-Visited-Network-ID: \"net, one\", two\r\n\
    Content-Language: fr, de\r\nd: proxy, no-fork\r\nResource-Priority: ets.0, wps.1\r\n\
    Accept-Resource-Priority: dsn.flash\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\
    Authorization: NTLM qop=\"auth\", realm=\"r\"\r\nP-Associated-URI: <sip:a@b>, <tel:+1>\r\n\
    P-Called-Party-ID: <sip:c@d>;x=y\r\nTimestamp: 54.21 0.5\r\nPath: <sip:p1;lr>,<sip:p2;lr>\r\n\
    Service-Route: <sip:s1;lr>\r\nFlow-Timer: 120\r\nError-Info: <sip:oops@e>;x=1\r\nAlert-Info: <http://e/ring.wav>\r\n\
    Call-Info: <http://e/p.jpg> ;purpose=icon\r\nInfo-Package: foo;v=1\r\nHistory-Info: <sip:a@b>;index=1, <sip:c@d>;index=1.1\r\n\
    Reason: SIP;cause=200;text=\"elsewhere, done\", Q.850;cause=16\r\nPrivacy: id;critical\r\nRAck: 9 1 INVITE\r\n\
    b: <sip:r@e>;cid=\"<2@e>\"\r\nr: <sip:t@e?Replaces=1%40a>\r\nx: 1800;refresher=uac\r\nMin-SE: 90\r\n\
    Retry-After: 30 (busy);duration=9\r\nMin-Expires: 60\r\nIn-Reply-To: 1@a, 2@a\r\nReply-To: <sip:x@y>\r\nIn-Reply-To: 3@a\r\n";

#[test]
fn every_typed_header_is_read() {
    let text = format!(
        "INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h\r\nf: <sip:f@e>;tag=1\r\nt: <sip:t@e>\r\ni: 7\r\n\
         CSeq: 1 INVITE\r\n{HEADERS}\r\n"
    );
    let owned = Message::parse(text.as_bytes()).unwrap();
    owned.validate().unwrap();
    let m = &owned.to_headers();
    for (name, value, expected) in [
        ("Subject", m.subject(), "Lunch, today"),
        ("Organization", m.organization(), "Example"),
        ("Priority", m.priority(), "urgent"),
        ("User-Agent", m.user_agent(), "UA/1 (a, b)"),
        ("Server", m.server(), "S/1"),
        ("MIME-Version", m.mime_version(), "1.0"),
        ("Content-ID", m.content_id(), "<1@example.com>"),
        ("SIP-ETag", m.sip_etag(), "dx200xyz"),
        ("SIP-If-Match", m.sip_if_match(), "x1"),
        ("Identity-Info", m.identity_info(), "<https://example.com/cert>"),
    ] {
        assert_eq!(value, Some(expected), "{name}");
    }
    for (name, value, expected, param) in [
        ("Identity", m.identity(), "\"c2ln\"", None),
        ("Join", m.join(), "1@a", Some(("to-tag", "2"))),
        ("Target-Dialog", m.target_dialog(), "4@a", Some(("remote-tag", "6"))),
        ("Refer-Sub", m.refer_sub(), "false", None),
        ("P-A-N-I", m.access_network(), "IEEE-802.11", Some(("i-wlan-node-id", "00"))),
        ("P-C-V", m.charging_vector(), "icid-value=1234", Some(("icid-generated-at", "h"))),
        ("Info-Package", m.info_package(), "foo", Some(("v", "1"))),
        ("Session-Expires", m.session_expires(), "1800", Some(("refresher", "uac"))),
        ("Min-SE", m.min_se(), "90", None),
        ("Retry-After", m.retry_after(), "30 (busy)", Some(("duration", "9"))),
    ] {
        let value = value.unwrap().unwrap();
        assert_eq!(value.value(), expected, "{name}");
        if let Some((param, expected)) = param {
            assert_eq!(value.params().value(param), Some(expected), "{name}");
        }
    }
    for (name, count, expected) in [
        ("Accept-Contact", m.accept_contacts().filter_map(Result::ok).count(), 2),
        ("Reject-Contact", m.reject_contacts().filter_map(Result::ok).count(), 1),
        ("Accept-Encoding", m.accept_encodings().filter_map(Result::ok).count(), 2),
        ("Accept-Language", m.accept_languages().filter_map(Result::ok).count(), 2),
        ("Recv-Info", m.recv_infos().filter_map(Result::ok).count(), 2),
        ("P-Visited", m.visited_networks().filter_map(Result::ok).count(), 2),
        ("Content-Language", m.content_languages().count(), 2),
        ("Request-Disposition", m.request_dispositions().count(), 2),
        ("Resource-Priority", m.resource_priorities().count(), 2),
        ("Accept-Resource-Priority", m.accept_resource_priorities().count(), 1),
        ("WWW-Authenticate", m.www_authenticate().filter_map(Result::ok).count(), 1),
        ("Authorization", m.authorization().filter_map(Result::ok).count(), 1),
        ("P-Associated-URI", m.associated_uris().filter_map(Result::ok).count(), 2),
        ("Path", m.paths().filter_map(Result::ok).count(), 2),
        ("Service-Route", m.service_routes().filter_map(Result::ok).count(), 1),
        ("Error-Info", m.error_infos().filter_map(Result::ok).count(), 1),
        ("Alert-Info", m.alert_infos().filter_map(Result::ok).count(), 1),
        ("Call-Info", m.call_infos().filter_map(Result::ok).count(), 1),
        ("History-Info", m.history().filter_map(Result::ok).count(), 2),
        ("Reason", m.reasons().filter_map(Result::ok).count(), 2),
        ("Privacy", m.privacy().count(), 2),
        ("In-Reply-To", m.in_reply_to().count(), 3),
    ] {
        assert_eq!(count, expected, "{name}");
    }
    assert_eq!(m.called_party().unwrap().unwrap().uri().to_string(), "sip:c@d");
    assert_eq!(m.timestamp().unwrap(), Some((54.21, Some(0.5))));
    assert_eq!((m.flow_timer().unwrap(), m.min_expires().unwrap()), (Some(120), Some(60)));
    assert_eq!(m.rack().unwrap().unwrap().rseq, 9);
    let referred = m.refer_to().unwrap().unwrap();
    assert_eq!(referred.uri().headers(), Some("Replaces=1%40a"));
    let by = m.referred_by().unwrap().unwrap();
    assert_eq!(by.params().unquoted("cid").unwrap(), "<2@e>");
    assert_eq!(m.reply_to().unwrap().unwrap().uri().user(), Some("x"));
    let reason = m.reasons().next().unwrap().unwrap();
    assert_eq!(reason.params().unquoted("text").unwrap(), "elsewhere, done");
}
