//! What is printed in the place of what must not be seen in a log: payloads, outputs, passwords.
//!
//! Invariant: nothing here prints what it hides, in `Debug` either. Limit: who asks for the content itself may print it.

use std::fmt;

/// Stands for something that is there and is not shown.
pub(crate) struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// `Debug` for a struct some of whose fields are hidden.
macro_rules! debug_hiding {
    ($type:ident { $($shown:ident),* $(,)? } hides { $($hidden:ident),* $(,)? }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Named, so that a new field is thought about.
                let Self { $($shown),*, $($hidden: _),* } = self;
                f.debug_struct(stringify!($type))
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($hidden), &$crate::hidden::Hidden))*
                    .finish()
            }
        }
    };
}
pub(crate) use debug_hiding;
