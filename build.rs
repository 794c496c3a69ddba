//! Makes Rust of the protocol definitions under `src/runtime/containerd/proto`, and has the program find its
//! libraries where the course's images have them. Needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // As the program of an image it finds its libraries there; anywhere else there is no such directory.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,/.k8s-learn");
    }
    let directory = "src/runtime/containerd/proto";
    println!("cargo:rerun-if-changed={directory}");
    let files =
        ["cri", "content", "images", "leases", "events"].map(|name| format!("{directory}/{name}.proto"));
    let descriptors = protox::compile(&files, [directory])?;
    tonic_prost_build::configure()
        .build_server(false)
        .btree_map(".")
        .bytes(".containerd")
        .compile_fds(descriptors)?;
    Ok(())
}
