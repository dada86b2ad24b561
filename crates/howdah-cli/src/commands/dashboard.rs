//! `howdah dashboard`: look at the queue and operate it in a browser.
//!
//! Invariant: who has not said who they are is let in from this machine only, and only under its own names. Limit: it speaks HTTP; TLS
//! is for a proxy before it.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use howdah_dashboard::{Keys, Role, Visitor};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Answer, told_to_stop};
use crate::args::Global;
use crate::connect;
use crate::dotenv::Variables;
use crate::failure::{Failure, Result};
use crate::output::Output;

const TOKEN: &str = "HOWDAH_DASHBOARD_TOKEN";
const USERS: &str = "HOWDAH_DASHBOARD_USERS";

/// How to serve it.
#[derive(Debug, Args)]
pub(crate) struct Dashboard {
    /// Where to listen; port 0: any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Let whoever has this token do everything; in a browser it is the password, with any name. Others on this machine see what is
    /// typed here [env: HOWDAH_DASHBOARD_TOKEN; people with roles: HOWDAH_DASHBOARD_USERS=ann:admin:PASSWORD,bob:read:PASSWORD]
    // Not through clap, whose help would show the value.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Let nobody change anything
    #[arg(long)]
    read_only: bool,
    /// Do not show what has this name in payloads and results; may be given several times
    #[arg(long, value_name = "NAME")]
    hide: Vec<String>,
    /// Answer to this host name only (and, with nobody to say who they are, to localhost); may be given several times
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// The path under which a proxy serves it, if the proxy takes it away
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
}

pub(crate) async fn run(global: &Global, out: Output, wished: Dashboard) -> Result<Answer> {
    let keys = keys(&wished)?;
    if keys.is_empty() && !is_loopback(wished.listen.ip()) {
        return Err(Failure::usage(format!("anybody who reaches {} could operate the queue", wished.listen)).hint(format!(
            "set {TOKEN}, or {USERS}=ann:admin:PASSWORD,bob:read:PASSWORD; or listen on 127.0.0.1 behind a proxy that asks who they are"
        )));
    }
    let howdah = connect::to_queue(global).await?;
    let listener = TcpListener::bind(wished.listen).await;
    let listener = listener.map_err(|e| Failure::no(format!("cannot listen on {}: {e}", wished.listen)))?;
    let address = listener.local_addr().map_err(|e| Failure::no(e.to_string()))?;
    let url = format!(
        "http://{address}{}/",
        wished.prefix.as_deref().map_or(String::new(), |p| format!("/{}", p.trim_matches('/')))
    );
    let dashboard = dashboard(howdah, keys, wished);
    out.answer(&json!({ "url": url }), format_args!("the dashboard is at {url}"))?;
    let served = howdah_dashboard::serve(listener, dashboard.router(), told_to_stop()).await;
    served.map_err(|e| Failure::no(format!("cannot go on listening: {e}")))?;
    Ok(Answer::Yes)
}

fn dashboard(howdah: howdah::Howdah, keys: Keys, wished: Dashboard) -> howdah_dashboard::Dashboard {
    let most = if wished.read_only { Role::Read } else { Role::Admin };
    let mut dashboard = howdah_dashboard::Dashboard::new(howdah);
    if keys.is_empty() {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "local".to_owned());
        dashboard = dashboard
            .auth(move |_: &_| Some(Visitor::new(&user, most)))
            .hosts(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into_iter().chain(wished.hosts));
    } else {
        dashboard = dashboard.keys(keys.at_most(most));
        if !wished.hosts.is_empty() {
            dashboard = dashboard.hosts(wished.hosts);
        }
    }
    if let Some(prefix) = &wished.prefix {
        dashboard = dashboard.prefix(prefix);
    }
    if !wished.hide.is_empty() {
        dashboard =
            dashboard.redact(move |_, path| path.last().is_some_and(|name| wished.hide.iter().any(|h| h == name)));
    }
    dashboard
}

/// Who may come in, by the options and the environment.
fn keys(wished: &Dashboard) -> Result<Keys> {
    let variables = Variables::read();
    let refused = |origin: &str, error| Failure::usage(format!("{origin}: {error}"));
    let mut keys: Keys = variables.get(USERS)?.unwrap_or_default().parse().map_err(|e| refused(USERS, e))?;
    if let Some(token) = &wished.token {
        keys = keys.token(token, Role::Admin).map_err(|e| refused("--token", e))?;
    } else if let Some(token) = variables.get(TOKEN)? {
        keys = keys.token(&token, Role::Admin).map_err(|e| refused(TOKEN, e))?;
    }
    Ok(keys)
}

/// Whether only this machine reaches it.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
