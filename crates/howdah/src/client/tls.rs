//! How connections are made: what the URL says about TLS, taken as PostgreSQL's own clients take it.
//!
//! Invariant: a root certificate that is given is never ignored. Limit: the system's certificates are trusted beside it.

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Reads options as PostgreSQL's own clients do: `sslmode=require` with an `sslrootcert` verifies the server's certificate
/// against it, as `verify-ca` does, and `sslmode=allow` uses TLS where the server has it, as `prefer` does. Says in the log if
/// the connection to another machine may be read by others, since anybody on the way can turn TLS off: only
/// `sslmode=verify-full` keeps them out. [`Howdah::connect`](crate::Howdah::connect) does this by itself; call it on options
/// for a pool of your own.
#[must_use]
pub fn strict_tls(options: PgConnectOptions) -> PgConnectOptions {
    let options = match options.get_ssl_mode() {
        PgSslMode::Require if has_root(&options) => options.ssl_mode(PgSslMode::VerifyCa),
        PgSslMode::Allow => options.ssl_mode(PgSslMode::Prefer),
        _ => options,
    };
    if !is_local(&options) && matches!(options.get_ssl_mode(), PgSslMode::Prefer | PgSslMode::Disable) {
        tracing::warn!(
            host = options.get_host(),
            "the connection may be unencrypted: say sslmode=verify-full in the URL"
        );
    }
    options
}

/// Only the URL tells.
fn has_root(options: &PgConnectOptions) -> bool {
    use sqlx::ConnectOptions;
    options.to_url_lossy().query_pairs().any(|(key, _)| key == "sslrootcert")
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address.is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(query: &str) -> String {
        let options: PgConnectOptions = format!("postgres://u@db.example/x?{query}").parse().unwrap();
        format!("{:?}", strict_tls(options).get_ssl_mode())
    }

    #[test]
    fn a_root_certificate_is_never_ignored() {
        assert_eq!(mode("sslmode=require"), "Require");
        assert_eq!(mode("sslmode=require&sslrootcert=/x.pem"), "VerifyCa");
        assert_eq!(mode("sslmode=verify-full&sslrootcert=/x.pem"), "VerifyFull");
        assert_eq!(mode("sslmode=allow"), "Prefer");
        assert_eq!(mode("sslmode=disable"), "Disable");
    }

    #[test]
    fn another_machine_is_told_from_this_one() {
        for (url, local) in [
            ("postgres://u@localhost/x", true),
            ("postgres://u@127.0.0.9/x", true),
            ("postgres://u@[::1]/x", true),
            ("postgres:///x?host=/run/postgresql", true),
            ("postgres://u@10.0.0.1/x", false),
            ("postgres://u@localhost.example/x", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), local, "{url}");
        }
    }
}
