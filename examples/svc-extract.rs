//! Lists the layers of an H.264 stream, and extracts an operation point.
//!
//! ```text
//! cargo run --release --example svc-extract -- IN.264                     # the operation points
//! cargo run --release --example svc-extract -- --list IN.264              # every NAL unit as well
//! cargo run --release --example svc-extract -- -t 0 --avc -o OUT.264 IN.264
//! cargo run --release --example svc-extract -- --timeline LAYERS.svg IN.264
//! ```

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use linkspan_examples::{Report, Style, Table};
use linkspan_svc::{
    ExtractForm, ExtractOptions, FrameNumbering, NalInfo, OperationPoint, extract, inspect,
    nal_units, operation_points,
};
use ring::digest::{SHA256, digest};
use serde_json::json;

/// Lists the layers of an H.264 stream (Annex B), and extracts an operation point.
///
/// Exit code: 0 when the stream holds pictures (and those asked for), 1 when it does not, 2 for
/// wrong usage.
#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object per operation point, or per NAL unit with --list.
    #[arg(long)]
    json: bool,
    /// List every NAL unit.
    #[arg(long)]
    list: bool,
    /// Target dependency_id: the size.
    #[arg(short, long)]
    dependency: Option<u8>,
    /// Target quality_id.
    #[arg(short, long)]
    quality: Option<u8>,
    /// Target temporal_id: the frame rate.
    #[arg(short, long)]
    temporal: Option<u8>,
    /// Target priority_id.
    #[arg(short, long)]
    priority: Option<u8>,
    /// Leave out slices of lower layers that the target does not predict from.
    #[arg(long)]
    drop_discardable: bool,
    /// Simulcast stream, numbered in the order of the sequence parameter sets.
    #[arg(long)]
    stream: Option<u8>,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "normative")]
    form: Form,
    /// Same as --form avc: what a plain AVC decoder takes.
    #[arg(long)]
    avc: bool,
    /// With the form avc, number frames anew so that dropped layers leave no gaps.
    #[arg(long)]
    renumber: bool,
    /// Frames per second of the stream, for the rates in the table.
    #[arg(long, default_value_t = 30.0)]
    fps: f64,
    /// Write the operation point here; - is standard output.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Draw the access units as bars coloured by layer.
    #[arg(long, value_name = "FILE.svg")]
    timeline: Option<PathBuf>,
    /// The stream; - is standard input.
    input: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Normative,
    Minimal,
    Avc,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let style = Style::from_flag(arguments.json);
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    let out: Box<dyn io::Write + Send> =
        if to_stdout { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
    match run(&arguments, &Report::new(style, out)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", arguments.input.display());
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked; `false` when there was nothing to do it with.
fn run(arguments: &Arguments, report: &Report) -> io::Result<bool> {
    let stream = read(&arguments.input)?;
    let nals = inspect(&stream);
    let points = operation_points(&nals);
    if points.is_empty() {
        eprintln!("{}: no picture in it", arguments.input.display());
        return Ok(false);
    }
    if let Some(file) = &arguments.timeline {
        std::fs::write(file, timeline(&nals))?;
    }
    if arguments.list {
        list(report, &nals);
    }
    let chosen = arguments.dependency.or(arguments.quality).or(arguments.temporal);
    let chosen = chosen.or(arguments.priority).is_some()
        || arguments.output.is_some()
        || arguments.avc
        || arguments.renumber
        || !matches!(arguments.form, Form::Normative);
    if chosen {
        return one(arguments, report, &stream, &points);
    }
    if !arguments.list || report.style() == Style::Text {
        all(arguments, report, &stream, &points);
    }
    Ok(true)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut octets = Vec::new();
        io::stdin().lock().read_to_end(&mut octets)?;
        return Ok(octets);
    }
    std::fs::read(path)
}

fn options(arguments: &Arguments) -> ExtractOptions {
    let form = match arguments.form {
        _ if arguments.avc => ExtractForm::Avc,
        Form::Normative => ExtractForm::Normative,
        Form::Minimal => ExtractForm::Minimal,
        Form::Avc => ExtractForm::Avc,
    };
    let numbering =
        if arguments.renumber { FrameNumbering::Always } else { FrameNumbering::default() };
    let base = matches!(form, ExtractForm::Avc);
    ExtractOptions {
        stream: arguments.stream.unwrap_or(0),
        // What an AVC decoder takes is the base layer, unless another is asked for.
        max_dependency: arguments.dependency.unwrap_or(if base { 0 } else { 7 }),
        max_quality: arguments.quality.unwrap_or(if base { 0 } else { 15 }),
        max_temporal: arguments.temporal.unwrap_or(7),
        max_priority: arguments.priority.unwrap_or(63),
        drop_discardable: arguments.drop_discardable,
        form,
        numbering,
    }
}

/// Extracts the operation point asked for.
fn one(
    arguments: &Arguments,
    report: &Report,
    stream: &[u8],
    points: &[OperationPoint],
) -> io::Result<bool> {
    let options = options(arguments);
    let out = extract(stream, &options);
    // The target is the highest of what the stream has.
    let of = |p: &&OperationPoint| {
        p.stream == options.stream
            && p.did <= options.max_dependency
            && p.tid <= options.max_temporal
            && (p.did < options.max_dependency || p.qid <= options.max_quality)
    };
    let Some(point) = points.iter().rfind(of) else {
        eprintln!("{}: no such operation point", arguments.input.display());
        return Ok(false);
    };
    print_point(report, &mut None, arguments.fps, points, point, &out);
    match arguments.output.as_deref() {
        Some(path) if path.as_os_str() == "-" => io::stdout().lock().write_all(&out)?,
        Some(path) => std::fs::write(path, &out)?,
        None => {}
    }
    if out.is_empty() {
        eprintln!("{}: the layer needs a scalable decoder", arguments.input.display());
    }
    Ok(!out.is_empty())
}

/// All operation points, with what their extraction comes to.
fn all(arguments: &Arguments, report: &Report, stream: &[u8], points: &[OperationPoint]) {
    let heading =
        ["stream", "did", "qid", "tid", "size", "frames", "fps", "kbit/s", "NALs", "octets"];
    let mut table = Some(Table::new(&heading));
    for point in points.iter().filter(|p| arguments.stream.is_none_or(|s| s == p.stream)) {
        let options = ExtractOptions {
            stream: point.stream,
            max_dependency: point.did,
            max_quality: point.qid,
            max_temporal: point.tid,
            ..options(arguments)
        };
        print_point(report, &mut table, arguments.fps, points, point, &extract(stream, &options));
    }
    for line in table.iter().flat_map(Table::lines) {
        report.text(line);
    }
}

fn print_point(
    report: &Report,
    table: &mut Option<Table>,
    full_rate: f64,
    points: &[OperationPoint],
    point: &OperationPoint,
    out: &[u8],
) {
    let hash: String = digest(&SHA256, out).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let nals = nal_units(out).count();
    report.json(&json!({
        "stream": point.stream, "did": point.did, "qid": point.qid, "tid": point.tid,
        "width": point.width, "height": point.height, "frames": point.frames,
        "nals": nals, "bytes": out.len(), "sha256": hash,
    }));
    // The stream with every layer has the full rate.
    let all = points.iter().filter(|p| p.stream == point.stream).map(|p| p.frames).max();
    let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let seconds = share(all.unwrap_or(1)).max(1.0) / full_rate;
    let (fps, kbps) = (share(point.frames) / seconds, share(out.len()) * 0.008 / seconds);
    let size = format!("{}x{}", point.width, point.height);
    match table {
        Some(table) => table.row([
            point.stream.to_string(),
            point.did.to_string(),
            point.qid.to_string(),
            point.tid.to_string(),
            size,
            point.frames.to_string(),
            format!("{fps:.1}"),
            format!("{kbps:.0}"),
            nals.to_string(),
            out.len().to_string(),
        ]),
        None => report.text(format!(
            "stream {} did {} qid {} tid {}: {size}, {} frames ({fps:.1}/s, {kbps:.0} kbit/s), \
             {nals} NAL units, {} octets, sha256 {hash}",
            point.stream,
            point.did,
            point.qid,
            point.tid,
            point.frames,
            out.len()
        )),
    }
}

/// Every NAL unit, with the columns of the vectors.
fn list(report: &Report, nals: &[NalInfo]) {
    const COLUMNS: [&str; 14] = [
        "au",
        "offset",
        "startcode",
        "size",
        "type",
        "nri",
        "did",
        "qid",
        "tid",
        "prid",
        "idr",
        "frame_num",
        "poc_lsb",
        "pps_id",
    ];
    let simulcast = nals.iter().any(|n| n.stream > 0);
    let mut table = Table::new(&COLUMNS);
    for nal in nals {
        // In a simulcast file the stream stands in the column of the dependency.
        let did = if simulcast { nal.did.map(|_| nal.stream) } else { nal.did };
        report.json(&json!({
            "au": nal.access_unit, "offset": nal.offset, "startcode": nal.start_code_len,
            "size": nal.size, "type": nal.kind.value(), "nri": nal.ref_idc, "did": did,
            "qid": nal.qid, "tid": nal.tid, "prid": nal.prid, "idr": nal.idr.map(u8::from),
            "frame_num": nal.frame_num, "poc_lsb": nal.poc_lsb, "pps_id": nal.pps_id,
            "stream": nal.stream,
        }));
        let text = |v: Option<u32>| v.map_or_else(|| "-".to_owned(), |v| v.to_string());
        let small = |v: Option<u8>| text(v.map(u32::from));
        table.row([
            nal.access_unit.to_string(),
            nal.offset.to_string(),
            nal.start_code_len.to_string(),
            nal.size.to_string(),
            nal.kind.value().to_string(),
            nal.ref_idc.to_string(),
            small(did),
            small(nal.qid),
            small(nal.tid),
            small(nal.prid),
            small(nal.idr.map(u8::from)),
            text(nal.frame_num),
            text(nal.poc_lsb),
            small(nal.pps_id),
        ]);
    }
    if report.style() == Style::Text {
        for line in table.lines() {
            report.text(line);
        }
        report.text("");
    }
}

/// Access units as bars: as high as their octets, coloured by temporal layer, lighter for higher
/// dependency layers and streams; IDR pictures with a mark.
fn timeline(nals: &[NalInfo]) -> String {
    const COLOURS: [&str; 4] = ["#1b5e9e", "#2e8b57", "#d98200", "#b03a5b"];
    const HEIGHT: f64 = 240.0;
    let units = nals.iter().map(|n| n.access_unit + 1).max().unwrap_or(1);
    let octets = |unit: usize| -> usize {
        nals.iter().filter(|n| n.access_unit == unit).map(|n| n.size).sum()
    };
    let scale = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let highest = (0..units).map(octets).max().unwrap_or(1).max(1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"320\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n",
        units * 8 + 80
    );
    let mut layers: Vec<(u8, u8, u8)> = Vec::new();
    for unit in 0..units {
        let mut top = HEIGHT + 20.0;
        for nal in nals.iter().filter(|n| n.access_unit == unit && n.kind.is_vcl()) {
            let (tid, did) = (nal.tid.unwrap_or(0), nal.did.unwrap_or(0));
            let height = scale(nal.size) / scale(highest) * HEIGHT;
            top -= height;
            let colour = COLOURS.get(usize::from(tid).min(3)).unwrap_or(&"#888");
            let opacity = 1.0 - 0.3 * f64::from((did + nal.stream).min(2));
            let key = (nal.stream, did, tid);
            if !layers.contains(&key) {
                layers.push(key);
            }
            let _ = writeln!(
                svg,
                "<rect x=\"{}\" y=\"{top:.1}\" width=\"7\" height=\"{height:.1}\" \
                 fill=\"{colour}\" fill-opacity=\"{opacity}\"><title>access unit {unit}, did {did}, \
                 tid {tid}, {} octets</title></rect>",
                unit * 8 + 60,
                nal.size
            );
        }
        if nals.iter().any(|n| n.access_unit == unit && n.idr == Some(true)) {
            let x = unit * 8 + 63;
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"276\" text-anchor=\"middle\">I</text>");
        }
    }
    layers.sort_unstable();
    let mut x = 60;
    for (stream, did, tid) in layers {
        let colour = COLOURS.get(usize::from(tid).min(3)).unwrap_or(&"#888");
        let opacity = 1.0 - 0.3 * f64::from((did + stream).min(2));
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"292\" width=\"10\" height=\"10\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\"/><text x=\"{}\" y=\"301\">s{stream} d{did} t{tid}</text>",
            x + 14
        );
        x += 80;
    }
    let _ = writeln!(
        svg,
        "<text x=\"54\" y=\"30\" text-anchor=\"end\">{highest}</text>\
         <text x=\"54\" y=\"260\" text-anchor=\"end\">0 octets</text>\n</svg>"
    );
    svg
}
