//! The keys, and what they do: XChaCha20-Poly1305 with a random nonce of 192 bits.
//!
//! Invariant: what was encrypted for one kind is read for no other, and a changed byte anywhere is noticed. Limit: who has a
//! key reads everything that was encrypted with it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload as Message};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::MARK;
use crate::error::{Error, Result};

const NONCE: usize = 24;

/// The keys for payloads: new jobs are encrypted with the newest, and old ones are read with whichever they were encrypted with.
///
/// ```
/// use howdah::Keyring;
///
/// # fn main() -> Result<(), howdah::Error> {
/// # let (old, new) = ([1; 32], [2; 32]);
/// // To change keys: first give every worker the new one with `and`, then make it the newest everywhere, and forget the old one
/// // when no job is left that was encrypted with it.
/// let keys = Keyring::new("2027", &new)?.and("2026", &old)?;
/// # Ok(())
/// # }
/// ```
pub struct Keyring {
    keys: Vec<(String, XChaCha20Poly1305)>,
    refuse_plain: bool,
}

/// What is stored: `{"$encrypted": {"v": 1, "key": "2026", "data": base64 of nonce and ciphertext}}`.
#[derive(Serialize, Deserialize)]
struct Stored<'p> {
    #[serde(rename = "$encrypted", borrow)]
    sealed: Sealed<'p>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'p> {
    v: u8,
    #[serde(borrow)]
    key: std::borrow::Cow<'p, str>,
    #[serde(borrow)]
    data: std::borrow::Cow<'p, str>,
}

/// Why a payload cannot be read. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreadable {
    Plain,
    NoKey(String),
    Changed,
    Version,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("is not encrypted, and the keyring refuses such"),
            Self::NoKey(id) => write!(f, "is encrypted with the key {id:?}, which is not in the keyring"),
            Self::Changed => f.write_str(
                "cannot be decrypted: it was changed, belongs to a job of another kind, or the key of this id is another one",
            ),
            Self::Version => f.write_str("is encrypted in a way that this release does not know"),
        }
    }
}

impl Keyring {
    /// A keyring with this key, which is the newest. `id` is written beside each payload, to find the key again: 1 to 64
    /// bytes; `key` comes from a good random generator, or a vault.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is empty or too long.
    pub fn new(id: impl Into<String>, key: &[u8; 32]) -> Result<Self> {
        Self { keys: Vec::new(), refuse_plain: false }.and(id, key)
    }

    /// Adds another key, to read what was encrypted with it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that is empty, too long, or in the keyring already.
    pub fn and(mut self, id: impl Into<String>, key: &[u8; 32]) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > 64 || id.contains('\0') {
            return Err(Error::invalid("key", "its id must be 1 to 64 bytes without NUL"));
        }
        if self.keys.iter().any(|(other, _)| *other == id) {
            return Err(Error::invalid("key", format!("the keyring has two keys with the id {id:?}")));
        }
        self.keys.push((id, XChaCha20Poly1305::new(key.into())));
        Ok(self)
    }

    /// Refuses payloads that are not encrypted. Without it they are read as they are, so that a queue can begin to encrypt while
    /// it has jobs; with it, who can write into the database but has no key can make no job that is run.
    #[must_use]
    pub fn refuse_plain(mut self) -> Self {
        self.refuse_plain = true;
        self
    }

    pub(super) fn seal(&self, kind: &str, json: &RawValue) -> Result<String> {
        let mut data = vec![0; NONCE];
        rand::rng().fill_bytes(&mut data);
        let (id, cipher) = self.keys.first().ok_or_else(|| Error::invalid("key", "the keyring is empty"))?;
        let nonce = XNonce::try_from(&data[..]).map_err(|_| Error::invalid("payload", "cannot be encrypted"))?;
        let message = Message { msg: json.get().as_bytes(), aad: &bound(kind, id) };
        let sealed = cipher.encrypt(&nonce, message).map_err(|_| Error::invalid("payload", "cannot be encrypted"))?;
        data.extend_from_slice(&sealed);
        let sealed = Sealed { v: 1, key: id.into(), data: STANDARD.encode(&data).into() };
        serde_json::to_string(&Stored { sealed }).map_err(|_| Error::invalid("payload", "cannot be encrypted"))
    }

    /// `None`: it is not encrypted.
    pub(super) fn open(&self, kind: &str, json: &RawValue) -> Result<Option<Box<RawValue>>, Unreadable> {
        if !json.get().starts_with(MARK) {
            return if self.refuse_plain { Err(Unreadable::Plain) } else { Ok(None) };
        }
        let Stored { sealed } = serde_json::from_str(json.get()).map_err(|_| Unreadable::Version)?;
        if sealed.v != 1 {
            return Err(Unreadable::Version);
        }
        let found = self.keys.iter().find(|(id, _)| *id == sealed.key);
        let (id, cipher) = found.ok_or_else(|| Unreadable::NoKey(sealed.key.chars().take(64).collect()))?;
        let data = STANDARD.decode(sealed.data.as_bytes()).map_err(|_| Unreadable::Changed)?;
        let (nonce, text) = data.split_at_checked(NONCE).ok_or(Unreadable::Changed)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| Unreadable::Changed)?;
        let message = Message { msg: text, aad: &bound(kind, id) };
        let plain = cipher.decrypt(&nonce, message).map_err(|_| Unreadable::Changed)?;
        let plain = String::from_utf8(plain).map_err(|_| Unreadable::Changed)?;
        RawValue::from_string(plain).map(Some).map_err(|_| Unreadable::Changed)
    }
}

