//! Properties of messages, headers and streams, for any input.
#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use linkspan_sip::{Frame, Headers, Limits, Message, Method, Request, StreamFramer, Uri};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z][A-Za-z0-9-]{0,20}",
        Just("Via".to_owned()),
        Just("f".to_owned()),
        Just("ms-diagnostics".to_owned()),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let lines = prop::collection::vec((name(), "[ -~àé€]{0,60}"), 0..80);
    (lines, prop::collection::vec(any::<u8>(), 0..200), "[A-Z]{1,10}").prop_map(
        |(lines, body, method)| {
            let uri: Uri = "sip:alice@example.com;gr=urn:uuid:f81d4fae".parse().unwrap();
            let mut request = Request::new(Method::from(method.as_str()), uri);
            for (name, value) in lines {
                if !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("l") {
                    request.headers.push(&name, value);
                }
            }
            request.body = body.into();
            request
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(request in request()) {
        let octets = request.to_bytes();
        let message = Message::parse(&octets).unwrap();
        let mut read = message.to_request().unwrap();
        prop_assert_eq!(&read.to_bytes(), &octets);
        read.headers.remove("Content-Length");
        prop_assert_eq!(read, request);
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = Message::parse(&octets) {
            let _ = message.validate();
        }
    }

    #[test]
    fn any_cut_of_a_stream_gives_the_same_frames(
        requests in prop::collection::vec(request(), 1..4),
        cuts in prop::collection::vec(1_usize..200, 1..40),
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(|request| request.to_bytes()).collect();
        let mut framer = StreamFramer::new(Limits::default());
        let mut frames = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
            rest = tail;
            framer.push(chunk).unwrap();
            while let Some(frame) = framer.poll_frame().unwrap() {
                frames.push(frame);
            }
        }
        let expected: Vec<Frame> =
            requests.iter().map(|request| Frame::Message(request.to_bytes())).collect();
        prop_assert_eq!(frames, expected);
    }

    #[test]
    fn headers_behave_like_a_list(
        steps in prop::collection::vec((0_u8..4, name(), "[!-~]{1,10}"), 0..60),
    ) {
        let mut headers = Headers::new();
        let mut model: Vec<(String, String)> = Vec::new();
        let same = |a: &str, b: &str| {
            let long = |name: &str| match name.to_ascii_lowercase().as_str() {
                "f" => "from".to_owned(),
                "v" => "via".to_owned(),
                other => other.to_owned(),
            };
            long(a) == long(b)
        };
        for (what, name, value) in steps {
            // Compact forms but the two of the model stay out.
            if name.len() == 1 && !name.eq_ignore_ascii_case("f") {
                continue;
            }
            match what {
                0 | 1 => {
                    headers.push(&name, &value);
                    model.push((name, value));
                }
                2 => {
                    headers.remove(&name);
                    model.retain(|(own, _)| !same(own, &name));
                }
                _ => {
                    headers.set(&name, &value);
                    match model.iter().position(|(own, _)| same(own, &name)) {
                        Some(index) => {
                            model[index] = (name.clone(), value);
                            let mut i = 0;
                            model.retain(|(own, _)| {
                                i += 1;
                                i - 1 <= index || !same(own, &name)
                            });
                        }
                        None => model.push((name, value)),
                    }
                }
            }
        }
        let seen: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(seen, model);
    }
}
