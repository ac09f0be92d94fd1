//! Proves that a packet costs no allocation after the first of its source, in every suite.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_srtp::{
    BatchPacket, HeaderExtensions, KeyParams, Mki, Options, Receiver, Sender, Suite,
};
use linkspan_testnet::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = CountingAllocator::count();
    work();
    CountingAllocator::count() - before
}

const RTP: [u8; 24] =
    [0x90, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0, 1, 2, 3, 4];
const RTCP: [u8; 12] = [0x80, 201, 0, 2, 0, 0, 0, 1, 1, 2, 3, 4];

#[test]
fn packets_cost_no_allocation() {
    let forms =
        [HeaderExtensions::Plain, HeaderExtensions::Rfc6904(vec![1]), HeaderExtensions::Cryptex];
    for (suite, form) in Suite::ALL.into_iter().flat_map(|s| forms.iter().map(move |f| (s, f))) {
        let key = KeyParams::from_seed(suite, [7; 32]).with_mki(Mki::new(1, 1).unwrap());
        let options = Options { header_extensions: form.clone(), ..Options::default() };
        let keys = [key];
        let mut sender = Sender::with_options(suite, &keys, options.clone()).unwrap();
        let mut receiver = Receiver::with_options(suite, &keys, options).unwrap();
        let mut round = |first: u16, count: u16| {
            for sequence in first..first + count {
                for ssrc in 0..4u8 {
                    let mut buffer = [0; 80];
                    buffer[..RTP.len()].copy_from_slice(&RTP);
                    buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
                    buffer[11] = ssrc;
                    let len = sender.protect_rtp(&mut buffer, RTP.len()).unwrap();
                    let len = receiver.unprotect_rtp(&mut buffer[..len]).unwrap();
                    assert_eq!(buffer[16..len], RTP[16..]);

                    buffer[..RTCP.len()].copy_from_slice(&RTCP);
                    buffer[7] = ssrc;
                    let len = sender.protect_rtcp(&mut buffer, RTCP.len()).unwrap();
                    let len = receiver.unprotect_rtcp(&mut buffer[..len]).unwrap();
                    assert_eq!(buffer[8..len], RTCP[8..]);
                }
            }
        };
        let first = allocations(|| round(0, 1));
        assert!(first > 0, "{suite}: the count is broken");
        assert_eq!(allocations(|| round(1, 70)), 0, "{suite} {form:?}");
    }
}

#[test]
fn batches_cost_no_allocation() {
    for suite in Suite::ALL {
        let keys = [KeyParams::from_seed(suite, [7; 32])];
        let mut sender = Sender::new(suite, &keys).unwrap();
        let mut receiver = Receiver::new(suite, &keys).unwrap();
        let mut sequence = 0u16;
        let mut round = || {
            let mut buffers = [[0; 300]; 10];
            for buffer in &mut buffers {
                buffer[0] = 0x80;
                buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
                sequence += 1;
            }
            let mut batch = buffers.each_mut().map(|buffer| BatchPacket::new(buffer, 250));
            sender.protect_rtp_batch(&mut batch);
            let len = batch[9].len.unwrap();
            let mut batch = buffers.each_mut().map(|buffer| BatchPacket::new(buffer, len));
            receiver.unprotect_rtp_batch(&mut batch);
            assert!(batch.iter().all(|packet| packet.len == Ok(250)));
        };
        assert!(allocations(&mut round) > 0, "{suite}: the count is broken");
        assert_eq!(allocations(&mut round), 0, "{suite}");
    }
}
