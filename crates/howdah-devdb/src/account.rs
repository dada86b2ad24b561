//! The account a private server runs as.
//!
//! Invariant: never root, which PostgreSQL refuses. Limit: as root it takes `postgres` or
//! `nobody`, and adds no account of its own.

use nix::unistd::{User, geteuid};

use crate::error::{Error, Result};

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user we are.
    Own,
    /// Another one, as we are root.
    Other {
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
}

impl Account {
    /// Ourselves, or for root the first of `postgres` and `nobody` that there is.
    ///
    /// # Errors
    /// [`Error::NoAccount`] when root has neither.
    pub(crate) fn for_server() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::Own);
        }
        ["postgres", "nobody"]
            .iter()
            .filter_map(|name| User::from_name(name).ok().flatten())
            .find(|user| !user.uid.is_root())
            .map(|user| Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
            .ok_or(Error::NoAccount)
    }
}
