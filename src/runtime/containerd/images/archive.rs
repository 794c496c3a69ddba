//! Images as one file: an OCI layout in a tar archive, as `ctr images import` and others read it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;
use tar::{EntryType, Header};

use super::layers::Blob;
use super::store::{MANIFEST, Whole, descriptor};

/// Writes images with their names.
pub(in crate::runtime::containerd) fn write(to: impl Write, images: &[(String, Whole)]) -> io::Result<()> {
    let mut blobs: BTreeMap<String, Blob> = BTreeMap::new();
    let mut manifests = vec![];
    for (name, image) in images {
        let (config, manifest) = image.described();
        let mut entry = descriptor(MANIFEST, &manifest);
        entry["annotations"] =
            json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name});
        manifests.push(entry);
        for blob in image.layers.iter().cloned().chain([config, manifest]) {
            blobs.insert(blob.digest.clone(), blob);
        }
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests}).to_string();
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    let mut archive = tar::Builder::new(to);
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, bytes)
    };
    add("oci-layout", layout.as_bytes())?;
    add("index.json", index.as_bytes())?;
    for (digest, blob) in &blobs {
        add(&format!("blobs/{}", digest.replace(':', "/")), &blob.bytes)?;
    }
    archive.into_inner()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_layer_that_images_share_is_there_once() {
        let shared = Blob::new(b"layer".to_vec());
        let image = |start: &str| Whole { layers: vec![shared.clone()], start: json!({"Cmd": [start]}) };
        let images = [("a:1".to_owned(), image("a")), ("b:1".to_owned(), image("b"))];
        let mut bytes = vec![];
        write(&mut bytes, &images).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut names = vec![];
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(entry.path().unwrap().to_string_lossy().into_owned());
            if names.last().unwrap() == "index.json" {
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                assert!(text.contains("\"io.containerd.image.name\":\"a:1\""), "{text}");
            }
        }
        assert_eq!(names.len(), 2 + 1 + 2 + 2, "{names:?}");
    }
}
