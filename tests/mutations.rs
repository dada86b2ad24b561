//! Guards of the SQL that can be taken out, to see whether a suite of tests notices.
//!
//! Invariant: what is to be replaced is in the function, so that a mutation cannot be silently without effect. Limit: the
//! functions of one database, until it is migrated again.

use anyhow::{Context, Result, ensure};

use crate::Db;

/// A change of one function.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// What it takes away.
    pub name: &'static str,
    /// The file below `sql/functions`, without `.sql`.
    pub function: &'static str,
    /// A text that is in it.
    pub from: &'static str,
    /// What stands there instead.
    pub to: &'static str,
}

impl Mutation {
    /// Replaces the function in a database.
    ///
    /// # Errors
    /// When the text is not in the function, or what comes out of it is no function.
    pub async fn apply(&self, db: &Db) -> Result<()> {
        db.run(&self.sql()?).await.with_context(|| self.name)
    }

    /// The function as it is without what is taken away.
    ///
    /// # Errors
    /// When the text is not in the function.
    pub fn sql(&self) -> Result<String> {
        let path = format!("{}/../sql/functions/{}.sql", env!("CARGO_MANIFEST_DIR"), self.function);
        let sql = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        ensure!(sql.contains(self.from), "{}: {path} does not hold {:?}", self.name, self.from);
        Ok(sql.replace(self.from, self.to))
    }
}
