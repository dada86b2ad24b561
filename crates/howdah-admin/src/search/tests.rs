//! The language by itself: what is read, what is refused and where, and that nothing makes it stumble.

use rand::prelude::*;
use rand::rngs::StdRng;

use super::json::JsonTest;
use super::pattern::Pattern;
use super::range::{Edge, Range};
use super::value::{Length, Moment};
use super::*;

fn read(text: &str) -> Search {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> (String, String) {
    let error = text.parse::<Search>().expect_err(text);
    (text[error.span()].to_owned(), error.message().to_owned())
}

#[test]
fn a_search_is_printed_in_its_canonical_form() {
    for (typed, printed) in [
        ("", ""),
        ("  kind:send_email\tstate:dead \n", "kind:send_email state:dead"),
        ("kind:send_*,\"a b\",\"*\"", "kind:send_*,\"a b\",\"*\""),
        ("kind:a**b kind:\"x\"y", "kind:a*b kind:xy"),
        ("-state:completed,dead -boo", "-state:completed,dead -boo"),
        ("\"timed out\" \"-x\" \"a:b\" 42 \"OR\"", "\"timed out\" \"-x\" \"a:b\" 42 \"OR\""),
        ("attempt:>3,=1,<=2,5..7,9..,*", "attempt:>3,1,<=2,5..7,>=9,*"),
        ("age:>90m run:<1500ms age:0s", "age:>1h30m run:<1s500ms age:0s"),
        ("enqueued:>2026-01-01 due:<+1h ended:-1d..now", "enqueued:>2026-01-01 due:<+1h ended:-1d..now"),
        ("enqueued:\"2026-01-31 10:00\"", "enqueued:2026-01-31T10:00:00Z"),
        ("enqueued:2026-01-31T10:00+02:00", "enqueued:2026-01-31T08:00:00Z"),
        ("after:2026-01-01 before:-1h", "enqueued:>=2026-01-01 enqueued:<-1h"),
        ("args.user.id:42,\"42\",null,true,*,>5,1..2", "args.user.id:42,\"42\",null,true,*,>5,1..2"),
        ("args.\"user name\".\"a.b\":x attr.day:>\"2026\"", "args.\"user name\".\"a.b\":x attr.day:>\"2026\""),
        ("args.n:>x args.n:007 args.n:1e5", "args.n:>\"x\" args.n:007 args.n:1e5"),
        ("error:\"say \\\"no\\\" C:\\temp\"", "error:\"say \\\"no\\\" C:\\\\temp\""),
    ] {
        assert_eq!(read(typed).to_string(), printed, "{typed}");
        assert_eq!(read(printed), read(typed), "{typed}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, place, message) in [
        ("a stat:dead", "stat", "did you mean state?"),
        ("knd:x", "knd", "did you mean kind?"),
        ("frobnicate:x", "frobnicate", "there are kind, state,"),
        ("kind.x:y", "kind.x", "there are kind"),
        ("state:ready,daed", "daed", "did you mean dead?"),
        ("state:*", "*", "there are scheduled,"),
        ("kind:", "kind:", "a value belongs behind kind:"),
        ("kind:a,,b", "kind:a,", "a value belongs behind kind:"),
        ("x :y", ":", "a field belongs before the colon"),
        ("kind:\"a b", "\"a b", "not closed"),
        ("- x", "-", "a - belongs before a term"),
        ("attempt:x", "x", "is no whole number"),
        ("attempt:>", ">", "something belongs behind >"),
        ("attempt:..", "..", "a range needs an end"),
        ("age:10", "10", "is no length of time"),
        ("age:99999999999w", "99999999999w", "a thousand years"),
        ("due:tomorrow", "tomorrow", "is no time"),
        ("after:>2026-01-01", ">2026-01-01", "is no time"),
        ("due:2026-02-30", "2026-02-30", "is no time"),
        ("kind:>a", ">a", "is for numbers and times"),
        ("args:x", "args", "args needs a path"),
        ("args..x:y", "args..x", "on both sides of a dot"),
        ("args.x:>a*", ">a*", "a star cannot stand behind >"),
        ("state:dead OR state:ready", "OR", "there is no OR between terms"),
        ("(state:dead)", "(state", "there is no field"),
        ("(x y)", "(x", "cannot be grouped"),
        ("state=dead", "state=dead", "did you mean state:dead?"),
        ("attempt>=3", "attempt>=3", "did you mean attempt:>=3?"),
        ("*", "*", "a word needs a letter"),
        ("a\0b", "\0", "NUL"),
        ("kind:*a*b*c*d*e*f*g*h*i", "*a*b*c*d*e*f*g*h*i", "at most 8 stars"),
    ] {
        let (found, told) = refused(text);
        assert_eq!(found, place, "{text}: {told}");
        assert!(told.contains(message), "{text}: {told}");
    }
    let error = "kind:send_email  stat:dead".parse::<Search>().unwrap_err().to_string();
    assert!(error.ends_with("\n  kind:send_email  stat:dead\n                   ^^^^"), "{error}");
}

#[test]
fn a_search_has_bounds() {
    let refused = |text: String| text.parse::<Search>().expect_err("too much").message().to_owned();
    assert!(refused("x".repeat(MOST_BYTES + 1)).contains("4096 bytes"));
    assert!(refused("ä".repeat(MOST_BYTES)).contains("4096 bytes"));
    assert!(refused("x ".repeat(MOST_TERMS + 1)).contains("50 terms"));
    assert!(refused(format!("id:{}1", "1,".repeat(MOST_VALUES))).contains("100 values"));
    assert!(refused(format!("args{}:1", ".a".repeat(17))).contains("16 parts"));
    assert_eq!(read(&"x ".repeat(MOST_TERMS)).terms.len(), MOST_TERMS);
}

/// Bits of which texts are made that come close to the language.
const BITS: &[&str] = &[
    "kind",
    "state",
    "dead",
    "args",
    "attr",
    "id",
    "age",
    "enqueued",
    ":",
    ":",
    ":",
    ".",
    "..",
    ",",
    "\"",
    "\"",
    "\\",
    "*",
    "-",
    "-",
    " ",
    " ",
    "\n",
    "\u{3000}",
    ">",
    ">=",
    "<",
    "=",
    "1",
    "42",
    "0",
    "10m",
    "9999999999999999999",
    "2026-01-01",
    "T10:00",
    "Z",
    "now",
    "+1h",
    "null",
    "true",
    "ä",
    "🐘",
    "\u{202e}",
    "\u{1}",
    "(",
    ")",
    "OR",
    "$.",
    "'",
    ";",
    "--",
    "%",
];

#[test]
fn no_text_makes_it_stumble_and_what_is_read_is_printed_as_the_same() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut good = 0;
    for _ in 0..60_000 {
        let text: String = (0..rng.random_range(0..14)).map(|_| *BITS.choose(&mut rng).unwrap()).collect();
        match text.parse::<Search>() {
            Ok(search) => {
                good += 1;
                let printed = search.to_string();
                assert_eq!(printed.parse::<Search>().as_ref(), Ok(&search), "{text:?} printed as {printed:?}");
                assert_eq!(printed.parse::<Search>().unwrap().to_string(), printed, "{text:?}");
                let _ = search.compiled();
            }
            // It can be shown, and its place is one.
            Err(error) => assert!(!error.to_string().is_empty() && text.get(error.span()).is_some(), "{text:?}"),
        }
        let _ = crate::complete::place(&text, rng.random_range(0..=text.len() + 2));
    }
    assert!(good > 5_000, "only {good} were searches");
}

fn some_text(rng: &mut StdRng) -> String {
    (0..rng.random_range(1..4)).map(|_| *BITS.choose(rng).unwrap()).collect()
}

fn some_pattern(rng: &mut StdRng) -> Pattern {
    let parts = rng.random_range(1..4);
    let last = parts - 1;
    let part = |n: usize, rng: &mut StdRng| {
        let empty = (n == 0 || n == last) && rng.random_bool(0.5);
        if empty { String::new() } else { some_text(rng) }
    };
    Pattern::of((0..parts).map(|n| part(n, rng)).collect())
}

fn some_range<T: Clone + PartialEq>(rng: &mut StdRng, one: impl Fn(&mut StdRng) -> T) -> Range<T> {
    let (from, to) = (one(rng), one(rng));
    match rng.random_range(0..7) {
        0 => Range { from: Edge::Open, to: Edge::Open },
        1 => Range { from: Edge::With(from), to: Edge::Open },
        2 => Range { from: Edge::Without(from), to: Edge::Open },
        3 => Range { from: Edge::Open, to: Edge::With(to) },
        4 => Range { from: Edge::Open, to: Edge::Without(to) },
        5 => Range { from: Edge::With(from), to: Edge::With(to) },
        _ => Range::only(from),
    }
}

fn some_length(rng: &mut StdRng) -> Length {
    Length(rng.random_range(0..1_000_000_000))
}

fn some_moment(rng: &mut StdRng) -> Moment {
    match rng.random_range(0..5) {
        0 => Moment::At(rng.random_range(-10_000_000_000_000_000..10_000_000_000_000_000)),
        1 => Moment::Day(jiff::civil::date(rng.random_range(1..3000), 2, rng.random_range(1..=28))),
        2 => Moment::Now,
        3 => Moment::Ago(some_length(rng)),
        _ => Moment::Ahead(some_length(rng)),
    }
}

fn some_json(rng: &mut StdRng) -> JsonTest {
    let number = |rng: &mut StdRng| format!("{}.{}", rng.random_range(-99..99), rng.random_range(0..99));
    match rng.random_range(0..6) {
        0 => JsonTest::Exists,
        1 => JsonTest::Null,
        2 => JsonTest::Bool(rng.random()),
        3 => JsonTest::Number(Range { from: Edge::With(number(rng)), to: Edge::With(number(rng)) }),
        4 => JsonTest::Order(Range::compared([">", ">=", "<", "<="].choose(rng).unwrap(), some_text(rng))),
        _ => {
            let pattern = some_pattern(rng);
            if pattern.is_any() { JsonTest::Exists } else { JsonTest::Text(pattern) }
        }
    }
}

fn some_test(rng: &mut StdRng) -> Test {
    let info = *fields().choose(rng).unwrap();
    let several = rng.random_range(1..4);
    let document = if rng.random() { Document::Args } else { Document::Attr };
    match rng.random_range(0..3) {
        0 => {
            let path = (0..several).map(|_| some_text(rng)).collect();
            Test::Json(document, path, (0..several).map(|_| some_json(rng)).collect())
        }
        1 => loop {
            let pattern = some_pattern(rng);
            if !pattern.is_blank() {
                break Test::Word(pattern);
            }
        },
        _ => match info.takes {
            Takes::Text | Takes::Part => Test::Text(info.field, (0..several).map(|_| some_pattern(rng)).collect()),
            Takes::State => Test::State((0..several).map(|_| *STATES.choose(rng).unwrap()).collect()),
            Takes::Number => {
                Test::Number(info.field, (0..several).map(|_| some_range(rng, |r| r.random::<i64>())).collect())
            }
            Takes::Length => Test::Length(info.field, (0..several).map(|_| some_range(rng, some_length)).collect()),
            Takes::Time => Test::Time(info.field, (0..several).map(|_| some_range(rng, some_moment)).collect()),
        },
    }
}

#[test]
fn every_search_can_be_written_down() {
    let mut rng = StdRng::seed_from_u64(11);
    for _ in 0..20_000 {
        let terms =
            (0..rng.random_range(0..4)).map(|_| Term { negated: rng.random(), test: some_test(&mut rng) }).collect();
        let search = Search { terms };
        let printed = search.to_string();
        assert_eq!(printed.parse::<Search>().as_ref(), Ok(&search), "{printed:?}");
    }
}

#[test]
fn every_field_is_described() {
    for info in fields() {
        assert_eq!(info.field.name(), info.name);
        assert!(read(info.example).to_string().starts_with(info.name), "{}", info.example);
    }
}

#[test]
fn a_search_looks_only_where_its_terms_lead() {
    let compiled = |text: &str| read(text).compiled();
    assert_eq!(compiled(""), serde_json::json!({}));
    assert_eq!(
        compiled("-state:completed,cancelled,expired state:dead,ready,expired"),
        serde_json::json!({"states": ["ready", "dead"]})
    );
    let found = compiled("id:300,5 kind:a,b -queue:q queue:x*");
    assert_eq!(found["ids"], serde_json::json!([300, 5]));
    assert_eq!(found["kinds"], serde_json::json!(["a", "b"]));
    assert_eq!((&found["from_id"], &found["upto_id"]), (&serde_json::json!(5), &serde_json::json!(300)));
    assert!(found.get("queues").is_none());
    assert_eq!(compiled("id:>7 id:..9")["from_id"], 7);
    assert_eq!(compiled("id:>7 id:..9")["upto_id"], 9);
    assert!(compiled("-id:7").get("ids").is_none());
}