/// What is not encrypted and cannot be changed either.
fn bound(kind: &str, key: &str) -> Vec<u8> {
    // The lengths are said, so that no two pairs are the same bytes.
    format!("howdah payload 1:{}:{kind}:{key}", kind.len()).into_bytes()
}

/// The ids; no key.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id).collect();
        f.debug_struct("Keyring").field("ids", &ids).field("refuse_plain", &self.refuse_plain).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn what_is_sealed_is_read_with_its_key_after_it_was_followed_by_another() {
        let text = raw(r#"{"card": "4111"}"#);
        let sealed = raw(&Keyring::new("a", &OLD).unwrap().seal("pay", &text).unwrap());
        assert!(!sealed.get().contains("4111"), "{sealed}");
        let both = Keyring::new("b", &NEW).unwrap().and("a", &OLD).unwrap();
        assert_eq!(both.open("pay", &sealed).unwrap().unwrap().get(), text.get());
        assert!(both.seal("pay", &text).unwrap().contains(r#""key":"b""#));
        assert_ne!(both.seal("pay", &text).unwrap(), both.seal("pay", &text).unwrap());
        assert!(Keyring::new("b", &NEW).unwrap().and("b", &OLD).is_err() && Keyring::new("", &NEW).is_err());
        assert_eq!(format!("{both:?}"), r#"Keyring { ids: ["b", "a"], refuse_plain: false, .. }"#);
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        let keys = Keyring::new("a", &OLD).unwrap();
        let sealed = keys.seal("pay", &raw("1")).unwrap();
        assert_eq!(keys.open("refund", &raw(&sealed)).unwrap_err(), Unreadable::Changed);
        let wrong = Keyring::new("a", &NEW).unwrap();
        assert_eq!(wrong.open("pay", &raw(&sealed)).unwrap_err(), Unreadable::Changed);
        assert_eq!(
            Keyring::new("b", &OLD).unwrap().open("pay", &raw(&sealed)).unwrap_err(),
            Unreadable::NoKey("a".into())
        );
        let at = sealed.find("data\":\"").unwrap() + 7;
        for n in at..sealed.len() - 3 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[n] = if bytes[n] == b'A' { b'B' } else { b'A' };
            let changed = keys.open("pay", &raw(&String::from_utf8(bytes).unwrap()));
            assert_eq!(changed.unwrap_err(), Unreadable::Changed, "byte {n}");
        }
        assert_eq!(
            keys.open("pay", &raw(r#"{"$encrypted":{"v":2,"key":"a","data":""}}"#)).unwrap_err(),
            Unreadable::Version
        );
        assert_eq!(
            keys.open("pay", &raw(r#"{"$encrypted":{"v":1,"key":"a","data":""}}"#)).unwrap_err(),
            Unreadable::Changed
        );
        assert_eq!(keys.open("pay", &raw("1")).unwrap().map(|_| ()), None);
        assert_eq!(keys.refuse_plain().open("pay", &raw("1")).unwrap_err(), Unreadable::Plain);
    }
}
