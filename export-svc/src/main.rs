//! The binary: see the library.

// librdkafka allocates too; an unprefixed jemalloc serves both.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    export_svc::cli::main()
}
