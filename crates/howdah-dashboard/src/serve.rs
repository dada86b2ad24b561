//! Serving a router by itself.
//!
//! Invariant: when it is told to stop it takes no more requests, and answers those that it has. Limit: who watches is cut off
//! after a moment.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long requests that are being answered have after it was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Serves the router until `stop` is ready, and then what has begun for two more seconds.
///
/// # Errors
/// What the listener says.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (told, mut heard) = watch::channel(());
    let stopped = async move {
        stop.await;
        drop(told);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
    tokio::select! {
        served = serving => served,
        () = async {
            // An error: the sender is gone.
            while heard.changed().await.is_ok() {}
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}
