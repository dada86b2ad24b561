//! An adapter's process: one JSON object a line in, one out.
//!
//! Invariant: it ends with this value, and whatever it started ends with it. Limit: what it says on standard error goes
//! to a file, whose end is shown when it fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::manifest::Manifest;

/// How long an answer may take before the adapter counts as stuck.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long it may take to end after its input has.
const END: Duration = Duration::from_secs(10);

/// A system says that it has nothing for a command.
#[derive(Debug)]
pub(crate) struct Unsupported(pub(crate) String);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsupported {}

/// A running adapter.
pub(crate) struct Adapter {
    name: String,
    child: Child,
    pid: u32,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Adapter {
    /// Starts it. `logs` is a folder.
    pub(crate) fn start(manifest: &Manifest, cargo_target: &Path, logs: &Path) -> Result<Self> {
        let log = logs.join(format!("{}.log", manifest.name));
        let errors = File::options().create(true).append(true).open(&log)?;
        let target = cargo_target.to_string_lossy();
        let words: Vec<String> = manifest.run.iter().map(|w| w.replace("$CARGO_TARGET_DIR", &target)).collect();
        let (program, arguments) = words.split_first().context("nothing to run")?;
        // A path is meant from the manifest's folder, a bare name from PATH.
        let program = if program.contains('/') { manifest.folder.join(program) } else { program.into() };
        let mut child = Command::new(&program)
            .args(arguments)
            .current_dir(&manifest.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?).lines();
        let pid = child.id().context("it has ended")?;
        Ok(Self { name: manifest.name.clone(), child, pid, input, output, log })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a command and gives the answer.
    pub(crate) async fn ask(&mut self, command: &Value) -> Result<Value> {
        let what = command["do"].as_str().unwrap_or_default().to_owned();
        let answer = tokio::time::timeout(PATIENCE, self.exchange(command)).await;
        let answer = match answer {
            Err(_) => Err(anyhow!("no answer within {} s", PATIENCE.as_secs())),
            Ok(answer) => answer,
        };
        answer.with_context(|| format!("{what} of {}", self.name))
    }

    /// The same, and how long the answer took.
    pub(crate) async fn timed(&mut self, command: &Value) -> Result<(Value, f64)> {
        let start = Instant::now();
        let answer = self.ask(command).await?;
        Ok((answer, start.elapsed().as_secs_f64()))
    }

    /// Sends a command that has no arguments.
    pub(crate) async fn say(&mut self, what: &str) -> Result<Value> {
        self.ask(&json!({ "do": what })).await
    }

    async fn exchange(&mut self, command: &Value) -> Result<Value> {
        let input = self.input.as_mut().context("it has been told to end")?;
        if let Err(error) = input.write_all(format!("{command}\n").as_bytes()).await {
            bail!("{error}; {}", self.last_words());
        }
        let Some(line) = self.output.next_line().await? else {
            bail!("it ended; {}", self.last_words());
        };
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
        if let Some(why) = answer["unsupported"].as_str() {
            return Err(Unsupported(why.to_owned()).into());
        }
        if let Some(error) = answer["error"].as_str() {
            bail!("{error}");
        }
        Ok(answer)
    }

    /// Ends it: its input ends, and it is waited for, then killed.
    pub(crate) async fn end(mut self) -> Result<()> {
        self.input = None;
        if tokio::time::timeout(END, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        // A report is for other people: where this machine has its files is nothing to them.
        tail.into_iter().rev().collect::<Vec<_>>().join(" | ").replace(env!("CARGO_MANIFEST_DIR"), "bench")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::manifest::{Role, Store};

    /// An adapter in the shell: it knows two commands, refuses one, and ends at a fourth.
    const FAKE: &str = r#"while read -r line; do case $line in
        *hello*) echo '{"version": "1.2"}' ;;
        *pace*) echo '{"unsupported": "no clock"}' ;;
        *open*) echo '{"error": "no such database"}' ;;
        *) echo "out of ideas" >&2; exit 3 ;;
        esac; done"#;

    fn fake() -> (tempfile::TempDir, Adapter) {
        let logs = tempfile::tempdir().unwrap();
        let manifest = Manifest {
            name: "fake".into(),
            title: "Fake".into(),
            language: "sh".into(),
            role: Role::Peer,
            store: Store::Postgres,
            settings: String::new(),
            install: None,
            run: ["sh", "-c", FAKE].map(str::to_owned).to_vec(),
            concurrency: 1,
            batch: 1,
            folder: logs.path().to_owned(),
        };
        let adapter = Adapter::start(&manifest, Path::new("target"), logs.path()).unwrap();
        (logs, adapter)
    }

    #[tokio::test]
    async fn an_adapter_answers_refuses_and_fails_in_words() {
        let (_logs, mut adapter) = fake();
        assert_eq!(adapter.say("hello").await.unwrap()["version"], "1.2");
        let refused = adapter.say("pace").await.unwrap_err();
        assert_eq!(refused.downcast_ref::<Unsupported>().map(|u| u.0.as_str()), Some("no clock"));
        let failed = adapter.say("open").await.unwrap_err();
        assert_eq!(format!("{failed:#}"), "open of fake: no such database");
    }

    #[tokio::test]
    async fn an_adapter_that_ends_is_not_waited_for_and_its_last_words_are_told() {
        let (_logs, mut adapter) = fake();
        let ended = format!("{:#}", adapter.say("drain").await.unwrap_err());
        assert!(ended.contains("it ended; out of ideas"), "{ended}");
        adapter.end().await.unwrap();
    }
}
