//! The files of a folder: finding them, naming them, reading them.
//!
//! Invariant: a name is text that gives back every byte of the path. Limit: regular files only; symbolic links are
//! not followed, and folders that cannot be read are counted.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};

/// System folders, the first that has enough files is taken.
const USUAL: [&str; 5] = ["/usr/share", "/usr/lib", "/usr", "/System/Library", "/Library"];
const ENOUGH: usize = 2_000;

/// One file as the walk found it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) length: u64,
    pub(super) changed: Option<SystemTime>,
}

/// What the walk found.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) dir: PathBuf,
    pub(super) files: Vec<Found>,
    /// There are more than were asked for.
    pub(super) is_cut: bool,
    /// Folders that could not be read.
    pub(super) closed: usize,
}

impl Walk {
    /// What a person should know of it.
    pub(super) fn remark(&self) -> String {
        let cut = if self.is_cut { " (there are more; --limit says how many are taken)" } else { "" };
        let closed = if self.closed > 0 { format!(" ({} folders cannot be read)", self.closed) } else { String::new() };
        format!("{cut}{closed}")
    }
}

/// Walks the folder that was chosen, or one of the usual ones.
pub(super) fn find(chosen: Option<PathBuf>, limit: usize) -> Result<Walk> {
    if let Some(dir) = chosen {
        let dir = dir.canonicalize().map_err(|e| Failure::usage(format!("{}: {e}", dir.display())))?;
        if !dir.is_dir() {
            return Err(Failure::usage(format!("{} is not a folder", dir.display())));
        }
        let found = walk(dir, limit);
        if found.files.is_empty() {
            return Err(Failure::no(format!("there are no files under {}", found.dir.display())));
        }
        return Ok(found);
    }
    let usual = USUAL.iter().map(|dir| walk(PathBuf::from(dir), limit));
    let best = usual.into_iter().find(|found| found.files.len() >= ENOUGH.min(limit));
    best.ok_or_else(|| Failure::no("no system folder has thousands of files here").hint("name one: ./demo DIR"))
}

/// In the order of names, so that the same folder gives the same files.
fn walk(dir: PathBuf, limit: usize) -> Walk {
    let mut found = Walk { files: Vec::new(), is_cut: false, closed: 0, dir: dir.clone() };
    let mut folders = vec![dir];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir() else {
            found.closed += 1;
            continue;
        };
        let mut entries: Vec<_> = entries.filter_map(io::Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    if found.files.len() == limit {
                        found.is_cut = true;
                        return found;
                    }
                    found.files.push(look(entry.path()));
                }
                _ => {}
            }
        }
    }
    found
}

/// A file's length and time, as they are now.
pub(super) fn look(path: PathBuf) -> Found {
    let data = path.symlink_metadata().ok();
    Found {
        length: data.as_ref().map_or(0, std::fs::Metadata::len),
        changed: data.and_then(|d| d.modified().ok()),
        path,
    }
}

/// A path as text: bytes that are not UTF-8 as `\xHH`, and a backslash as two.
pub(super) fn name_of(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        name.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            name.push_str(&format!("\\x{byte:02x}"));
        }
    }
    name
}

/// The path that a name stands for; `None` if it is not one of [`name_of`].
pub(super) fn path_of(name: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = if let Some(after) = after.strip_prefix('\\') {
            bytes.push(b'\\');
            after
        } else {
            let digits = after.strip_prefix('x')?;
            bytes.push(u8::from_str_radix(digits.get(..2)?, 16).ok()?);
            &digits[2..]
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(OsString::from_vec(bytes).into())
}

/// What a file holds, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: i64,
    pub(super) lines: i64,
    pub(super) sha256: String,
}

/// Hashes a file and counts its lines, as `wc -l` does.
pub(super) fn read(path: &Path) -> Result<Content, String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    let mut buffer = vec![0; 64 << 10];
    let (mut bytes, mut lines, mut hash) = (0, 0, Sha256::new());
    loop {
        let part = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => &buffer[..n],
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.to_string()),
        };
        hash.update(part);
        bytes += part.len() as i64;
        lines += part.iter().filter(|byte| **byte == b'\n').count() as i64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Content { bytes, lines, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_gives_back_every_byte_of_its_path() {
        for bytes in [&b"/a/b"[..], b"/a\\x41", b"/\xff\xfe\\", "/ä\u{1F600}".as_bytes(), b"/\\\\x", b"\xc3"] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(path_of(&name_of(&path)), Some(path));
        }
        assert_eq!(path_of("\\y"), None);
        assert_eq!(path_of("\\x1"), None);
    }
}
