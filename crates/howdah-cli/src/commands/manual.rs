//! `howdah completions` and `howdah man`: what there is to type, for shells and for `man`.
//!
//! Invariant: both are made of the very definitions that arguments are parsed with. Limit: names of queues and kinds are not
//! completed, since that would ask the database at every press of a key.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use super::Answer;
use crate::examples::tree;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// A folder for the pages of all commands, such as ~/.local/share/man/man1; without: one page, to standard output
    dir: Option<PathBuf>,
}

pub(crate) fn completions(out: Output, of: &Completions) -> Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(of.shell, &mut tree(), "howdah", &mut script);
    let script = String::from_utf8_lossy(&script);
    out.answer(&json!({ "completions": script }), script.trim_end())?;
    Ok(Answer::Yes)
}

pub(crate) fn man(out: Output, of: &Man) -> Result<Answer> {
    let Some(dir) = &of.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(tree()).render(&mut page)?;
        let page = String::from_utf8_lossy(&page);
        out.answer(&json!({ "man": page }), page.trim_end())?;
        return Ok(Answer::Yes);
    };
    let failed = |e: std::io::Error| Failure::no(format!("cannot write man pages to {}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(tree(), dir).map_err(failed)?;
    let text = format!("man pages are in {}: man {}/howdah.1", dir.display(), dir.display());
    out.answer(&json!({ "man": dir }), text)?;
    Ok(Answer::Yes)
}
