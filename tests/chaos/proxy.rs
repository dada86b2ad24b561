//! A TCP proxy in front of the server, that does what bad networks do.
//!
//! Invariant: bytes are passed on in order or not at all. Limit: it reads no messages; COMMIT is known by its letters at the
//! end of what a client sends, which is how drivers send it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the network does now.
#[derive(Debug, Default)]
struct Weather {
    /// Each piece is late by so many milliseconds.
    delay_ms: AtomicU64,
    /// The answers to so many COMMITs are lost with their connections.
    lose_commits: AtomicUsize,
    /// The answers to so many of whatever is sent are lost with their connections.
    lose_answers: AtomicUsize,
}

/// The proxy. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    port: u16,
    weather: Arc<Weather>,
    /// Counts up when all connections are to be cut.
    cut: watch::Sender<u64>,
    /// Whether nothing gets through.
    stalled: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// One in front of this port.
    pub(super) async fn new(server: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let weather = Arc::new(Weather::default());
        let (cut, cuts) = watch::channel(0);
        let (stalled, stalls) = watch::channel(false);
        let shared = weather.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let line = Line { weather: shared.clone(), stalled: stalls.clone() };
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = line.carry(client, server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Ok(Self { port, weather, cut, stalled, task })
    }

    /// Where it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Makes each piece late.
    pub(super) fn delay(&self, by: Duration) {
        self.weather.delay_ms.store(u64::try_from(by.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Lets nothing through, or all again.
    pub(super) fn stall(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// Ends all connections.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    /// Lets so many COMMITs reach the server, and cuts their connections instead of passing on the answer.
    pub(super) fn lose_commits(&self, count: usize) {
        self.weather.lose_commits.store(count, Ordering::Relaxed);
    }

    /// The same with whatever is sent next.
    pub(super) fn lose_answers(&self, count: usize) {
        self.weather.lose_answers.store(count, Ordering::Relaxed);
    }

    /// The weather is fine again.
    pub(super) fn calm(&self) {
        self.delay(Duration::ZERO);
        self.stall(false);
        self.lose_commits(0);
        self.lose_answers(0);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection.
struct Line {
    weather: Arc<Weather>,
    stalled: watch::Receiver<bool>,
}

impl Line {
    async fn carry(self, client: TcpStream, server: u16) -> std::io::Result<()> {
        let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // Set when the next answer is to be lost.
        let (lose, losing) = watch::channel(false);
        tokio::select! {
            ended = self.requests(from_client, to_server, lose) => ended,
            ended = self.answers(from_server, to_client, losing) => ended,
        }
    }

    /// Waits as long as nothing gets through.
    async fn weather(&self) {
        let delay = self.weather.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        // An error means that the proxy is gone.
        let _ = self.stalled.clone().wait_for(|stalled| !stalled).await;
    }

    async fn requests(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        lose: watch::Sender<bool>,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 65536];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return Ok(());
            }
            self.weather().await;
            let commits = buffer[..read].ends_with(b"COMMIT\0");
            if (commits && take_one(&self.weather.lose_commits)) || take_one(&self.weather.lose_answers) {
                lose.send_replace(true);
            }
            to.write_all(&buffer[..read]).await?;
        }
    }

    async fn answers(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        losing: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let mut buffer = vec![0; 65536];
        loop {
            let read = from.read(&mut buffer).await?;
            // The server has done it, and nobody hears of it.
            if read == 0 || *losing.borrow() {
                return Ok(());
            }
            self.weather().await;
            to.write_all(&buffer[..read]).await?;
        }
    }
}

/// Takes one of what is left to take.
fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each piece with the same.
    async fn echo() -> Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                        let _ = stream.write_all(&buffer[..read]).await;
                    }
                });
            }
        });
        Ok(port)
    }

    async fn says(stream: &mut TcpStream, what: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(what).await?;
        let mut buffer = [0; 64];
        let read = stream.read(&mut buffer).await?;
        Ok(buffer[..read].to_vec())
    }

    #[tokio::test]
    async fn the_answer_of_a_commit_is_lost_and_nothing_else() -> Result<()> {
        let proxy = Proxy::new(echo().await?).await?;
        proxy.lose_commits(1);
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        assert_eq!(says(&mut client, b"SELECT").await?, b"SELECT");
        assert_eq!(says(&mut client, b"COMMIT\0").await?, b"", "the connection has ended");
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        assert_eq!(says(&mut client, b"COMMIT\0").await?, b"COMMIT\0");
        proxy.cut();
        assert_eq!(says(&mut client, b"SELECT").await.unwrap_or_default(), b"");
        Ok(())
    }

    #[tokio::test]
    async fn nothing_gets_through_while_it_stalls() -> Result<()> {
        let proxy = Proxy::new(echo().await?).await?;
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        assert_eq!(says(&mut client, b"one").await?, b"one");
        proxy.stall(true);
        let mut said = Box::pin(says(&mut client, b"two"));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut said).await.is_err());
        proxy.calm();
        assert_eq!(said.await?, b"two");
        Ok(())
    }
}
