//! Compiles the contracts with protox, so that no protoc has to be installed.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    collect(Path::new("lytics"), &mut files)?;
    files.sort();
    println!("cargo::rerun-if-changed=lytics");
    let descriptors = protox::compile(&files, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .bytes(".")
        // The same event is the same bytes, also if it holds maps.
        .btree_map(".lytics.profile")
        // Most events have none, and are not to be as large as if they had.
        .boxed(".lytics.profile.v1.ProfileEvent.activity")
        .include_file("contracts.rs")
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
