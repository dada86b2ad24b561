//! Running the program, and a database to run it on.
//!
//! Invariant: nothing of the caller's environment names a database. Limit: one server for the whole process.

use std::process::Stdio;

use howdah::Howdah;
use howdah_devdb::{Database, shared_for_tests};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A database, the program, and a folder to run it in.
pub(crate) struct Desk {
    pub(crate) database: Database,
    pub(crate) folder: tempfile::TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }
}

impl Desk {
    /// A database with the queue in it.
    pub(crate) async fn with_queue() -> Self {
        let server = shared_for_tests().await.unwrap();
        let install = async |url: String| Howdah::connect(&url).await?.migrate().await;
        let template = server.template("cli", env!("CARGO_PKG_VERSION"), install).await.unwrap();
        Self { database: template.create_database().await.unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    /// A database with nothing in it.
    pub(crate) async fn empty() -> Self {
        let database = shared_for_tests().await.unwrap().create_database().await.unwrap();
        Self { database, folder: tempfile::tempdir().unwrap() }
    }

    /// The program with these arguments, on this database.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.current_dir(self.folder.path()).env("DATABASE_URL", self.database.url());
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Said {
        end_of(self.command(arguments), "").await
    }

    pub(crate) async fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        end_of(self.command(arguments), input).await
    }

    /// As [`Desk::run`], and it must succeed.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out
    }

    /// One job as `jobs show --json` tells it.
    pub(crate) async fn job(&self, id: &str) -> Value {
        self.run(&["jobs", "show", id.trim(), "--json"]).await.json()
    }

    pub(crate) async fn howdah(&self) -> Howdah {
        Howdah::connect(self.database.url()).await.unwrap()
    }
}

/// The program without a database.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_howdah"));
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|k| k.starts_with("PG") || k.starts_with("HOWDAH_") || k == "DATABASE_URL") {
            command.env_remove(key);
        }
    }
    // Where PostgreSQL's programs are is for the demo to know.
    if let Some(bin) = std::env::var_os("HOWDAH_PG_BIN") {
        command.env("HOWDAH_PG_BIN", bin);
    }
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Gives it its input, and waits for its end.
pub(crate) async fn end_of(mut command: Command, input: &str) -> Said {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeding = tokio::spawn(async move {
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let output = child.wait_with_output().await.unwrap();
    feeding.abort();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
