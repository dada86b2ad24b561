//! The doctor: each fault is brought about, seen with its proof, mended as it says, and seen to be gone.
//!
//! Invariant: what is mended is mended by the statements of the finding alone, wherever it has any. Limit: a pooler and a
//! standby are not here; what is said of them is tried with what a program would say.

mod cost;
mod database;
mod itself;
mod jobs;
mod server;
mod storage;
mod workers;

use anyhow::{Context, Result};
use howdah::{Finding, FindingState, Howdah};
use howdah_tests::{Db, Session};

/// What one check finds, from these limits on.
async fn look(howdah: &Howdah, check: &str, limits: &[(&str, u64)]) -> Result<Vec<Finding>> {
    let mut doctor = howdah.doctor().check(check);
    for (name, from) in limits {
        doctor = doctor.limit(*name, *from);
    }
    let findings = doctor.await?;
    assert!(findings.iter().all(|f| f.name == check), "{findings:?}");
    Ok(findings)
}

/// The one thing that a check finds: how bad, and in which words.
async fn found(db: &Db, check: &str, limits: &[(&str, u64)]) -> Result<(FindingState, String)> {
    let mut findings = look(&db.howdah, check, limits).await?;
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = findings.pop().context("a finding")?;
    assert_eq!(finding.fix.is_some(), finding.state != FindingState::Ok, "{finding:?}");
    Ok((finding.state, finding.found))
}

/// How bad the findings of a check are, a word for each.
async fn states(db: &Db, check: &str, limits: &[(&str, u64)]) -> Result<String> {
    let findings = look(&db.howdah, check, limits).await?;
    Ok(findings.iter().map(|f| f.state.as_str()).collect::<Vec<_>>().join(" "))
}

/// Looks at the proofs of all findings of a check, and does what they say.
async fn mend(db: &Db, check: &str, limits: &[(&str, u64)]) -> Result<()> {
    let mut session = db.session().await?;
    for finding in look(&db.howdah, check, limits).await? {
        prove(&mut session, &finding).await?;
    }
    apply(db, check, limits).await
}

/// Does what the findings of a check say, statement by statement.
async fn apply(db: &Db, check: &str, limits: &[(&str, u64)]) -> Result<()> {
    let mut session = db.session().await?;
    for finding in look(&db.howdah, check, limits).await? {
        let sql = finding.detail["sql"].as_str().with_context(|| format!("nothing to run: {finding:?}"))?;
        assert!(finding.fix.as_ref().is_some_and(|fix| fix.ends_with(sql)), "{finding:?}");
        for statement in sql.split(";\n") {
            session.run(statement).await?;
        }
    }
    Ok(())
}

/// Runs a finding's proof: it must show something.
async fn prove(session: &mut Session, finding: &Finding) -> Result<()> {
    let proof = finding.proof.as_ref().with_context(|| format!("no proof: {finding:?}"))?;
    let rows = if let Some(setting) = proof.strip_prefix("SHOW ") {
        session.text(&format!("current_setting('{setting}')")).await?.len()
    } else {
        session.text(&format!("SELECT count(*) FROM ({proof}) p")).await?.parse()?
    };
    assert!(rows > 0 || finding.name == "indexes", "the proof shows nothing: {finding:?}");
    Ok(())
}

const OK: FindingState = FindingState::Ok;
const NOTICE: FindingState = FindingState::Notice;
const WARNING: FindingState = FindingState::Warning;
const PROBLEM: FindingState = FindingState::Problem;
