//! Diagnostics on standard error.

use tracing_subscriber::EnvFilter;

/// Prints warnings and errors on standard error, or what the environment variable `RUST_LOG`
/// asks for.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second subscriber would be refused; the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
