//! Random JSON, for the SQL functions that take some: each call is done, or refused by the name of what is wrong, at once. What
//! was accepted can be claimed, looked at, failed and sent again: nothing that is kept stops its queue. And as payloads.
//!
//! Invariant: every call is undone, so that each one meets the same queue. `HOWDAH_FUZZ_SEED` draws the same calls again,
//! `HOWDAH_FUZZ_CALLS` says how many. Limit: names of fields are mostly right, or nothing but their refusal would be tried.

use anyhow::{Context, Result};
use howdah::{Job, Worker};
use howdah_tests::seed::Seed;
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AssertSqlSafe;

const OPTIONS: &str = "attributes expires_at ttl_ms timeout_ms retry version traceparent limit_key order_key fair_key
    order_on_failure depends_on on_parent_failure weight id unique schedule";
const RETRY: &str = "policy base_ms factor floor_ms cap_ms jitter";
const QUEUE: &str =
    "max_attempts retry_base_ms retry_factor retry_cap_ms retry_jitter max_payload_bytes retry_policy on_expiry
    retry_floor_ms completed_retention dead_retention on_removal before_removal max_jobs lease_ms timeout_ms aging_ms";
const KIND: &str =
    "lease_ms timeout_ms retry_policy retry_base_ms retry_factor retry_floor_ms retry_cap_ms retry_jitter";
const SCHEDULE: &str =
    "expression timezone queue kind payload priority max_attempts options unique_key missed grace_ms";
const LIMIT: &str = "max_running rate rate_period_ms rate_burst weight";
const NODE: &str =
    "name kind payload queue priority run_at delay_ms max_attempts options depends_on on_parent_failure jobs";
const SEARCH: &str = "states row rest args attr needs ids kinds queues keys workflows from_id upto_id now";
const ACTION: &str = "priority queue run_at delay";
const CONFIG: &str = "history_retention dead_retention signal_retention audit_retention stats_retention";
const OTHER: &str = "workflow key scope name due_at default x policy weight id";

const NUMBERS: &str = "0 1 -1 2 5 128 129 32767 32768 2147483647 2147483648 -2147483649 9223372036854775807
    9223372036854775808 9007199254740991 99999999999999 253370764800000 0.5 1.5 5.0 2.00 128.0 1280.0 1000.000 0.0 1e15 1e308
    1e1000 1e-300 1e-1000 -1e400 1e131000 123456789012345678901234567890.5";
const TEXTS: [&str; 42] = [
    "",
    "a",
    "default",
    "infinity",
    "-infinity",
    "now",
    "NaN",
    "1 day",
    "-1 day",
    "1e300 years",
    "178000000 years",
    "2030-01-01",
    "9999-12-31",
    "294276-12-31",
    "4714-11-24 BC",
    "0",
    "1",
    "-5",
    "99999999999999999999",
    "$.a",
    "$.a == 1",
    "$ like_regex \"(a+)+$\"",
    "cancel",
    "run",
    "hold",
    "live",
    "forever",
    "linear",
    "exponential",
    "* * * * *",
    "@every 1s",
    "0 0 30 2 *",
    "Europe/Berlin",
    "../../etc/passwd",
    "dead",
    "errors",
    "\u{1}",
    "'; DROP TABLE x",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "%s",
    "\\",
    "1:2:3",
];
const ACTIONS: [&str; 7] = ["retry", "cancel", "purge", "priority", "move", "reschedule", "x"];

/// Makes a call and undoes it; says how it ended. After jobs were enqueued, they live a little.
const PROBE: &str = r#"CREATE FUNCTION public.probe(call text, worker bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_state text; v_field text; v_message text; v_where text;
BEGIN
  EXECUTE 'SELECT count(*) FROM (SELECT howdah.' || call || ') x';
  IF call ^@ 'enqueue' THEN
    PERFORM howdah.fail(c.lease_id, array_agg(c.id), messages => array_agg('m'::text)) FROM howdah.claim(worker) c GROUP BY c.lease_id;
    PERFORM howdah.why(j.id), howdah.retry(j.id) FROM howdah.jobs j;
    PERFORM howdah.search('{"rest": "$.state == \"dead\"", "needs": ["errors", "key", "reason", "worker", "workflow"]}');
    PERFORM howdah.claim(worker), howdah.expire(), howdah.promote();
  END IF;
  RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ000';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_field = COLUMN_NAME, v_message = MESSAGE_TEXT, v_where = PG_EXCEPTION_CONTEXT;
  RETURN CASE WHEN v_state = 'ZZ000' THEN 'done' WHEN v_state = 'HD001' OR v_state = 'HD002' AND v_field <> '' THEN 'refused'
              ELSE concat_ws(' ', v_state, v_field, left(v_message, 300), left(v_where, 300)) END;
