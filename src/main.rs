//! The binary: hands the command line to `cli`.

fn main() -> std::process::ExitCode {
    k8s_learn::cli::main()
}
