//! `qonnect`: decides which component runs on which cluster, and says why.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Both providers may be compiled in; rustls wants one named before the first connection.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    qonnect::cli::main()
}
