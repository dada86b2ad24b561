//! How a worker divides its slots: a lane for each queue, and one for each group of kinds within a queue.
//!
//! Invariant: a kind of a group runs in the group's lane and in no other of that queue, so that the group's slots are
//! both reserved for it and the most that it gets. Limit: a group belongs to one queue; its kinds are not limited in
//! others that the worker serves.

use crate::error::{Error, Result};
use crate::handler::Handlers;

/// Some slots of one queue, for some kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) queue: String,
    pub(super) slots: usize,
    pub(super) filter: Filter,
}

/// Which kinds a lane claims: the arguments of `howdah.claim` that say so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// `None` (and no prefixes): any.
    pub(super) kinds: Option<Vec<String>>,
    pub(super) prefixes: Option<Vec<String>>,
    pub(super) except: Option<Vec<String>>,
}

impl Filter {
    /// Everything that these handlers can do.
    #[cfg(feature = "testing")]
    pub(super) fn of<S: 'static>(handlers: &Handlers<S>) -> Self {
        rest(&[], handlers).unwrap_or_default()
    }
}

/// Slots that are set aside: what [`Worker::group`](crate::Worker::group) was told.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(super) name: String,
    pub(super) slots: usize,
    pub(super) kinds: Vec<String>,
}

/// Divides the slots of the queues, or says why that is not possible.
pub(super) fn divide<S: 'static>(
    queues: &[(String, usize)],
    groups: &[Group],
    handlers: &Handlers<S>,
) -> Result<Vec<Lane>> {
    check(groups, handlers)?;
    let mut lanes = Vec::new();
    let placed: Vec<&str> = groups.iter().map(|g| queue_of(g, queues, handlers)).collect::<Result<_>>()?;
    for (queue, slots) in queues {
        let mine: Vec<&Group> = groups.iter().zip(&placed).filter(|(_, q)| **q == queue).map(|(g, _)| g).collect();
        for group in &mine {
            let filter = Filter { kinds: Some(group.kinds.clone()), ..Filter::default() };
            lanes.push(Lane { queue: queue.clone(), slots: group.slots, filter });
        }
        let set_aside = mine.iter().map(|g| g.slots).fold(0, usize::saturating_add);
        let names = || mine.iter().map(|g| format!("{:?}", g.name)).collect::<Vec<_>>().join(", ");
        if set_aside > *slots {
            return refuse(format!("the groups {} take {set_aside} of the {slots} slots of queue {queue:?}", names()));
        }
        let Some(filter) = rest(&mine, handlers) else { continue };
        if set_aside == *slots {
            return refuse(format!(
                "the groups {} take all {slots} slots of queue {queue:?}, and this worker has handlers for other kinds: \
                 give the queue more slots, or the groups fewer",
                names()
            ));
        }
        lanes.push(Lane { queue: queue.clone(), slots: slots - set_aside, filter });
    }
    Ok(lanes)
}

fn refuse<T>(text: String) -> Result<T> {
    Err(Error::Worker(text))
}

/// What is wrong with the groups, whatever the queues are.
fn check<S: 'static>(groups: &[Group], handlers: &Handlers<S>) -> Result<()> {
    for (i, group) in groups.iter().enumerate() {
        let name = &group.name;
        if group.slots == 0 {
            return refuse(format!("the group {name:?} has no slots: its kinds would never run"));
        }
        if group.kinds.is_empty() {
            return refuse(format!("the group {name:?} has no kinds: its slots would never be used"));
        }
        if groups[..i].iter().any(|other| other.name == *name) {
            return refuse(format!("two groups are named {name:?}"));
        }
        for (k, kind) in group.kinds.iter().enumerate() {
            if handlers.queues_of(kind).is_empty() {
                return refuse(format!("the group {name:?} has the kind {kind:?}, and no handler does that"));
            }
            if group.kinds[..k].contains(kind) {
                return refuse(format!("the group {name:?} names the kind {kind:?} twice"));
            }
            if let Some(other) = groups[..i].iter().find(|other| other.kinds.contains(kind)) {
                return refuse(format!("the kind {kind:?} is in the groups {:?} and {name:?}", other.name));
            }
        }
    }
    Ok(())
}

