//! Whether a text that somebody wrote can be put into parentheses without reaching out of them.
//!
//! Invariant: what passes has its parentheses balanced, outside of strings and comments, as the server's scanner sees
//! them. Limit: it knows nothing else of the language.

/// Says what is not closed.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.contains('\0') {
        return Err("must not contain the character NUL (\\0)");
    }
    let mut depth = 0_usize;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // In names without quotes, too, the next character has no meaning.
            '\\' => drop(rest.next().ok_or("must not end with a backslash")?),
            '"' => string(&mut rest)?,
            '/' if rest.peek() == Some(&'*') => {
                rest.next();
                comment(&mut rest)?;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1).ok_or("must not close a parenthesis that it has not opened")?;
            }
            _ => {}
        }
    }
    if depth == 0 { Ok(()) } else { Err("must close its parentheses") }
}

fn string(rest: &mut impl Iterator<Item = char>) -> Result<(), &'static str> {
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '"' => return Ok(()),
            _ => {}
        }
    }
    Err("must close its strings")
}

fn comment(rest: &mut impl Iterator<Item = char>) -> Result<(), &'static str> {
    let mut before = ' ';
    for c in rest {
        if before == '*' && c == '/' {
            return Ok(());
        }
        before = c;
    }
    Err("must close its comments")
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_closed_passes() {
        for text in [
            "$.a == 1",
            r#"$."a)\"(" == ")" && ($.b[*] > 1)"#,
            "$.a /* ) \" */ == 1",
            r"$.a\) == 1",
            "exists($.a ? (@ > 1))",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_reaches_out_is_refused() {
        for text in [
            "$.a == 1) || (true",
            "($.a == 1",
            r#"$.a == "x"#,
            r#"$.a == "x\""#,
            "$.a == 1 /* ",
            "$.a == 1 /*/",
            "$.a\\",
            "$.a\0 == 1",
            "$.a == 1 /* \" */ ) || (\"\" == \"\"",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
