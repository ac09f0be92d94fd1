//! A gateway between Microsoft Lync and standards-based SIP video.
//!
//! ```text
//! cargo run --release --example gateway                      # the demo: one call each way
//! cargo run --example gateway -- serve --config FILE         # a gateway on configured addresses
//! cargo run --example gateway -- check --config FILE         # is this configuration sound?
//! ```
//!
//! The exit code is 0 when it did its work, 1 when a call or a check failed, 2 for a command line
//! that is not understood.

mod config;
mod demo;
mod http;
mod lines;
mod metrics;
mod proof;
mod serve;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use linkspan_examples::{Report, Style};

/// A gateway between Microsoft Lync and standards-based SIP video. Without a command: a
/// demonstration that places a video call each way through a gateway, all in this process.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a gateway. SIGTERM: no new calls, the end when the running ones are over. SIGINT: every
    /// call is ended at once. SIGHUP: routes and policy are read again.
    Serve {
        /// The configuration, in TOML.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// Print the call ladder, and write a capture, a ladder with what was decided and
        /// translated, and the SDES keys of each call and of everything into this folder.
        #[arg(long, value_name = "DIR")]
        trace: Option<PathBuf>,
    },
    /// Say whether a configuration is sound, and what it means.
    Check {
        /// The configuration, in TOML.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    linkspan_examples::log_to_stderr();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("gateway: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match arguments.command {
        None => {
            let report = Report::stdout(Style::from_flag(arguments.demo.json));
            runtime.block_on(demo::run(&arguments.demo, &report))
        }
        Some(Command::Serve { config, json, trace }) => {
            let report = Report::stdout(Style::from_flag(json));
            runtime.block_on(serve::run(&config, trace.as_deref(), &report))
        }
        Some(Command::Check { config, json }) => {
            let report = Report::stdout(Style::from_flag(json));
            config::check(&config, &report)
        }
    };
    // Tasks that still wait for a peer are not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
