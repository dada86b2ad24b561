//! A short run under faults: see `tests/chaos` for the machinery, `tests/history` for what is checked, and the program `soak`
//! for as much of it as one likes.

use std::path::PathBuf;

use anyhow::Result;
use howdah_tests::chaos::Run;
use howdah_tests::seed::number_from_env;

#[tokio::test]
async fn nothing_that_is_promised_is_broken_by_ten_seconds_of_random_faults() -> Result<()> {
    let seed = number_from_env("HOWDAH_CHAOS_SEED")?;
    println!("HOWDAH_CHAOS_SEED={seed}");
    let verdict = Run::short(PathBuf::from(env!("CARGO_BIN_EXE_soak")), seed).play().await?;
    println!("{}", verdict.report.summary());
    assert!(verdict.report.runs > 0, "nothing ran");
    let found: Vec<String> = verdict.violations.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "HOWDAH_CHAOS_SEED={seed}\n{}", found.join("\n"));
    Ok(())
}
