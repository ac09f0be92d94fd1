use std::path::{Path, PathBuf};

/// The folder `name` of the shared vectors, or `None` when there are none on this machine.
///
/// Callers return early on `None`: the line that says so has been printed already.
///
/// # Panics
///
/// In CI, when the folder is missing: there a skipped test is a failed test.
#[must_use]
pub fn vectors(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LINKSPAN_VECTORS").map_or_else(beside_the_checkout, PathBuf::from);
    let folder = root.join(name);
    if folder.exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI without vectors: {} is missing",
        folder.display()
    );
    eprintln!("skipped: no vectors at {}", folder.display());
    None
}

fn beside_the_checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors")
}
