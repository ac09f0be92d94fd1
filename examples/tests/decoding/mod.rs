//! Two decoders that we did not write: OpenH264, and ffmpeg where it is installed (CI has it).

use std::io::Write;
use std::process::{Command, Stdio};

use linkspan_svc::AccessUnitReader;
use md5::{Digest, Md5};
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, Flush};
use openh264::formats::YUVSource;

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// md5 of each picture, cropped and as I420, by OpenH264.
pub(crate) fn by_openh264(stream: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new().unwrap();
    // Pictures of High profile come late: none is fetched before the decoder gives it.
    let options = DecodeOptions::new().flush_after_decode(Flush::NoFlush);
    let mut found = Vec::new();
    for unit in AccessUnitReader::new(stream) {
        match decoder.decode_with_options(unit.annex_b(), options.clone()) {
            Ok(picture) => found.extend(picture.as_ref().map(md5_of)),
            Err(error) => found.push(error.to_string()),
        }
    }
    found.extend(decoder.flush_remaining().unwrap().iter().map(md5_of));
    found
}

fn md5_of(picture: &DecodedYUV<'_>) -> String {
    let (width, height) = picture.dimensions();
    let (y, u, v) = picture.strides();
    let mut md5 = Md5::new();
    for (plane, stride, width, height) in [
        (picture.y(), y, width, height),
        (picture.u(), u, width / 2, height / 2),
        (picture.v(), v, width / 2, height / 2),
    ] {
        plane.chunks(stride).take(height).for_each(|row| md5.update(&row[..width]));
    }
    hex(&md5.finalize())
}

/// The same by ffmpeg; `None` where there is none, which CI does not accept.
pub(crate) fn by_ffmpeg(stream: &[u8]) -> Option<Vec<String>> {
    let child = Command::new("ffmpeg")
        .args("-v error -threads 1 -f h264 -i - -vsync passthrough".split(' '))
        .args("-autoscale 0 -pix_fmt yuv420p -f framemd5 -".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "CI without ffmpeg");
        eprintln!("skipped: there is no ffmpeg");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&stream));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows = lines.lines().filter(|l| !l.starts_with('#'));
    Some(rows.map(|l| l.rsplit(',').next().unwrap().trim().to_owned()).collect())
}
