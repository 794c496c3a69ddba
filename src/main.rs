//! The binary: hands the command line to `cli`.

/// Objects are many small pieces of memory: with the C library's allocator a third of a write's time was spent in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    k8s_learn::cli::main()
}
