//! Names and passwords of one's own: for a dashboard that is not part of an application that knows its users.
//!
//! Invariant: passwords are kept as hashes, and compared in constant time. Limit: they come from the environment, and are changed
//! by a restart.

use std::fmt;
use std::str::FromStr;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::access::{Role, Visitor};

/// Who may come in with which password or token.
#[derive(Clone, Default)]
pub struct Keys {
    people: Vec<(String, Role, [u8; 32])>,
    tokens: Vec<(Role, [u8; 32])>,
}

/// Shows who there is, and no hash.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people: Vec<_> = self.people.iter().map(|(name, role, _)| (name, role)).collect();
        f.debug_struct("Keys").field("people", &people).field("tokens", &self.tokens.len()).finish()
    }
}

/// What is wrong with a list of people. It does not quote the list, which holds passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not `name:role:password`.
    #[error("entry {0} must be name:role:password, with a role of read, operate or admin")]
    NoEntry(usize),
    /// A password or a token of less than 8 bytes.
    #[error("a password or token must have at least 8 characters")]
    TooShort,
    /// Two of the same name.
    #[error("entry {0} has a name that was given before")]
    Twice(usize),
}

/// Shorter ones are guessed.
const SHORTEST: usize = 8;
/// Of a name that the audit is to hold, in bytes.
const LONGEST_NAME: usize = 128;

impl Keys {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever has this token may do what the role says. In a browser it is the password, with any name, which the audit
    /// then says; programs send it as `Authorization: Bearer`.
    ///
    /// # Errors
    /// [`KeyError::TooShort`].
    pub fn token(mut self, token: &str, role: Role) -> Result<Self, KeyError> {
        if token.len() < SHORTEST {
            return Err(KeyError::TooShort);
        }
        self.tokens.push((role, digest(token)));
        Ok(self)
    }

    /// The same, with no more rights than this role has.
    #[must_use]
    pub fn at_most(mut self, most: Role) -> Self {
        let roles = self.people.iter_mut().map(|(_, role, _)| role).chain(self.tokens.iter_mut().map(|(role, _)| role));
        for role in roles {
            *role = (*role).min(most);
        }
        self
    }

    /// Whether nobody would be let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.tokens.is_empty()
    }

    /// Who sends these headers; `None`: nobody who is known.
    #[must_use]
    pub fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, rest) = value.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Visitor::new("token", self.token_role(rest.trim())?));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        let (name, password) = pair.split_once(':')?;
        if name.len() > LONGEST_NAME || name.contains(char::is_control) {
            return None;
        }
        if let Some((_, role, hash)) = self.people.iter().find(|(known, _, _)| known == name) {
            return same(hash, &digest(password)).then(|| Visitor::new(name, *role));
        }
        let name = if name.is_empty() { "token" } else { name };
        Some(Visitor::new(name, self.token_role(password)?))
    }

    fn token_role(&self, token: &str) -> Option<Role> {
        let hash = digest(token);
        self.tokens.iter().find(|(_, known)| same(known, &hash)).map(|(role, _)| *role)
    }
}

/// `ann:admin:correct horse,bob:read:battery staple`; also with line breaks between them. A password has no comma.
impl FromStr for Keys {
    type Err = KeyError;

    fn from_str(list: &str) -> Result<Self, KeyError> {
        let mut keys = Self::new();
        let entries = list.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        for (at, entry) in entries.enumerate() {
            let mut parts = entry.splitn(3, ':');
            let (Some(name), Some(role), Some(password)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(KeyError::NoEntry(at + 1));
            };
            let role = [Role::Read, Role::Operate, Role::Admin].into_iter().find(|known| known.as_str() == role);
            let (Some(role), false) = (role, name.is_empty()) else { return Err(KeyError::NoEntry(at + 1)) };
            if password.len() < SHORTEST {
                return Err(KeyError::TooShort);
            }
            if keys.people.iter().any(|(known, _, _)| known == name) {
                return Err(KeyError::Twice(at + 1));
            }
            keys.people.push((name.to_owned(), role, digest(password)));
        }
        Ok(keys)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Whether hashes are the same. What their comparison would tell of time says nothing of what was hashed.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(keys: &Keys, value: &str) -> Option<Visitor> {
        keys.visitor(&[(AUTHORIZATION, value.parse().unwrap())].into_iter().collect())
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn who_has_a_password_or_a_token_is_let_in_and_nobody_else() {
        let keys: Keys = "ann:admin:correct:horse, bob:read:battery staple\n".parse().unwrap();
        let keys = keys.token("tok-12345", Role::Operate).unwrap();
        assert_eq!(visitor(&keys, &basic("ann:correct:horse")), Some(Visitor::new("ann", Role::Admin)));
        assert_eq!(visitor(&keys, &basic("bob:battery staple")), Some(Visitor::new("bob", Role::Read)));
        assert_eq!(visitor(&keys, &basic("eve:tok-12345")), Some(Visitor::new("eve", Role::Operate)));
        assert_eq!(visitor(&keys, &basic(":tok-12345")), Some(Visitor::new("token", Role::Operate)));
        assert_eq!(visitor(&keys, "Bearer tok-12345"), Some(Visitor::new("token", Role::Operate)));
        // A token is no password of somebody who has one.
        for wrong in ["e\0ve:tok-12345", "ann:tok-12345", "ann:", "bob:correct:horse", "eve:correct:horse", "ann", ""] {
            assert_eq!(visitor(&keys, &basic(wrong)), None, "{wrong}");
        }
        for wrong in ["Bearer", "Bearer ", "Bearer x", "Basic é", "Digest tok-12345"] {
            assert_eq!(
                keys.visitor(
                    &[(AUTHORIZATION, axum::http::HeaderValue::from_bytes(wrong.as_bytes()).unwrap())]
                        .into_iter()
                        .collect()
                ),
                None
            );
        }
        assert!(!format!("{keys:?}").contains("horse"));
    }

    #[test]
    fn a_list_that_is_wrong_is_refused_without_quoting_it() {
        assert_eq!("ann:admin".parse::<Keys>().unwrap_err(), KeyError::NoEntry(1));
        assert_eq!("ann:root:12345678".parse::<Keys>().unwrap_err(), KeyError::NoEntry(1));
        assert_eq!("ann:read:12345678,:read:12345678".parse::<Keys>().unwrap_err(), KeyError::NoEntry(2));
        assert_eq!("ann:read:1234567".parse::<Keys>().unwrap_err(), KeyError::TooShort);
        assert_eq!("ann:read:12345678,ann:read:12345678".parse::<Keys>().unwrap_err(), KeyError::Twice(2));
        assert_eq!(Keys::new().token("short", Role::Read).unwrap_err(), KeyError::TooShort);
        assert!("".parse::<Keys>().unwrap().is_empty());
    }
}
