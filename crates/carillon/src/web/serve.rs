//! One listener, its connections, and how they end.
//!
//! `axum::serve` sets no time limit for headers: a caller that sends them a byte a minute would hold
//! its connection for ever. So each connection is run here, with limits.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::web;

/// From the end of one request to the end of the next one's headers: idle connections end, too.
const HEADER_LIMIT: Duration = Duration::from_secs(60);
const HEADER_BYTES: usize = 64 * 1024;
/// Connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 4_096;
/// How long answers under way may take once the process is to end.
const GRACE: Duration = Duration::from_secs(15);

/// Told to streams that have no end of their own.
#[derive(Clone)]
pub struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Returns when the process is to end.
    pub async fn wait(mut self) {
        // An error means that the sender is gone, which is the end as well.
        let _ = self.0.wait_for(|closing| *closing).await;
    }
}

/// Serves until `shutdown`, then ends streams, answers what was begun and returns.
pub async fn serve(
    app: App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    app.url.get_or_init(|| reachable(address));
    let (close, closing) = watch::channel(false);
    let router = TowerToHyperService::new(web::router(app));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, peer, place) = accepted;
        let closing = Closing(closing.clone());
        let service = Answering { router: router.clone(), peer, closing: closing.clone() };
        connections.spawn(async move {
            converse(service, stream, closing).await;
            drop(place);
        });
    }
    drop(listener);
    close.send_replace(true);
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, rest).await.is_err() {
        tracing::warn!("some answers did not end in time and are cut off");
    }
    Ok(())
}

/// The next connection that there is room for.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(e) => {
                // Mostly too many open files: others have to end first.
                tracing::warn!(error = %e, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Everything that one connection asks, one after the other.
async fn converse(service: Answering, stream: TcpStream, closing: Closing) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY is not set");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = closing.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        // Mostly a client that went away in the middle.
        tracing::debug!(error = %e, "a connection ended early");
    }
}

/// The router, told who asks and when the process is to end.
struct Answering {
    router: TowerToHyperService<Router>,
    peer: SocketAddr,
    closing: Closing,
}

impl Service<Request<Incoming>> for Answering {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(self.closing.clone());
        self.router.call(request)
    }
}

/// The address under which a browser on this machine reaches a listener.
fn reachable(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
        _ => format!("http://{address}"),
    }
}
