//! The whole `veracity` command, and the ledger.

use custom_processor as _;

fn main() -> std::process::ExitCode {
    veracity::cli::main()
}
