use std::fmt::Write;
use std::hint::black_box;

use crate::harness::Case;

const PARTICIPANTS: usize = 1_000;

/// A full notification of a conference of 1,000, typed by us, as a tree by the peer.
pub(crate) fn run() {
    let document = document().leak();
    Case::new("c3p", "notify-1000", || {
        black_box(linkspan_c3p::ConferenceInfo::parse(black_box(document.as_bytes())).unwrap());
    })
    .peer("roxmltree", || {
        black_box(roxmltree::Document::parse(black_box(document)).unwrap());
    })
    .run();
}

/// What a Lync focus sends at subscription, for users with one audio-video endpoint each.
fn document() -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conference-info \
         xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
         xmlns:msci=\"http://schemas.microsoft.com/rtc/2005/08/confinfoextensions\" \
         entity=\"sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD\" \
         state=\"full\" version=\"1\"><conference-description>\
         <subject>Weekly</subject></conference-description><users state=\"full\">",
    );
    for n in 0..PARTICIPANTS {
        write!(
            xml,
            "<user entity=\"sip:user{n}@contoso.example\" state=\"full\">\
             <display-text>User {n}</display-text><roles><entry>attendee</entry></roles>\
             <endpoint entity=\"{{0F3A0000-0000-0000-0000-{n:012}}}\" \
             msci:session-type=\"audio-video\" msci:epid=\"{n:010x}\">\
             <status>connected</status><joining-method>dialed-in</joining-method>\
             <media id=\"1\"><type>audio</type><src-id>{n}</src-id><status>sendrecv</status></media>\
             <media id=\"2\"><type>video</type><src-id>{}</src-id><status>recvonly</status></media>\
             </endpoint></user>",
            n + 10_000
        )
        .unwrap();
    }
    xml.push_str("</users></conference-info>");
    xml
}
