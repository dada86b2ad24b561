//! A `timestamptz` as microseconds, without a library of dates.
//!
//! Invariant: exact. Limit: times only, no calendar.

use std::time::{Duration, SystemTime};

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// From 1970, which Unix counts from, to 2000, which PostgreSQL counts from.
const EPOCHS_APART: i64 = 946_684_800_000_000;

/// Microseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Micros(pub(crate) i64);

impl Micros {
    /// `None`: too far away to be counted.
    pub(crate) fn of(time: SystemTime) -> Option<Self> {
        let micros = |span: Duration| i64::try_from(span.as_micros()).ok();
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => micros(after).map(Self),
            Err(before) => micros(before.duration()).map(|span| Self(-span)),
        }
    }

    pub(crate) fn time(self) -> SystemTime {
        let span = Duration::from_micros(self.0.unsigned_abs());
        if self.0 < 0 { SystemTime::UNIX_EPOCH - span } else { SystemTime::UNIX_EPOCH + span }
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
    fn compatible(ty: &PgTypeInfo) -> bool {
        use sqlx::TypeInfo;
        ty.name().eq_ignore_ascii_case("timestamptz")
    }
}

impl<'r> Decode<'r, Postgres> for Micros {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let bytes: [u8; 8] = value.as_bytes()?.try_into()?;
                Ok(Self(i64::from_be_bytes(bytes).saturating_add(EPOCHS_APART)))
            }
            PgValueFormat::Text => Err("a time in text format".into()),
        }
    }
}
