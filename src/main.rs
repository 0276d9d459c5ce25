//! The `ecrm` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecrm::cli::run()
}
