//! The `trawl` command: parse, run, exit code.

/// Many threads share many small allocations of pages and rows; mimalloc gives their memory back sooner than the
/// system's allocator does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    trawl::cli::main()
}
