//! A terminal with the program in it: keys go in, and what is on the screen is read as a person would.
//!
//! Invariant: a test waits for what is on the screen, and never for a time. Limit: one program, which is killed with the value.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pty_process::{OwnedWritePty, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::Notify;

use crate::support::Desk;

/// How long something may take that is expected at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal, and the program in it.
pub(crate) struct Terminal {
    child: Child,
    keys: OwnedWritePty,
    seen: Arc<Seen>,
}

struct Seen {
    parser: Mutex<vt100::Parser>,
    /// All that was written, as it came.
    raw: Mutex<Vec<u8>>,
    news: Notify,
}

impl Terminal {
    /// The program with these arguments in a terminal of so many rows and columns.
    pub(crate) fn open(desk: &Desk, arguments: &[&str], size: (u16, u16), env: &[(&str, &str)]) -> Self {
        Self::with(desk, env!("CARGO_BIN_EXE_howdah"), arguments, size, env)
    }

    /// A shell that has jobs, and knows the program as `$howdah`.
    pub(crate) fn shell(desk: &Desk, size: (u16, u16)) -> Self {
        Self::with(desk, "sh", &["-i", "-m"], size, &[("howdah", env!("CARGO_BIN_EXE_howdah")), ("PS1", "$ ")])
    }

    fn with(desk: &Desk, program: &str, arguments: &[&str], (rows, columns): (u16, u16), env: &[(&str, &str)]) -> Self {
        let (pty, inside) = pty_process::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let mut command = pty_process::Command::new(program).args(arguments).kill_on_drop(true);
        for (key, _) in std::env::vars_os() {
            let named = |name: &str| name.starts_with("PG") || name.starts_with("HOWDAH_") || name == "NO_COLOR";
            if key.to_str().is_some_and(named) {
                command = command.env_remove(key);
            }
        }
        command = command.current_dir(desk.folder.path()).env("DATABASE_URL", desk.database.url());
        command = command.env("TERM", "xterm-256color").env("USER", "ann").envs(env.iter().copied());
        let child = command.spawn(inside).unwrap();
        let (mut output, keys) = pty.into_split();
        let parser = Mutex::new(vt100::Parser::new(rows, columns, 1000));
        let seen = Arc::new(Seen { parser, raw: Mutex::default(), news: Notify::new() });
        let reader = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut some).await {
                reader.raw.lock().unwrap().extend_from_slice(&some[..read]);
                reader.parser.lock().unwrap().process(&some[..read]);
                reader.news.notify_waiters();
            }
        });
        Self { child, keys, seen }
    }

    pub(crate) fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.parser.lock().unwrap().screen())
    }

    pub(crate) fn text(&self) -> String {
        self.screen(vt100::Screen::contents)
    }

    /// Everything that the program has written.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.raw.lock().unwrap()).into_owned()
    }

    /// Waits until the screen is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let wait = async {
            loop {
                let mut news = std::pin::pin!(self.seen.news.notified());
                news.as_mut().enable();
                if self.screen(&is_so) {
                    return;
                }
                news.await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("{what} does not come; the screen is\n{}", self.text());
        }
    }

    /// Waits for a text on the screen.
    pub(crate) async fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text)).await;
    }

    /// Waits until a text is no longer on the screen.
    pub(crate) async fn hides(&self, text: &str) {
        self.until(&format!("not {text}"), |screen| !screen.contents().contains(text)).await;
    }

    pub(crate) async fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.seen.parser.lock().unwrap().screen_mut().set_size(rows, columns);
        self.keys.resize(Size::new(rows, columns)).unwrap();
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap())
    }

    /// Waits for the end, and gives the exit status.
    pub(crate) async fn end(&mut self) -> i32 {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status
            .unwrap_or_else(|_| panic!("it does not end; the screen is\n{}", self.text()))
            .unwrap()
            .code()
            .unwrap_or(-1)
    }
}
