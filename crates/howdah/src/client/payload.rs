//! Payloads on their way to the database.
//!
//! Invariant: what is encoded here is JSON that PostgreSQL can store. Limit: the queue's own limit
//! (`max_payload_bytes`) is known to the server only; here is only what no queue takes.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::hidden::Hidden;

/// The most that any queue may allow: 64 MiB.
const MOST_BYTES: usize = 64 << 20;

/// A payload, or why it cannot be one. The error is told when the enqueue is awaited.
pub(crate) type Encoded = Result<Payload>;

/// JSON that is not printed by `Debug`.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Payload(pub(crate) Box<RawValue>);

impl Deref for Payload {
    type Target = RawValue;
    fn deref(&self) -> &RawValue {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hidden.fmt(f)
    }
}

pub(crate) fn encode(value: &(impl Serialize + ?Sized)) -> Encoded {
    let raw = serde_json::value::to_raw_value(value)
        .map_err(|e| Error::invalid("payload", format!("cannot be written as JSON: {e}")))?;
    if raw.get().len() >= MOST_BYTES {
        return Err(Error::Invalid {
            field: "payload".to_owned(),
            message: format!("is {} bytes, and no queue takes {MOST_BYTES} or more", raw.get().len()),
            hint: "Store large data elsewhere and enqueue its key".to_owned(),
        });
    }
    if has_nul(raw.get()) {
        return Err(Error::invalid(
            "payload",
            "has the character NUL (\\u0000) in a string, which PostgreSQL cannot store as JSON",
        ));
    }
    Ok(Payload(raw))
}

/// A payload for where none is looked at.
pub(super) fn nothing() -> Encoded {
    Ok(Payload(RawValue::NULL.to_owned()))
}

/// Whether JSON has an escaped NUL: `\u0000` after an even number of backslashes.
pub(crate) fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json.as_bytes()[..at].iter().rev().take_while(|b| **b == b'\\').count();
        before % 2 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_and_its_spelling_is_not_mistaken_for_one() {
        assert!(encode("a\0b").unwrap_err().to_string().starts_with("payload: has the character NUL"));
        assert!(encode("a\\\0").is_err());
        assert!(encode("a\\u0000").is_ok());
    }
}
