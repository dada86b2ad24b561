//! Every role, and every object of the schema: it may, or it is refused. Tried over real connections, not asked of the catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use howdah_tests::{Db, Guests, Session};
use sqlx::{AssertSqlSafe, Row};

const ROLES: [&str; 4] = ["producer", "worker", "viewer", "operator"];

/// What `howdah.rights` says: object and privilege, and the roles that have it.
async fn rights(db: &Db) -> Result<BTreeMap<(String, String), BTreeSet<String>>> {
    let mut rights = BTreeMap::<_, BTreeSet<String>>::new();
    for row in sqlx::query("SELECT object, privilege, roles FROM howdah.rights()").fetch_all(db.pool()).await? {
        let (object, privilege, roles): (String, String, Vec<String>) = (row.get(0), row.get(1), row.get(2));
        // An empty string is no role.
        rights.entry((object, privilege)).or_default().extend(roles.into_iter().filter(|r| !r.is_empty()));
    }
    Ok(rights)
}

fn may(rights: &BTreeMap<(String, String), BTreeSet<String>>, role: &str, object: &str, privilege: &str) -> bool {
    rights.get(&(object.to_owned(), privilege.to_owned())).is_some_and(|roles| roles.contains(role))
}

/// The SQLSTATE with which a statement is refused; whatever becomes of it is undone.
async fn refusal(session: &mut Session, sql: &str) -> Result<Option<String>> {
    let tried = sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; SET LOCAL statement_timeout = '2s'; {sql}")))
        .execute(&mut session.0)
        .await;
    session.run("ROLLBACK").await?;
    Ok(tried.err().map(|e| e.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned()))
}

/// Every function with a call of it, all of whose arguments are NULL, which the planner must not see: a strict function would
/// not be called then.
async fn calls(db: &Db) -> Result<Vec<(String, String)>> {
    let sql = "SELECT p.proname::text, format('SELECT %s(%s)', p.oid::regproc, (
                 SELECT string_agg(format('(SELECT NULL::%s)', a::regtype), ', ' ORDER BY n) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(a, n)))
                 FROM pg_proc p WHERE p.pronamespace = 'howdah'::regnamespace ORDER BY 1";
    Ok(sqlx::query_as(sql).fetch_all(db.pool()).await?)
}

