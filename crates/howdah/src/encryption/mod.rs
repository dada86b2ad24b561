//! Payloads that nobody reads but who has the keys: encrypted before they are sent, decrypted when a job is run.
//!
//! Invariant: with a keyring no payload leaves the process as it is; what cannot be encrypted is refused. Limit: payloads only.
//! Kinds, attributes, keys, outputs, steps, progress, signals and errors are stored as they are.

#[cfg(feature = "encryption")]
mod keyring;

use serde_json::value::RawValue;

use crate::client::Payload;
use crate::error::{Error, Result};
use crate::handler::JobError;

#[cfg(feature = "encryption")]
pub use keyring::Keyring;

/// How an encrypted payload begins, as it is sent and as PostgreSQL writes it.
const MARK: &str = "{\"$encrypted\":";

/// The keyring of a handle, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    #[cfg(feature = "encryption")]
    ring: Option<std::sync::Arc<Keyring>>,
}

#[cfg(feature = "encryption")]
impl Keys {
    pub(crate) fn of(ring: Keyring) -> Self {
        Self { ring: Some(std::sync::Arc::new(ring)) }
    }

    pub(crate) fn are_there(&self) -> bool {
        self.ring.is_some()
    }

    /// As it is to be stored.
    pub(crate) fn seal(&self, kind: &str, payload: Payload) -> Result<Payload> {
        let Some(ring) = &self.ring else { return Ok(payload) };
        let sealed = RawValue::from_string(ring.seal(kind, &payload)?);
        sealed.map(Payload).map_err(|_| Error::invalid("payload", "cannot be encrypted"))
    }

    /// As the handler gets it. An error is one that another attempt would have too.
    pub(crate) fn open(&self, kind: &str, payload: Box<RawValue>) -> Result<Box<RawValue>, JobError> {
        let Some(ring) = &self.ring else { return without_keys(payload) };
        match ring.open(kind, &payload) {
            Ok(None) => Ok(payload),
            Ok(Some(plain)) => Ok(plain),
            Err(why) => Err(JobError::discard(format!("the payload {why}")).kind("encryption")),
        }
    }

    /// As [`Keys::open`], outside of an attempt.
    pub(crate) fn open_for_people(&self, kind: &str, payload: &RawValue) -> Result<Box<RawValue>> {
        let Some(ring) = &self.ring else {
            if is_sealed(payload) {
                return Err(Error::invalid("payload", "is encrypted, and this handle has no keys"));
            }
            return Ok(payload.to_owned());
        };
        let plain = ring.open(kind, payload).map_err(|why| Error::invalid("payload", why.to_string()))?;
        Ok(plain.unwrap_or_else(|| payload.to_owned()))
    }
}

#[cfg(not(feature = "encryption"))]
#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
impl Keys {
    pub(crate) fn are_there(&self) -> bool {
        false
    }

    pub(crate) fn seal(&self, _: &str, payload: Payload) -> Result<Payload> {
        Ok(payload)
    }

    pub(crate) fn open(&self, _: &str, payload: Box<RawValue>) -> Result<Box<RawValue>, JobError> {
        without_keys(payload)
    }
}

impl Keys {
    /// As [`Keys::open`]; what is wrong comes in the place of what was wrong before, if anything.
    pub(crate) fn open_or(
        &self,
        kind: &str,
        payload: Box<RawValue>,
        wrong: Option<JobError>,
    ) -> (Box<RawValue>, Option<JobError>) {
        match self.open(kind, payload) {
            Ok(payload) => (payload, wrong),
            Err(error) => (RawValue::NULL.to_owned(), Some(error)),
        }
    }

    /// Refuses what would have to be stored as it is.
    pub(crate) fn refuse(&self, field: &str, why: &str) -> Result<()> {
        if self.are_there() { Err(Error::invalid(field, why)) } else { Ok(()) }
    }
}

/// What who has no keys reads. Not left to the type: one whose fields all have a default fits whatever was encrypted.
fn without_keys(payload: Box<RawValue>) -> Result<Box<RawValue>, JobError> {
    if is_sealed(&payload) {
        return Err(JobError::discard("the payload is encrypted, and this worker has no keys").kind("encryption"));
    }
    Ok(payload)
}

fn is_sealed(payload: &RawValue) -> bool {
    payload.get().starts_with(MARK)
}
