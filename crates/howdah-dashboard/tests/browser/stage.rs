//! A queue with something of everything, and a dashboard of it, nested under a prefix.
//!
//! Invariant: the server ends with the test. Limit: everybody is Ann, who may do everything.

use anyhow::Result;
use axum::Router;
use axum::http::request::Parts;
use howdah::Howdah;
use howdah_dashboard::{Dashboard, Role, Visitor};
use howdah_tests::Db;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::browser::Browser;

pub(crate) struct Stage {
    pub(crate) db: Db,
    pub(crate) worker: i64,
    base: String,
    server: JoinHandle<()>,
}

impl Stage {
    pub(crate) async fn new() -> Result<Self> {
        let db = Db::new().await?;
        let worker = db.worker().await?;
        let dashboard = Dashboard::new(Howdah::from_pool(db.pool().clone()))
            .auth(|_: &Parts| Some(Visitor::new("ann", Role::Admin)));
        let app = Router::<()>::new().nest("/tools/jobs", dashboard.router());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/tools/jobs", listener.local_addr()?);
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.unwrap();
        });
        Ok(Self { db, worker, base, server })
    }

    pub(crate) async fn browser(&self) -> Result<Browser> {
        Browser::open(&self.base, true).await
    }

    pub(crate) async fn browser_without_scripts(&self) -> Result<Browser> {
        Browser::open(&self.base, false).await
    }

    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        self.db.run(sql).await
    }

    /// So many dead jobs of this kind, with errors that differ by a number.
    pub(crate) async fn dead(&self, kind: &str, jobs: usize) -> Result<()> {
        self.run(&format!(
            "SELECT howdah.enqueue('{kind}', jsonb_build_object('invoice', n)) FROM generate_series(1, {jobs}) n"
        ))
        .await?;
        self.run(&format!(
            "SELECT f.* FROM (SELECT lease_id, array_agg(id) AS ids, array_agg('discard'::text) AS verdicts, array_agg('PaperJam'::text) AS kinds,
                                array_agg(format('tray %s is empty: call 555-%s', id % 7, id)) AS messages, array_agg(id::integer % 4000) AS ms
                FROM howdah.claim({}, 'default', 500, ARRAY['{kind}']) GROUP BY 1) c,
              howdah.fail(c.lease_id, c.ids, c.verdicts, c.kinds, c.messages, run_ms => c.ms) f",
            self.worker
        ))
        .await
    }

    /// What a queue looks like that has been in use for a while.
    pub(crate) async fn lived_in(&self) -> Result<()> {
        self.run("SELECT howdah.create_queue(q) FROM unnest('{mail,invoices,imports}'::text[]) q").await?;
        self.dead("print_invoice", 12).await?;
        self.run(
            "SELECT howdah.enqueue('send_mail', jsonb_build_object('to', format('user-%s@example.org', n), 'template', 'welcome'), queue => 'mail')
               FROM generate_series(1, 40) n;
             SELECT howdah.enqueue('import', jsonb_build_object('file', format('stock-%s.csv', n)), queue => 'imports', delay => make_interval(mins => n))
               FROM generate_series(1, 9) n;",
        )
        .await?;
        self.run(&format!("SELECT howdah.complete(lease_id, array_agg(id), array_agg(id::integer % 90)) FROM howdah.claim({}, 'mail', 25) GROUP BY lease_id", self.worker)).await?;
        self.run(&format!("SELECT howdah.claim({}, 'mail', 3)", self.worker)).await?;
        self.run("SELECT howdah.pause_queue('imports', 'ann', 'the supplier sends nonsense')").await?;
        self.run("SELECT howdah.set_schedule('nightly', '{\"expression\": \"0 3 * * *\", \"kind\": \"report\", \"timezone\": \"Europe/Berlin\"}')").await?;
        self.workflow().await?;
        self.run(
            "INSERT INTO howdah.stat_minute SELECT date_bin('1 minute', howdah.now() - n * interval '1 minute', '2000-01-01 00:00:00Z'), q.id, k.kind,
                    (40 + 30 * sin(n / 6.0))::bigint, (n % 9 = 0)::integer * 4, 0, (n % 20 = 0)::integer, 0, 0, 0, 900, 4000
               FROM generate_series(0, 59) n, (VALUES ('mail', 'send_mail'), ('default', 'print_invoice')) k(queue, kind)
               JOIN howdah.queue q ON q.name = k.queue;
             INSERT INTO howdah.stat_hour SELECT date_bin('1 hour', howdah.now(), '2000-01-01 00:00:00Z'), q.id, k.kind,
                    2400, 24, 0, 3, 0, 0, 0, k.ms, 90000, k.runs, '{300,900,700,300,150,40,20,10,5,2}'
               FROM (VALUES ('mail', 'send_mail', 90000, '{0,2,40,400,900,700,250,90,40,5}'::bigint[]),
                            ('mail', 'send_digest', 400000, '{0,0,0,10,60,300,900,800,250,60,30,12}'::bigint[]),
                            ('default', 'print_invoice', 900000, '{0,0,0,0,0,10,90,300,800,900,280,40,7}'::bigint[])) k(queue, kind, ms, runs)
               JOIN howdah.queue q ON q.name = k.queue;",
        )
        .await?;
        self.run("SELECT howdah.note_depths()").await
    }

    /// An order: pick, then pack and bill, then ship.
    pub(crate) async fn workflow(&self) -> Result<()> {
        self.run(
            r#"SELECT howdah.enqueue_workflow('order 1041', '[
                 {"name": "pick", "kind": "pick", "payload": {"order": 1041}},
                 {"name": "pack", "kind": "pack", "depends_on": ["pick"]},
                 {"name": "bill", "kind": "bill", "depends_on": ["pick"]},
                 {"name": "ship", "kind": "ship", "depends_on": ["pack", "bill"]}]')"#,
        )
        .await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server.abort();
    }
}
