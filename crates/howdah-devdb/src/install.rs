//! Gets PostgreSQL onto a machine that has none: the system's package, else a download.
//!
//! Invariant: nothing is installed that needs a right we lack, nor, at a terminal, without a yes.
//! Limit: only the package managers listed here are run; of others the command is at most told.

use std::io::{BufRead, IsTerminal, Write};
use std::process::Stdio;

use nix::unistd::geteuid;
use tokio::process::Command;

use crate::binaries::Binaries;
use crate::error::{Error, Result};
use crate::progress::{Progress, Teller};

/// Whether PostgreSQL may be installed where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InstallPolicy {
    /// As root, with a `sudo` that asks no password, or with Homebrew; at a terminal it asks first.
    #[default]
    Auto,
    /// Never; nothing is downloaded either.
    Never,
}

/// A package manager.
struct Manager {
    program: &'static str,
    /// What a person would type, without `sudo`.
    command: &'static str,
    /// What runs, by `sh -c`; `None` when only told.
    script: Option<&'static str>,
    /// `false`: it wants to run as an ordinary user.
    as_root: bool,
}

/// Debian's package would also start a server on port 5432, which nobody asked for.
const APT: &str = "
    no_cluster=/etc/postgresql-common/createcluster.d/howdah-devdb.conf
    trap 'rm -f \"$no_cluster\"' EXIT
    trap 'exit 130' HUP INT TERM
    mkdir -p \"${no_cluster%/*}\" && echo 'create_main_cluster = false' >\"$no_cluster\"
    apt-get update &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql";

/// The first that is in `PATH` is taken.
const MANAGERS: &[Manager] = &[
    Manager {
        program: "apt-get",
        command: "apt-get update && apt-get install -y --no-install-recommends postgresql",
        script: Some(APT),
        as_root: true,
    },
    Manager {
        program: "dnf",
        command: "dnf install -y postgresql-server",
        script: Some("dnf install -y postgresql-server"),
        as_root: true,
    },
    Manager { program: "apk", command: "apk add postgresql", script: Some("apk add postgresql"), as_root: true },
    Manager {
        program: "brew",
        command: "brew install postgresql@17",
        script: Some("brew install postgresql@17"),
        as_root: false,
    },
    Manager { program: "pacman", command: "pacman -S postgresql", script: None, as_root: true },
    Manager { program: "zypper", command: "zypper install postgresql-server", script: None, as_root: true },
];

/// How much of a failed command's output is quoted.
const TAIL_LINES: usize = 20;

impl Manager {
    fn of_this_system() -> Option<&'static Self> {
        MANAGERS.iter().find(|manager| is_in_path(manager.program))
    }

    /// The exact command to type, here and as this user.
    fn to_type(&self) -> String {
        if self.as_root && !geteuid().is_root() {
            format!("sudo {}", self.command.replace("&& ", "&& sudo "))
        } else {
            self.command.to_owned()
        }
    }

    /// The command that runs it, if this user may.
    async fn runnable(&self) -> Result<Command, &'static str> {
        let script = self.script.ok_or(", and this package manager is not run from here")?;
        let shell = ["sh", "-c", script];
        let mut command = match (self.as_root, geteuid().is_root()) {
            (true, true) | (false, false) => Command::new("/bin/sh"),
            (false, true) => return Err(", and Homebrew does not run as root"),
            (true, false) if can_sudo().await => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "/bin/sh"]);
                sudo
            }
            (true, false) => return Err(", and installing it needs root"),
        };
        command.args(&shell[1..]).stdin(Stdio::null());
        Ok(command)
    }
}

/// Installs or downloads it.
///
/// # Errors
/// [`Error::NoPostgres`], [`Error::InstallFailed`], [`Error::DownloadFailed`].
pub(crate) async fn install(policy: InstallPolicy, teller: &Teller) -> Result<Binaries> {
    let manager = Manager::of_this_system();
    let to_type = manager.map_or_else(|| "your system's package manager".to_owned(), Manager::to_type);
    let why = match (policy, manager) {
        (InstallPolicy::Never, _) => {
            return Err(Error::NoPostgres { why: String::new(), command: to_type });
        }
        (InstallPolicy::Auto, None) => ", and no package manager",
        (InstallPolicy::Auto, Some(manager)) => match manager.runnable().await {
            Err(why) => why,
            Ok(_) if !agreed(&to_type).await => ", and you said no to installing it",
            Ok(command) => {
                run(command, &to_type, teller).await?;
                match Binaries::find().await? {
                    Some(found) => return Ok(found),
                    None => ", not even after installing it",
                }
            }
        },
    };
    last_resort(why, to_type, teller).await
}

/// Downloads it, with the cargo feature.
#[cfg(feature = "download")]
async fn last_resort(_why: &str, command: String, teller: &Teller) -> Result<Binaries> {
    crate::download::download(teller).await.map_err(|reason| Error::DownloadFailed { reason, command })
}

/// Gives up.
#[cfg(not(feature = "download"))]
async fn last_resort(why: &str, command: String, _teller: &Teller) -> Result<Binaries> {
    Err(Error::NoPostgres { why: why.to_owned(), command })
}

async fn run(mut command: Command, told: &str, teller: &Teller) -> Result<()> {
    teller.tell(&Progress::Installing { command: told.to_owned() });
    let output = command.output().await.map_err(|e| Error::io(format!("run `{told}`"), e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    Err(Error::InstallFailed {
        command: told.to_owned(),
        status: output.status.to_string(),
        output: lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"),
    })
}

/// Asks at a terminal; where there is none nobody could answer, and it goes ahead.
async fn agreed(command: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return true;
    }
    let question = format!("No PostgreSQL found. Install it with `{command}`? [Y/n] ");
    let asked = tokio::task::spawn_blocking(move || {
        let mut terminal = std::io::stderr();
        terminal.write_all(question.as_bytes())?;
        terminal.flush()?;
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer)?;
        Ok::<_, std::io::Error>(read > 0 && is_yes(&answer))
    });
    matches!(asked.await, Ok(Ok(true)))
}

/// Enter alone is a yes.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")
}

/// Whether `sudo` works without a password.
async fn can_sudo() -> bool {
    Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .is_ok_and(|status| status.success())
}

fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enter_and_yes_agree() {
        assert!(["", "\n", "y\n", "YES\n"].into_iter().all(is_yes));
        assert!(!["n\n", "no", "what"].into_iter().any(is_yes));
    }

    #[tokio::test]
    async fn where_nothing_may_be_installed_the_command_to_type_is_told() {
        let error = install(InstallPolicy::Never, &Teller::default()).await.unwrap_err();
        let Error::NoPostgres { command, .. } = &error else {
            panic!("{error}");
        };
        assert!(!command.is_empty());
        assert!(error.to_string().contains("DATABASE_URL"));
    }
}
