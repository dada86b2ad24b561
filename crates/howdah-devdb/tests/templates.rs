//! Templates and databases on the shared server, each test on a runtime of its own.

#![allow(clippy::unwrap_used, reason = "a test's own helpers count as no test")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use howdah_devdb::{Error, Server, Template, shared_for_tests};
use sqlx::{Connection, Executor, PgConnection};

/// A template whose only row tells its key.
async fn filled(server: &Server, name: &str, key: &str) -> Result<Template, Error> {
    server
        .template(name, key, |url| async move {
            let mut connection = PgConnection::connect(&url).await?;
            let sql = sqlx::AssertSqlSafe(format!("CREATE TABLE content AS SELECT '{key}' AS key"));
            connection.execute(sqlx::raw_sql(sql)).await?;
            // The connection is left open: the template has to be sealed against it.
            std::mem::forget(connection);
            Ok::<_, sqlx::Error>(())
        })
        .await
}

async fn content(url: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("SELECT key FROM content").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_database_from_a_template_has_its_tables() {
    let server = shared_for_tests().await.unwrap();
    let template = filled(server, "tables", "a").await.unwrap();
    assert_eq!(template.name(), "howdah_tpl_tables");
    let (one, other) = (template.create_database().await.unwrap(), template.create_database().await.unwrap());
    assert_ne!(one.name(), other.name());
    let mut connection = PgConnection::connect(one.url()).await.unwrap();
    connection.execute("UPDATE content SET key = 'changed'").await.unwrap();
    assert_eq!(content(other.url()).await, "a");
    // Dropped though connected to.
    one.drop().await.unwrap();
    assert!(connection.execute("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_asking_at_once_fill_a_template_once() {
    let server = shared_for_tests().await.unwrap();
    let fills = Arc::new(AtomicUsize::new(0));
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let fills = Arc::clone(&fills);
            tokio::spawn(async move {
                let fill = |_| async move {
                    fills.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, io::Error>(())
                };
                let template = server.template("once", "1", fill).await.unwrap();
                template.create_database().await.unwrap()
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    assert_eq!(fills.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn another_key_fills_the_template_anew_and_the_old_one_is_not_mistaken_for_it() {
    let server = shared_for_tests().await.unwrap();
    let old = filled(server, "keys", "old").await.unwrap();
    let new = filled(server, "keys", "new").await.unwrap();
    assert_eq!(content(new.create_database().await.unwrap().url()).await, "new");
    let error = old.create_database().await.unwrap_err();
    assert!(matches!(error, Error::TemplateChanged { .. }), "{error}");
}

#[tokio::test]
async fn a_fill_that_fails_leaves_no_template() {
    let server = shared_for_tests().await.unwrap();
    let fail = |_| async { Err(io::Error::other("no such luck")) };
    let error = server.template("failing", "1", fail).await.unwrap_err();
    assert!(matches!(&error, Error::TemplateInit { source, .. } if source.to_string() == "no such luck"));
    let template = filled(server, "failing", "1").await.unwrap();
    assert_eq!(content(template.create_database().await.unwrap().url()).await, "1");
}

#[tokio::test]
async fn a_template_name_that_could_be_something_else_is_refused() {
    let server = shared_for_tests().await.unwrap();
    for name in ["", "A", "a'b", "a b", &"x".repeat(41)] {
        let error = filled(server, name, "1").await.unwrap_err();
        assert!(matches!(error, Error::BadTemplateName { .. }), "{name}");
    }
}

#[test]
fn the_shared_server_outlives_the_runtime_that_started_it() {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = run().block_on(async { shared_for_tests().await.unwrap().url().to_owned() });
    run().block_on(async {
        let server = shared_for_tests().await.unwrap();
        assert_eq!(server.url(), first);
        let database = server.create_database().await.unwrap();
        PgConnection::connect(database.url()).await.unwrap();
        database.drop().await.unwrap();
    });
}
