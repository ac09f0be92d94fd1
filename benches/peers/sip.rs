use std::hint::black_box;

use crate::harness::Case;

/// A Lync 2013 client's INVITE: 1,292 octets of head, 760 of body.
const INVITE: &[u8] = include_bytes!("../inputs/invite.sip");

pub(crate) fn run() {
    headers_only();
    typed();
    print();
}

/// Framed and split into header fields; no value asked for.
fn headers_only() {
    let case = Case::new("sip", "invite-headers", || {
        black_box(linkspan_sip::Message::parse(black_box(INVITE)).unwrap());
    })
    .peer("floor:httparse", || {
        black_box(http_headers(black_box(HTTP.with(|h| *h))));
    })
    .peer("rsipstack", || drop(black_box(rsipstack_parse(black_box(INVITE)))))
    .peer("rsiprtp", || drop(black_box(rsiprtp::sip::parser::Message::parse(black_box(INVITE)))))
    .peer("sipx-sip", || drop(black_box(sipx_parse(black_box(INVITE)))));
    case.run();
}

/// Both Vias, From, To, Call-ID, CSeq, Contact and Record-Route as the peer's own types, as far as
/// it has them.
fn typed() {
    let case = Case::new("sip", "invite-typed", || {
        black_box(ours_typed(black_box(INVITE)));
    })
    .peer("rsipstack", || {
        black_box(rsipstack_typed(black_box(INVITE)));
    })
    .peer("rsiprtp", || {
        black_box(rsiprtp_typed(black_box(INVITE)));
    })
    .peer("sipx-sip", || {
        black_box(sipx_typed(black_box(INVITE)));
    });
    #[cfg(feature = "c-peers")]
    let case = case.peer("sofia-sip", || {
        black_box(crate::c_peers::sofia_parse(black_box(INVITE)));
    });
    case.run();
}

/// An already parsed message written out.
fn print() {
    let ours = linkspan_sip::Message::parse(INVITE).unwrap().to_request().unwrap();
    let rsipstack = rsipstack_parse(INVITE).unwrap();
    let rsiprtp = rsiprtp::sip::parser::Message::parse(INVITE).unwrap();
    let sipx = sipx_parse(INVITE).unwrap();
    let (mut out, mut copy, mut sipx_out) =
        (Vec::with_capacity(4096), Vec::with_capacity(4096), Vec::with_capacity(4096));
    Case::new("sip", "invite-print", move || {
        out.clear();
        ours.write(&mut out);
        black_box(&out);
    })
    .peer("floor:memcpy", move || {
        copy.clear();
        copy.extend_from_slice(black_box(INVITE));
        black_box(&copy);
    })
    .peer("rsipstack", move || {
        black_box(rsipstack.to_bytes());
    })
    .peer("rsiprtp", move || {
        black_box(rsiprtp.to_bytes());
    })
    .peer("sipx-sip", move || {
        sipx_out.clear();
        sipx.write_to(&mut sipx_out);
        black_box(&sipx_out);
    })
    .run();
}

fn ours_typed(input: &[u8]) -> usize {
    let message = linkspan_sip::Message::parse(input).unwrap();
    let vias = message.vias().map(|via| black_box(via.unwrap())).count();
    black_box(message.from().unwrap());
    black_box(message.to().unwrap());
    black_box(message.call_id().unwrap());
    black_box(message.cseq().unwrap());
    let contacts = message.contacts().map(|contact| black_box(contact.unwrap())).count();
    let routes = message.record_routes().map(|route| black_box(route.unwrap())).count();
    vias + 4 + contacts + routes
}

thread_local! {
    /// The same header block under an HTTP request line.
    static HTTP: &'static [u8] = {
        let end = INVITE.iter().position(|&octet| octet == b'\n').unwrap() + 1;
        let mut http = b"INVITE /bob HTTP/1.1\r\n".to_vec();
        http.extend_from_slice(&INVITE[end..]);
        http.leak()
    };
}

fn http_headers(input: &[u8]) -> usize {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(input).unwrap();
    request.headers.len()
}

fn rsipstack_parse(input: &[u8]) -> Option<rsipstack::sip::SipMessage> {
    rsipstack::sip::SipMessage::try_from(input).ok()
}

fn rsipstack_typed(input: &[u8]) -> usize {
    use rsipstack::sip::prelude::*;
    use rsipstack::sip::{Header, SipMessage};
    let Some(SipMessage::Request(request)) = rsipstack_parse(input) else { return 0 };
    let mut values = 0;
    for header in request.headers.iter() {
        match header {
            Header::Via(h) => drop(black_box(h.typed().unwrap())),
            Header::From(h) => drop(black_box(h.typed().unwrap())),
            Header::To(h) => drop(black_box(h.typed().unwrap())),
            Header::CSeq(h) => drop(black_box(h.typed().unwrap())),
            Header::Contact(h) => drop(black_box(h.typed().unwrap())),
            Header::RecordRoute(h) => drop(black_box(h.typed().unwrap())),
            _ => continue,
        }
        values += 1;
    }
    values
}

fn rsiprtp_typed(input: &[u8]) -> usize {
    use rsiprtp::sip::parser::Message;
    fn seen<T, E: std::fmt::Debug>(value: Option<Result<T, E>>) -> bool {
        value.map(|value| black_box(value.unwrap())).is_some()
    }
    let Ok(Message::Request(request)) = Message::parse(input) else { return 0 };
    let typed = request.headers.iter().filter(|header| {
        seen(header.typed_via())
            || seen(header.typed_from())
            || seen(header.typed_to())
            || seen(header.typed_cseq())
            || seen(header.typed_contact())
    });
    typed.count()
}

fn sipx_parse(input: &[u8]) -> Option<sipx_sip::Message> {
    sipx_sip::parse_datagram(bytes::Bytes::copy_from_slice(input), &sipx_sip::Limits::default())
        .ok()
}

fn sipx_typed(input: &[u8]) -> usize {
    use sipx_sip::headers::{CSeq, CallId, ContactValue, From, RecordRoute, To, Via};
    let message = sipx_parse(input).unwrap();
    let headers = message.headers();
    headers.typed_all::<Via>().map(|v| black_box(v.unwrap())).count()
        + headers.typed_all::<From>().map(|v| black_box(v.unwrap())).count()
        + headers.typed_all::<To>().map(|v| black_box(v.unwrap())).count()
        + headers.typed_all::<CallId>().map(|v| black_box(v.unwrap())).count()
        + headers.typed_all::<CSeq>().map(|v| black_box(v.unwrap())).count()
        + headers.typed_all::<ContactValue>().map(|v| black_box(v.unwrap())).count()
        + headers.typed_all::<RecordRoute>().map(|v| black_box(v.unwrap())).count()
}