/// The queue that a group is of: the only one that the worker serves, or the one that its kinds declare.
fn queue_of<'q, S: 'static>(group: &Group, queues: &'q [(String, usize)], handlers: &Handlers<S>) -> Result<&'q str> {
    if let [(only, _)] = queues {
        return Ok(only);
    }
    let name = &group.name;
    let mut declared: Vec<_> = group.kinds.iter().flat_map(|kind| handlers.queues_of(kind)).collect();
    declared.sort_unstable();
    declared.dedup();
    let [one] = declared.as_slice() else {
        let text = format!("the kinds of the group {name:?} are of several queues: {}", declared.join(", "));
        return refuse(text);
    };
    match queues.iter().find(|(queue, _)| queue == one) {
        Some((queue, _)) => Ok(queue),
        None => refuse(format!(
            "the kinds of the group {name:?} are of the queue {one:?}, which this worker does not serve"
        )),
    }
}

/// What a queue's other slots are for; `None`: there is nothing left that has a handler.
fn rest<S: 'static>(groups: &[&Group], handlers: &Handlers<S>) -> Option<Filter> {
    let grouped = |kind: &String| groups.iter().any(|g| g.kinds.contains(kind));
    let kinds: Vec<_> = handlers.kinds().into_iter().filter(|kind| !grouped(kind)).collect();
    let prefixes = handlers.prefixes();
    let all: Vec<_> = groups.iter().flat_map(|g| &g.kinds).cloned().collect();
    let except = (!all.is_empty()).then_some(all);
    if handlers.takes_any() {
        return Some(Filter { kinds: None, prefixes: None, except });
    }
    if prefixes.is_empty() {
        return (!kinds.is_empty()).then(|| Filter { kinds: Some(kinds), ..Filter::default() });
    }
    Some(Filter { kinds: Some(kinds), prefixes: Some(prefixes), except })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{Ctx, Entry, RawJob};
    use crate::job::Job;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Resize {}
    impl Job for Resize {
        type Output = ();
        const KIND: &'static str = "resize";
        const QUEUE: &'static str = "media";
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Mail {}
    impl Job for Mail {
        type Output = ();
        const KIND: &'static str = "mail";
    }
    async fn resize(_: Resize) {}
    async fn mail(_: Mail) {}
    async fn raw(_: RawJob, _: Ctx<()>) {}

    fn group(name: &str, slots: usize, kinds: &[&str]) -> Group {
        Group { name: name.to_owned(), slots, kinds: kinds.iter().map(ToString::to_string).collect() }
    }

    fn handlers() -> Handlers<()> {
        let mut handlers = Handlers::new();
        handlers.add(resize);
        handlers.add(mail);
        handlers
    }

    fn queue(name: &str, slots: usize) -> (String, usize) {
        (name.to_owned(), slots)
    }

    #[test]
    fn a_group_has_its_own_slots_and_the_rest_is_for_the_other_kinds() {
        let lanes = divide(&[queue("q", 10)], &[group("heavy", 3, &["resize"])], &handlers()).unwrap();
        let shown: Vec<_> = lanes.iter().map(|l| (l.slots, l.filter.kinds.clone().unwrap().join(" "))).collect();
        assert_eq!(shown, [(3, "resize".to_owned()), (7, "mail".to_owned())]);
    }

    #[test]
    fn a_handler_for_many_kinds_leaves_those_of_a_group_alone() {
        let mut handlers = handlers();
        handlers.add_prefix("re".to_owned(), Entry::raw(raw));
        let lanes = divide(&[queue("q", 10)], &[group("heavy", 3, &["resize"])], &handlers).unwrap();
        assert_eq!(lanes[1].filter.prefixes.as_deref(), Some(&["re".to_owned()][..]));
        assert_eq!(lanes[1].filter.except.as_deref(), Some(&["resize".to_owned()][..]));
        handlers.add_any(Entry::raw(raw));
        let lanes = divide(&[queue("q", 10)], &[group("heavy", 3, &["whatever"])], &handlers).unwrap();
        let except = Some(vec!["whatever".to_owned()]);
        assert_eq!(lanes[1].filter, Filter { kinds: None, prefixes: None, except });
    }

    #[test]
    fn a_group_is_of_the_queue_that_its_kinds_declare() {
        let queues = [queue("default", 5), queue("media", 5)];
        let lanes = divide(&queues, &[group("heavy", 3, &["resize"])], &handlers()).unwrap();
        let shown: Vec<_> = lanes.iter().map(|l| (l.queue.as_str(), l.slots)).collect();
        assert_eq!(shown, [("default", 5), ("media", 3), ("media", 2)]);
        let error = divide(&queues, &[group("heavy", 3, &["resize", "mail"])], &handlers()).unwrap_err();
        assert!(error.to_string().contains("several queues: default, media"), "{error}");
    }

    #[test]
    fn groups_that_make_no_sense_are_refused() {
        let (a, b) = (group("a", 2, &["resize"]), group("b", 2, &["resize"]));
        for (groups, slots, text) in [
            (vec![group("a", 0, &["resize"])], 5, "has no slots"),
            (vec![group("a", 1, &[])], 5, "has no kinds"),
            (vec![group("a", 1, &["resiez"])], 5, "the kind \"resiez\", and no handler does that"),
            (vec![group("a", 1, &["mail", "mail"])], 5, "names the kind \"mail\" twice"),
            (vec![a.clone(), b], 5, "is in the groups \"a\" and \"b\""),
            (vec![a.clone(), group("a", 1, &["mail"])], 5, "two groups are named \"a\""),
            (vec![a.clone()], 1, "take 2 of the 1 slots of queue \"q\""),
            (vec![a.clone()], 2, "take all 2 slots of queue \"q\""),
        ] {
            let error = divide(&[queue("q", slots)], &groups, &handlers()).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let both = [a, group("b", 3, &["mail"])];
        assert_eq!(divide(&[queue("q", 5)], &both, &handlers()).unwrap().len(), 2, "nobody else wants a slot");
    }
}
