//! ICE: a whole session of two agents on one machine, in both dialects, until both have selected.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench: its inputs are its own"
)]

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use linkspan_ice::{Agent, AgentConfig, Dialect, Received, Role};

fn session(c: &mut Criterion) {
    let mut group = c.benchmark_group("ice/session");
    for dialect in [Dialect::Rfc8445, Dialect::MsIce2] {
        group.bench_function(format!("{dialect:?}, 2 components"), |b| b.iter(|| connect(dialect)));
    }
    group.finish();
}

fn connect(dialect: Dialect) {
    let mut now = Instant::now();
    let mut agents = [Role::Controlling, Role::Controlled]
        .map(|role| Agent::new(AgentConfig::new(dialect, role), [role as u8; 32], now));
    let streams = [0, 1].map(|side: usize| {
        let stream = agents[side].add_stream(2).unwrap();
        for component in [1, 2] {
            let address = format!("192.0.2.{}:{}", side + 1, 5_000 + component).parse().unwrap();
            agents[side].add_host_candidate(stream, component, address, now).unwrap();
        }
        agents[side].end_of_candidates(now);
        stream
    });
    for side in 0..2 {
        let agent = &agents[side];
        let credentials = agent.local_credentials(streams[side]).clone();
        let candidates = agent.local_candidates(streams[side]).to_vec();
        agents[1 - side].set_remote(streams[1 - side], credentials, candidates, now).unwrap();
    }
    loop {
        for side in 0..2 {
            while let Some(sent) = agents[side].poll_transmit() {
                let input = Received {
                    transport: sent.transport,
                    local: sent.remote,
                    remote: sent.local,
                    payload: &sent.payload,
                };
                // An answer to a check that was given up meanwhile is nobody's.
                let _given_up = agents[1 - side].handle_input(input, now);
            }
        }
        let selected = |side: usize| agents[side].selected(streams[side], 2).is_some();
        if selected(0) && selected(1) {
            return;
        }
        let next = agents.iter().filter_map(Agent::poll_timeout).min().unwrap();
        now = next.max(now);
        for agent in &mut agents {
            agent.handle_timeout(now);
        }
    }
}

criterion_group!(benches, session);
criterion_main!(benches);
