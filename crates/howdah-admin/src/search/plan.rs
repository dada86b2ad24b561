//! What the database is asked: predicates, and what is known beforehand of the jobs that can fulfil them.
//!
//! Invariant: the predicates and the states say it all; the rest only says where not to look. Limit: that is taken from
//! terms that are not negated, and from texts without stars.

use howdah::JobState;
use serde_json::{Map, Value, json};

use super::field::Field;
use super::path;
use super::pattern::Pattern;
use super::range::{Edge, Range};
use super::{Document, STATES, Term, Test};

/// A search for the function `howdah.search`.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Only these; `None`: any.
    states: Option<Vec<&'static str>>,
    /// Predicates on what was written with the job, on all that is known of it, on its payload, on its attributes.
    row: Vec<String>,
    rest: Vec<String>,
    args: Vec<String>,
    attr: Vec<String>,
    /// What of the document has to be gathered from other tables.
    needs: Vec<&'static str>,
    ids: Option<Vec<i64>>,
    from_id: Option<i64>,
    upto_id: Option<i64>,
    kinds: Option<Vec<String>>,
    queues: Option<Vec<String>>,
    keys: Option<Vec<String>>,
    workflows: Option<Vec<String>>,
}

impl Plan {
    pub(super) fn of(terms: &[Term]) -> Self {
        let mut plan = Self::default();
        for term in terms {
            plan.add(term);
        }
        plan
    }

    fn add(&mut self, term: &Term) {
        if let Test::State(states) = &term.test {
            self.keep_states(states, !term.negated);
        }
        if !term.negated {
            self.narrow(&term.test);
        }
        let Some(predicate) = path::of(term) else { return };
        match &term.test {
            Test::Json(Document::Args, _, _) => self.args.push(predicate),
            Test::Json(Document::Attr, _, _) => self.attr.push(predicate),
            Test::Number(field, _) | Test::Length(field, _) | Test::Time(field, _) | Test::Text(field, _)
                if field.is_in_row() =>
            {
                self.row.push(predicate);
            }
            test => {
                self.need(test);
                self.rest.push(predicate);
            }
        }
    }

    fn keep_states(&mut self, states: &[JobState], wanted: bool) {
        let kept = self.states.take().unwrap_or_else(|| STATES.map(JobState::as_str).to_vec());
        let named = |name: &&str| states.iter().any(|state| state.as_str() == *name);
        self.states = Some(kept.into_iter().filter(|name| named(name) == wanted).collect());
    }

    fn need(&mut self, test: &Test) {
        let needs: &[&str] = match test {
            Test::Word(_) => &["errors", "key", "reason"],
            Test::Text(Field::Error, _) => &["errors"],
            Test::Text(Field::Key, _) => &["key"],
            Test::Text(Field::Reason, _) => &["reason"],
            Test::Text(Field::Worker, _) => &["worker"],
            Test::Text(Field::Workflow, _) => &["workflow"],
            _ => &[],
        };
        for need in needs {
            if !self.needs.contains(need) {
                self.needs.push(need);
            }
        }
    }

    /// Where a term that must hold says exactly what it wants, nothing else has to be looked at.
    fn narrow(&mut self, test: &Test) {
        match test {
            Test::Number(Field::Id, ranges) => self.narrow_ids(ranges),
            Test::Text(Field::Kind, values) => fewer(&mut self.kinds, values),
            Test::Text(Field::Queue, values) => fewer(&mut self.queues, values),
            Test::Text(Field::Key, values) => fewer(&mut self.keys, values),
            Test::Text(Field::Workflow, values) => fewer(&mut self.workflows, values),
            _ => {}
        }
    }

    fn narrow_ids(&mut self, ranges: &[Range<i64>]) {
        if let Some(ids) = ranges.iter().map(Range::single).collect::<Option<Vec<_>>>() {
            self.ids.get_or_insert_with(|| ids.into_iter().copied().collect());
        }
        let low = |range: &Range<i64>| match range.from {
            Edge::Open => i64::MIN,
            Edge::With(id) | Edge::Without(id) => id,
        };
        let high = |range: &Range<i64>| match range.to {
            Edge::Open => i64::MAX,
            Edge::With(id) | Edge::Without(id) => id,
        };
        self.from_id = self.from_id.max(ranges.iter().map(low).min());
        let upto = ranges.iter().map(high).max().unwrap_or(i64::MAX);
        self.upto_id = Some(self.upto_id.unwrap_or(i64::MAX).min(upto));
    }

    /// The argument of `howdah.search`. What does not matter is not in it.
    pub(super) fn to_json(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                all.insert(name.to_owned(), value);
            }
        };
        let path = |parts: &[String]| (!parts.is_empty()).then(|| json!(parts.join(" && ")));
        put("states", self.states.as_ref().map(|v| json!(v)));
        put("row", path(&self.row));
        put("rest", path(&self.rest));
        put("args", path(&self.args));
        put("attr", path(&self.attr));
        put("needs", (!self.needs.is_empty()).then(|| json!(self.needs)));
        put("ids", self.ids.as_ref().map(|v| json!(v)));
        // What is beyond any id need not be said.
        const BEYOND: i64 = 1_000_000_000_000_000_000;
        put("from_id", self.from_id.filter(|id| (0..BEYOND).contains(id)).map(|v| json!(v)));
        put("upto_id", self.upto_id.filter(|id| (0..BEYOND).contains(id)).map(|v| json!(v)));
        put("kinds", self.kinds.as_ref().map(|v| json!(v)));
        put("queues", self.queues.as_ref().map(|v| json!(v)));
        put("keys", self.keys.as_ref().map(|v| json!(v)));
        put("workflows", self.workflows.as_ref().map(|v| json!(v)));
        Value::Object(all)
    }
}

/// Of several such terms the first says where to look; all of them are predicates.
fn fewer(known: &mut Option<Vec<String>>, values: &[Pattern]) {
    if known.is_none() {
        *known = values.iter().map(|value| value.exact().map(str::to_owned)).collect();
    }
}
