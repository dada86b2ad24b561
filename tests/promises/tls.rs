//! TLS: a connection that is to be verified is not made to anybody else.

use std::path::Path;

use anyhow::{Context, Result};
use howdah::{Ctx, Howdah, Job, Worker, strict_tls};
use howdah_devdb::{Durability, Server, shared_for_tests};
use howdah_tests::{in_time, start};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// Gives the server a certificate for `localhost`, and turns TLS on. Its own process writes the files, which must be its own.
async fn turn_tls_on(server: &Server, issuer: &CertifiedIssuer<'static, KeyPair>) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, issuer)?;
    let mut session = PgConnection::connect(server.url()).await?;
    for (file, pem) in [("server.key", key.serialize_pem()), ("server.crt", certificate.pem())] {
        // COPY escapes line ends, and printf makes them again.
        let copy = format!("COPY (SELECT $pem${pem}$pem$) TO PROGRAM 'umask 077; printf %b \"$(cat)\" > {file}'");
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut session).await?;
    }
    sqlx::raw_sql("ALTER SYSTEM SET ssl = on").execute(&mut session).await?;
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut session).await?;
    in_time("the server to have TLS", async {
        while try_with(server.url(), "localhost", "require", None).await.is_err() {}
        Ok(())
    })
    .await?
}

fn options(url: &str, host: &str, mode: &str, root: Option<&Path>) -> Result<PgConnectOptions> {
    let query = root.map(|root| format!("&sslrootcert={}", root.display())).unwrap_or_default();
    let url = url.replace("127.0.0.1", host);
    let and = if url.contains('?') { '&' } else { '?' };
    Ok(strict_tls(format!("{url}{and}sslmode={mode}{query}").parse()?))
}

/// Whether the connection is encrypted; or why there is none.
async fn try_with(url: &str, host: &str, mode: &str, root: Option<&Path>) -> Result<bool> {
    let mut session = PgConnection::connect_with(&options(url, host, mode, root)?).await?;
    let ssl = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(sqlx::query_scalar(ssl).fetch_one(&mut session).await?)
}

async fn refused(url: &str, host: &str, mode: &str, root: Option<&Path>) -> Result<String> {
    let tried = try_with(url, host, mode, root).await;
    let error = tried.err().with_context(|| format!("sslmode={mode} to {host} was not refused"))?;
    Ok(error.to_string())
}

#[derive(Job, Serialize, Deserialize)]
struct Task {}

async fn task(_: Task, _: Ctx<()>) {}

#[tokio::test]
async fn only_the_server_that_is_meant_is_talked_to() -> Result<()> {
    let server = Server::builder().private().durability(Durability::Fast).start().await?;
    let (ours, other, folder) = (authority()?, authority()?, tempfile::tempdir()?);
    turn_tls_on(&server, &ours).await?;
    let (root, wrong) = (folder.path().join("ours.pem"), folder.path().join("other.pem"));
    std::fs::write(&root, ours.pem())?;
    std::fs::write(&wrong, other.pem())?;
    let url = server.url();

    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(try_with(url, "localhost", mode, Some(&root)).await?, "{mode}");
        // Another authority, and no other than those of the system.
        let error = refused(url, "localhost", mode, Some(&wrong)).await?;
        assert!(error.contains("certificate"), "{mode}: {error}");
        assert!(mode == "require" || refused(url, "localhost", mode, None).await.is_ok(), "{mode}");
    }
    // The certificate is for localhost.
    let error = refused(url, "127.0.0.1", "verify-full", Some(&root)).await?;
    assert!(error.contains("not valid for name"), "{error}");
    assert!(try_with(url, "127.0.0.1", "verify-ca", Some(&root)).await?);
    assert!(try_with(url, "127.0.0.1", "prefer", None).await? && !try_with(url, "127.0.0.1", "disable", None).await?);

    // A queue and its worker, listener and keeper by the same options.
    let mode = options(url, "localhost", "verify-full", Some(&root))?;
    let howdah = Howdah::from_pool(sqlx::PgPool::connect_with(mode).await?);
    howdah.migrate().await?;
    let worker = start(Worker::new(&howdah).handle(task));
    let id = howdah.enqueue(Task {}).await?;
    in_time("the job to end", howdah.wait::<Task>(id)).await??;
    let plain = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE NOT s.ssl AND a.application_name LIKE 'howdah%'";
    assert_eq!(sqlx::query_scalar::<_, i64>(plain).fetch_one(howdah.pool()).await?, 0);
    worker.stop().await
}

#[tokio::test]
async fn a_server_without_tls_is_not_talked_to_if_it_must_have_it() -> Result<()> {
    let server = shared_for_tests().await?;
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = refused(server.url(), "localhost", mode, None).await?;
        assert!(error.contains("does not support TLS"), "{mode}: {error}");
        assert!(Howdah::connect(&format!("{}?sslmode={mode}", server.url())).await.is_err());
    }
    Ok(())
}
