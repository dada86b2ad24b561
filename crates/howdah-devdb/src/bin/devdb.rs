//! `devdb`: a private PostgreSQL for one command, or until standard input ends.
//!
//! Invariant: standard output holds only what was asked for, progress and errors go to standard
//! error. Limit: a database named by `DATABASE_URL` is used as it is, nothing is cleaned up in it.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use howdah_devdb::{Durability, Error, InstallPolicy, Server, ServerBuilder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

const USAGE: &str = "\
A private PostgreSQL, gone when it is no longer needed.

Usage:
  devdb run [--durable] -- COMMAND [ARGUMENT]...   run a command with DATABASE_URL set
  devdb url [--durable]                            print the URL, stay until stdin ends
  devdb which                                      print which programs would be used

  --durable   a commit is on the disk, as in production (default: nothing is synced)

DATABASE_URL, when set, names the server that is used; nothing is started then.
HOWDAH_PG_BIN names the folder of PostgreSQL's programs.

Exit status: the command's own, 128 + N when signal N ended it; 2 wrong usage; 3 no server to
be had; 126 and 127 the command can't be run, is not found.
";

const BAD_USAGE: u8 = 2;
const NO_SERVER: u8 = 3;
const NOT_RUNNABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What was asked for.
enum Wish {
    Run(Durability, Vec<OsString>),
    Url(Durability),
    Which,
    Help,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let code = match parse(std::env::args_os().skip(1).collect()) {
        Ok(Wish::Help) => {
            print!("{USAGE}");
            0
        }
        Ok(Wish::Which) => which().await,
        Ok(Wish::Run(durability, command)) => with_server(durability, Some(&command)).await,
        Ok(Wish::Url(durability)) => with_server(durability, None).await,
        Err(wrong) => {
            eprint!("devdb: {wrong}\n\n{USAGE}");
            BAD_USAGE
        }
    };
    ExitCode::from(code)
}

fn parse(arguments: Vec<OsString>) -> Result<Wish, String> {
    let mut rest = arguments.into_iter();
    let Some(verb) = rest.next() else {
        return Err("say what to do".into());
    };
    let mut durability = Durability::Fast;
    let mut command = Vec::new();
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("-h" | "--help") => return Ok(Wish::Help),
            Some("--durable") => durability = Durability::Durable,
            Some("--") => command = rest.by_ref().collect(),
            _ => {
                return Err(format!("{argument:?} is not understood; a command comes after --"));
            }
        }
    }
    match verb.to_str() {
        Some("-h" | "--help" | "help") => Ok(Wish::Help),
        Some("run") if command.is_empty() => Err("run needs a command after --".into()),
        Some("run") => Ok(Wish::Run(durability, command)),
        Some("url" | "which") if !command.is_empty() => Err("only run takes a command".into()),
        Some("url") => Ok(Wish::Url(durability)),
        Some("which") => Ok(Wish::Which),
        _ => Err(format!("{verb:?} is not understood")),
    }
}

fn builder() -> ServerBuilder {
    Server::builder().on_progress(|step| eprintln!("devdb: {step}"))
}

async fn which() -> u8 {
    if std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty()) {
        println!("the server that DATABASE_URL names");
        return 0;
    }
    match builder().install_policy(InstallPolicy::Never).binaries().await {
        Ok(found) => {
            println!("PostgreSQL {} in {}", found.version(), found.dir().display());
            0
        }
        Err(error) => no_server(&error),
    }
}

fn no_server(error: &Error) -> u8 {
    eprintln!("devdb: {error}");
    NO_SERVER
}

/// Has a server for a command, or without one until standard input ends.
async fn with_server(durability: Durability, command: Option<&[OsString]>) -> u8 {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("devdb: can't listen for signals: {error}");
            return NO_SERVER;
        }
    };
    let server = tokio::select! {
        started = builder().durability(durability).start() => match started {
            Ok(server) => server,
            Err(error) => return no_server(&error),
        },
        // The half-made server goes with its dropped future.
        signal = signals.next() => return killed_by(signal),
    };
    let code = match command {
        Some(command) => run(server.url(), command, &mut signals).await,
        None => {
            println!("{}", server.url());
            tokio::select! {
                () = end_of_input() => 0,
                signal = signals.next() => killed_by(signal),
            }
        }
    };
    if let Err(error) = server.stop().await {
        eprintln!("devdb: {error}");
    }
    code
}

/// Runs the command and passes signals on to it.
async fn run(url: &str, command: &[OsString], signals: &mut Signals) -> u8 {
    let (program, arguments) =
        command.split_first().map_or((OsStr::new(""), command), |(program, rest)| (program, rest));
    let spawned = Command::new(program).args(arguments).env("DATABASE_URL", url).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("devdb: can't run {program:?}: {error}");
            return match error.kind() {
                std::io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_RUNNABLE,
            };
        }
    };
    loop {
        tokio::select! {
            ended = child.wait() => match ended {
                Ok(status) => return code_of(status),
                Err(error) => {
                    eprintln!("devdb: can't wait for {program:?}: {error}");
                    return NOT_RUNNABLE;
                }
            },
            signal = signals.next() => pass_on(signal, &child),
        }
    }
}

fn pass_on(signal: Signal, child: &Child) {
    // A terminal's Ctrl-C has reached the command already; many take a second one as "at once".
    if signal == Signal::SIGINT && std::io::stdin().is_terminal() {
        return;
    }
    let pid = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(Err(error)) = pid.map(|pid| kill(Pid::from_raw(pid), signal)) {
        eprintln!("devdb: can't pass {signal} on: {error}");
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn killed_by(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}

/// Returns when standard input ends. Read by a thread of its own, which nothing waits for.
async fn end_of_input() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let mut ignored = [0; 1024];
        while std::io::stdin().read(&mut ignored).is_ok_and(|read| read > 0) {}
        drop(ended);
    });
    // An error is what dropping the sender makes.
    let _ = end.await;
}

/// The signals that ask us to end.
struct Signals {
    interrupt: Listener,
    terminate: Listener,
    hangup: Listener,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}
