//! What the README shows works as it stands. Its Rust is a doctest of the library.

use anyhow::Result;
use howdah_tests::Db;

#[tokio::test]
async fn the_sql_of_the_readme_runs_statement_by_statement() -> Result<()> {
    let db = Db::new().await?;
    let readme = include_str!("../../README.md");
    let sql = readme.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let statements: Vec<&str> = sql.split(";\n").filter(|s| !s.trim().is_empty()).collect();
    assert_eq!(statements.len(), 8, "{sql}");
    for statement in statements {
        db.run(statement).await?;
    }
    assert_eq!(db.jobs_in("scheduled").await?, 1);
    assert_eq!(db.jobs_in("completed").await?, 1);
    Ok(())
}
