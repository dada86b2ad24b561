//! What was recorded, against the walk and a second reading of every file.
//!
//! Invariant: it knows the queue only by what the jobs left in the table. Limit: a file that changed on the disk
//! meanwhile cannot be compared; it is counted as such.

use std::collections::HashMap;
use std::num::NonZero;

use howdah::Howdah;
use sqlx::Row;

use super::files::{Content, Found, look, name_of, read};
use crate::failure::Result;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Rows.
    pub(super) recorded: usize,
    /// Files of the walk without a row.
    pub(super) missing: usize,
    /// Rows that are one too many of their file.
    pub(super) twice: usize,
    /// Rows of files that the walk did not find.
    pub(super) strange: usize,
    /// Files whose row does not say what they hold.
    pub(super) different: usize,
    /// Files that are not what they were when the walk saw them.
    pub(super) changed: usize,
    /// Files that cannot be read, recorded as such.
    pub(super) unreadable: usize,
    pub(super) bytes: i64,
    pub(super) lines: i64,
    /// One example of what is wrong.
    pub(super) example: Option<String>,
}

/// What a row says: the content, or `None` for a file that could not be read.
type Rows = HashMap<String, Vec<Option<Content>>>;

pub(super) async fn compare(howdah: &Howdah, files: Vec<Found>) -> Result<Proof> {
    let statement = "SELECT path, bytes, lines, sha256 FROM demo_file";
    let mut rows: Rows = HashMap::new();
    for row in sqlx::query(statement).fetch_all(howdah.pool()).await? {
        let (path, bytes, lines, sha256) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let content = match (bytes, lines, sha256) {
            (Some(bytes), Some(lines), Some(sha256)) => Some(Content { bytes, lines, sha256 }),
            _ => None,
        };
        rows.entry(path).or_default().push(content);
    }
    super::blocking(move || judge(&rows, &files)).await
}

fn judge(rows: &Rows, files: &[Found]) -> Proof {
    let mut proof = Proof::default();
    let mut known = 0;
    for contents in rows.values() {
        proof.recorded += contents.len();
        for content in contents {
            proof.unreadable += usize::from(content.is_none());
            proof.bytes += content.as_ref().map_or(0, |c| c.bytes);
            proof.lines += content.as_ref().map_or(0, |c| c.lines);
        }
    }
    for (file, now) in files.iter().zip(read_all(files)) {
        let name = name_of(&file.path);
        let Some(contents) = rows.get(&name) else {
            proof.missing += 1;
            proof.example.get_or_insert(format!("{name} was not recorded"));
            continue;
        };
        known += contents.len();
        if contents.len() > 1 {
            proof.twice += contents.len() - 1;
            proof.example.get_or_insert(format!("{name} was recorded {} times", contents.len()));
        }
        if contents.iter().any(|then| *then != now) {
            let disk = look(file.path.clone());
            if (disk.length, disk.changed) == (file.length, file.changed) {
                proof.different += 1;
                proof.example.get_or_insert(format!("{name} was recorded with another content"));
            } else {
                proof.changed += 1;
            }
        }
    }
    proof.strange = proof.recorded - known;
    proof
}

/// Reads every file again, on all processors.
fn read_all(files: &[Found]) -> Vec<Option<Content>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(threads).max(1);
    let read_share = |share: &[Found]| share.iter().map(|file| read(&file.path).ok()).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let readers: Vec<_> = files.chunks(share).map(|share| scope.spawn(move || read_share(share))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    })
}
