//! The queue beside a model of it: the same random calls to both, and whatever can be seen is compared.
//!
//! `HOWDAH_MODEL_CASES` says how many histories there are, and `HOWDAH_SEED` replays those of a run that failed, with
//! `HOWDAH_MODEL_FROM` only from that one on. What failed is shrunk, and told as a script for `psql`. `-- --ignored` takes the
//! guards of the SQL out one by one, to see that the model notices; `HOWDAH_MODEL_GUARD` names one of them.

mod concurrent;
mod draw;
mod drive;
mod guards;
mod model;
mod operations;
mod script;
mod sql;

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::{Context, Error, Result, bail, ensure};
use howdah_tests::Db;
use howdah_tests::mutations::Mutation;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Runtime;

use crate::concurrent::plan;
use crate::draw::history;
use crate::guards::GUARDS;
use crate::operations::Op;
use crate::script::Script;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// The seed of this run, and as many cases as are wanted.
fn random(cases: u64) -> Result<(u64, u64, TestRng)> {
    let nanos = u64::from(std::time::UNIX_EPOCH.elapsed()?.subsec_nanos());
    let seed = setting("HOWDAH_SEED").unwrap_or(u64::from(std::process::id()) << 32 | nanos);
    let cases = setting("HOWDAH_MODEL_CASES").unwrap_or(cases);
    println!("HOWDAH_SEED={seed} HOWDAH_MODEL_CASES={cases}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Ok((seed, cases, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)))
}

/// Writes what failed to a file for `psql`.
fn keep_script(script: &Script, name: &str, why: &str) -> Result<PathBuf> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, script.end(why)).with_context(|| path.display().to_string())?;
    Ok(path)
}

/// What a history does in a new database: where that goes wrong, and the script.
async fn again(ops: &[Op]) -> Result<(String, Script)> {
    let mut script = Script::default();
    let db = Db::new().await?;
    let done = drive::run(&mut drive::begin(&db).await?, ops, &mut script).await;
    let went_well = "it went well when it was done again: what is done at another time differs".to_owned();
    Ok((done.err().map_or(went_well, |error| format!("{error:#}")), script))
}

#[test]
fn the_queue_does_what_its_model_says() -> Result<()> {
    let (seed, cases, rng) = random(40)?;
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let runtime = Runtime::new()?;
    let (db, session) = runtime.block_on(async {
        let db = Db::new().await?;
        let session = drive::begin(&db).await?;
        anyhow::Ok((db, RefCell::new(session)))
    })?;
    let run = |ops: &[Op]| runtime.block_on(drive::run(&mut session.borrow_mut(), ops, &mut Script::default()));
    let from = setting("HOWDAH_MODEL_FROM").unwrap_or(0);
    for case in 0..cases {
        let ops = history().new_tree(&mut runner).map_err(Error::msg)?.current();
        if case < from {
            continue;
        }
        let Err(error) = run(&ops) else { continue };
        println!("case {case}: {error:#}\nshrinking its {} steps", ops.len());
        let ops = shrink(ops, |ops| run(ops).is_err());
        let (why, script) = runtime.block_on(again(&ops))?;
        let path = keep_script(&script, &format!("model_{seed}.sql"), &format!("HOWDAH_SEED={seed}: {why}"))?;
        bail!("HOWDAH_SEED={seed}: {why}\nThe {} steps that lead there: {}", ops.len(), path.display());
    }
    drop(db);
    Ok(())
}

/// How many histories it takes to notice that a guard is missing.
fn noticed_after(guard: &Mutation, runner: &mut TestRunner, most: u64) -> Result<Option<(u64, String)>> {
    let runtime = Runtime::new()?;
    let db = runtime.block_on(Db::new())?;
    let mut session = runtime.block_on(drive::begin(&db))?;
    runtime.block_on(guard.apply(&db))?;
    for case in 1..=most {
        let ops = history().new_tree(runner).map_err(Error::msg)?.current();
        if let Err(error) = runtime.block_on(drive::run(&mut session, &ops, &mut Script::default())) {
            return Ok(Some((case, format!("{error:#}"))));
        }
    }
    Ok(None)
}

#[test]
fn several_sessions_are_answered_as_if_one_came_after_the_other() -> Result<()> {
    let (seed, cases, rng) = random(60)?;
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    Runtime::new()?.block_on(async {
        let db = Db::new().await?;
        let mut first = drive::begin(&db).await?;
        let mut sessions = Vec::new();
        for _ in 0..3 {
            let mut session = db.session().await?;
            session.run(drive::SESSION).await?;
            sessions.push(session);
        }
        for case in 0..cases {
            let plan = plan().new_tree(&mut runner).map_err(Error::msg)?.current();
            let mut script = Script::default();
            let before = drive::run(&mut first, &plan.before, &mut script).await?;
            if let Err(error) = concurrent::run(&mut sessions, &plan, before).await {
                let path = keep_script(&script, &format!("concurrent_{seed}.sql"), &format!("{error:#}"))?;
                bail!("HOWDAH_SEED={seed}, case {case}: {error:#}\nWhat went before: {}", path.display());
            }
        }
        Ok(())
    })
}

#[test]
#[ignore = "takes minutes: it takes one guard after the other out of the SQL"]
fn the_model_notices_when_a_guard_is_missing() -> Result<()> {
    // Some are noticed by one history of a hundred and fifty.
    let (_, cases, rng) = random(2_000)?;
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut unnoticed = Vec::new();
    let named = std::env::var("HOWDAH_MODEL_GUARD").unwrap_or_default();
    for guard in GUARDS.iter().filter(|guard| guard.name.contains(&named)) {
        match noticed_after(guard, &mut runner, cases)? {
            Some((case, how)) => println!("{case:4} histories: {}\n{}", guard.name, indented(&how)),
            None => unnoticed.push(guard.name),
        }
    }
    ensure!(unnoticed.is_empty(), "nobody notices that these are missing: {unnoticed:#?}");
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("         {line}\n")).collect()
}

/// Leaves out what need not be done for it to fail: halves first, and then less and less. proptest by itself
/// takes one step after the other, and makes numbers smaller that only say which one is meant.
fn shrink(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut size = ops.len().div_ceil(2);
    loop {
        let (before, mut at) = (ops.len(), 0);
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..ops.len().min(at + size));
            if fails(&fewer) {
                println!("... {} steps", fewer.len());
                ops = fewer;
            } else {
                at += size;
            }
        }
        match (size, ops.len() == before) {
            (1, true) => return ops,
            (1, false) => {}
            _ => size = size.div_ceil(2),
        }
    }
}
