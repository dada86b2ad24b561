//! PgBouncer in transaction mode, in front of a server.
//!
//! Invariant: it ends with this. Limit: `HOWDAH_PGBOUNCER` or `PATH` has to have the program, else there is none. Statements
//! have to be sent in transactions, and are forgotten after each: before PgBouncer 1.21 a driver that prepares them cannot
//! send them any other way.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::unistd::geteuid;
use tempfile::TempDir;

/// A pooler that runs.
#[derive(Debug)]
pub struct Pooler {
    process: Child,
    port: u16,
    program: OsString,
    folder: TempDir,
}

impl Pooler {
    /// None: there is no such program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(server: u16, password: &str) -> Result<Option<Self>> {
        let program = std::env::var_os("HOWDAH_PGBOUNCER").unwrap_or_else(|| "pgbouncer".into());
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let folder = TempDir::new()?;
        std::fs::write(
            settings(&folder),
            format!(
                "[databases]\n* = host=127.0.0.1 port={server} user=postgres password={password}\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
                 default_pool_size = 3\nmax_client_conn = 100\nignore_startup_parameters = extra_float_digits,options\n\
                 server_login_retry = 1\nserver_reset_query_always = 1\n"
            ),
        )?;
        match spawn(&program, &folder) {
            Ok(process) => Ok(Some(Self { process, port, program, folder })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot start PgBouncer"),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, and starts it again at the same port.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(&self.program, &self.folder)?;
        Ok(())
    }
}

fn settings(folder: &TempDir) -> PathBuf {
    folder.path().join("settings.ini")
}

fn spawn(program: &OsString, folder: &TempDir) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    if geteuid().is_root() {
        // It refuses to be root, and has to be able to read its settings.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        command.args(["-u", "nobody"]);
    }
    command.arg(settings(folder)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
