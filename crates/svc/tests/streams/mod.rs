//! Every stream that there is: the demo's, the vectors', and those of the OpenH264 repository.

/// Names and octets, in the order of the names.
pub(crate) fn streams() -> Vec<(String, Vec<u8>)> {
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/media");
    let vectors = linkspan_testnet::vectors("svc");
    let camera = vectors.as_ref().map(|dir| dir.join("openh264-res"));
    let mut found = Vec::new();
    for dir in [Some(demo), vectors, camera].into_iter().flatten() {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        for path in entries.map(|e| e.unwrap().path()) {
            if path.extension().is_some_and(|e| e == "264") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                found.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
