//! C3P: a full notification read, and a partial one merged.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench: its inputs are its own")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main};
use linkspan_c3p::{Conference, ConferenceInfo, Limits};

fn notification(c: &mut Criterion) {
    let mut group = c.benchmark_group("c3p/notification");
    for participants in [10, 1_000] {
        let document = document(participants);
        group.bench_function(format!("parse, {participants} users"), |b| {
            b.iter(|| ConferenceInfo::parse(black_box(document.as_bytes())).unwrap());
        });
    }
    merge(&mut group);
    group.finish();
}

/// One of 1,000 users is muted and heard again, over and over.
fn merge(group: &mut BenchmarkGroup<'_, WallTime>) {
    let full = ConferenceInfo::parse(document(1_000).as_bytes()).unwrap();
    let partial = |status: &str| {
        let text = format!(
            "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{}\" \
             state=\"partial\"><users state=\"partial\"><user entity=\"sip:user700@contoso.example\" \
             state=\"partial\"><endpoint entity=\"700\" state=\"partial\"><media id=\"1\">\
             <type>audio</type><status>{status}</status></media></endpoint></user></users>\
             </conference-info>",
            full.entity
        );
        ConferenceInfo::parse(text.as_bytes()).unwrap()
    };
    let mut changes = [partial("recvonly"), partial("sendrecv")].into_iter().cycle();
    let mut conference = Conference::new(None, Limits::default());
    conference.apply(full.clone()).unwrap();
    group.bench_function("merge, one of 1000 users", |b| {
        b.iter_batched(
            || changes.next().unwrap(),
            |change| {
                conference.apply(change).unwrap();
                while conference.poll_event().is_some() {}
            },
            BatchSize::SmallInput,
        );
    });
}

fn document(participants: usize) -> String {
    let mut xml = String::from(
        "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" \
         entity=\"sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD\" \
         state=\"full\" version=\"1\"><users state=\"full\">",
    );
    for n in 0..participants {
        write!(
            xml,
            "<user entity=\"sip:user{n}@contoso.example\" state=\"full\">\
             <display-text>User {n}</display-text><roles><entry>attendee</entry></roles>\
             <endpoint entity=\"{n}\"><status>connected</status>\
             <media id=\"1\"><type>audio</type><status>sendrecv</status></media></endpoint></user>"
        )
        .unwrap();
    }
    xml.push_str("</users></conference-info>");
    xml
}

criterion_group!(benches, notification);
criterion_main!(benches);
