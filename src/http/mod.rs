//! The HTTP side of `kluis serve`: status page, metrics, JSON and health, read-only, in one thread of its own.
//! It owns connections and their limits; it leaves who may see what to `gate`, what is answered to `answer`, and what is known to `site`.
//! Invariant: no request changes anything, no dump can be fetched, and nobody can hold a connection longer than [`LONGEST`] or keep others out.

mod answer;
mod gate;
mod site;
pub mod token;

pub use site::{Pulse, Site, Watched};

use crate::error::{Error, Kind, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Connections at the same time. One more makes the oldest of them go: who holds many keeps nobody else out.
const MOST_CONNECTIONS: usize = 64;

/// How long the head of a request may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection may last, with all that is asked over it.
const LONGEST: Duration = Duration::from_secs(30);

/// After how long a connection is told that it is the last answer: who asks again and again is never cut off in between.
const LAST: Duration = Duration::from_secs(20);

/// The size of a request's head, in bytes, and how many headers it may have.
const LARGEST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

/// A server that runs. Dropped, it has ended.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Listens at an address.
    pub fn listen(address: SocketAddr, site: Site) -> Result<Server> {
        let listener = TcpListener::bind(address).map_err(|error| {
            Error::new(Kind::Failed, format!("cannot listen at {address}"))
                .because(error)
                .hinted("let BACKUP_HTTP name an address of this machine and a port that nobody uses, or turn it off")
        })?;
        Server::start(listener, site)
    }

    /// Serves the connections of a listener.
    pub fn start(listener: TcpListener, site: Site) -> Result<Server> {
        let failed = |error: std::io::Error| Error::new(Kind::Failed, "the HTTP server cannot start").because(error);
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        // Reading from the disk goes on a thread of its own, so that a disk that hangs does not keep the rest from being answered.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_keep_alive(Duration::from_secs(1))
            .build()
            .map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let site = Arc::new(site);
            runtime.spawn(accept(listener, site));
            // Either it is told to stop, or whoever could tell it is gone.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_timeout(Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // A connection that is gone already, or no file descriptor left: the next one may do better.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= MOST_CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(serve(stream, site.clone())).abort_handle());
    }
}

async fn serve(stream: tokio::net::TcpStream, site: Arc<Site>) {
    let _ = stream.set_nodelay(true);
    let begun = Instant::now();
    let service = service_fn(move |request| {
        let site = site.clone();
        async move {
            let answer = answer::answer(&site, &request).await;
            Ok::<_, std::convert::Infallible>(if begun.elapsed() >= LAST { answer::closing(answer) } else { answer })
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(LARGEST_HEAD).max_headers(MOST_HEADERS);
    // What a connection ends with is of no concern to anybody here.
    let _ = tokio::time::timeout(LONGEST, http.serve_connection(TokioIo::new(stream), service)).await;
}
