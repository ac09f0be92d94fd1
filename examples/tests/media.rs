//! Proves that the demo's streams, and what is extracted from them, decode in an independent
//! decoder to exactly the pictures that they should have.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use linkspan_svc::{ExtractForm, ExtractOptions, extract};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;

const LAYERED: &[u8] = include_bytes!("../media/lync-t3-640x360.264");
const SIMULCAST: &[u8] = include_bytes!("../media/lync-simulcast-320x180-640x360.264");
const PLAIN: &[u8] = include_bytes!("../media/standard-640x360.264");

/// Number of pictures and their one size.
fn decode(stream: &[u8]) -> (usize, (usize, usize)) {
    let mut decoder = Decoder::new().unwrap();
    let (mut pictures, mut size) = (0, (0, 0));
    for nal in openh264::nal_units(stream) {
        if let Some(picture) = decoder.decode(nal).unwrap() {
            assert!(pictures == 0 || size == picture.dimensions(), "the size changes");
            pictures += 1;
            size = picture.dimensions();
        }
    }
    (pictures + decoder.flush_remaining().unwrap().len(), size)
}

fn avc(stream: &[u8], number: u8, max_temporal: u8) -> Vec<u8> {
    let options = ExtractOptions {
        stream: number,
        max_temporal,
        form: ExtractForm::Avc,
        ..ExtractOptions::default()
    };
    extract(stream, &options)
}

#[test]
fn the_plain_stream_decodes_as_it_is() {
    assert_eq!(decode(PLAIN), (96, (640, 360)));
    assert_eq!(decode(&avc(PLAIN, 0, 7)), (96, (640, 360)));
}

#[test]
fn each_temporal_layer_of_the_layered_stream_halves_the_rate() {
    for (max_temporal, pictures) in [(7, 96), (2, 96), (1, 48), (0, 24)] {
        let stream = avc(LAYERED, 0, max_temporal);
        assert_eq!(decode(&stream), (pictures, (640, 360)), "up to temporal id {max_temporal}");
    }
}

#[test]
fn each_simulcast_stream_decodes_alone() {
    assert_eq!(decode(&avc(SIMULCAST, 0, 7)), (96, (320, 180)));
    assert_eq!(decode(&avc(SIMULCAST, 1, 7)), (96, (640, 360)));
}
