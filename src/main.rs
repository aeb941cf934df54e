//! The `herald` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    herald::cli::main()
}