#[tokio::test]
async fn every_role_may_call_its_functions_and_no_others() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let (rights, calls) = (rights(&db).await?, calls(&db).await?);
    ensure!(calls.len() > 300, "only {} functions", calls.len());
    let mut wrong = Vec::new();
    for role in ROLES.into_iter().chain(["stranger"]) {
        let mut session = guests.session(role).await?;
        for (name, call) in &calls {
            let (allowed, refused) = (may(&rights, role, name, "EXECUTE"), refusal(&mut session, call).await?);
            if allowed == (refused.as_deref() == Some("42501")) {
                wrong.push(format!("{role}: {call}: {refused:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn every_role_may_read_its_views_and_write_nothing() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let rights = rights(&db).await?;
    let sql = "SELECT c.relname::text, c.relkind = 'v', (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = 1)
                 FROM pg_class c WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind IN ('r', 'p', 'v') ORDER BY 1";
    let relations: Vec<(String, bool, String)> = sqlx::query_as(sql).fetch_all(db.pool()).await?;
    ensure!(relations.len() > 90, "only {} relations", relations.len());
    let mut wrong = Vec::new();
    for role in ROLES.into_iter().chain(["stranger"]) {
        let mut session = guests.session(role).await?;
        for (name, is_view, column) in &relations {
            let mut statements = vec![("SELECT", format!("SELECT r FROM howdah.{name} r LIMIT 1"))];
            statements.push((
                "INSERT",
                format!("INSERT INTO howdah.{name} ({column}) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false"),
            ));
            if !is_view {
                statements.extend([
                    ("UPDATE", format!("UPDATE howdah.{name} SET {column} = DEFAULT WHERE false")),
                    ("DELETE", format!("DELETE FROM howdah.{name} WHERE false")),
                    ("TRUNCATE", format!("TRUNCATE howdah.{name}")),
                    ("LOCK", format!("LOCK TABLE howdah.{name} IN ROW EXCLUSIVE MODE")),
                ]);
            }
            for (privilege, statement) in statements {
                let (allowed, refused) =
                    (may(&rights, role, name, privilege), refusal(&mut session, &statement).await?);
                // Into most views nobody can write, which is found before whether they may.
                if allowed == (refused.as_deref() == Some("42501")) && (allowed || !is_view || refused.is_none()) {
                    wrong.push(format!("{role}: {statement}: {refused:?}"));
                }
            }
        }
        for made in [
            "TABLE howdah.x ()",
            "VIEW howdah.x AS SELECT 1",
            "FUNCTION howdah.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ] {
            if refusal(&mut session, &format!("CREATE {made}")).await?.as_deref() != Some("42501") {
                wrong.push(format!("{role} may create {made}"));
            }
        }
        for sequence in ["block_seq", "lease_seq", "turn_0"] {
            if refusal(&mut session, &format!("SELECT nextval('howdah.{sequence}')")).await?.as_deref() != Some("42501")
            {
                wrong.push(format!("{role} may use {sequence}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn what_a_viewer_may_call_writes_nothing() -> Result<()> {
    let db = Db::new().await?;
    let guests = Guests::new(&db).await?;
    let rights = rights(&db).await?;
    db.run("SELECT howdah.enqueue('k', '{}', delay => '1 hour'), howdah.enqueue('k')").await?;
    let mut viewer = guests.session("viewer").await?;
    for (name, call) in calls(&db).await?.iter().filter(|(name, _)| may(&rights, "viewer", name, "EXECUTE")) {
        viewer.run("BEGIN READ ONLY").await?;
        let said = sqlx::raw_sql(AssertSqlSafe(call.clone())).execute(&mut viewer.0).await;
        viewer.run("ROLLBACK").await?;
        let code = said.err().and_then(|e| e.as_database_error().and_then(|e| e.code()).map(|c| c.into_owned()));
        assert_ne!(code.as_deref(), Some("25006"), "{name} wants to write");
    }
    Ok(())
}

/// The SQL files of functions, and what each says of itself before it begins.
fn contracts() -> Result<BTreeMap<String, String>> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { collect(&path, files)? } else { files.push(path) }
        }
        Ok(())
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql/functions"), &mut files)?;
    files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().context("a name")?.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&file)?;
            Ok((name, text.lines().take_while(|line| line.starts_with("--")).collect::<Vec<_>>().join("\n")))
        })
        .collect()
}

#[tokio::test]
async fn every_function_is_for_somebody_or_says_that_it_is_internal() -> Result<()> {
    let db = Db::new().await?;
    let listed: BTreeSet<String> =
        rights(&db).await?.into_keys().filter(|(_, p)| p == "EXECUTE").map(|(name, _)| name).collect();
    // Whoever reads a view calls what is in it.
    let in_views: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT p.proname::text FROM pg_depend d JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
          WHERE d.classid = 'pg_rewrite'::regclass AND p.pronamespace = 'howdah'::regnamespace",
    )
    .fetch_all(db.pool())
    .await?;
    for (name, contract) in contracts()? {
        let internal =
            contract.contains("Internal") && !contract.contains("Internal to workers") && !in_views.contains(&name);
        assert_eq!(listed.contains(&name), !internal, "{name}: in howdah.rights, or else `Internal` in its contract");
    }
    for name in &listed {
        assert!(contracts()?.contains_key(name), "{name} is in howdah.rights, and nowhere else");
    }
    Ok(())
}

#[tokio::test]
async fn a_producer_may_do_this_and_no_more() -> Result<()> {
    // Written out, so that nobody gives it more without being seen.
    const PRODUCER: &str = "EXECUTE at_micros; EXECUTE check_options; EXECUTE enqueue; EXECUTE enqueue_many; EXECUTE enqueue_unique; \
        EXECUTE enqueue_workflow; EXECUTE micros; EXECUTE now; EXECUTE payload_key; EXECUTE reserve_id; EXECUTE span_micros; \
        EXECUTE wait_for_space; INSERT new_job; SELECT (id, name, max_attempts, max_payload_bytes, fresh_slot, max_jobs) queue; \
        SELECT access; SELECT code; SELECT migration; SELECT new_job";
    let db = Db::new().await?;
    let rights = rights(&db).await?;
    let of_producer = rights.into_iter().filter(|(_, roles)| roles.contains("producer"));
    let found: BTreeSet<String> = of_producer.map(|((object, privilege), _)| format!("{privilege} {object}")).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>().join("; "), PRODUCER);
    Ok(())
}
