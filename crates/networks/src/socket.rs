//! Connections of networks that do not speak HTTP: behind the same guard, with the same trust in
//! certificates, and with an end to what is read from them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Action, Class, Error, Http};

/// Most bytes that are read from one connection.
const MOST: usize = 4 << 20;

/// A connection, plain or encrypted.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    /// Bytes that may still be read.
    left: usize,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Connects. Every error is certain: nothing was sent. Takes as long as it takes.
    pub(crate) async fn open(
        http: &Http,
        host: &str,
        port: u16,
        encrypted: bool,
    ) -> Result<Self, Error> {
        let tcp = http.connect(host, port).await?;
        if !encrypted {
            return Ok(Self { stream: Stream::Plain(tcp), left: MOST });
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| {
            Error::new(Class::Config, "The name of the server cannot be read.").code("bad_host")
        })?;
        let tls = TlsConnector::from(trust()?).connect(name, tcp).await.map_err(|e| {
            // A certificate that is not trusted stays so; anything else may pass.
            let trusted = e.get_ref().is_none_or(|e| !e.is::<rustls::Error>());
            let class = if trusted { Class::Transient } else { Class::Config };
            let why = format!("No encrypted connection to {host}:{port}.");
            Error::new(class, why).code("tls_failed")
        })?;
        Ok(Self { stream: Stream::Tls(Box::new(tls)), left: MOST })
    }
}

impl Socket {
    /// The other side's address.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(stream) => stream.peer_addr(),
            Stream::Tls(stream) => stream.get_ref().0.peer_addr(),
        }
    }
}

/// What reqwest trusts: the system's certificates.
fn trust() -> Result<Arc<rustls::ClientConfig>, Error> {
    static TRUST: OnceLock<Option<Arc<rustls::ClientConfig>>> = OnceLock::new();
    let built = TRUST.get_or_init(|| {
        // `Http::new` has installed the provider, or found one installed.
        let built = rustls::ClientConfig::with_platform_verifier();
        let told = |error: &rustls::Error| tracing::error!(%error, "no certificates to trust");
        built.inspect_err(told).ok().map(Arc::new)
    });
    built.clone().ok_or_else(|| {
        let why = "This installation has no certificates to trust.";
        Error::new(Class::Config, why).code("no_certificates").action(Action::AskOperator)
    })
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        };
        match self.left.checked_sub(buf.filled().len() - before) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("more was sent than is read"))),
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
