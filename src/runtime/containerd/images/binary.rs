//! This very program as a file of an image: without its debugging information, with the libraries that it needs.
//!
//! In an image it is `/.k8s-learn/k8s-learn`, and finds its loader and libraries beside it (see `build.rs`), so that no
//! path of the image is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::runtime::sim::contained::{DIRECTORY, LOADER};

const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;

/// This program and what it needs.
pub(super) struct Binary {
    /// The program.
    pub(super) program: Vec<u8>,
    /// The loader, unless it needs none.
    pub(super) loader: Option<PathBuf>,
    /// The libraries by the name that they are looked for by.
    pub(super) libraries: BTreeMap<String, PathBuf>,
}

impl Binary {
    /// The program that is running.
    pub(super) fn own() -> io::Result<Self> {
        let mut program = std::fs::read("/proc/self/exe")?;
        let loader = strip(&mut program).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "this program is no 64-bit little-endian ELF file")
        })?;
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let libraries = libraries(&maps, loader.as_deref());
        Ok(Self { program, loader, libraries })
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(number(bytes, at)?)).ok()
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(number(bytes, at)?)))
}

/// Cuts off what is not loaded, and has it look for its loader where an image has it. The answer is the loader there was.
fn strip(program: &mut Vec<u8>) -> Option<Option<PathBuf>> {
    // 64 bits, little-endian.
    if program.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (long(program, 0x20)?, short(program, 0x36)?, short(program, 0x38)?);
    let mut end = table.checked_add(size.checked_mul(count)?)?;
    let mut loader = None;
    for index in 0..count {
        let at = table.checked_add(size.checked_mul(index)?)?;
        let kind = u32::from_le_bytes(number(program, at)?);
        let (offset, length) = (long(program, at + 8)?, long(program, at + 0x20)?);
        if kind == LOAD {
            end = end.max(offset.checked_add(length)?);
        }
        if kind == INTERPRETER {
            let place = program.get_mut(offset..offset.checked_add(length)?)?;
            let text = place.split(|byte| *byte == 0).next()?.to_vec();
            if place.len() <= LOADER.len() {
                return None;
            }
            place.fill(0);
            place.get_mut(..LOADER.len())?.copy_from_slice(LOADER.as_bytes());
            loader = Some(PathBuf::from(String::from_utf8(text).ok()?));
        }
    }
    program.truncate(end.min(program.len()));
    // No sections any more: their offset, size, number and the index of their names.
    program.get_mut(0x28..0x30)?.fill(0);
    program.get_mut(0x3a..0x40)?.fill(0);
    Some(loader)
}

/// The libraries in a list of mapped files.
fn libraries(maps: &str, loader: Option<&Path>) -> BTreeMap<String, PathBuf> {
    let loader = loader.and_then(|path| path.canonicalize().ok());
    let mapped: BTreeSet<&Path> = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])))
        .filter(|path| path.to_string_lossy().contains(".so"))
        .collect();
    let mut found = BTreeMap::new();
    for path in mapped {
        let Ok(real) = path.canonicalize() else { continue };
        if Some(&real) == loader.as_ref() {
            continue;
        }
        // The names that lead to it: it is looked for by one of them.
        let siblings = path.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten();
        let aliases = siblings.flatten().filter(|entry| {
            entry.file_name().to_string_lossy().contains(".so")
                && entry.path().canonicalize().is_ok_and(|target| target == real)
        });
        for alias in aliases {
            found.insert(alias.file_name().to_string_lossy().into_owned(), real.clone());
        }
    }
    found
}

/// A path beside the program in an image.
pub(super) fn beside(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_program_becomes_smaller_and_looks_for_its_loader_in_the_image() {
        let before = std::fs::metadata("/proc/self/exe").unwrap().len();
        let binary = Binary::own().unwrap();
        assert!((binary.program.len() as u64) < before);
        if let Some(loader) = &binary.loader {
            assert!(loader.exists());
            let text = LOADER.as_bytes();
            assert!(
                binary
                    .program
                    .windows(text.len() + 1)
                    .any(|w| w[..text.len()] == *text && w[text.len()] == 0)
            );
            assert!(
                binary.libraries.keys().any(|name| name.starts_with("libc.so")),
                "{:?}",
                binary.libraries
            );
        }
        assert!(strip(&mut b"#!/bin/sh".to_vec()).is_none());
        assert!(strip(&mut b"\x7fELF\x02\x01".to_vec()).is_none());
    }
}
