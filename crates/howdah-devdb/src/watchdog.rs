//! The watchdog: a small shell, child of this process and parent of the postmaster.
//!
//! Invariant: it lives until its standard input ends, that is until [`Watchdog`] is dropped or
//! this process dies of whatever; then it ends the postmaster at once and removes the folder.
//! Limit: a watchdog that is itself killed leaves both behind.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::account::Account;
use crate::error::{Error, Result};

/// What the shell runs.
const SCRIPT: &str = include_str!("watchdog.sh");

/// What the server gets of our environment: no secret, and nothing that would configure it.
const ENVIRONMENT: &[&str] = &["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"];

/// How much of the log an error quotes.
const TAIL_LINES: usize = 20;

/// What the watchdog has told so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// The private folder, once made.
    pub(crate) dir: Option<PathBuf>,
    /// `initdb`'s exit status.
    pub(crate) initdb: Option<i32>,
    /// The process id of the postmaster started last.
    pub(crate) pid: Option<i32>,
    /// That one's exit status, as a shell tells it.
    pub(crate) ended: Option<i32>,
    /// The watchdog itself has ended.
    pub(crate) gone: bool,
}

impl State {
    /// Takes in one line of the script.
    fn take(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("dir", rest)) => self.dir = Some(rest.into()),
            Some(("initdb", rest)) => self.initdb = rest.parse().ok(),
            Some(("pid", rest)) => self.pid = rest.parse().ok(),
            Some(("ended", rest)) => self.ended = rest.parse().ok(),
            _ => tracing::warn!("the watchdog said {line:?}"),
        }
    }

    /// The postmaster's process id while it runs.
    pub(crate) fn running(&self) -> Option<i32> {
        self.pid.filter(|_| self.ended.is_none())
    }
}

/// The running watchdog. A thread of its own listens to it, so no tokio runtime is tied to it.
#[derive(Debug)]
pub(crate) struct Watchdog {
    dir: PathBuf,
    /// `None` once closed.
    orders: Mutex<Option<ChildStdin>>,
    state: watch::Sender<State>,
}

impl Watchdog {
    /// Starts it, and waits until it has made the private folder: `base/name`, or `/tmp/name`
    /// where the server's account may not write into `base`.
    ///
    /// # Errors
    /// [`Error::Watchdog`].
    pub(crate) async fn spawn(account: Account, base: &Path, name: &str, bin: &Path) -> Result<Self> {
        let failed = |what: String| Error::Watchdog { what, dir: base.to_owned() };
        let (child, orders, events) =
            spawn_shell(account, base, name, bin).map_err(|e| failed(format!("can't start: {e}")))?;
        let state = watch::Sender::new(State::default());
        let told = state.clone();
        std::thread::Builder::new()
            .name("howdah-devdb".into())
            .spawn(move || listen(child, events, &told))
            .map_err(|e| failed(format!("can't be listened to: {e}")))?;
        let mut watchdog = Self { dir: base.to_owned(), orders: Mutex::new(Some(orders)), state };
        watchdog.dir = watchdog.wait(|s| s.dir.clone()).await?;
        Ok(watchdog)
    }

    /// The private folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it has told so far.
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Gives it the password, the first line it waits for.
    pub(crate) fn tell_password(&self, password: &str) -> Result<()> {
        self.order(password)
    }

    /// Has it start a postmaster. There must be none.
    pub(crate) fn start(&self, port: u16) -> Result<()> {
        self.state.send_modify(|s| {
            s.pid = None;
            s.ended = None;
        });
        self.order(&format!("start {port}"))
    }

    /// Has it send the postmaster a signal, named without `SIG`.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        self.order(&format!("signal {name}"))
    }

    /// Has it kill the postmaster and its processes.
    pub(crate) fn kill(&self) -> Result<()> {
        self.order("kill")
    }

    fn order(&self, line: &str) -> Result<()> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_mut().and_then(|pipe| pipe.write_all(format!("{line}\n").as_bytes()).ok()).ok_or_else(|| self.gone())
    }

    /// Waits until `pick` finds what it looks for.
    ///
    /// # Errors
    /// [`Error::Watchdog`] when the watchdog ended first.
    pub(crate) async fn wait<T>(&self, pick: impl Fn(&State) -> Option<T>) -> Result<T> {
        let mut events = self.state.subscribe();
        let state = events.wait_for(|s| s.gone || pick(s).is_some()).await.map_err(|_| self.gone())?;
        pick(&state).ok_or_else(|| self.gone())
    }

    /// Lets go of it and waits until the postmaster and the folder are gone.
    pub(crate) async fn close(self, patience: Duration) -> Result<()> {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
        tokio::time::timeout(patience, self.wait(|s| s.gone.then_some(()))).await.map_err(|_| Error::TooSlow {
            what: "stop",
            seconds: patience.as_secs(),
            tail: self.log_tail(0),
        })?
    }

    /// The length of the log so far, for [`Watchdog::log_tail`].
    pub(crate) fn log_length(&self) -> u64 {
        std::fs::metadata(self.dir.join("log")).map_or(0, |log| log.len())
    }

    /// The last lines of the log, none from before `since`.
    pub(crate) fn log_tail(&self, since: u64) -> String {
        let log = std::fs::read(self.dir.join("log")).unwrap_or_default();
        let since = usize::try_from(since).unwrap_or(usize::MAX).min(log.len());
        let text = String::from_utf8_lossy(&log[since..]);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn gone(&self) -> Error {
        Error::Watchdog { what: "is gone".into(), dir: self.dir.clone() }
    }
}

/// Starts the shell as the server's account, in a process group of its own so that a terminal's
/// Ctrl-C reaches only its owner.
fn spawn_shell(
    account: Account,
    base: &Path,
    name: &str,
    bin: &Path,
) -> std::io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(SCRIPT)
        .arg("howdah-devdb-watchdog")
        .args([base.as_os_str(), name.as_ref(), bin.as_os_str()])
        .env_clear()
        .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        // The texts of PostgreSQL's errors are looked at.
        .env("LC_ALL", OsString::from("C"))
        // The account may not be allowed to be where we are.
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    if let Account::Other { uid, gid } = account {
        shell.uid(uid).gid(gid);
    }
    let mut child = shell.spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(orders), Some(events)) => Ok((child, orders, events)),
        _ => Err(std::io::Error::other("it has no pipes")),
    }
}

/// Takes in what the watchdog tells until it ends.
fn listen(mut child: Child, events: ChildStdout, state: &watch::Sender<State>) {
    for line in BufReader::new(events).lines().map_while(std::io::Result::ok) {
        state.send_modify(|s| s.take(&line));
    }
    if let Err(error) = child.wait() {
        tracing::warn!("can't wait for the watchdog: {error}");
    }
    state.send_modify(|s| s.gone = true);
}
