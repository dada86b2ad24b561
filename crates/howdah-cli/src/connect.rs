//! The way to the database: which one, and the first connection.
//!
//! Invariant: `--database-url` wins over `DATABASE_URL`, the environment over `.env`, and a URL over `PG*`.
//! Limit: the server is asked once; a server that goes later is told by the statement that fails.

use std::str::FromStr;
use std::time::Duration;

use howdah::Howdah;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::OnceCell;

use crate::args::Global;
use crate::dotenv::Variables;
use crate::failure::{Failure, Result};

/// How long the first connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command that is run again and again (--watch) stays connected.
static QUEUE: OnceCell<Howdah> = OnceCell::const_new();

/// The queue that the command is about, if it has connected to it.
pub(crate) fn connected() -> Option<&'static Howdah> {
    QUEUE.get()
}

/// Connects to a database that has the queue.
///
/// # Errors
/// Exit status 3 if it cannot be reached, 4 if the queue is not there or is of another version.
pub(crate) async fn to_queue(global: &Global) -> Result<Howdah> {
    let connect = async || {
        let howdah = to_database(global).await?;
        howdah.check_schema().await?;
        Ok(howdah)
    };
    QUEUE.get_or_try_init(connect).await.cloned()
}

/// Connects to a database, whether it has the queue or not.
///
/// # Errors
/// Exit status 2 for a URL that is none, 3 if the server cannot be reached.
pub(crate) async fn to_database(global: &Global) -> Result<Howdah> {
    let variables = Variables::read();
    let options = options(global, &variables)?;
    // Asked before there is a pool: that would wait long for a server that is not there.
    match tokio::time::timeout(PATIENCE, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => connection.close().await?,
        Ok(Err(error)) => return Err(unreachable(&options, &reason(&error))),
        Err(_) => {
            return Err(unreachable(&options, &format!("no answer within {} s", PATIENCE.as_secs())));
        }
    }
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_lazy_with(options);
    with_schema(Howdah::from_pool(pool), global, &variables)
}

/// A handle that never connects: for what needs none.
///
/// # Errors
/// Exit status 2 for a schema's name that cannot be one.
pub(crate) fn to_nothing(global: &Global) -> Result<Howdah> {
    let pool = PgPoolOptions::new().connect_lazy_with(PgConnectOptions::new());
    with_schema(Howdah::from_pool(pool), global, &Variables::read())
}

fn with_schema(howdah: Howdah, global: &Global, variables: &Variables) -> Result<Howdah> {
    let schema = match &global.schema {
        None => variables.get("HOWDAH_SCHEMA")?,
        said => said.clone(),
    };
    match schema {
        Some(name) => Ok(howdah.with_schema(&name)?),
        None => Ok(howdah),
    }
}

fn options(global: &Global, variables: &Variables) -> Result<PgConnectOptions> {
    let (url, origin) = match &global.database_url {
        Some(url) => (Some(url.clone()), "--database-url"),
        None => (variables.get("DATABASE_URL")?, "DATABASE_URL"),
    };
    let options = match url {
        Some(url) => from_url(&url, origin)?,
        None => from_file(PgConnectOptions::new(), variables)?,
    };
    Ok(howdah::strict_tls(options).application_name("howdah").disable_statement_logging())
}

/// What the URL says; it is never quoted, as it may hold a password wherever it was mistyped.
fn from_url(url: &str, origin: &str) -> Result<PgConnectOptions> {
    const EXAMPLE: &str = "it looks like postgres://user:password@host:5432/database";
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Failure::usage(format!("{origin} does not start with postgres://")).hint(EXAMPLE));
    }
    PgConnectOptions::from_str(url).map_err(|e| Failure::usage(format!("{origin} cannot be read: {e}")).hint(EXAMPLE))
}

/// What `.env` says with `PG*`; the library has read those of the environment.
fn from_file(mut options: PgConnectOptions, variables: &Variables) -> Result<PgConnectOptions> {
    let bad = |key: &str| Failure::usage(format!("{key} in .env cannot be read"));
    if let Some(host) = variables.only_in_file("PGHOST") {
        options = options.host(host);
    }
    if let Some(port) = variables.only_in_file("PGPORT") {
        options = options.port(port.parse().map_err(|_| bad("PGPORT"))?);
    }
    if let Some(user) = variables.only_in_file("PGUSER") {
        options = options.username(user);
    }
    if let Some(password) = variables.only_in_file("PGPASSWORD") {
        options = options.password(password);
    }
    if let Some(database) = variables.only_in_file("PGDATABASE") {
        options = options.database(database);
    }
    if let Some(mode) = variables.only_in_file("PGSSLMODE") {
        options = options.ssl_mode(PgSslMode::from_str(mode).map_err(|_| bad("PGSSLMODE"))?);
    }
    if let Some(root) = variables.only_in_file("PGSSLROOTCERT") {
        options = options.ssl_root_cert(root);
    }
    if let (Some(cert), Some(key)) = (variables.only_in_file("PGSSLCERT"), variables.only_in_file("PGSSLKEY")) {
        options = options.ssl_client_cert(cert).ssl_client_key(key);
    }
    Ok(options)
}

fn unreachable(options: &PgConnectOptions, reason: &str) -> Failure {
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let database = options.get_database().unwrap_or(options.get_username());
    Failure::unreachable(format!("cannot reach the database {database:?} at {place}: {reason}"))
        .hint("check that PostgreSQL runs there, and --database-url, DATABASE_URL or PGHOST, PGUSER, PGDATABASE")
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(e) => e.message().to_owned(),
        sqlx::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}