END $$"#;

struct Draw(Seed);

impl Draw {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.below(of.len())]
    }

    fn word<'a>(&mut self, of: &'a str) -> &'a str {
        let words: Vec<&str> = of.split_whitespace().collect();
        self.one(&words)
    }

    fn text(&mut self) -> String {
        match self.0.below(20) {
            0 => "x".repeat(600),
            1 => "é".repeat(5000),
            _ => self.one(&TEXTS).to_owned(),
        }
    }

    /// Any JSON.
    fn value(&mut self, depth: usize) -> String {
        match self.0.below(100) {
            0..33 => self.word(NUMBERS).to_owned(),
            33..66 => json!(self.text()).to_string(),
            66..72 => self.one(&["null", "true", "false"]).to_owned(),
            _ if depth > 3 => "1".to_owned(),
            72..86 => {
                let most = self.one(&["", "0", "00", "000000000"]).len();
                let items: Vec<String> = (0..most).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => {
                let fields = (0..self.0.below(4)).map(|_| {
                    let group = self.one(&[OPTIONS, QUEUE, NODE, SEARCH, ACTION, OTHER]);
                    let name = self.word(group);
                    format!("{}:{}", json!(name), self.value(depth + 1))
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// An object with some of these names, mostly, and what belongs there, mostly.
    fn object(&mut self, names: &str) -> String {
        self.object_with(names, "")
    }

    fn object_with(&mut self, names: &str, first: &str) -> String {
        if self.0.chance(5) {
            return self.value(0);
        }
        let mut fields: Vec<String> = first.split_terminator(',').map(str::to_owned).collect();
        for _ in 0..=self.0.below(3) {
            let name = if self.0.chance(4) { self.text() } else { self.word(names).to_owned() };
            let value = match name.as_str() {
                _ if self.0.chance(30) => self.value(1),
                "retry" => self.object(RETRY),
                "options" => self.object(OPTIONS),
                "attributes" => format!("{{{}: {}}}", json!(self.text()), self.value(2)),
                "jobs" => self.nodes(),
                "unique" => r#"{"key": "a", "scope": "live"}"#.to_owned(),
                "depends_on" => format!("[{}]", self.one(&["\"a\"", "\"b\"", "128", "{\"workflow\": 1}", "1e3"])),
                _ => self.value(1),
            };
            fields.push(format!("{}:{value}", json!(name)));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn nodes(&mut self) -> String {
        let nodes = (0..=self.0.below(3)).map(|n| {
            let name = self.one(&["\"name\":\"a\"", "\"name\":\"b\""]);
            self.object_with(
                NODE,
                &if n == 0 { "\"name\":\"c\",\"kind\":\"k\"".to_owned() } else { format!("{name},\"kind\":\"k\"") },
            )
        });
        format!("[{}]", nodes.collect::<Vec<_>>().join(","))
    }

    /// A call of a function, without its schema.
    fn call(&mut self) -> String {
        let text = |text: &str| format!("$t${text}$t$");
        let json = |json: String| format!("$j${json}$j$::jsonb");
        match self.0.below(18) {
            0..4 => format!("enqueue('k', options => {})", json(self.object(OPTIONS))),
            4 => {
                format!("enqueue_many('k', ARRAY[{}], options => {})", json(self.value(0)), json(self.object(OPTIONS)))
            }
            5 => {
                let scope = self.one(&["live", "forever", "x"]);
                format!(
                    "enqueue_unique('k', {}, scope => '{scope}', options => {})",
                    json(self.value(0)),
                    json(self.object(OPTIONS))
                )
            }
            6..8 => format!("enqueue_workflow('w', {})", json(self.nodes())),
            8 => format!("set_queue('default', {})", json(self.object(QUEUE))),
            9 => format!("create_queue({}, {})", text(&self.text()), json(self.object(QUEUE))),
            10 => format!("set_kind({}, {})", text(&self.text()), json(self.object(KIND))),
            11 => {
                let with = "\"expression\":\"* * * * *\",\"kind\":\"k\"";
                format!("{}_schedule('s', {})", self.one(&["set", "declare"]), json(self.object_with(SCHEDULE, with)))
            }
            12 => format!(
                "set_limit('{}', 'default', {})",
                self.one(&["queue", "kind", "key", "share", "x"]),
                json(self.object(LIMIT))
            ),
            13 => format!("set_config({})", json(self.object(CONFIG))),
            14 => format!("search({})", json(self.object(SEARCH))),
            15 => format!("act('{}', '{{128,129}}', {})", self.one(&ACTIONS), json(self.object(ACTION))),
            16 => {
                let action = self.one(&ACTIONS);
                format!(
                    "start_operation('{action}', 'x', {}, {})",
                    json(self.object(SEARCH)),
                    json(self.object(ACTION))
                )
            }
            _ => format!("send_signal({}, {})", text(&self.text()), json(self.value(0))),
        }
    }
}

#[tokio::test]
async fn any_json_is_taken_or_refused_by_name_and_what_is_taken_stops_no_queue() -> Result<()> {
    let db = Db::new().await?;
    let worker = db.worker().await?;
    db.run(PROBE).await?;
    db.run(
        r#"SELECT howdah.set_limit('queue', 'default', '{"rate": 500}'), howdah.set_limit('key', '*', '{"rate": 5}')"#,
    )
    .await?;
    let mut draw = Draw(Seed::from_env("HOWDAH_FUZZ_SEED")?);
    let calls = std::env::var("HOWDAH_FUZZ_CALLS").map_or(Ok(800), |calls| calls.parse())?;
    let mut session = db.session().await?;
    session.run("SET statement_timeout = '10s'; SET jit = off").await?;
    let mut done = 0;
    for _ in 0..calls {
        let call = draw.call();
        let ended: String = sqlx::query_scalar("SELECT public.probe($1, $2)")
            .bind(&call)
            .bind(worker)
            .fetch_one(&mut session.0)
            .await
            .with_context(|| call.clone())?;
        assert!(ended == "done" || ended == "refused", "{ended}\n  {call}");
        done += usize::from(ended == "done");
    }
    println!("{done} of {calls} calls were done");
    assert!(done > calls / 20, "nearly all is refused: only {done} of {calls} calls were done");
    Ok(())
}

/// Has what some of the random payloads have.
#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Typed {
    #[serde(default)]
    priority: Option<f64>,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    options: Vec<u8>,
}

async fn typed(_: Typed) {}

#[tokio::test]
async fn any_payload_is_read_or_fails_its_own_job_and_no_other() -> Result<()> {
    let db = Db::new().await?;
    let mut draw = Draw(Seed::from_env("HOWDAH_FUZZ_SEED")?);
    let mut payloads: Vec<String> = (0..200).map(|_| draw.object(NODE)).collect();
    // Deeper than any parser that calls itself would go, and a number that is none for a float.
    payloads.push(format!("{}1{}", "[".repeat(3000), "]".repeat(3000)));
    payloads.push(format!("{{\"priority\": 1e309, \"x\": {}1{}}}", "[".repeat(3000), "]".repeat(3000)));
    for payload in payloads.chunks(50) {
        let calls = payload.iter().map(|p| format!("SELECT howdah.enqueue('typed', $j${p}$j$, max_attempts => 1);"));
        let sql: String = calls.collect();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(db.pool()).await?;
    }
    db.run(r#"SELECT howdah.enqueue('typed', '{"kind": "last"}', max_attempts => 1)"#).await?;
    let worker = start(Worker::new(&db.howdah).handle(typed));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state IN ('completed', 'dead')", "203").await?;
    worker.stop().await?;
    let kinds = "SELECT string_agg(DISTINCT error_kind, ' ') FROM howdah.failures";
    assert_eq!(db.text(kinds).await?, "payload");
    assert_eq!(db.text("SELECT state FROM howdah.jobs ORDER BY id DESC LIMIT 1").await?, "completed");
    Ok(())
}
