//! Makes the video streams in `examples/media/`, with OpenH264's scalable encoder.
//!
//! ```text
//! cargo run --release --example make-media [-- DIR]      # default: examples/media
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `lync-t3-640x360.264` | what a Lync-side client sends: 3 temporal layers, prefix NAL units, slices under 1,100 octets |
//! | `lync-simulcast-320x180-640x360.264` | two sizes of one picture as independent streams, told apart by parameter-set id |
//! | `standard-640x360.264` | what a standards-side endpoint sends: plain AVC, one slice a picture, so larger than a packet |
//!
//! The picture is synthetic (a moving gradient, a bouncing disc and a clock hand), so the streams
//! are ours to publish. The encoder is the one that the `openh264` crate compiles; the same
//! version gives the same octets.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the encoder is a C++ library; this program runs on its own input only"
)]

mod encoder;

use std::error::Error;
use std::path::{Path, PathBuf};

use encoder::{Encoder, Picture, Settings};

/// Pictures a stream: 3.2 seconds at 30 per second.
const PICTURES: u32 = 96;
/// Pictures from one IDR to the next; the encoder wants a multiple of its group of pictures.
const IDR_EVERY: u32 = 48;
/// Largest slice in octets, where slices are limited: one packet each, even without FU-A.
const SLICE_LIMIT: u32 = 1_080;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/media")),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder)?;
    let streams = [
        Stream {
            name: "lync-t3-640x360.264",
            settings: Settings {
                sizes: &[(640, 360, 500_000)],
                temporal_layers: 3,
                prefix_nal_units: true,
                slice_octets: SLICE_LIMIT,
                idr_every: IDR_EVERY,
            },
        },
        Stream {
            name: "lync-simulcast-320x180-640x360.264",
            settings: Settings {
                sizes: &[(320, 180, 150_000), (640, 360, 400_000)],
                temporal_layers: 3,
                prefix_nal_units: true,
                slice_octets: SLICE_LIMIT,
                idr_every: IDR_EVERY,
            },
        },
        Stream {
            name: "standard-640x360.264",
            settings: Settings {
                sizes: &[(640, 360, 500_000)],
                temporal_layers: 1,
                prefix_nal_units: false,
                slice_octets: 0,
                idr_every: IDR_EVERY,
            },
        },
    ];
    for stream in &streams {
        write(&folder, stream)?;
    }
    Ok(())
}

/// One file to be made.
struct Stream {
    name: &'static str,
    settings: Settings,
}

fn write(folder: &Path, stream: &Stream) -> Result<(), Box<dyn Error>> {
    let &(width, height, _) = stream.settings.sizes.last().ok_or("a stream has a size")?;
    let mut encoder = Encoder::new(&stream.settings)?;
    let mut picture = Picture::new(width, height);
    let mut octets = Vec::new();
    for number in 0..PICTURES {
        picture.draw(number);
        encoder.encode(&mut picture, number, &mut octets)?;
    }
    let path = folder.join(stream.name);
    std::fs::write(&path, &octets)?;
    println!("{} {} octets, {PICTURES} pictures", path.display(), octets.len());
    Ok(())
}

/// The picture that the streams show.
trait Draw {
    fn draw(&mut self, number: u32);
}

impl Draw for Picture {
    /// Draws picture `number`: all of it moves, and no two pictures are alike.
    fn draw(&mut self, number: u32) {
        let (width, height) = (self.width as i32, self.height as i32);
        let n = number as i32;
        let (disc_x, disc_y) = (bounce(n * 5, width), bounce(n * 3, height));
        let radius = height / 6;
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (x - disc_x, y - disc_y);
                let in_disc = dx * dx + dy * dy < radius * radius;
                let bars = ((x + 2 * n) / 40 + y / 40) % 2 * 24;
                let slope = (x * 100 / width + y * 80 / height + n) % 256;
                let value = if in_disc {
                    235 - (dx * dx + dy * dy) * 90 / (radius * radius)
                } else {
                    24 + bars + slope * 3 / 5
                };
                self.planes[0][(y * width + x) as usize] = value.clamp(16, 235) as u8;
            }
        }
        let (chroma_width, chroma_height) = (width / 2, height / 2);
        for y in 0..chroma_height {
            for x in 0..chroma_width {
                let at = (y * chroma_width + x) as usize;
                self.planes[1][at] = (90 + (x * 70 / chroma_width + n / 2) % 80) as u8;
                self.planes[2][at] = (100 + (y * 60 / chroma_height + n / 3) % 60) as u8;
            }
        }
    }
}

/// A position that runs to and fro between 0 and `limit`.
fn bounce(position: i32, limit: i32) -> i32 {
    let around = position.rem_euclid(2 * limit);
    if around < limit { around } else { 2 * limit - around }
}
