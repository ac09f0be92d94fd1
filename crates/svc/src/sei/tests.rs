use super::*;
use crate::bits::{BitWriter, escape};

fn nal(payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![payload_type, payload.len().to_le_bytes()[0]];
    body.extend_from_slice(payload);
    body.push(0x80);
    let mut nal = vec![0x06];
    escape(&body, &mut nal);
    nal
}

fn read_one(nal: &[u8]) -> Result<SeiPayload<'static>, ParseError> {
    let octets = rbsp(nal).into_owned().leak();
    sei_messages(octets).next().unwrap().read()
}

/// Layer `id` of three: two temporal layers, and a larger picture.
fn write_layer(w: &mut BitWriter, id: u32, (did, tid): (u32, u32), extras: bool) {
    w.ue(id);
    w.u(id, 6);
    w.flag(extras);
    w.u(did, 3);
    w.u(0, 4);
    w.u(tid, 3);
    // sub_pic, sub_region, iroi; profile, bitrate, rate, size, dependency, sets, restriction, exact
    let regions = if extras { 0b111 } else { 0 };
    w.u(regions << 8 | 0b1111 << 4 | 0b1000 | if extras { 0b111 } else { 0 }, 11);
    if extras {
        w.flag(true);
    }
    w.flag(extras);
    w.flag(true);
    w.u(0x42_c01f, 24);
    // 123 times 1000, 45 times 100, 678 times 10000.
    w.u(1 << 14 | 123, 16);
    w.u(45, 16);
    w.u(2 << 14 | 678, 16);
    w.u(0, 16);
    w.u(1, 2);
    w.u((256 * 15) << tid, 16);
    w.ue(39);
    w.ue(22);
    if extras {
        w.ue(0);
        w.flag(false);
        w.u(7, 32);
        w.u(9, 32);
        w.ue(3);
        w.flag(false);
        w.ue(1);
        (0..6).for_each(|v| w.ue(v));
    }
    w.ue(u32::from(id > 0));
    if id > 0 {
        w.ue(0);
    }
    if extras {
        w.ue(1);
        w.ue(0);
        w.ue(1);
        w.ue(0);
        w.ue(0);
        w.ue(0);
        w.flag(false);
        (0..6).for_each(|v| w.ue(v));
        w.ue(2);
        w.flag(true);
        w.u(0x64_001f, 24);
        w.u(5, 16);
        w.u(6, 16);
        w.flag(false);
    } else {
        w.ue(0);
    }
}

#[test]
fn scalability_info_tells_every_layer() {
    let mut w = BitWriter::default();
    w.u(0b100, 3);
    w.ue(2);
    write_layer(&mut w, 0, (0, 0), false);
    write_layer(&mut w, 1, (0, 1), true);
    write_layer(&mut w, 2, (1, 1), false);
    while !w.is_aligned() {
        w.flag(false);
    }
    let unit = nal(24, &w.into_bytes());
    assert!(is_scalable(&unit) && !is_for_avc(&unit));
    let SeiPayload::Scalability(info) = read_one(&unit).unwrap() else { panic!() };
    assert!(info.is_temporally_nested);
    let ids: Vec<_> = info.layers.iter().map(|l| (l.id, l.layer.did, l.layer.tid)).collect();
    assert_eq!(ids, [(0, 0, 0), (1, 0, 1), (2, 1, 1)]);
    let last = info.layer(1, 0, 1).unwrap();
    assert_eq!(last.depends_on, [1]);
    assert_eq!(last.frame_rate, Some(30.0));
    assert_eq!(last.size_mbs, Some((40, 23)));
    assert_eq!(last.profile_level, Some([0x42, 0xc0, 0x1f].into()));
    let bitrate = last.bitrate.unwrap();
    assert_eq!(
        (bitrate.average_bps, bitrate.max_layer_bps, bitrate.max_bps),
        (123_000, 4_500, 6_780_000)
    );
    // Cut anywhere, it says so.
    for cut in 3..unit.len() - 6 {
        let octets = rbsp(&unit[..cut]).into_owned();
        let message = SeiMessage { payload_type: 24, payload: octets.get(2..).unwrap_or(&[]) };
        assert!(message.read().is_err(), "{cut}");
    }
}

#[test]
fn small_messages_are_read() {
    let cases = [
        (34, vec![9, 1, 2], SeiPayload::TemporalBaseIndex { index: 9, idr_pic_id: 258 }),
        (35, vec![0x28], SeiPayload::TemporalSwitchingPoint { delta_frame_num: -2 }),
        (28, vec![0b0111_0010, 0x00], SeiPayload::LayersNotPresent(vec![0, 3])),
        (
            6,
            vec![0b0110_1000],
            SeiPayload::RecoveryPoint(RecoveryPoint { frames: 2, exact: false, broken_link: true }),
        ),
        (99, vec![1], SeiPayload::Other),
    ];
    for (payload_type, payload, wanted) in cases {
        assert_eq!(read_one(&nal(payload_type, &payload)), Ok(wanted), "{payload_type}");
    }
}

#[test]
fn nested_messages_go_with_their_layers() {
    // One layer: did 1, qid 0, tid 2.
    let unit = nal(30, &[0b0100_1000, 0b0010_0000, 6, 1, 0xc4]);
    let above = |max: u8| is_nested_elsewhere(&unit, |l| l.did <= max);
    assert!(above(0) && !above(1));
    // For all layers of the access unit.
    assert!(!is_nested_elsewhere(&nal(30, &[0x80, 6, 1, 0xc4]), |_| false));
}

#[test]
fn several_messages_and_long_sizes() {
    let mut body = vec![5, 0xff, 2];
    body.extend([7; 257]);
    body.extend([6, 1, 0xc4, 0x80]);
    let messages: Vec<_> = sei_messages(&body).collect();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].payload.len(), 257);
    assert!(matches!(messages[0].read(), Ok(SeiPayload::UserData { uuid: &[7, ..], .. })));
    assert_eq!(sei_messages(&[5, 0xff]).count(), 0);
    assert_eq!(sei_messages(&[5, 4, 1]).count(), 0);
}
